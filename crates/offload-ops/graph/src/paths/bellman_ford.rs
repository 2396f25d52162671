//! Bellman (1958) and Ford (1956): weights may be negative. Nodes whose distance fell wait in a queue (Moore, 1959), and
//! now and then the tree of predecessors is searched for a cycle, so that a negative one ends the job early.

use crate::csr::Csr;
use offload_core::{Context, Failure};
use std::collections::VecDeque;

const NONE: u32 = u32::MAX;

/// Nodes taken from the queue between two looks at the cancel flag.
const TAKEN: usize = 1 << 12;

/// Distances from `start`, or from everywhere at once with distance 0; or the nodes of a negative cycle in order.
pub(crate) fn distances(
    csr: &Csr,
    start: Option<u32>,
    ctx: &Context,
) -> Result<Result<Vec<f64>, Vec<u32>>, Failure> {
    let n = csr.nodes();
    let mut distances = vec![if start.is_some() { f64::INFINITY } else { 0.0 }; n];
    let mut parents = vec![NONE; n];
    let mut queued = vec![start.is_none(); n];
    let mut queue: VecDeque<u32> = match start {
        Some(s) => {
            distances[s as usize] = 0.0;
            queued[s as usize] = true;
            VecDeque::from([s])
        }
        None => (0..n as u32).collect(),
    };
    let (mut taken, mut shortened) = (0usize, 0usize);
    while let Some(u) = queue.pop_front() {
        queued[u as usize] = false;
        taken += 1;
        if taken.is_multiple_of(TAKEN) {
            ctx.check()?;
        }
        let d = distances[u as usize];
        for (v, w) in csr.weighted(u) {
            let through = d + w;
            if through < distances[v as usize] {
                distances[v as usize] = through;
                parents[v as usize] = u;
                shortened += 1;
                if !queued[v as usize] {
                    queued[v as usize] = true;
                    queue.push_back(v);
                }
            }
        }
        // A search costs n, so it comes after as many changes.
        if shortened > n {
            shortened = 0;
            if let Some(cycle) = cycle(&parents) {
                return Ok(Err(cycle));
            }
        }
    }
    Ok(Ok(distances))
}

/// A cycle of the predecessors, in the direction of the arcs, from its smallest node.
fn cycle(parents: &[u32]) -> Option<Vec<u32>> {
    // The walk from which each node was first seen.
    let mut seen = vec![NONE; parents.len()];
    for walk in 0..parents.len() as u32 {
        let mut at = walk;
        while at != NONE && seen[at as usize] == NONE {
            seen[at as usize] = walk;
            at = parents[at as usize];
        }
        if at != NONE && seen[at as usize] == walk {
            let mut cycle = vec![at];
            let mut next = parents[at as usize];
            while next != at {
                cycle.push(next);
                next = parents[next as usize];
            }
            cycle.reverse();
            let least = (0..cycle.len()).min_by_key(|&i| cycle[i]).unwrap_or(0);
            cycle.rotate_left(least);
            return Some(cycle);
        }
    }
    None
}
