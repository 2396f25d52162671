//! Predecessors from distances alone, so that the tree does not depend on the algorithm or on how threads met.

use crate::csr::{BLOCK, Csr};
use offload_core::{Context, Failure};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// The predecessor of a node that has none.
pub(crate) const NONE: u32 = u32::MAX;

/// The predecessor of each node on a shortest path: of all that are nearer to the start, the smallest. Where only
/// arcs of weight 0 (or of a negative one) lead to a node, the one with the fewest such arcs behind it, and of these
/// the smallest. With negative weights (`falling`) the fewest arcs count everywhere, because a predecessor need not be
/// nearer. Nodes farther than `limit` are left out.
pub(crate) fn parents(
    csr: &Csr,
    start: u32,
    distances: &[f64],
    (limit, falling): (f64, bool),
    ctx: &Context,
) -> Result<Vec<u32>, Failure> {
    let n = csr.nodes();
    let parents: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(NONE)).collect();
    let reached = |v: u32| distances[v as usize] <= limit && distances[v as usize] < f64::INFINITY;
    let blocks = if falling { 0 } else { n.div_ceil(BLOCK) };
    (0..blocks).into_par_iter().try_for_each(|block| {
        ctx.check()?;
        for u in (block * BLOCK) as u32..((block + 1) * BLOCK).min(n) as u32 {
            let d = distances[u as usize];
            if !reached(u) {
                continue;
            }
            for (v, w) in csr.weighted(u) {
                let there = distances[v as usize];
                if d + w == there && d < there && there <= limit && v != start {
                    parents[v as usize].fetch_min(u, Ordering::Relaxed);
                }
            }
        }
        Ok::<_, Failure>(())
    })?;
    let mut parents: Vec<u32> = parents.into_iter().map(AtomicU32::into_inner).collect();
    let open = |parents: &[u32], v: u32| v != start && parents[v as usize] == NONE && reached(v);
    let mut left = (0..n as u32).filter(|&v| open(&parents, v)).count();
    if left == 0 {
        return Ok(parents);
    }
    // Breadth first from the nodes that have a predecessor, over the arcs of shortest paths.
    let mut frontier: Vec<u32> =
        (0..n as u32).filter(|&v| v == start || parents[v as usize] != NONE).collect();
    while left > 0 && !frontier.is_empty() {
        ctx.check()?;
        let mut next = Vec::new();
        // The frontier is in ascending order, so the first to come is the smallest.
        for &u in &frontier {
            for (v, w) in csr.weighted(u) {
                if distances[u as usize] + w == distances[v as usize] && open(&parents, v) {
                    parents[v as usize] = u;
                    next.push(v);
                }
            }
        }
        left -= next.len();
        next.sort_unstable();
        frontier = next;
    }
    Ok(parents)
}

/// The nodes from `start` to `end`, or `None` when the predecessors do not lead there.
pub(crate) fn path(parents: &[u32], start: u32, end: u32) -> Option<Vec<u32>> {
    let mut path = vec![end];
    let mut at = end;
    while at != start {
        at = parents[at as usize];
        if at == NONE || path.len() > parents.len() {
            return None;
        }
        path.push(at);
    }
    path.reverse();
    Some(path)
}
