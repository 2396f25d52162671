//! Union-find by all threads at once over the edges as they come: no rows are built.
//!
//! A root only ever hangs itself below a smaller one, by compare-and-swap, so the label of a component is its smallest
//! node whatever the order (Jayanti and Tarjan, "A randomized concurrent algorithm for disjoint set union", 2016, with the
//! order of the ids in place of a random one). As Afforest does (Sutton, Ben-Nun and Barak, "Optimizing parallel graph
//! connectivity computation via subgraph sampling", 2018), a sample of the edges goes first; most of the others then
//! find both ends in one component with one read each.

use super::Inputs;
use super::answer::answer;
use crate::csr::{BLOCK, Network};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// One edge in so many is in the sample.
const SAMPLE: usize = 4;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let roots = roots(network.nodes(), &network.src, &network.dst, ctx)?;
    Ok(answer(&network.ids, &roots))
}

/// For each node the smallest of its component.
pub(crate) fn roots(n: usize, src: &[u32], dst: &[u32], ctx: &Context) -> Result<Vec<u32>, Failure> {
    let above: Vec<AtomicU32> = (0..n as u32).map(AtomicU32::new).collect();
    let join = |block: usize, from: usize, step: usize| {
        ctx.check()?;
        let end = ((block + 1) * BLOCK).min(src.len());
        for i in (block * BLOCK + from..end).step_by(step) {
            union(&above, src[i], dst[i]);
        }
        Ok::<_, Failure>(())
    };
    let flatten = || {
        (0..n.div_ceil(BLOCK)).into_par_iter().try_for_each(|block| {
            ctx.check()?;
            for v in block * BLOCK..((block + 1) * BLOCK).min(n) {
                above[v].store(root(&above, v as u32), Ordering::Relaxed);
            }
            Ok::<_, Failure>(())
        })
    };
    let blocks = src.len().div_ceil(BLOCK);
    if blocks > 1 {
        (0..blocks).into_par_iter().try_for_each(|b| join(b, 0, SAMPLE))?;
        flatten()?;
        (0..blocks).into_par_iter().try_for_each(|b| {
            for from in 1..SAMPLE {
                join(b, from, SAMPLE)?;
            }
            Ok::<_, Failure>(())
        })?;
    } else if blocks == 1 {
        join(0, 0, 1)?;
    }
    flatten()?;
    ctx.block(1, 1)?;
    Ok(above.into_iter().map(AtomicU32::into_inner).collect())
}

/// The root above a node, with every second node on the way hung higher (path halving, Tarjan and van Leeuwen 1984).
#[inline]
fn root(above: &[AtomicU32], mut v: u32) -> u32 {
    loop {
        let p = above[v as usize].load(Ordering::Relaxed);
        if p == v {
            return v;
        }
        let higher = above[p as usize].load(Ordering::Relaxed);
        if higher == p {
            return p;
        }
        // Whoever else writes here writes something as high.
        above[v as usize].store(higher, Ordering::Relaxed);
        v = higher;
    }
}

#[inline]
fn union(above: &[AtomicU32], u: u32, v: u32) {
    let (mut a, mut b) =
        (above[u as usize].load(Ordering::Relaxed), above[v as usize].load(Ordering::Relaxed));
    while a != b {
        (a, b) = (root(above, a), root(above, b));
        if a == b {
            return;
        }
        let (low, high) = (a.min(b), a.max(b));
        if above[high as usize].compare_exchange(high, low, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}
