//! Graphs with what is hard for a device: long paths, few nodes with most of the edges, parts, loops, repeated edges.

use offload_api::{Record, ResidentKey, Tensor};
use offload_core::Graph;

/// `GRAPH_DEVICE_NODES=500` leaves larger graphs out, for devices as slow as a race checker.
pub fn fits(nodes: usize) -> bool {
    nodes <= std::env::var("GRAPH_DEVICE_NODES").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
}

/// A graph with a name.
pub struct Made {
    pub name: String,
    edges: Vec<(u64, u64)>,
    weights: Option<Vec<f64>>,
    ids: Vec<u64>,
    directed: bool,
}

impl Made {
    /// The ids of its nodes, in some order.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// As inputs; its columns have identities from `key` on where there is one.
    pub fn inputs(&self, key: Option<u128>) -> Record<Tensor> {
        let mut graph = Graph::new(&self.edges, self.weights.clone(), Some(self.ids.clone()), self.directed);
        if let Some(key) = key {
            let known = |t: Tensor, at: u128| t.with_resident(ResidentKey(key + at));
            graph = Graph {
                src: known(graph.src, 0),
                dst: known(graph.dst, 1),
                weight: graph.weight.map(|t| known(t, 2)),
                nodes: graph.nodes.map(|t| known(t, 3)),
                directed: graph.directed,
            };
        }
        let mut record = Record::new();
        graph.put(&mut record);
        record
    }
}

/// Layers of so many nodes, each joined to the same of the next layer, and all of the first to node 0: as many frontiers of
/// that width as there are layers.
pub fn layers(width: u64, count: u64, directed: bool) -> Made {
    let first = (1..=width).map(|v| (0, v));
    let next = (1..=width * (count - 1)).map(|v| (v, v + width));
    let edges = first.chain(next).collect();
    let name = format!("{count} layers of {width}");
    Made { name, edges, weights: None, ids: (0..=width * count).collect(), directed }
}

/// Numbers by SplitMix64.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.unit() * n as f64) as u64
    }
}

/// A name, how many nodes, and edges among them.
type Kind = (&'static str, u64, Vec<(u64, u64)>);

fn kinds() -> Vec<Kind> {
    let r = &mut Random(2024);
    // The fewer the smaller the number, so that the first have most of the edges.
    let mut power = |n: u64, m: usize, skew: i32| {
        let mut end = || (r.unit().powi(skew) * n as f64) as u64;
        (0..m).map(|_| (end(), end())).collect::<Vec<_>>()
    };
    let (power_law, skewed) = (power(20_000, 120_000, 3), power(3000, 60_000, 12));
    let (w, h) = (150u64, 100u64);
    let across = (0..w * h).filter(|v| v % w + 1 < w).map(|v| (v, v + 1));
    let grid = across.chain((0..w * (h - 1)).map(|v| (v, v + w))).collect();
    let path: Vec<_> = (0..6000).map(|v| (v, v + 1)).collect();
    let star: Vec<_> = (1..9000).flat_map(|v| [(0, v), (v, 0)]).collect();
    let parts = (0..4000).map(|_| {
        let (part, u, v) = (r.below(40), r.below(100), r.below(100));
        (part * 100 + u, part * 100 + v)
    });
    let parts = parts.collect();
    let loops = (0..5000).map(|v| (v, if v % 3 == 0 { v } else { r.below(5000) })).collect();
    let repeated = (0..30_000).map(|_| (r.below(50), r.below(50))).collect();
    let random = (0..40_000).map(|_| (r.below(4000), r.below(4000))).collect();
    vec![
        ("a random graph", 4000, random),
        ("a power law", 20_000, power_law),
        ("a steep power law", 3000, skewed),
        ("a grid", w * h, grid),
        ("a path", 6001, path),
        ("a star", 9000, star),
        ("forty parts", 4100, parts),
        ("loops", 5000, loops),
        ("repeated edges", 50, repeated),
    ]
}

/// Every kind, with directions and without, with weights and without; in every second, ids are far apart.
pub fn all() -> Vec<Made> {
    let r = &mut Random(7);
    let mut all = Vec::new();
    for (kind, n, edges) in kinds() {
        for directed in [true, false] {
            let far = all.len() % 2 == 1;
            let id = |v: u64| if far { v.wrapping_mul(0xD134_2543_DE82_EF95) } else { v };
            let weighted = all.len() % 4 < 2;
            let ways = if directed { "directed" } else { "undirected" };
            all.push(Made {
                name: format!("{kind}, {ways}, weighted {weighted}"),
                edges: edges.iter().map(|&(u, v)| (id(u), id(v))).collect(),
                // Some weigh nothing, so that there are nodes from which nothing leads on.
                weights: weighted.then(|| edges.iter().map(|_| (r.below(9) as f64) / 4.0).collect()),
                ids: (0..n).map(id).collect(),
                directed,
            });
        }
    }
    all
}
