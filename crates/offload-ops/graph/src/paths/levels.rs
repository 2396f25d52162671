//! Breadth-first search that turns around (Beamer, Asanović and Patterson, "Direction-optimizing breadth-first search",
//! 2012): while the frontier is small, its nodes look for new ones; when its arcs outnumber those of the nodes that are
//! left, these look for a neighbour in the frontier. That needs arcs that lead both ways.

use crate::csr::{BLOCK, Csr};
use offload_core::{Context, Failure};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nodes of a frontier that one task expands; a smaller frontier is not worth a second thread.
const TASK: usize = 2048;

/// Tasks of a wide step at most: each has a bitmap of the nodes.
const MOST_WIDE_TASKS: usize = 32;

/// How many times cheaper an arc is looked at from the other side: the frontier is a bitmap there, which stays in the
/// cache, and nothing is shared.
const CHEAPER: usize = 4;

/// A frontier of fewer nodes than this share looks forward again.
const FEW: usize = 24;

const UNSEEN: u64 = u64::MAX;

/// Levels and predecessors: of all neighbours one level nearer, the one with the smallest id.
pub(crate) struct Levels {
    /// The level in the upper half and the predecessor in the lower, so that the least of several finds is the one to
    /// keep.
    found: Vec<u64>,
}

impl Levels {
    /// The number of edges from the start; `None` when the node was not reached.
    #[inline]
    pub(crate) fn level(&self, node: u32) -> Option<u32> {
        let found = self.found[node as usize];
        (found != UNSEEN).then_some((found >> 32) as u32)
    }

    /// The predecessor; the start and nodes that were not reached have themselves.
    #[inline]
    pub(crate) fn parent(&self, node: u32) -> u32 {
        let found = self.found[node as usize];
        if found == UNSEEN { node } else { found as u32 }
    }
}

/// Finds that a task of a wide step keeps before it writes them down: reading all their places first lets the processor wait for
/// many of them at once, which it does not for updates.
const FINDS: usize = 128;

/// A step forward with many arcs. Each task takes a run of the frontier in ascending order and has a bitmap of its own, which stays in
/// the cache: the first arc to a node is the one from its smallest neighbour of the run, and later ones are not followed. Gives
/// the next frontier, ascending.
fn wide(
    csr: &Csr,
    mut frontier: Vec<u32>,
    level: u64,
    settled: &[u64],
    found: &[AtomicU64],
    ctx: &Context,
) -> Result<Vec<u32>, Failure> {
    if !frontier.is_sorted() {
        frontier.par_sort_unstable();
    }
    let task = |nodes: &[u32]| {
        let mut seen = settled.to_vec();
        let mut finds = Vec::with_capacity(FINDS);
        let note = |finds: &mut Vec<(u32, u32)>| {
            let read = |total: u64, &(v, _): &(u32, u32)| total ^ found[v as usize].load(Ordering::Relaxed);
            std::hint::black_box(finds.iter().fold(0, read));
            for (v, u) in finds.drain(..) {
                found[v as usize].fetch_min(level << 32 | u64::from(u), Ordering::Relaxed);
            }
        };
        for nodes in nodes.chunks(TASK) {
            ctx.check()?;
            for &u in nodes {
                for &v in csr.row(u) {
                    let (word, bit) = (&mut seen[v as usize / 64], 1 << (v % 64));
                    if *word & bit == 0 {
                        *word |= bit;
                        finds.push((v, u));
                        if finds.len() == FINDS {
                            note(&mut finds);
                        }
                    }
                }
            }
        }
        note(&mut finds);
        Ok(seen)
    };
    let tasks = rayon::current_num_threads().min(MOST_WIDE_TASKS);
    let seen: Vec<Vec<u64>> =
        runs(csr, &frontier, tasks).into_par_iter().map(task).collect::<Result<_, Failure>>()?;
    drop(frontier);
    let words: Vec<usize> = (0..settled.len()).step_by(BLOCK / 64).collect();
    let next: Vec<Vec<u32>> = words
        .into_par_iter()
        .map(|from| {
            let mut nodes = Vec::new();
            for w in from..(from + BLOCK / 64).min(settled.len()) {
                let mut new = seen.iter().fold(0, |all, seen| all | seen[w]) & !settled[w];
                while new != 0 {
                    nodes.push(w as u32 * 64 + new.trailing_zeros());
                    new &= new - 1;
                }
            }
            nodes
        })
        .collect();
    Ok(next.concat())
}

/// The frontier in so many runs with about as many arcs each.
fn runs<'a>(csr: &Csr, frontier: &'a [u32], count: usize) -> Vec<&'a [u32]> {
    let arcs: usize = frontier.iter().map(|&u| csr.degree(u)).sum();
    let (mut runs, mut from, mut before) = (Vec::with_capacity(count), 0, 0);
    for (i, &u) in frontier.iter().enumerate() {
        before += csr.degree(u);
        if before >= (runs.len() + 1) * arcs.div_ceil(count) || i + 1 == frontier.len() {
            runs.push(&frontier[from..=i]);
            from = i + 1;
        }
    }
    runs
}

/// Searches from `start`, at most until the level of `end` is complete. `both_ways` says that every arc has its
/// counterpart.
pub(crate) fn levels(
    csr: &Csr,
    start: u32,
    end: Option<u32>,
    both_ways: bool,
    ctx: &Context,
) -> Result<Levels, Failure> {
    let n = csr.nodes();
    let found: Vec<AtomicU64> = (0..n).map(|_| AtomicU64::new(UNSEEN)).collect();
    let seen = |v: u32| found[v as usize].load(Ordering::Relaxed);
    found[start as usize].store(u64::from(start), Ordering::Relaxed);
    let mut frontier = vec![start];
    // The nodes of all levels so far. Most arcs lead to one of them, and the bitmap stays in the cache.
    let mut settled = vec![0u64; n.div_ceil(64)];
    let mut arcs_left = csr.arcs();
    let (mut level, mut reached) = (0u64, 1usize);
    let mut backward = false;
    while !frontier.is_empty() && end.is_none_or(|end| seen(end) == UNSEEN) {
        ctx.block(reached, n)?;
        level += 1;
        frontier.iter().for_each(|&u| settled[u as usize / 64] |= 1 << (u % 64));
        let old = |v: u32| settled[v as usize / 64] >> (v % 64) & 1 == 1;
        let arcs: usize = frontier.par_iter().with_min_len(BLOCK).map(|&u| csr.degree(u)).sum();
        arcs_left -= arcs.min(arcs_left);
        backward = both_ways
            && if backward { frontier.len() > n / FEW } else { arcs > BLOCK && arcs * CHEAPER > arcs_left };
        if !backward && arcs > BLOCK.max(n / 8) {
            frontier = wide(csr, frontier, level, &settled, &found, ctx)?;
            reached += frontier.len();
            continue;
        }
        let next: Vec<Vec<u32>> = if backward {
            let mut bits = vec![0u64; n.div_ceil(64)];
            frontier.iter().for_each(|&u| bits[u as usize / 64] |= 1 << (u % 64));
            let task = |from: u32| {
                ctx.check()?;
                let mut new = Vec::new();
                for v in from..(from + 4096).min(n as u32) {
                    if old(v) {
                        continue;
                    }
                    // All of the row, for the smallest: reading on is cheap.
                    let near =
                        csr.row(v).iter().filter(|&&u| bits[u as usize / 64] >> (u % 64) & 1 == 1).min();
                    if let Some(&u) = near {
                        found[v as usize].store(level << 32 | u64::from(u), Ordering::Relaxed);
                        new.push(v);
                    }
                }
                Ok(new)
            };
            (0..n.div_ceil(4096))
                .into_par_iter()
                .map(|t| task((t * 4096) as u32))
                .collect::<Result<_, Failure>>()?
        } else {
            let task = |nodes: &[u32]| {
                ctx.check()?;
                let mut new = Vec::new();
                for &u in nodes {
                    let find = level << 32 | u64::from(u);
                    for &v in csr.row(u) {
                        // A read first: a smaller predecessor may have found it at this level.
                        if !old(v)
                            && find < seen(v)
                            && found[v as usize].fetch_min(find, Ordering::Relaxed) == UNSEEN
                        {
                            new.push(v);
                        }
                    }
                }
                Ok(new)
            };
            frontier.par_chunks(TASK).map(task).collect::<Result<_, Failure>>()?
        };
        frontier = next.concat();
        reached += frontier.len();
    }
    Ok(Levels { found: found.into_iter().map(AtomicU64::into_inner).collect() })
}
