//! Levels on a device: by one group while the frontier is small, by all of them while it is not.
//!
//! The wide steps follow Merrill, Garland and Grimshaw, "Scalable GPU graph traversal" (2012): arcs and not nodes are
//! dealt to the items of a group, and the longest rows to all groups. They turn around as on the CPU. Which way a step
//! goes is decided on the device, so the host looks at the search once in [`STEPS`] of them.

use super::Inputs;
use super::answer::{Found, answer};
use super::order::{self, ORDER};
use crate::csr::Network;
use crate::device::{self, BLOCK, Rows, SCAN};
use crate::need::Extents;
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups, KernelText, Rounds};
use rayon::prelude::*;

/// Wide steps between two looks.
const STEPS: usize = 4;
/// Words of `state`.
const STATE: usize = 9;
/// Its words that the host reads, as the text has them.
const FOUND: usize = 0;
const WIDE: usize = 8;

/// The kernel texts.
pub(super) static TEXTS: &[&KernelText] = &[&BFS, &ORDER, &SCAN];

offload_core::kernels! {
    /// Steps of the search.
    pub(crate) static BFS = "graph_bfs" {
        text: concat!(include_str!("../device/frontier.gpu.c"), include_str!("kernel.gpu.c")),
        block: BLOCK,
        elements: [],
        defines: [
            // A frontier of so many nodes and arcs at most is one group's.
            ("NEAR", "1024u"), ("MOST_ARCS", "8192u"),
            // Levels of one start, so that it ends within some tens of milliseconds.
            ("ROUNDS", "4096u"),
            ("LONG", "4096u"),
            // When to turn around, and back: the authors' own figures.
            ("CHEAPER", "14u"), ("FEW", "24u"),
        ],
    }
    /// Small levels; `state` is where the search stands.
    fn graph_bfs_near(
        n: u32, arcs_in_all: u32, begin: u32, start: u32, offsets: [u32], targets: [u32], levels: [u32],
        parents: [u32], queues: [u32], state: [u32],
    );
    /// Before each wide step.
    fn graph_bfs_turn(n: u32, both_ways: u32, state: [u32]);
    /// The frontier's rows but the long ones, which `far` then lists.
    fn graph_bfs_forward(
        n: u32, both_ways: u32, offsets: [u32], targets: [u32], levels: [u32], parents: [u32],
        queues: [u32], far: [u32], state: [u32],
    );
    /// The rows that `far` lists.
    fn graph_bfs_long(
        n: u32, both_ways: u32, offsets: [u32], targets: [u32], levels: [u32], parents: [u32],
        queues: [u32], far: [u32], state: [u32],
    );
    /// The rows of the nodes that are left.
    fn graph_bfs_backward(
        n: u32, offsets: [u32], targets: [u32], levels: [u32], parents: [u32], queues: [u32],
        state: [u32],
    );
}

/// Bytes that a search takes on a device.
pub(crate) fn bytes(e: &Extents) -> u64 {
    Rows::bytes(e.nodes, e.arcs, false)
        + 16 * e.nodes
        + 4 * device::long_rows(e.arcs).0
        + order::bytes(e.nodes)
        + device::SMALL_BYTES
}

pub(super) fn run(inputs: Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let ctx = gpu.context().clone();
    let network = Network::read(inputs.graph, &ctx)?;
    let start = network.node("start", &inputs.start)?;
    let (found, levels) = found(&network, start, gpu)?;
    let depth = found.levels.par_iter().max().copied().unwrap_or(0);
    let order = order::order(gpu, &levels, depth)?;
    answer(&network.ids, &found, order, &ctx)
}

/// The levels and parents of a search from `start`; and one more than each level, on the device.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(crate) fn found(
    network: &Network,
    start: u32,
    gpu: &mut Gpu<'_>,
) -> Result<(OnDevice, Buffer<u32>), Failure> {
    let rows = Rows::of(network, network.outward(), false, gpu)?;
    let search = Search::new(gpu, rows, network.nodes(), !network.directed)?;
    search.run(gpu, start)?;
    let (levels, parents) = (gpu.download(&search.levels)?, gpu.download(&search.parents)?);
    Ok((OnDevice { levels, parents }, search.levels))
}

/// What a device found: one more than each level, and complements of parents.
pub(crate) struct OnDevice {
    levels: Vec<u32>,
    parents: Vec<u32>,
}

impl Found for OnDevice {
    fn level(&self, node: u32) -> Option<u32> {
        self.levels[node as usize].checked_sub(1)
    }

    fn parent(&self, node: u32) -> u32 {
        match self.parents[node as usize] {
            0 => node,
            found => !found,
        }
    }
}

struct Search {
    rows: Rows,
    n: usize,
    both_ways: bool,
    levels: Buffer<u32>,
    parents: Buffer<u32>,
    queues: Buffer<u32>,
    far: Buffer<u32>,
    state: Buffer<u32>,
}

impl Search {
    fn new(gpu: &mut Gpu<'_>, rows: Rows, n: usize, both_ways: bool) -> Result<Search, Failure> {
        Ok(Search {
            n,
            both_ways,
            levels: gpu.zeros(n)?,
            parents: gpu.zeros(n)?,
            queues: gpu.zeros(2 * n)?,
            far: gpu.zeros(device::long_rows(rows.arcs as u64).0 as usize + 1)?,
            state: gpu.zeros(STATE)?,
            rows,
        })
    }

    fn run(&self, gpu: &mut Gpu<'_>, start: u32) -> Result<(), Failure> {
        // Steps of the whole card, and whether its frontier has become one group's again.
        let mut wide = Rounds::new(|gpu: &mut Gpu<'_>| {
            (0..STEPS).try_for_each(|_| self.wide(gpu))?;
            self.near(gpu, None)
        });
        self.near(gpu, Some(start))?;
        loop {
            let at = gpu.download(&self.state)?;
            if at[FOUND] == 0 {
                return Ok(());
            }
            if at[WIDE] == 0 {
                self.near(gpu, None)?;
            } else {
                wide.run(gpu, 1)?;
            }
        }
    }

    /// Small levels, from `start` or from where the search stands.
    fn near(&self, gpu: &mut Gpu<'_>, start: Option<u32>) -> Result<(), Failure> {
        let Rows { offsets, targets, arcs, .. } = &self.rows;
        let Search { levels, parents, queues, state, .. } = self;
        graph_bfs_near(
            gpu,
            Groups([1, 1, 1]),
            self.n as u32,
            *arcs as u32,
            u32::from(start.is_some()),
            start.unwrap_or(0),
            offsets,
            targets,
            levels,
            parents,
            queues,
            state,
        )
    }

    /// A step of the whole card.
    fn wide(&self, gpu: &mut Gpu<'_>) -> Result<(), Failure> {
        let (n, both_ways) = (self.n as u32, u32::from(self.both_ways));
        let Rows { offsets, targets, arcs, .. } = &self.rows;
        let Search { levels, parents, queues, far, state, .. } = self;
        // A frontier is at most all nodes, and mostly many fewer; long rows have at least one part for each LONG arcs.
        let forward = device::groups(gpu, self.n);
        let long = device::groups(gpu, *arcs);
        graph_bfs_turn(gpu, Groups([1, 1, 1]), n, both_ways, state)?;
        graph_bfs_forward(gpu, forward, n, both_ways, offsets, targets, levels, parents, queues, far, state)?;
        graph_bfs_long(gpu, long, n, both_ways, offsets, targets, levels, parents, queues, far, state)?;
        if self.both_ways {
            graph_bfs_backward(gpu, forward, n, offsets, targets, levels, parents, queues, state)?;
        }
        Ok(())
    }
}
