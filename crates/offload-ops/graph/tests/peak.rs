//! What a plan promises about memory, held against an allocator that counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context, Graph};
use offload_ops_graph::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn graph(n: u64, m: usize, weighted: bool, directed: bool, spread: u64) -> Record {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let edges: Vec<(u64, u64)> =
        (0..m).map(|_| ((next() % n).wrapping_mul(spread), (next() % n).wrapping_mul(spread))).collect();
    let weights = weighted.then(|| (0..m).map(|_| (next() % 1000) as f64 / 8.0).collect());
    let mut record = Record::new();
    Graph::new(&edges, weights, Some(vec![0, spread]), directed).put(&mut record);
    record
}

/// One test, because all tests of a process share the allocator.
#[test]
fn no_operation_takes_more_memory_than_its_plan_says() {
    rayon::broadcast(|_| ());
    let word = |w: &str| Value::Text(w.into());
    let id = |v: u64| Value::Tensor(Tensor::scalar(v));
    let mut over = Vec::new();
    // From all different nodes to few nodes with many edges, near each other and far apart.
    for (n, m) in [(2, 5), (1 << 40, 3000), (1 << 40, 100_000), (200, 20_000), (20_000, 100_000)] {
        for (weighted, directed) in [(true, true), (true, false), (false, true), (false, false)] {
            for spread in [1, 0x9E37_79B9_7F4A_7C15] {
                let g = || graph(n, m, weighted, directed, spread);
                let from = || g().with("start", id(0));
                let to = || from().with("end", id(spread));
                let mut jobs: Vec<(&dyn AnyOperation, Record)> = vec![
                    (&Bfs, from()),
                    (&ShortestPath, from()),
                    (&ShortestPath, from().with("algorithm", word("dijkstra"))),
                    (&ShortestPath, from().with("algorithm", word("bellman_ford"))),
                    (&ShortestPath, from().with("algorithm", word("delta_stepping"))),
                    (&ShortestPath, to().with("algorithm", word("a_star"))),
                    (&ConnectedComponents, g()),
                    (&StronglyConnected, g()),
                    (&Pagerank, g()),
                    (&MinimumSpanningTree, g()),
                    (&DetectCycles, g()),
                    (&Dfs, g()),
                    (&TriangleCount, g()),
                    (&KShortest, to().with("k", Value::Int(3))),
                ];
                if n < 1000 {
                    let mut unlisted = g();
                    unlisted.take(offload_api::graph::NODES);
                    jobs.push((&AllPairs, unlisted));
                }
                for (op, inputs) in jobs {
                    let plan = op.plan(inputs.specs()).unwrap();
                    let before = ALLOCATOR.current_usage();
                    ALLOCATOR.reset_peak_usage();
                    let out = op.cpu(inputs, &Context::default());
                    let peak = ALLOCATOR.peak_usage().saturating_sub(before) as u64;
                    assert!(out.is_ok(), "{}: {out:?}", op.about().name);
                    if peak > plan.host_bytes {
                        over.push(format!(
                            "{} n {n} m {m} weighted {weighted} directed {directed} spread {spread}: peak {peak}, plan {}",
                            op.about().name,
                            plan.host_bytes
                        ));
                    }
                }
            }
        }
    }
    assert!(over.is_empty(), "{} over:\n{}", over.len(), over.join("\n"));
}
