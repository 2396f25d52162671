//! Union-find on a device, over the edges as they come: as on the CPU, a sample of them first, after which most of the
//! others find both ends in one component with two reads. No rows are needed.

use super::Inputs;
use super::answer::answer;
use crate::csr::Network;
use crate::device::{BLOCK, Edges};
use crate::need::Extents;
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Gpu, Groups, KernelText};

/// Edges that are in a sample together, so that a group reads whole lines of memory.
const RUN: usize = 128;
/// Runs are in samples by their remainder by this.
const PERIOD: usize = 32;
/// Where the remainders of a sample begin, and those of the next.
const SAMPLES: [usize; 3] = [0, 4, PERIOD];

/// The kernel texts.
pub(super) static TEXTS: &[&KernelText] = &[&COMPONENTS];

offload_core::kernels! {
    /// Union-find.
    pub(crate) static COMPONENTS = "graph_components" {
        text: include_str!("kernel.gpu.c"),
        block: BLOCK,
        elements: [],
        defines: [("RUN", "128u"), ("PERIOD", "32u")],
    }
    /// Every node is its own root.
    fn graph_components_begin(n: u64, above: [u32]);
    /// Joins the ends of the edges of a sample.
    fn graph_components_join(edges: u64, mine: u64, first: u32, last: u32, src: [u32], dst: [u32], above: [u32]);
    /// Hangs every node directly below its root.
    fn graph_components_flatten(n: u64, above: [u32]);
}

/// Bytes that this takes on a device.
pub(crate) fn bytes(e: &Extents) -> u64 {
    Edges::bytes(e.edges, false) + 4 * e.nodes
}

pub(super) fn run(inputs: Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let ctx = gpu.context().clone();
    let network = Network::read(inputs.graph, &ctx)?;
    let (n, edges) = (network.nodes(), network.src.len());
    if edges == 0 {
        return Ok(answer(&network.ids, &(0..n as u32).collect::<Vec<_>>()));
    }
    let Edges { src, dst, .. } = Edges::of(&network, false, gpu)?;
    let above = gpu.zeros::<u32>(n)?;
    let nodes = Groups::covering(n, BLOCK);
    let runs = edges.div_ceil(RUN);
    graph_components_begin(gpu, nodes, n as u64, &above)?;
    for sample in SAMPLES.windows(2) {
        let (first, last) = (sample[0], sample[1]);
        let in_the_last = (runs % PERIOD).clamp(first, last) - first;
        let mine = runs / PERIOD * (last - first) + in_the_last;
        if mine == 0 {
            continue;
        }
        let groups = Groups::covering(mine * RUN, BLOCK);
        let (first, last) = (first as u32, last as u32);
        graph_components_join(gpu, groups, edges as u64, mine as u64, first, last, &src, &dst, &above)?;
        graph_components_flatten(gpu, nodes, n as u64, &above)?;
    }
    let roots = gpu.download(&above)?;
    Ok(answer(&network.ids, &roots))
}
