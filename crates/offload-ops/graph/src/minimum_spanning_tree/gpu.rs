//! Borůvka's algorithm on a device. Edges have the order of the CPU, by weight and then by ids, so the forest is the same.

use super::{Inputs, cpu};
use crate::csr::Network;
use crate::device::{BLOCK, Edges as Columns, needs_f64};
use crate::need::Extents;
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Buffer, DeviceError, Gpu, Groups, KernelText};

/// Trees above one another that a node climbs in one start of the kernel.
const STEPS: usize = 32;

/// The kernel texts.
pub(super) static TEXTS: &[&KernelText] = &[&FOREST];

offload_core::kernels! {
    /// Rounds over edges of 16 bytes.
    static FOREST = "graph_forest" {
        text: concat!(include_str!("../device/least.gpu.c"), include_str!("kernel.gpu.c")),
        block: BLOCK,
        elements: [],
        defines: [("STEPS", "32u")],
    }
    /// Trees of one node.
    fn graph_forest_begin(n: u32, tree: [u32], weight: [u64], ends: [u64]);
    /// The edges of the request.
    fn graph_forest_edges(
        edges: u32, weighted: u32, src: [u32], dst: [u32], weights: [f64], to_weight: [u64], to_ends: [u64],
        count: [u32], round: u32, weight: [u64],
    );
    /// The edges between trees.
    fn graph_forest_keep(
        edges: u32, from_weight: [u64], from_ends: [u64], tree: [u32], to_weight: [u64], to_ends: [u64],
        count: [u32], round: u32, weight: [u64],
    );
    /// The least ends of the lightest edges.
    fn graph_forest_ends(
        edges: u32, edge_weight: [u64], edge_ends: [u64], tree: [u32], weight: [u64], ends: [u64],
    );
    /// Joins trees.
    fn graph_forest_join(
        n: u32, tree: [u32], weight: [u64], ends: [u64], above: [u32], taken_weight: [u64], taken_ends: [u64],
        count: [u32],
    );
    /// Climbs to the tree at the top.
    fn graph_forest_climb(n: u32, last: u32, from: [u32], to: [u32], weight: [u64], ends: [u64]);
}

/// The most rounds: each at least halves the trees that can still be joined, and their number fits in 32 bits.
const ROUNDS: usize = 33;

/// Counters: how many edges were taken in all, and then for each round how many it has.
const COUNTERS: usize = 1 + ROUNDS;

/// Bytes of the columns, of two lists of edges, and of the nodes' trees, finds and taken edges.
pub(super) fn bytes(e: &Extents) -> u64 {
    Columns::bytes(e.edges, e.weighted) + 2 * 16 * e.edges + (4 + 4 + 16 + 16) * e.nodes + 4 * COUNTERS as u64
}

pub(super) fn run(inputs: Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    needs_f64(gpu, "weights")?;
    let ctx = gpu.context().clone();
    let network = Network::read(inputs.graph, &ctx)?;
    let taken = if network.src.is_empty() { Vec::new() } else { forest(&network, gpu)? };
    Ok(cpu::outputs(&network, &taken))
}

/// A list of edges: the order of their weights, and their ends, the smaller in the upper half.
struct Edges {
    weight: Buffer<u64>,
    ends: Buffer<u64>,
}

impl Edges {
    fn new(most: usize, gpu: &mut Gpu<'_>) -> Result<Edges, Failure> {
        Ok(Edges { weight: gpu.zeros(most)?, ends: gpu.zeros(most)? })
    }
}

fn forest(network: &Network, gpu: &mut Gpu<'_>) -> Result<Vec<cpu::Edge>, Failure> {
    let (n, m) = (network.nodes(), network.src.len());
    let columns = Columns::of(network, true, gpu)?;
    let weighted = u32::from(network.weights().is_some());
    let (mut now, mut next) = (Edges::new(m, gpu)?, Edges::new(m, gpu)?);
    let (mut tree, mut above) = (gpu.zeros::<u32>(n)?, gpu.zeros::<u32>(n)?);
    let best = Edges::new(n, gpu)?;
    let taken = Edges::new(n, gpu)?;
    let count = gpu.zeros::<u32>(COUNTERS)?;
    let of_nodes = Groups::covering(n, BLOCK);
    let nodes = n as u32;
    graph_forest_begin(gpu, of_nodes, nodes, &tree, &best.weight, &best.ends)?;
    let mut edges = m;
    for round in 1..COUNTERS {
        let of_edges = Groups::covering(edges, BLOCK);
        let (e, r) = (edges as u32, round as u32);
        if round == 1 {
            graph_forest_edges(
                gpu,
                of_edges,
                e,
                weighted,
                &columns.src,
                &columns.dst,
                &columns.weights,
                &now.weight,
                &now.ends,
                &count,
                r,
                &best.weight,
            )?;
        } else {
            graph_forest_keep(
                gpu,
                of_edges,
                e,
                &now.weight,
                &now.ends,
                &tree,
                &next.weight,
                &next.ends,
                &count,
                r,
                &best.weight,
            )?;
            std::mem::swap(&mut now, &mut next);
        }
        let counts = gpu.download(&count)?;
        edges = counts[round] as usize;
        let trees = n - counts[0] as usize;
        if edges == 0 {
            return edges_taken(&taken, n - trees, gpu);
        }
        gpu.context().block(n - trees, n)?;
        let of_edges = Groups::covering(edges, BLOCK);
        graph_forest_ends(
            gpu,
            of_edges,
            edges as u32,
            &now.weight,
            &now.ends,
            &tree,
            &best.weight,
            &best.ends,
        )?;
        graph_forest_join(
            gpu,
            of_nodes,
            nodes,
            &tree,
            &best.weight,
            &best.ends,
            &above,
            &taken.weight,
            &taken.ends,
            &count,
        )?;
        let climbs = climbs(trees);
        for climb in 1..=climbs {
            let last = u32::from(climb == climbs);
            graph_forest_climb(gpu, of_nodes, nodes, last, &above, &tree, &best.weight, &best.ends)?;
            std::mem::swap(&mut tree, &mut above);
        }
        std::mem::swap(&mut tree, &mut above);
    }
    Err(DeviceError::Call(format!("{edges} edges are left between trees after {ROUNDS} rounds")).into())
}

/// How often all nodes have to climb when so many trees may hang below one another: each time takes them STEPS + 1 up.
fn climbs(trees: usize) -> u32 {
    let (mut climbs, mut reach) = (1, STEPS + 1);
    while reach < trees {
        reach = reach.saturating_mul(STEPS + 1);
        climbs += 1;
    }
    climbs
}

fn edges_taken(taken: &Edges, count: usize, gpu: &mut Gpu<'_>) -> Result<Vec<cpu::Edge>, Failure> {
    let weight = gpu.download_range(&taken.weight, 0, count)?;
    let ends = gpu.download_range(&taken.ends, 0, count)?;
    let mut edges: Vec<cpu::Edge> =
        weight.into_iter().zip(ends).map(|(w, ends)| (w, (ends >> 32) as u32, ends as u32)).collect();
    cpu::sort(&mut edges);
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_climb_often_enough() {
        assert_eq!((STEPS as u32, FOREST.defines), (32, [("STEPS", "32u")].as_slice()));
        for (trees, want) in [(1, 1), (33, 1), (34, 2), (1089, 2), (1090, 3), (1 << 31, 7)] {
            assert_eq!(climbs(trees), want, "{trees}");
        }
    }
}
