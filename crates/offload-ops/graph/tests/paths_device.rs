//! Distances, forests and strong components on every OpenCL device of this machine beside the same on the CPU: graphs of
//! several kinds from seeds, what a device leaves to the CPU half way, and the same failure with the same details.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]

use offload_api::{Record, ResidentKey, Tensor, Value};
use offload_core::device::{Descriptor, Device as Opened, DeviceLane, Gpu, LanePriority, Residents};
use offload_core::{AnyOperation, Cancel, Context, DeviceNeed, Failure, Graph, Progress, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;
use std::sync::Arc;
use std::time::Duration;

/// Numbers from a seed, by SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

type Edges = Vec<(u64, u64)>;

/// Edges of a kind among about `n` nodes.
type Kind = (&'static str, fn(&mut Numbers, u64) -> Edges);

const KINDS: &[Kind] = &[
    ("uniform", |r, n| (0..4 * n).map(|_| (r.below(n), r.below(n))).collect()),
    ("power law", |r, n| {
        // The square of a uniform number makes few nodes the ends of many edges.
        let mut end = || ((r.unit() * r.unit() * r.unit()) * n as f64) as u64;
        (0..6 * n).map(|_| (end(), end())).collect()
    }),
    ("grid", |_, n| {
        let side = n.isqrt().max(1);
        let at = |x: u64, y: u64| y * side + x;
        let across = (0..side * side).filter(|i| i % side + 1 < side).map(|i| (i, i + 1));
        let down = (0..side * (side - 1)).map(|i| (at(i % side, i / side + 1), i));
        across.chain(down).collect()
    }),
    ("star", |_, n| (1..n).map(|i| if i % 3 == 0 { (i, 0) } else { (0, i) }).collect()),
    ("pieces", |r, n| {
        // Pieces of at most 20 nodes, and nodes without an edge.
        (0..2 * n)
            .map(|_| (r.below(n / 20 + 1) * 20, r.below(17), r.below(17)))
            .map(|(p, a, b)| (p + a, p + b))
            .collect()
    }),
    ("pairs", |_, n| (0..n.div_ceil(2)).map(|i| (2 * i, 2 * i + 1)).collect()),
    ("loops and many of the same", |r, n| {
        let some = n / 8 + 2;
        (0..4 * n)
            .map(|_| (r.below(some), r.below(some)))
            .map(|(a, b)| (a, if a % 3 == 0 { a } else { b }))
            .collect()
    }),
    ("rings", |r, n| {
        // Cycles of 5 to 40 nodes, and arcs from one to a later one.
        let mut edges = Vec::new();
        let mut first = 0;
        while first + 40 < n {
            let len = 5 + r.below(36);
            edges.extend((0..len).map(|i| (first + i, first + (i + 1) % len)));
            edges.push((first + r.below(len), r.below(n - first) + first));
            first += len;
        }
        edges
    }),
];

/// A weight.
type Weight = (&'static str, fn(&mut Numbers) -> f64);

/// Weights whose sums are exact.
const WEIGHTS: &[Weight] = &[
    ("eighths", |r| r.below(1000) as f64 / 8.0),
    ("zeros and ones", |r| r.below(2) as f64),
    ("all alike", |_| 2.5),
    ("of any size", |r| (1u64 << r.below(20)) as f64),
];

/// `GRAPH_DEVICE_NODES=300` leaves larger graphs out, for devices as slow as a race checker.
fn fits(nodes: u64) -> bool {
    nodes <= std::env::var("GRAPH_DEVICE_NODES").ok().and_then(|n| n.parse().ok()).unwrap_or(u64::MAX)
}

struct Device {
    name: String,
    descriptor: Descriptor,
    opened: Arc<dyn Opened>,
    lane: Box<dyn DeviceLane>,
}

fn devices() -> Vec<Device> {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let found = match opencl::list(&options) {
        Ok(found) => found,
        Err(why) => {
            println!("skipped: {why}");
            return Vec::new();
        }
    };
    let open = |descriptor: Descriptor| {
        let opened = opencl::open(descriptor.id, &options).unwrap();
        let lane = opened.open_lane(LanePriority::Normal).unwrap();
        Device { name: descriptor.name.clone(), descriptor, opened, lane }
    };
    found.into_iter().map(open).collect()
}

fn operation(name: &str) -> &'static dyn AnyOperation {
    *offload_ops_graph::operations().iter().find(|o| o.about().name == name).unwrap()
}

fn id(v: u64) -> Value {
    Value::Tensor(Tensor::scalar(v))
}

fn word(w: &str) -> Value {
    Value::Text(w.into())
}

/// A graph whose ids are far apart, in an order that is not that of the edges.
fn inputs(edges: &[(u64, u64)], weights: Option<Vec<f64>>, directed: bool) -> Record<Tensor> {
    let spread = |v: u64| v.wrapping_mul(3) ^ 0x55;
    let edges: Edges = edges.iter().map(|&(a, b)| (spread(a), spread(b))).collect();
    let mut record = Record::new();
    Graph::new(&edges, weights, None, directed).put(&mut record);
    record
}

/// The id of a node in [`inputs`].
fn named(v: u64) -> Value {
    id(v.wrapping_mul(3) ^ 0x55)
}

/// Within the bytes of its plan, of which none are left taken.
fn on(
    device: &mut Device,
    op: &'static dyn AnyOperation,
    inputs: &Record<Tensor>,
    context: Context,
) -> Result<Record<Tensor>, Failure> {
    let name = op.about().name;
    let DeviceNeed::Bytes(reserved_bytes) = op.plan(inputs.specs()).unwrap().device else {
        panic!("{name} has no device path for this")
    };
    let residents = Residents::new(0);
    let tenant = TenantId::new("t");
    let mut gpu =
        Gpu::new(device.lane.as_mut(), &device.descriptor, &residents, tenant, context, reserved_bytes);
    let result = op.gpu(inputs.clone(), &mut gpu);
    let result = gpu.end(result).result;
    assert_eq!(device.opened.used_bytes(), 0, "{name} leaves device memory taken");
    result
}

fn numbers(value: &Value<Tensor>) -> Option<Vec<f64>> {
    match value {
        Value::Tensor(t) | Value::Gapped(t) => t.as_slice::<f64>().map(<[f64]>::to_vec),
        _ => None,
    }
}

/// Runs it on both. Numbers may differ by `relative`; everything else is the same, the algorithm's name left out, because
/// which one `auto` takes is for each to say.
fn agree(
    device: &mut Device,
    name: &str,
    inputs: &Record<Tensor>,
    relative: f64,
    about: &str,
) -> Record<Tensor> {
    let op = operation(name);
    let about = format!("{}: {name}: {about}", device.name);
    let want = op.cpu(inputs.clone(), &Context::default()).unwrap_or_else(|e| panic!("{about}: {e}"));
    let got = on(device, op, inputs, Context::default()).unwrap_or_else(|e| panic!("{about}: {e}"));
    assert_eq!(got.len(), want.len(), "{about}");
    for (output, want) in want.iter().filter(|(output, _)| *output != "algorithm") {
        let got = got.get(output).unwrap();
        match (numbers(got), numbers(want)) {
            (Some(g), Some(w)) => {
                assert_eq!(g.len(), w.len(), "{about}: {output}");
                for (i, (g, w)) in g.iter().zip(&w).enumerate() {
                    // Equality first, so that infinities agree.
                    let near = g == w || (g - w).abs() <= relative * w.abs();
                    assert!(near, "{about}: {output} {i}: {g:e}, on the cpu {w:e}");
                }
            }
            _ => assert!(got == want, "{about}: {output} differs"),
        }
    }
    got
}

/// Graphs of every kind with exact weights.
fn graphs(n: u64, mut each: impl FnMut(&[(u64, u64)], Vec<f64>, &str)) {
    if !fits(n) {
        return;
    }
    for (k, (kind, edges)) in KINDS.iter().enumerate() {
        for (w, (weights, weight)) in WEIGHTS.iter().enumerate() {
            let seed = n * 100 + (k * 10 + w) as u64;
            let mut r = Numbers(seed);
            let edges = edges(&mut r, n);
            if edges.is_empty() {
                continue;
            }
            let weights_of = edges.iter().map(|_| weight(&mut r)).collect();
            each(&edges, weights_of, &format!("{kind}, weights {weights}, seed {seed}"));
        }
    }
}

#[test]
fn all_distances_are_those_of_the_cpu() {
    for mut device in devices() {
        for n in [2, 50, 64, 65, 190] {
            graphs(n, |edges, weights, about| {
                for directed in [true, false] {
                    let graph = inputs(edges, Some(weights.clone()), directed);
                    agree(&mut device, "all_pairs", &graph, 0.0, about);
                }
            });
        }
        let (mut r, n) = (Numbers(1), 500);
        if !fits(n) {
            continue;
        }
        let edges: Edges = (0..20 * n).map(|_| (r.below(n), r.below(n))).collect();
        let rounded: Vec<f64> = edges.iter().map(|_| r.unit()).collect();
        // The CPU takes blocks as well, so that even sums that are rounded are the same.
        agree(&mut device, "all_pairs", &inputs(&edges, Some(rounded.clone()), true), 0.0, "dense");
        agree(&mut device, "all_pairs", &inputs(&edges, None, false), 0.0, "without weights");
        // It searches from each node here.
        let few = (2 * n) as usize;
        let sparse = inputs(&edges[..few], Some(rounded[..few].to_vec()), true);
        agree(&mut device, "all_pairs", &sparse, 1e-14, "sparse");
        // Arcs from a smaller node to a larger one can all be below 0.
        let down: Edges = edges.iter().map(|&(a, b)| (a.min(b), a.max(b) + u64::from(a == b))).collect();
        let below: Vec<f64> = rounded.iter().map(|w| 0.25 - w).collect();
        agree(&mut device, "all_pairs", &inputs(&down, Some(below), true), 0.0, "below zero");
    }
}

#[test]
fn distances_from_one_node_and_their_tree_are_those_of_the_cpu() {
    for mut device in devices() {
        for n in [50, 300, 2_000] {
            graphs(n, |edges, weights, about| {
                let start = named(edges[edges.len() / 3].0);
                for directed in [true, false] {
                    let graph = inputs(edges, Some(weights.clone()), directed).with("start", start.clone());
                    agree(&mut device, "shortest_path", &graph, 0.0, about);
                    let plain = inputs(edges, None, directed).with("start", start.clone());
                    agree(&mut device, "shortest_path", &plain, 0.0, about);
                }
                let ford = inputs(edges, Some(weights), true).with("start", start);
                agree(
                    &mut device,
                    "shortest_path",
                    &ford.with("algorithm", word("bellman_ford")),
                    0.0,
                    about,
                );
            });
        }
        let (mut r, n) = (Numbers(2), 20_000);
        if !fits(n) {
            continue;
        }
        let edges: Edges = (0..5 * n).map(|_| (r.below(n), r.below(n))).collect();
        let rounded: Vec<f64> = edges.iter().map(|_| r.unit()).collect();
        let graph = inputs(&edges, Some(rounded.clone()), true).with("start", named(edges[0].0));
        let got = agree(&mut device, "shortest_path", &graph, 0.0, "weights that round");
        assert!(got.get("algorithm") == Some(&word("delta_stepping")));
        let down: Edges = edges.iter().map(|&(a, b)| (a.min(b), a.max(b) + u64::from(a == b))).collect();
        let below: Vec<f64> = rounded.iter().map(|w| 0.25 - w).collect();
        let graph = inputs(&down, Some(below), true).with("start", named(down[0].0));
        let got = agree(&mut device, "shortest_path", &graph, 0.0, "weights below zero");
        assert!(got.get("algorithm") == Some(&word("bellman_ford")));
        // Sums that round away what is added: no path gets longer, so the bound must move past equal distances.
        let far: Edges = (0..300).map(|i| (i, i + 1)).chain((0..300).map(|i| (i, i + 400))).collect();
        let weights = far.iter().enumerate().map(|(i, _)| if i == 0 { 1e300 } else { 1e-300 }).collect();
        agree(
            &mut device,
            "shortest_path",
            &inputs(&far, Some(weights), true).with("start", named(0)),
            0.0,
            "rounded away",
        );
    }
}

#[test]
fn weights_below_zero_that_take_long_to_settle_are_left_to_the_cpu() {
    for mut device in devices() {
        let chain: Edges = (0..700).map(|i| (i, i + 1)).collect();
        let graph = inputs(&chain, Some(vec![-1.0; chain.len()]), true).with("start", named(0));
        agree(&mut device, "shortest_path", &graph, 0.0, "a long way down");
    }
}

#[test]
fn a_negative_cycle_fails_alike_everywhere() {
    for mut device in devices() {
        for seed in 0..6 {
            let (mut r, n) = (Numbers(seed), 300);
            let edges: Edges = (0..3 * n).map(|_| (r.below(n), r.below(n))).collect();
            let weights: Vec<f64> = edges.iter().map(|_| r.below(64) as f64 / 8.0 - 2.0).collect();
            let graph = inputs(&edges, Some(weights), seed % 2 == 0);
            let to_all = graph.clone().with("start", named(edges[0].0));
            let mut failed = 0;
            for (name, graph) in [("all_pairs", graph), ("shortest_path", to_all)] {
                let op = operation(name);
                let want = op.cpu(graph.clone(), &Context::default()).map(|_| ());
                let got = on(&mut device, op, &graph, Context::default()).map(|_| ());
                assert_eq!(got, want, "{}: {name}, seed {seed}", device.name);
                failed +=
                    usize::from(matches!(got, Err(Failure::Unprocessable { reason: "negative_cycle", .. })));
            }
            assert!(failed > 0, "seed {seed} has no negative cycle");
        }
    }
}

#[test]
fn forests_are_those_of_the_cpu() {
    for mut device in devices() {
        for n in [2, 300, 5_000] {
            graphs(n, |edges, weights, about| {
                agree(&mut device, "minimum_spanning_tree", &inputs(edges, Some(weights), false), 0.0, about);
                agree(&mut device, "minimum_spanning_tree", &inputs(edges, None, true), 0.0, about);
            });
        }
        let (mut r, n) = (Numbers(3), 20_000);
        if !fits(n) {
            continue;
        }
        let edges: Edges = (0..5 * n).map(|_| (r.below(n), r.below(n))).collect();
        let signed = edges.iter().map(|_| r.unit() - 0.5).collect();
        agree(&mut device, "minimum_spanning_tree", &inputs(&edges, Some(signed), false), 0.0, "signed");
        let zeros = edges.iter().map(|_| if r.below(2) == 0 { 0.0 } else { -0.0 }).collect();
        agree(&mut device, "minimum_spanning_tree", &inputs(&edges, Some(zeros), false), 0.0, "both zeros");
        // Every tree hangs itself below the next one in the first round, so that nodes have far to climb.
        let path: Edges = (0..n).map(|i| (i, i + 1)).collect();
        let rising = (0..n).map(|i| (n - i) as f64).collect();
        agree(&mut device, "minimum_spanning_tree", &inputs(&path, Some(rising), false), 0.0, "a path");
    }
}

#[test]
fn strong_components_are_those_of_the_cpu() {
    for mut device in devices() {
        for n in [2, 60, 300, 3_000, 20_000].into_iter().filter(|n| fits(*n)) {
            for (k, (kind, edges)) in KINDS.iter().enumerate() {
                let seed = n + k as u64;
                let edges = edges(&mut Numbers(seed), n);
                if edges.is_empty() {
                    continue;
                }
                for directed in [true, false] {
                    let about = format!("{kind}, seed {seed}, directed {directed}");
                    agree(&mut device, "strongly_connected", &inputs(&edges, None, directed), 0.0, &about);
                }
            }
        }
    }
}

#[test]
fn components_of_long_ways_are_left_to_the_cpu_and_none_is_split() {
    let n = 700u64;
    let ring: Edges = (0..n).map(|i| (i, (i + 1) % n)).collect();
    // Nodes with so many arcs that the search begins at them, and after them a node that leads everywhere at once, to
    // which only a long way leads back.
    let knot = (n..n + 6).flat_map(|a| (n..n + 6).map(move |b| (a, b)));
    let fan = (1..n).flat_map(|i| [(0, i), (i, i - 1)]);
    let late: Edges = knot.chain(fan).collect();
    // A way on which every node falls off after the one before it.
    let thread: Edges = (0..n).map(|i| (i, i + 1)).chain([(n, n + 1), (n + 1, n)]).collect();
    for mut device in devices() {
        for (about, edges) in [("a ring", &ring), ("a fan", &late), ("a thread", &thread)] {
            agree(&mut device, "strongly_connected", &inputs(edges, None, true), 0.0, about);
        }
    }
}

#[test]
fn a_cancelled_job_ends_on_the_device() {
    for mut device in devices() {
        let edges: Edges = (0..400).map(|i| (i, (i * 7 + 1) % 400)).collect();
        let graph = inputs(&edges, Some(vec![1.5; 400]), true);
        let jobs = [
            ("all_pairs", graph.clone()),
            ("minimum_spanning_tree", graph.clone()),
            ("strongly_connected", graph.clone()),
            ("shortest_path", graph.with("start", named(0))),
        ];
        for (name, graph) in jobs {
            let cancel = Cancel::new();
            cancel.cancel();
            let got = on(&mut device, operation(name), &graph, Context::new(cancel, Progress::new()));
            assert_eq!(got.map(|_| ()), Err(Failure::Cancelled), "{name}");
        }
    }
}

/// The same columns, each with an identity from `key` on.
fn kept(inputs: &Record<Tensor>, key: u128) -> Record<Tensor> {
    let mut record = Record::new();
    for (at, (name, value)) in inputs.iter().enumerate() {
        let value = match value {
            Value::Tensor(t) if name != "start" => {
                Value::Tensor(t.clone().with_resident(ResidentKey(key + at as u128)))
            }
            other => other.clone(),
        };
        record.set(name, value);
    }
    record
}

#[test]
fn a_graph_that_stays_on_the_device_is_sent_once() {
    let mut r = Numbers(9);
    let edges: Edges = (0..3_000).map(|_| (r.below(700), r.below(700))).collect();
    let graph = inputs(&edges, Some(edges.iter().map(|_| r.unit()).collect()), true);
    let jobs = [
        ("all_pairs", graph.clone()),
        ("minimum_spanning_tree", graph.clone()),
        ("strongly_connected", graph.clone()),
        ("shortest_path", graph.with("start", named(edges[0].0))),
    ];
    for mut device in devices() {
        let residents = Residents::new(1 << 26);
        let tenant = TenantId::new("t");
        for (number, (name, inputs)) in jobs.iter().enumerate() {
            let (op, inputs) = (operation(name), kept(inputs, 1 + 10 * number as u128));
            let DeviceNeed::Bytes(bytes) = op.plan(inputs.specs()).unwrap().device else { panic!("{name}") };
            let mut run = || {
                let lane = device.lane.as_mut();
                let context = Context::default();
                let mut gpu = Gpu::new(lane, &device.descriptor, &residents, tenant.clone(), context, bytes);
                let result = op.gpu(inputs.clone(), &mut gpu);
                gpu.end(result)
            };
            let (first, second) = (run(), run());
            assert!(first.timings.upload > Duration::ZERO, "{name} has to come there once");
            assert_eq!(second.timings.upload, Duration::ZERO, "{name} was there");
            assert!(first.result.unwrap() == second.result.unwrap(), "{name}");
        }
        residents.evict_tenant(&tenant, device.lane.as_mut()).unwrap();
        assert_eq!(device.opened.used_bytes(), 0);
    }
}
