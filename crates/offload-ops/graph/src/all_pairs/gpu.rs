//! Floyd and Warshall's algorithm on a device, in the blocks of the CPU and with its sums, so that where the CPU takes blocks
//! as well the distances are the same to the bit.

use super::cpu::{self, BLOCK};
use super::{Inputs, MAX_NODES};
use crate::csr::Network;
use crate::device::{Rows, needs_f64};
use crate::need::Extents;
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Gpu, Groups, KernelText};

/// The kernel texts.
pub(super) static TEXTS: &[&KernelText] = &[&PAIRS];

offload_core::kernels! {
    /// Blocks of 64 nodes, tiles of 64 × 64 distances.
    static PAIRS = "graph_pairs" {
        text: include_str!("kernel.gpu.c"),
        block: 256,
        elements: [],
        defines: [],
    }
    /// The arcs as a matrix; a group for each row.
    fn graph_pairs_fill(n: u32, weighted: u32, offsets: [u32], targets: [u32], weights: [f64], distances: [f64]);
    /// Paths within a block; one group.
    fn graph_pairs_inner(n: u32, first: u32, distances: [f64], inner: [f64]);
    /// From a block to everywhere; a group for each 64 columns.
    fn graph_pairs_panel(n: u32, first: u32, inner: [f64], distances: [f64], panel: [f64], ways: [f64]);
    /// By way of a block; a group for each tile.
    fn graph_pairs_relax(n: u32, ways: [f64], panel: [f64], distances: [f64]);
}

/// Sums that may be under way before the job looks whether it is to stop: some milliseconds of a large card.
const UNDER_WAY: usize = 1 << 32;

/// Bytes of the rows, of the matrix, and of what each block takes beside it, for at most so many nodes.
pub(super) fn bytes(nodes: u64, e: &Extents) -> u64 {
    let block = BLOCK as u64;
    let padded = nodes.div_ceil(block) * block;
    let rows = Rows::bytes(nodes, e.arcs, e.weighted);
    rows + 8 * (nodes * nodes + block * nodes + block * padded + block * block)
}

pub(super) fn run(inputs: Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    needs_f64(gpu, "distances")?;
    let ctx = gpu.context().clone();
    let network = cpu::read(inputs, &ctx)?;
    let distances = if network.nodes() == 0 { Vec::new() } else { distances(&network, gpu)? };
    Ok(cpu::outputs(&network, distances))
}

fn distances(network: &Network, gpu: &mut Gpu<'_>) -> Result<Vec<f64>, Failure> {
    let n = network.nodes();
    debug_assert!((1..=MAX_NODES).contains(&(n as u64)));
    let distances = gpu.zeros::<f64>(n * n)?;
    let (count, tiles) = (n as u32, n.div_ceil(BLOCK));
    let rows = Rows::of(network, network.outward(), true, gpu)?;
    let weighted = u32::from(rows.weighted);
    graph_pairs_fill(
        gpu,
        Groups([count, 1, 1]),
        count,
        weighted,
        &rows.offsets,
        &rows.targets,
        &rows.weights,
        &distances,
    )?;
    let across = Groups([tiles as u32, 1, 1]);
    let inner = gpu.zeros::<f64>(BLOCK * BLOCK)?;
    let panel = gpu.zeros::<f64>(BLOCK * n)?;
    let ways = gpu.zeros::<f64>(tiles * BLOCK * BLOCK)?;
    let mut under_way = 0;
    for block in 0..tiles {
        let first = (block * BLOCK) as u32;
        graph_pairs_inner(gpu, Groups([1, 1, 1]), count, first, &distances, &inner)?;
        graph_pairs_panel(gpu, across, count, first, &inner, &distances, &panel, &ways)?;
        graph_pairs_relax(gpu, Groups([tiles as u32, tiles as u32, 1]), count, &ways, &panel, &distances)?;
        under_way += n * n * BLOCK;
        if under_way >= UNDER_WAY {
            gpu.synchronize()?;
            gpu.context().block(block + 1, tiles)?;
            under_way = 0;
        }
    }
    gpu.download(&distances)
}
