//! The order of the nodes that a device reached, made there: a counting sort by level.

use crate::device::{self, BLOCK, Scan};
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// Groups at most; each counts every level.
const MOST_GROUPS: usize = 1024;

offload_core::kernels! {
    /// Counting and placing.
    pub(super) static ORDER = "graph_order" {
        text: concat!(include_str!("../device/frontier.gpu.c"), include_str!("order.gpu.c")),
        block: BLOCK,
        elements: [],
        defines: [],
    }
    /// How many nodes of each level are in each group's part.
    fn graph_order_count(n: u64, depth: u32, levels: [u32], counts: [u32]);
    /// The nodes where the counts before theirs say.
    fn graph_order_place(n: u64, depth: u32, levels: [u32], places: [u32], order: [u32]);
}

/// Bytes that this takes on a device for so many nodes.
pub(super) fn bytes(nodes: u64) -> u64 {
    let block = u64::from(BLOCK);
    let groups = nodes.div_ceil(block).clamp(1, MOST_GROUPS as u64);
    4 * (nodes + groups * block) + Scan::BYTES
}

/// The nodes that have a level, by it and then by number; `levels` are one more than levels, `depth` at most. `None`
/// when those are too many to be counted by a group.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(super) fn order(
    gpu: &mut Gpu<'_>,
    levels: &Buffer<u32>,
    depth: u32,
) -> Result<Option<Vec<u32>>, Failure> {
    if depth > BLOCK {
        return Ok(None);
    }
    let n = levels.len();
    let groups = device::groups(gpu, n).0[0].min(MOST_GROUPS as u32);
    let all = Groups([groups, 1, 1]);
    let counts = (depth * groups) as usize;
    let scan = Scan::new(gpu)?;
    let places = gpu.zeros::<u32>(counts)?;
    let order = gpu.zeros::<u32>(n)?;
    graph_order_count(gpu, all, n as u64, depth, levels, &places)?;
    scan.run(gpu, &places, counts)?;
    graph_order_place(gpu, all, n as u64, depth, levels, &places, &order)?;
    let reached = scan.total(gpu, counts)?;
    gpu.download_range(&order, 0, reached as usize).map(Some)
}
