//! Shortest paths from one node: the algorithms, and the one tree that all of them give.

mod bellman_ford;
mod delta;
mod dijkstra;
mod heap;
mod levels;
mod tree;

pub(crate) use bellman_ford::distances as bellman_ford;
pub(crate) use delta::distances as delta_stepping;
pub(crate) use dijkstra::{a_star, distances as dijkstra, run as dijkstra_into};
pub(crate) use heap::Heap;
pub(crate) use levels::{Levels, levels};
pub(crate) use tree::{NONE, parents, path};

use crate::csr::{Csr, Network};
use offload_core::Failure;
use serde_json::json;

/// Arcs from which relaxing in parallel pays.
pub(crate) const PARALLEL_ARCS: usize = 1 << 18;

/// Whether a weight is negative.
pub(crate) fn any_negative(csr: &Csr) -> bool {
    use rayon::prelude::*;
    csr.weights.par_iter().with_min_len(1 << 16).any(|w| *w < 0.0)
}

/// There is no shortest path: a cycle makes every path through it shorter.
pub(crate) fn negative_cycle(network: &Network, cycle: Vec<u32>, csr: &Csr) -> Failure {
    // Of several arcs between two nodes, the lightest is the one on the cycle.
    let weight: f64 = cycle
        .iter()
        .zip(cycle.iter().cycle().skip(1))
        .filter_map(|(&u, &v)| csr.weighted(u).filter(|a| a.0 == v).map(|a| a.1).reduce(f64::min))
        .sum();
    let nodes = network.ids.named(cycle);
    let shown: Vec<String> = nodes.iter().take(8).map(ToString::to_string).collect();
    let more = if nodes.len() > 8 { ", …" } else { "" };
    // Details are for a program to read; a cycle through everything is cut.
    let listed: Vec<u64> = nodes.iter().take(10_000).copied().collect();
    Failure::unprocessable(
        "negative_cycle",
        format!(
            "the cycle {}{more} of {} nodes weighs {weight}, so paths have no shortest length",
            shown.join(", "),
            nodes.len()
        ),
        json!({"cycle": listed, "length": nodes.len(), "weight": weight}),
    )
}
