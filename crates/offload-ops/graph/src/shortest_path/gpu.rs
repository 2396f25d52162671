//! The distances of all nodes from one on a device, and the tree that every algorithm gives.
//!
//! Near nodes are relaxed in turns, and far ones wait for the bound to move. With a bound that nothing is beyond this is
//! Bellman and Ford's algorithm. Where no edge has a weight, the breadth-first search of `bfs` finds the same.

use super::{Algorithm, Inputs, cpu};
use crate::bfs::{self, Found};
use crate::csr::Network;
use crate::device::{BLOCK, Rows, SMALL_BYTES, Turns, groups, needs_f64};
use crate::need::Extents;
use offload_api::{Record, Tensor};
use offload_core::device::{Buffer, Gpu, Groups, KernelText};
use offload_core::{DeviceNeed, Failure};

/// The kernel texts.
pub(super) static TEXTS: &[&KernelText] = &[&NEAR, &bfs::BFS];

offload_core::kernels! {
    /// Searches over queues, and the tree.
    static NEAR = "graph_near" {
        text: concat!(
            include_str!("../device/frontier.gpu.c"),
            include_str!("../device/arcs.gpu.c"),
            include_str!("../device/least.gpu.c"),
            include_str!("kernel.gpu.c"),
        ),
        block: BLOCK,
        elements: [],
        defines: [("UNKNOWN", "0xffffffffu")],
    }
    /// The start alone is reached.
    fn graph_near_begin(n: u32, start: u32, bound: u64, distance: [u64], window: [u64], queue: [u32], count: [u32]);
    /// Relaxes the near nodes.
    fn graph_near_relax(
        turn: u32, weighted: u32, offsets: [u32], targets: [u32], weights: [f64], window: [u64], distance: [u64],
        queued: [u32], far: [u32], now: [u32], next: [u32], count: [u32],
    );
    /// Finds the nearest of the far nodes.
    fn graph_near_least(n: u32, turn: u32, distance: [u64], far: [u32], count: [u32], window: [u64]);
    /// Far nodes come near.
    fn graph_near_open(
        n: u32, turn: u32, delta: f64, distance: [u64], far: [u32], window: [u64], queue: [u32], count: [u32],
    );
    /// Moves the bound.
    fn graph_near_move(delta: f64, window: [u64]);
    /// The smallest node before each.
    fn graph_near_parents(
        n: u32, start: u32, weighted: u32, offsets: [u32], targets: [u32], weights: [f64], distance: [u64],
        parents: [u32], queue: [u32], count: [u32],
    );
    /// What is known of the tree, and how much is not.
    fn graph_near_known(
        n: u32, start: u32, distance: [u64], parents: [u32], level: [u32], queue: [u32], count: [u32],
    );
    /// The tree along arcs that make no path longer.
    fn graph_near_tree(
        turn: u32, weighted: u32, offsets: [u32], targets: [u32], weights: [f64], distance: [u64], parents: [u32],
        level: [u32], now: [u32], next: [u32], count: [u32],
    );
    /// No node has one before it.
    fn graph_near_orphans(n: u32, parents: [u32]);
}

/// How many times the mean weight over the mean degree the bound moves: wide enough to occupy a device, as its authors found
/// for cards of 32 items a warp.
const WIDE: f64 = 32.0;

/// Weights that its mean is taken of, at least.
const SAMPLE: usize = 1 << 16;

/// Turns of near nodes before far ones are looked at; a turn with nothing to do costs less than a look.
const NEAR_TURNS: u32 = 3;

/// Moves of the bound that are started before the host looks whether anything is left.
const MOST_AHEAD: u32 = 4;

/// Turns within which distances with negative weights must have settled; then the CPU's algorithm says whether there is a
/// negative cycle, and which.
const PATIENCE: u32 = 512;

/// A bound that no distance is beyond: above the order of every number.
const UNBOUNDED: u64 = u64::MAX;

/// What it asks of a device.
pub(super) fn need(e: &Extents, algorithm: Algorithm, is_to_one: bool) -> DeviceNeed {
    if is_to_one {
        return DeviceNeed::CpuOnly(
            "a search for one node ends early, and most of it is one step after the other",
        );
    }
    if algorithm == Algorithm::Dijkstra {
        return DeviceNeed::CpuOnly(
            "Dijkstra's algorithm settles one node after the other; auto, delta_stepping and bellman_ford run on devices",
        );
    }
    if algorithm == Algorithm::Auto && !e.weighted {
        return DeviceNeed::Bytes(bfs::device_bytes(e));
    }
    // Distances, and for each node whether it is queued, far and whose child.
    let nodes = 20 * e.nodes + Turns::bytes(e.nodes);
    DeviceNeed::Bytes(Rows::bytes(e.nodes, e.arcs, e.weighted) + nodes + SMALL_BYTES)
}

pub(super) fn run(inputs: Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let ctx = gpu.context().clone();
    let asked = cpu::Asked::read(inputs, &ctx)?;
    let (network, start) = (&asked.network, asked.start);
    if asked.algorithm == Algorithm::Auto && network.weights().is_none() {
        let (found, _) = bfs::on_device(network, start, gpu)?;
        let distance = |v| found.level(v).map_or(f64::INFINITY, f64::from);
        return Ok(cpu::all(network, distance, |v| found.parent(v), "bfs"));
    }
    needs_f64(gpu, "distances")?;
    let negative = network.any_negative();
    let name = match asked.algorithm {
        Algorithm::BellmanFord => "bellman_ford",
        Algorithm::Auto if negative => "bellman_ford",
        _ => "delta_stepping",
    };
    let is_bounded = name == "delta_stepping" && network.weights().is_some();
    let mut turns = Turns::new(network.nodes(), gpu)?;
    let search = Search::new(network, start, is_bounded, gpu)?;
    let limit = if negative { PATIENCE } else { u32::MAX };
    if !search.distances(&mut turns, limit, gpu)? {
        return cpu::bellman_ford_to_all(network, start, &ctx);
    }
    let parents = search.tree(&mut turns, negative, gpu)?;
    let distances: Vec<f64> = gpu.download(&search.distance)?.into_iter().map(number).collect();
    Ok(cpu::all(network, |v| distances[v as usize], cpu::before(&parents), name))
}

struct Search {
    n: u32,
    start: u32,
    of_nodes: Groups,
    rows: Rows,
    /// How far the bound moves, where there is one.
    delta: Option<f64>,
    distance: Buffer<u64>,
    /// The turn for which a node was queued last; and then its level in the tree.
    queued: Buffer<u32>,
    far: Buffer<u32>,
    /// The bound, and the nearest of the far nodes.
    window: Buffer<u64>,
}

impl Search {
    fn new(network: &Network, start: u32, is_bounded: bool, gpu: &mut Gpu<'_>) -> Result<Search, Failure> {
        let n = network.nodes();
        let rows = Rows::of(network, network.outward(), true, gpu)?;
        Ok(Search {
            n: n as u32,
            start,
            of_nodes: groups(gpu, n),
            delta: is_bounded.then(|| width(network, rows.arcs)),
            rows,
            distance: gpu.zeros(n)?,
            queued: gpu.zeros(n)?,
            far: gpu.zeros(n)?,
            window: gpu.zeros(2)?,
        })
    }

    /// Finds all distances, and says whether they settled within so many turns.
    fn distances(&self, turns: &mut Turns, limit: u32, gpu: &mut Gpu<'_>) -> Result<bool, Failure> {
        let bound = self.delta.map_or(UNBOUNDED, order);
        let (queue, count) = (turns.lists().0, &turns.count);
        let Search { n, start, of_nodes, distance, window, .. } = self;
        graph_near_begin(gpu, *of_nodes, *n, *start, bound, distance, window, queue, count)?;
        let Some(delta) = self.delta else {
            return turns.run(gpu, limit, |gpu, turns| self.relax(turns, gpu));
        };
        let mut ahead = 1;
        loop {
            for _ in 0..ahead {
                for _ in 0..NEAR_TURNS {
                    self.relax(turns, gpu)?;
                    turns.turn += 1;
                }
                self.open(turns, delta, gpu)?;
            }
            if turns.look(gpu)?.0 == 0 {
                return Ok(true);
            }
            ahead = (ahead * 2).min(MOST_AHEAD);
        }
    }

    fn relax(&self, turns: &Turns, gpu: &mut Gpu<'_>) -> Result<(), Failure> {
        let Rows { offsets, targets, weights, weighted, .. } = &self.rows;
        let (turn, weighted, (now, next)) = (turns.turn, u32::from(*weighted), turns.lists());
        let Search { of_nodes, distance, queued, far, window, .. } = self;
        graph_near_relax(
            gpu,
            *of_nodes,
            turn,
            weighted,
            offsets,
            targets,
            weights,
            window,
            distance,
            queued,
            far,
            now,
            next,
            &turns.count,
        )
    }

    /// Where no near node is left, moves the bound.
    fn open(&self, turns: &Turns, delta: f64, gpu: &mut Gpu<'_>) -> Result<(), Failure> {
        let (turn, queue, count) = (turns.turn, turns.lists().0, &turns.count);
        let Search { n, of_nodes, distance, far, window, .. } = self;
        graph_near_least(gpu, *of_nodes, *n, turn, distance, far, count, window)?;
        graph_near_open(gpu, *of_nodes, *n, turn, delta, distance, far, window, queue, count)?;
        graph_near_move(gpu, Groups([1, 1, 1]), delta, window)
    }

    /// The node before each, or [`NONE`](crate::paths::NONE). With `falling` weights a node before another need not be
    /// nearer.
    fn tree(&self, turns: &mut Turns, falling: bool, gpu: &mut Gpu<'_>) -> Result<Vec<u32>, Failure> {
        let Rows { offsets, targets, weights, weighted, .. } = &self.rows;
        let Search { n, start, of_nodes, distance, queued: level, .. } = self;
        let (n, start, of_nodes, weighted) = (*n, *start, *of_nodes, u32::from(*weighted));
        let parents = gpu.zeros::<u32>(n as usize)?;
        graph_near_orphans(gpu, of_nodes, n, &parents)?;
        turns.restart(gpu)?;
        let (queue, count) = (turns.lists().0, &turns.count);
        if !falling {
            graph_near_parents(
                gpu, of_nodes, n, start, weighted, offsets, targets, weights, distance, &parents, queue,
                count,
            )?;
        }
        graph_near_known(gpu, of_nodes, n, start, distance, &parents, level, queue, count)?;
        if turns.look(gpu)?.1 > 0 {
            turns.run(gpu, u32::MAX, |gpu, turns| {
                let (turn, count, (now, next)) = (turns.turn, &turns.count, turns.lists());
                graph_near_tree(
                    gpu, of_nodes, turn, weighted, offsets, targets, weights, distance, &parents, level, now,
                    next, count,
                )
            })?;
        }
        gpu.download(&parents)
    }
}

/// How far the bound moves, by a sample of the weights.
fn width(network: &Network, arcs: usize) -> f64 {
    let weights = network.weights().unwrap_or_default();
    let sample = weights.iter().step_by((weights.len() / SAMPLE).max(1));
    let (sum, count) = sample.fold((0.0, 0usize), |(sum, count), w| (sum + w, count + 1));
    let width = WIDE * (sum / count.max(1) as f64) * network.nodes() as f64 / arcs.max(1) as f64;
    if width.is_finite() && width > 0.0 { width } else { 1.0 }
}

/// Bits that are ordered as numbers are.
fn order(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The number of such bits.
fn number(order: u64) -> f64 {
    f64::from_bits(if order >> 63 == 1 { order & !(1 << 63) } else { !order })
}
