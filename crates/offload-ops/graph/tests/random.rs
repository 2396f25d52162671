//! Random graphs against searches that are too plain to be wrong, and every algorithm against the others. A failure
//! names its seed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context, Failure, Graph};
use offload_ops_graph::*;
use std::collections::{BTreeMap, BTreeSet};

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[derive(Clone)]
struct Made {
    edges: Vec<(u64, u64)>,
    weights: Vec<f64>,
    nodes: Vec<u64>,
    directed: bool,
}

fn made(seed: u64, n: u64, m: usize, directed: bool, zeros: bool) -> Made {
    let mut r = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    // A third of the graphs have ids that are far apart.
    let id = |v: u64| if seed.is_multiple_of(3) { v.wrapping_mul(0xD134_2543_DE82_EF95) } else { v };
    let edges = (0..m).map(|_| (id(r.below(n)), id(r.below(n)))).collect();
    // Quarters, so that sums are exact in any order.
    let weights = (0..m).map(|_| (r.below(64) + u64::from(!zeros)) as f64 / 4.0).collect();
    Made { edges, weights, nodes: (0..n).map(id).collect(), directed }
}

impl Made {
    fn inputs(&self) -> Record {
        let mut record = Record::new();
        let graph =
            Graph::new(&self.edges, Some(self.weights.clone()), Some(self.nodes.clone()), self.directed);
        graph.put(&mut record);
        record
    }

    fn arcs(&self) -> impl Iterator<Item = (u64, u64, f64)> + '_ {
        let along = self.edges.iter().zip(&self.weights);
        along.flat_map(|(&(u, v), &w)| {
            let back = (!self.directed && u != v).then_some((v, u, w));
            [(u, v, w)].into_iter().chain(back)
        })
    }

    /// Rounds of relaxing everything, until nothing changes.
    fn distances(&self, start: u64) -> BTreeMap<u64, f64> {
        let mut d = BTreeMap::from([(start, 0.0)]);
        loop {
            let mut changed = false;
            for (u, v, w) in self.arcs() {
                if let Some(&at) = d.get(&u)
                    && at + w < *d.get(&v).unwrap_or(&f64::INFINITY)
                {
                    d.insert(v, at + w);
                    changed = true;
                }
            }
            if !changed {
                return d;
            }
        }
    }

    fn shuffled(&self, seed: u64) -> Made {
        let mut r = Random(seed | 1);
        let mut to = self.clone();
        for i in (1..to.edges.len()).rev() {
            let j = r.below(i as u64 + 1) as usize;
            to.edges.swap(i, j);
            to.weights.swap(i, j);
        }
        to.nodes.reverse();
        to
    }
}

fn run(op: &dyn AnyOperation, inputs: Record) -> Record {
    op.plan(inputs.specs()).unwrap();
    op.cpu(inputs, &Context::default()).unwrap()
}

fn get<T: offload_api::Element>(r: &Record, name: &str) -> Vec<T> {
    match r.get(name) {
        Some(Value::Tensor(t) | Value::Gapped(t)) => t.as_slice::<T>().unwrap().to_vec(),
        other => panic!("{name} is {other:?}"),
    }
}

fn id(v: u64) -> Value {
    Value::Tensor(Tensor::scalar(v))
}

fn word(w: &str) -> Value {
    Value::Text(w.into())
}

fn small() -> impl Iterator<Item = (u64, Made)> {
    (0..120).map(|seed| {
        let n = 1 + seed * 7 % 40;
        let m = (n * (seed % 5)) as usize;
        (seed, made(seed, n, m, seed.is_multiple_of(2), seed % 4 < 2))
    })
}

#[test]
fn distances_are_the_shortest_by_every_algorithm() {
    for (seed, g) in small() {
        let start = g.nodes[0];
        let want = g.distances(start);
        let mut trees = Vec::new();
        for algorithm in ["auto", "dijkstra", "bellman_ford", "delta_stepping"] {
            let out =
                run(&ShortestPath, g.inputs().with("start", id(start)).with("algorithm", word(algorithm)));
            let nodes: Vec<u64> = get(&out, "nodes");
            let got: BTreeMap<u64, f64> = nodes.iter().copied().zip(get::<f64>(&out, "distances")).collect();
            assert_eq!(got, want, "seed {seed}, {algorithm}");
            let parents: Vec<u64> = get(&out, "parents");
            for (&v, &p) in nodes.iter().zip(&parents) {
                let tight = g.arcs().any(|(a, b, w)| (a, b) == (p, v) && want[&p] + w == want[&v]);
                assert!(tight || (v == start && p == v), "seed {seed}, {algorithm}: {p} before {v}");
            }
            // Every node leads back to the start.
            for &v in &nodes {
                let mut at = v;
                for _ in 0..=nodes.len() {
                    at = parents[nodes.binary_search(&at).unwrap()];
                }
                assert_eq!(at, start, "seed {seed}, {algorithm}");
            }
            trees.push(parents);
        }
        assert!(trees.windows(2).all(|t| t[0] == t[1]), "seed {seed}: trees differ");
    }
}

#[test]
fn a_path_to_one_end_is_the_path_of_the_whole_tree() {
    for (seed, g) in small() {
        let (start, end) = (g.nodes[0], g.nodes[g.nodes.len() / 2]);
        let want = g.distances(start).get(&end).copied();
        for algorithm in ["dijkstra", "bellman_ford", "delta_stepping", "a_star"] {
            let ask = g.inputs().with("start", id(start)).with("end", id(end));
            let out = run(&ShortestPath, ask.with("algorithm", word(algorithm)));
            let Some(want) = want else {
                assert!(out.get("path").unwrap().is_nothing() && out.get("distance").unwrap().is_nothing());
                continue;
            };
            assert_eq!(get::<f64>(&out, "distance"), [want], "seed {seed}, {algorithm}");
            let path: Vec<u64> = get(&out, "path");
            let sum: f64 = path
                .windows(2)
                .map(|p| {
                    g.arcs().filter(|a| (a.0, a.1) == (p[0], p[1])).map(|a| a.2).fold(f64::INFINITY, f64::min)
                })
                .sum();
            assert_eq!((sum, path[0], path[path.len() - 1]), (want, start, end), "seed {seed}, {algorithm}");
        }
    }
}

#[test]
fn exact_bounds_lead_a_star_straight() {
    for (seed, g) in small().filter(|(_, g)| !g.directed) {
        let (start, end) = (g.nodes[0], g.nodes[g.nodes.len() - 1]);
        let left = g.distances(end);
        let bounds: Vec<f64> = g.nodes.iter().map(|v| left.get(v).copied().unwrap_or(0.0)).collect();
        let ask = g.inputs().with("start", id(start)).with("end", id(end)).with("algorithm", word("a_star"));
        let out = run(&ShortestPath, ask.with("heuristic", Value::Tensor(Tensor::vector(bounds))));
        match left.get(&start) {
            Some(&d) => assert_eq!(get::<f64>(&out, "distance"), [d], "seed {seed}"),
            None => assert!(out.get("distance").unwrap().is_nothing(), "seed {seed}"),
        }
    }
}

#[test]
fn a_negative_cycle_is_found_and_is_one() {
    let mut found = 0;
    for (seed, mut g) in small().filter(|(_, g)| g.directed && !g.edges.is_empty()) {
        let mut r = Random(seed + 77);
        g.weights.iter_mut().for_each(|w| *w -= (r.below(3) * 8) as f64 / 4.0);
        let start = g.nodes[0];
        // A negative cycle exists if and only if n rounds do not settle.
        let mut d = BTreeMap::from([(start, 0.0f64)]);
        let mut settled = false;
        for _ in 0..=g.nodes.len() {
            settled = true;
            for (u, v, w) in g.arcs() {
                if let Some(&at) = d.get(&u)
                    && at + w < *d.get(&v).unwrap_or(&f64::INFINITY)
                {
                    d.insert(v, at + w);
                    settled = false;
                }
            }
        }
        let out = ShortestPath.cpu(g.inputs().with("start", id(start)), &Context::default());
        match out {
            Ok(out) => {
                assert!(settled, "seed {seed}");
                let got: BTreeMap<u64, f64> =
                    get::<u64>(&out, "nodes").into_iter().zip(get::<f64>(&out, "distances")).collect();
                assert_eq!(got, d, "seed {seed}");
            }
            Err(Failure::Unprocessable { reason: "negative_cycle", details, .. }) => {
                found += 1;
                assert!(!settled, "seed {seed}");
                let cycle: Vec<u64> = serde_json::from_value(details["cycle"].clone()).unwrap();
                let sum: f64 = cycle
                    .iter()
                    .zip(cycle.iter().cycle().skip(1))
                    .map(|(&u, &v)| {
                        g.arcs().filter(|a| (a.0, a.1) == (u, v)).map(|a| a.2).fold(f64::INFINITY, f64::min)
                    })
                    .sum();
                assert!(sum < 0.0 && details["weight"] == sum, "seed {seed}: {cycle:?} weighs {sum}");
            }
            Err(e) => panic!("seed {seed}: {e:?}"),
        }
    }
    assert!(found > 5, "{found} cycles");
}

fn reach(g: &Made, from: u64, both: bool) -> BTreeSet<u64> {
    let mut seen = BTreeSet::from([from]);
    loop {
        let before = seen.len();
        for (u, v, _) in g.arcs() {
            if seen.contains(&u) {
                seen.insert(v);
            }
            if both && seen.contains(&v) {
                seen.insert(u);
            }
        }
        if seen.len() == before {
            return seen;
        }
    }
}

#[test]
fn components_are_what_reaches_what() {
    for (seed, g) in small() {
        let all: BTreeSet<u64> = g.nodes.iter().copied().collect();
        let from: BTreeMap<u64, BTreeSet<u64>> = all.iter().map(|&v| (v, reach(&g, v, false))).collect();
        let strong: Vec<u64> =
            all.iter().map(|v| *from[v].iter().find(|u| from[u].contains(v)).unwrap()).collect();
        let weak: Vec<u64> = all.iter().map(|&v| *reach(&g, v, true).first().unwrap()).collect();
        let out = run(&ConnectedComponents, g.inputs());
        assert_eq!(get::<u64>(&out, "labels"), weak, "seed {seed}");
        let out = run(&StronglyConnected, g.inputs());
        assert_eq!(get::<u64>(&out, "labels"), strong, "seed {seed}");
        assert_eq!(out.get("count"), Some(&Value::Int(strong.iter().collect::<BTreeSet<_>>().len() as i64)));
    }
}

#[test]
fn k_shortest_paths_are_the_first_of_all_paths() {
    fn all(g: &BTreeMap<(u64, u64), f64>, path: &mut Vec<u64>, length: f64, end: u64, out: &mut Vec<f64>) {
        let at = path[path.len() - 1];
        if at == end {
            out.push(length);
            return;
        }
        for (&(_, v), w) in g.range((at, 0)..=(at, u64::MAX)) {
            if !path.contains(&v) {
                path.push(v);
                all(g, path, length + w, end, out);
                path.pop();
            }
        }
    }
    for seed in 0..60 {
        let g = made(seed, 7, 16, seed.is_multiple_of(2), seed % 4 < 2);
        let mut lightest: BTreeMap<(u64, u64), f64> = BTreeMap::new();
        for (u, v, w) in g.arcs() {
            let to = lightest.entry((u, v)).or_insert(w);
            *to = to.min(w);
        }
        let (start, end) = (g.nodes[0], g.nodes[6]);
        let mut want = Vec::new();
        all(&lightest, &mut vec![start], 0.0, end, &mut want);
        want.sort_by(f64::total_cmp);
        for k in [1, 4, 1000] {
            let ask = g.inputs().with("start", id(start)).with("end", id(end)).with("k", Value::Int(k));
            let out = run(&KShortest, ask);
            assert_eq!(get::<f64>(&out, "distances"), want[..want.len().min(k as usize)], "seed {seed}");
            let Some(Value::Json(paths)) = out.get("paths") else { panic!("no paths") };
            let paths: Vec<Vec<u64>> = serde_json::from_value((**paths).clone()).unwrap();
            assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), paths.len(), "seed {seed}: twice");
            for (path, length) in paths.iter().zip(&want) {
                let sum: f64 = path.windows(2).map(|p| lightest[&(p[0], p[1])]).sum();
                assert_eq!(sum, *length, "seed {seed}");
                assert_eq!(path.iter().collect::<BTreeSet<_>>().len(), path.len(), "seed {seed}: a loop");
            }
        }
    }
}

#[test]
fn trees_are_the_lightest_and_triangles_are_all() {
    for (seed, g) in small() {
        let mut edges: Vec<(f64, u64, u64)> =
            g.edges.iter().zip(&g.weights).map(|(&(u, v), &w)| (w, u.min(v), u.max(v))).collect();
        edges.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let mut label: BTreeMap<u64, u64> = g.nodes.iter().map(|&v| (v, v)).collect();
        let mut want = Vec::new();
        for (w, u, v) in edges {
            let (a, b) = (label[&u], label[&v]);
            if a != b {
                label.values_mut().filter(|l| **l == b).for_each(|l| *l = a);
                want.push((w, u, v));
            }
        }
        let out = run(&MinimumSpanningTree, g.inputs());
        let got: Vec<(f64, u64, u64)> = get::<u64>(&out, "edges")
            .chunks(2)
            .zip(get::<f64>(&out, "weights"))
            .map(|(e, w)| (w, e[0], e[1]))
            .collect();
        assert_eq!(got, want, "seed {seed}");

        let pairs: BTreeSet<(u64, u64)> = g.edges.iter().flat_map(|&(u, v)| [(u, v), (v, u)]).collect();
        let nodes: BTreeSet<u64> = g.nodes.iter().copied().collect();
        let joined = |a, b| a != b && pairs.contains(&(a, b));
        let want: Vec<u64> = nodes
            .iter()
            .map(|&a| {
                let around: Vec<u64> = nodes.iter().copied().filter(|&b| joined(a, b)).collect();
                let both = |b: u64| around.iter().filter(|&&c| c > b && joined(b, c)).count() as u64;
                around.iter().map(|&b| both(b)).sum()
            })
            .collect();
        assert_eq!(get::<u64>(&run(&TriangleCount, g.inputs()), "triangles"), want, "seed {seed}");
    }
}

#[test]
fn both_ways_to_all_pairs_agree() {
    for seed in 0..6 {
        // Sparse enough for searches; with one weight below zero, Floyd and Warshall's on the same graph.
        let mut g = made(seed, 150, 300, true, false);
        let far = *g.nodes.iter().max().unwrap();
        let lone = (0..u64::MAX).find(|v| !g.nodes.contains(v)).unwrap();
        g.nodes.push(lone);
        let sparse = run(&AllPairs, g.inputs());
        g.edges.push((lone, far));
        g.weights.push(-0.25);
        let dense = run(&AllPairs, g.inputs());
        let nodes: Vec<u64> = get(&sparse, "nodes");
        let at = nodes.binary_search(&lone).unwrap();
        let n = nodes.len();
        let (a, b): (Vec<f64>, Vec<f64>) = (get(&sparse, "distances"), get(&dense, "distances"));
        for i in (0..n * n).filter(|i| i / n != at) {
            assert_eq!(a[i].to_bits(), b[i].to_bits(), "seed {seed}: {i}");
        }
        let start = nodes[n / 2];
        let want = g.distances(start);
        let row: Vec<f64> = nodes.iter().map(|v| want.get(v).copied().unwrap_or(f64::INFINITY)).collect();
        assert_eq!(b[n / 2 * n..][..n], row, "seed {seed}");
    }
}

#[test]
fn results_depend_neither_on_the_order_of_edges_nor_on_threads() {
    for (directed, zeros) in [(true, false), (false, false), (false, true)] {
        // Large enough for every parallel path.
        let g = made(5, 50_000, 300_000, directed, zeros);
        let start = g.nodes[17];
        type Job = (&'static dyn AnyOperation, fn(Record) -> Record);
        let jobs: Vec<Job> = vec![
            (&Bfs, |r| r),
            (&ShortestPath, |r| r),
            (&ConnectedComponents, |r| r),
            (&StronglyConnected, |r| r),
            (&MinimumSpanningTree, |r| r),
            (&DetectCycles, |r| r),
            (&Dfs, |r| r),
            (&TriangleCount, |r| r),
            (&Pagerank, |r| r.with("ignore_weights", Value::Bool(true))),
        ];
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let four = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let other = g.shuffled(9);
        for (op, with) in jobs {
            let name = op.about().name;
            let inputs = |g: &Made| {
                let inputs = with(g.inputs());
                if ["bfs", "shortest_path"].contains(&name) {
                    inputs.with("start", id(start))
                } else {
                    inputs
                }
            };
            let strip = |mut r: Record| {
                r.take("algorithm");
                r
            };
            let a = strip(one.install(|| run(op, inputs(&g))));
            let b = strip(four.install(|| run(op, inputs(&g))));
            assert!(a == b, "{name} depends on threads");
            if name != "pagerank" {
                let c = strip(four.install(|| run(op, inputs(&other))));
                assert!(a == c, "{name} depends on the order of the edges");
            }
        }
    }
}

#[test]
fn a_search_that_turns_around_finds_what_one_that_does_not_finds() {
    for seed in [1, 2] {
        let mut g = made(seed, 30_000, 200_000, false, false);
        let undirected = run(&Bfs, g.inputs().with("start", id(g.nodes[0])));
        // The same edges with a direction each way are searched forward only.
        let back: Vec<(u64, u64)> = g.edges.iter().map(|&(u, v)| (v, u)).collect();
        g.edges.extend(back);
        g.weights.extend_from_within(..);
        g.directed = true;
        let directed = run(&Bfs, g.inputs().with("start", id(g.nodes[0])));
        assert!(undirected == directed, "seed {seed}");
    }
}
