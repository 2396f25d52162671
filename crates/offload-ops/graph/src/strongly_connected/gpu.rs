//! Strongly connected components on a device: what is bare falls off, a search in both directions finds the largest component
//! of most graphs, and colours find the rest. A graph that is long and thin has so many turns that one walk of the CPU is
//! quicker: what is open after a bounded number of them is left to that.

use super::{Inputs, cpu};
use crate::connected_components::{self, ConnectedComponents};
use crate::csr::{Arcs, Network};
use crate::device::{BLOCK, Rows, SMALL_BYTES, Turns, groups};
use crate::need::Extents;
use offload_api::{Record, Tensor};
use offload_core::device::{Buffer, Gpu, Groups, KernelText};
use offload_core::{DeviceNeed, Failure, Operation};

/// The kernel texts.
pub(super) static TEXTS: &[&KernelText] = &[&STRONG, &connected_components::COMPONENTS];

offload_core::kernels! {
    /// Trimming, searches in both directions, and colours.
    static STRONG = "graph_strong" {
        text: concat!(
            include_str!("../device/frontier.gpu.c"),
            include_str!("../device/arcs.gpu.c"),
            include_str!("../device/least.gpu.c"),
            include_str!("kernel.gpu.c"),
        ),
        block: BLOCK,
        elements: [],
        defines: [("OPEN", "0xffffffffu")],
    }
    /// No node has a label.
    fn graph_strong_begin(
        n: u32, out_offsets: [u32], in_offsets: [u32], outward: [u32], inward: [u32], label: [u32], best: [u64],
    );
    /// Loops do not count.
    fn graph_strong_loops(
        n: u32, offsets: [u32], targets: [u32], outward: [u32], inward: [u32], queue: [u32], count: [u32],
    );
    /// Nodes without arcs out or in.
    fn graph_strong_bare(
        n: u32, turn: u32, outward: [u32], inward: [u32], label: [u32], queue: [u32], count: [u32],
    );
    /// What falls off with them.
    fn graph_strong_trim(
        turn: u32, offsets: [u32], targets: [u32], left: [u32], label: [u32], now: [u32], next: [u32],
        count: [u32],
    );
    /// The node with most arcs.
    fn graph_strong_pivot(n: u32, label: [u32], outward: [u32], inward: [u32], best: [u64]);
    /// A search begins at the pivot.
    fn graph_strong_seed(turn: u32, best: [u64], seen: [u32], queue: [u32], count: [u32]);
    /// A turn of a search.
    fn graph_strong_reach(
        turn: u32, mark: u32, needed: u32, offsets: [u32], targets: [u32], label: [u32], seen: [u32], now: [u32],
        next: [u32], count: [u32],
    );
    /// The smallest node of the pivot's component.
    fn graph_strong_least(n: u32, seen: [u32], least: [u32]);
    /// Labels the pivot's component; colours of the rest.
    fn graph_strong_paint(
        n: u32, turn: u32, seen: [u32], least: [u32], label: [u32], color: [u32], queue: [u32], count: [u32],
    );
    /// A turn of the colours.
    fn graph_strong_spread(
        turn: u32, offsets: [u32], targets: [u32], label: [u32], color: [u32], queued: [u32], now: [u32],
        next: [u32], count: [u32],
    );
    /// The nodes that kept their colour.
    fn graph_strong_roots(n: u32, turn: u32, color: [u32], label: [u32], queue: [u32], count: [u32]);
    /// A turn back from them.
    fn graph_strong_gather(
        turn: u32, offsets: [u32], targets: [u32], color: [u32], label: [u32], now: [u32], next: [u32],
        count: [u32],
    );
}

/// A single group.
const ONE: Groups = Groups([1, 1, 1]);

/// Turns in which bare nodes fall off; what would fall off later has colours of its own.
const TRIMS: u32 = 64;

/// Turns that a search, or one spreading of colours, may take.
const TURNS: u32 = 512;

/// Times that colours may spread over what is left.
const ROUNDS: usize = 16;

/// What it asks of a device.
pub(super) fn need(e: &Extents, directed: bool) -> DeviceNeed {
    if e.edges == 0 {
        return DeviceNeed::CpuOnly("of a graph without edges there is nothing to compute");
    }
    if !directed {
        return DeviceNeed::Bytes(connected_components::device_bytes(e));
    }
    let rows = 2 * Rows::bytes(e.nodes, e.arcs, false);
    // Labels and those of the round before, arcs left, what was seen, colours, and the turn a node was queued for.
    DeviceNeed::Bytes(rows + 28 * e.nodes + Turns::bytes(e.nodes) + SMALL_BYTES)
}

pub(super) fn run(inputs: Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    if !inputs.graph.directed {
        // Every arc leads back, so that what is connected is strongly connected.
        let inputs = connected_components::Inputs { graph: inputs.graph };
        return ConnectedComponents::gpu(inputs, gpu);
    }
    let ctx = gpu.context().clone();
    let network = Network::read(inputs.graph, &ctx)?;
    let (labels, is_done) =
        if network.nodes() == 0 { (Vec::new(), true) } else { Search::new(&network, gpu)?.labels(gpu)? };
    let labels = if is_done {
        labels
    } else {
        let csr = network.out(false, &ctx)?;
        cpu::open_roots(&csr, labels, &ctx)?
    };
    Ok(cpu::outputs(&network, &labels))
}

struct Search {
    n: u32,
    of_nodes: Groups,
    out: Rows,
    back: Rows,
    label: Buffer<u32>,
    turns: Turns,
}

impl Search {
    fn new(network: &Network, gpu: &mut Gpu<'_>) -> Result<Search, Failure> {
        let n = network.nodes();
        let out = Rows::of(network, network.outward(), false, gpu)?;
        let back = Rows::of(network, Arcs::In, false, gpu)?;
        let (label, turns) = (gpu.zeros(n)?, Turns::new(n, gpu)?);
        Ok(Search { n: n as u32, of_nodes: groups(gpu, n), out, back, label, turns })
    }

    /// The labels, and whether every node has one. Those that are there are of whole components.
    fn labels(mut self, gpu: &mut Gpu<'_>) -> Result<(Vec<u32>, bool), Failure> {
        let best = gpu.zeros::<u64>(1)?;
        self.trim(&best, gpu)?;
        let seen = gpu.zeros::<u32>(self.n as usize)?;
        let both = self.both_ways(&best, &seen, gpu)?;
        let is_done = both && self.colors(&seen, gpu)?;
        Ok((gpu.download(&self.label)?, is_done))
    }

    /// Bare nodes fall off; of what is left, finds the node to search from.
    fn trim(&mut self, best: &Buffer<u64>, gpu: &mut Gpu<'_>) -> Result<(), Failure> {
        let (n, of_nodes) = (self.n, self.of_nodes);
        let (outward, inward) = (gpu.zeros::<u32>(n as usize)?, gpu.zeros::<u32>(n as usize)?);
        let Search { out, back, label, turns, .. } = self;
        let (queue, _) = turns.lists();
        let count = &turns.count;
        graph_strong_begin(gpu, of_nodes, n, &out.offsets, &back.offsets, &outward, &inward, label, best)?;
        graph_strong_loops(gpu, of_nodes, n, &out.offsets, &out.targets, &outward, &inward, queue, count)?;
        graph_strong_bare(gpu, of_nodes, n, turns.turn, &outward, &inward, label, queue, count)?;
        let all = turns.run(gpu, TRIMS, |gpu, turns| {
            let (turn, count, (now, next)) = (turns.turn, &turns.count, turns.lists());
            graph_strong_trim(
                gpu,
                of_nodes,
                turn,
                &out.offsets,
                &out.targets,
                &inward,
                label,
                now,
                next,
                count,
            )?;
            graph_strong_trim(
                gpu,
                of_nodes,
                turn,
                &back.offsets,
                &back.targets,
                &outward,
                label,
                now,
                next,
                count,
            )
        })?;
        if !all {
            turns.restart(gpu)?;
        }
        graph_strong_pivot(gpu, of_nodes, n, label, &outward, &inward, best)
    }

    /// Marks what that node reaches and what of it reaches that node, and says whether that ended in time.
    fn both_ways(
        &mut self,
        best: &Buffer<u64>,
        seen: &Buffer<u32>,
        gpu: &mut Gpu<'_>,
    ) -> Result<bool, Failure> {
        let of_nodes = self.of_nodes;
        let Search { out, back, label, turns, .. } = self;
        for (mark, needed, rows) in [(1, 0, &*out), (2, 1, &*back)] {
            graph_strong_seed(gpu, ONE, turns.turn, best, seen, turns.lists().0, &turns.count)?;
            let ended = turns.run(gpu, TURNS, |gpu, turns| {
                let (turn, count, (now, next)) = (turns.turn, &turns.count, turns.lists());
                let (offsets, targets) = (&rows.offsets, &rows.targets);
                graph_strong_reach(
                    gpu, of_nodes, turn, mark, needed, offsets, targets, label, seen, now, next, count,
                )
            })?;
            if !ended {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Labels what was seen in both directions, and the rest by colours; whether that ended in time.
    fn colors(&mut self, seen: &Buffer<u32>, gpu: &mut Gpu<'_>) -> Result<bool, Failure> {
        let (n, of_nodes) = (self.n, self.of_nodes);
        let least = gpu.zeros::<u32>(1)?;
        let (color, queued) = (gpu.zeros::<u32>(n as usize)?, gpu.zeros::<u32>(n as usize)?);
        let before = gpu.zeros::<u32>(n as usize)?;
        graph_strong_least(gpu, of_nodes, n, seen, &least)?;
        let Search { out, back, label, turns, .. } = self;
        for _ in 0..ROUNDS {
            let (queue, _) = turns.lists();
            graph_strong_paint(
                gpu,
                of_nodes,
                n,
                turns.turn,
                seen,
                &least,
                label,
                &color,
                queue,
                &turns.count,
            )?;
            let (open, _) = turns.look(gpu)?;
            if open == 0 {
                return Ok(true);
            }
            gpu.context().block((n - open) as usize, n as usize)?;
            let ended = turns.run(gpu, TURNS, |gpu, turns| {
                let (turn, count, (now, next)) = (turns.turn, &turns.count, turns.lists());
                let (offsets, targets) = (&out.offsets, &out.targets);
                graph_strong_spread(
                    gpu, of_nodes, turn, offsets, targets, label, &color, &queued, now, next, count,
                )
            })?;
            if !ended {
                return Ok(false);
            }
            gpu.copy((label, 0), (&before, 0), n as usize)?;
            let (queue, _) = turns.lists();
            graph_strong_roots(gpu, of_nodes, n, turns.turn, &color, label, queue, &turns.count)?;
            let ended = turns.run(gpu, TURNS, |gpu, turns| {
                let (turn, count, (now, next)) = (turns.turn, &turns.count, turns.lists());
                let (offsets, targets) = (&back.offsets, &back.targets);
                graph_strong_gather(gpu, of_nodes, turn, offsets, targets, &color, label, now, next, count)
            })?;
            if !ended {
                // Components that were not gathered whole are open again.
                gpu.copy((&before, 0), (label, 0), n as usize)?;
                return Ok(false);
            }
        }
        Ok(false)
    }
}
