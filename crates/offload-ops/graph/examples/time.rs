//! Prints the median and least milliseconds of whole operations, and what all threads had of the processors, from the columns of a request to the outputs, on random graphs and
//! a grid. `scripts/graph_peers.py` times other libraries on the same graphs.
//!
//! `cargo run --profile dist -p offload-ops-graph --example time [nodes edges]`

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context, Graph};
use offload_ops_graph::*;
use std::time::Instant;

/// SplitMix64 by index, as the script has it.
fn mixed(i: u64) -> u64 {
    let z = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn random(n: u64, m: u64, directed: bool, weighted: bool) -> Record {
    let edges: Vec<(u64, u64)> = (0..m).map(|i| (mixed(3 * i + 1) % n, mixed(3 * i + 2) % n)).collect();
    let weights =
        weighted.then(|| (0..m).map(|i| ((mixed(3 * i + 3) >> 40) + 1) as f64 / 16_777_216.0).collect());
    columns(Graph::new(&edges, weights, None, directed))
}

fn grid(side: u64) -> Record {
    let mut edges = Vec::new();
    for i in 0..side {
        for j in 0..side {
            let at = i * side + j;
            if j + 1 < side {
                edges.push((at, at + 1));
            }
            if i + 1 < side {
                edges.push((at, at + side));
            }
        }
    }
    let weights =
        (0..edges.len() as u64).map(|i| ((mixed(3 * i + 3) >> 40) + 1) as f64 / 16_777_216.0).collect();
    columns(Graph::new(&edges, Some(weights), None, false))
}

fn columns(graph: Graph) -> Record {
    let mut record = Record::new();
    graph.put(&mut record);
    record
}

/// Milliseconds that all threads have had of the processors; 0 where the system does not tell.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses: the 12th and 13th field, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (field(11) + field(12)) * 10.0
}

fn time(name: &str, op: &dyn AnyOperation, inputs: &Record) {
    let mut ms: Vec<f64> = Vec::new();
    let (start, before) = (Instant::now(), processor_ms());
    while ms.len() < 3 || (ms.len() < 21 && start.elapsed().as_secs_f64() < 2.0) {
        let one = Instant::now();
        let out = op.cpu(inputs.clone(), &Context::default());
        ms.push(one.elapsed().as_secs_f64() * 1e3);
        out.expect("the operation has an answer");
    }
    ms.sort_by(f64::total_cmp);
    let all = (processor_ms() - before) / ms.len() as f64;
    println!("{name:44} {:9.1} ms, least {:9.1}, of the processors {all:9.1}", ms[ms.len() / 2], ms[0]);
}

fn main() {
    let mut sizes = std::env::args().skip(1).filter_map(|n| n.parse().ok());
    let (n, m) = (sizes.next().unwrap_or(1_000_000), sizes.next().unwrap_or(10_000_000));
    let start = |r: &Record| r.clone().with("start", Value::Tensor(Tensor::scalar(0u64)));
    let word = |w: &str| Value::Text(w.into());
    let plain = random(n, m, true, false);
    time("bfs, directed", &Bfs, &start(&plain));
    time("connected_components", &ConnectedComponents, &plain);
    time("strongly_connected", &StronglyConnected, &plain);
    time("pagerank", &Pagerank, &plain);
    drop(plain);
    let both = random(n, m, false, false);
    time("bfs, no directions", &Bfs, &start(&both));
    time("triangle_count", &TriangleCount, &both);
    drop(both);
    let weighted = random(n, m, true, true);
    for algorithm in ["auto", "dijkstra", "delta_stepping"] {
        let inputs = start(&weighted).with("algorithm", word(algorithm));
        time(&format!("shortest_path, {algorithm}"), &ShortestPath, &inputs);
    }
    time("minimum_spanning_tree", &MinimumSpanningTree, &weighted);
    drop(weighted);
    let grid = grid(1000);
    time("grid: bfs", &Bfs, &start(&grid));
    for algorithm in ["auto", "dijkstra", "delta_stepping"] {
        let inputs = start(&grid).with("algorithm", word(algorithm));
        time(&format!("grid: shortest_path, {algorithm}"), &ShortestPath, &inputs);
    }
    time("grid: connected_components", &ConnectedComponents, &grid);
    time("grid: minimum_spanning_tree", &MinimumSpanningTree, &grid);
    time("grid: pagerank", &Pagerank, &grid);
}
