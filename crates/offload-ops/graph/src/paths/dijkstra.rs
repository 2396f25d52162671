//! Dijkstra's algorithm (1959), and A* (Hart, Nilsson and Raphael, 1968) as the same with a bound on what is left.

use super::Heap;
use crate::csr::Csr;
use offload_core::{Context, Failure};

/// Nodes settled between two looks at the cancel flag.
pub(crate) const SETTLED: usize = 1 << 13;

/// Distances from `start`; of nodes farther than `end` they are upper bounds, or infinite.
pub(crate) fn distances(csr: &Csr, start: u32, end: Option<u32>, ctx: &Context) -> Result<Vec<f64>, Failure> {
    let mut distances = vec![f64::INFINITY; csr.nodes()];
    let mut heap = Heap::default();
    run(csr, start, end, &mut distances, &mut heap, ctx)?;
    Ok(distances)
}

/// The same into buffers that serve several starts: `distances` must be infinite, and the heap empty.
pub(crate) fn run(
    csr: &Csr,
    start: u32,
    end: Option<u32>,
    distances: &mut [f64],
    heap: &mut Heap,
    ctx: &Context,
) -> Result<(), Failure> {
    distances[start as usize] = 0.0;
    heap.push(0.0, start);
    let mut settled = 0usize;
    while let Some((d, u)) = heap.pop() {
        if d > distances[u as usize] {
            continue;
        }
        settled += 1;
        if settled.is_multiple_of(SETTLED) {
            ctx.block(settled, csr.nodes())?;
        }
        if Some(u) == end {
            return Ok(());
        }
        for (v, w) in csr.weighted(u) {
            let through = d + w;
            if through < distances[v as usize] {
                distances[v as usize] = through;
                heap.push(through, v);
            }
        }
    }
    Ok(())
}

/// The path from `start` to `end` and its length, guided by `bound`: for each node a number that the rest of the way to
/// `end` is not below. A node is looked at again when a shorter way to it is found, so the bounds need not be
/// consistent.
pub(crate) fn a_star(
    csr: &Csr,
    start: u32,
    end: u32,
    bound: &[f64],
    ctx: &Context,
) -> Result<Option<(Vec<u32>, f64)>, Failure> {
    let mut distances = vec![f64::INFINITY; csr.nodes()];
    let mut parents = vec![u32::MAX; csr.nodes()];
    // What each node's entry in the heap was made with, to know an entry that a shorter way has replaced.
    let mut heap = Heap::default();
    distances[start as usize] = 0.0;
    heap.push(bound[start as usize], start);
    let mut steps = 0usize;
    while let Some((estimate, u)) = heap.pop() {
        let d = distances[u as usize];
        if estimate > d + bound[u as usize] {
            continue;
        }
        steps += 1;
        if steps.is_multiple_of(SETTLED) {
            ctx.check()?;
        }
        if u == end {
            let mut path = vec![end];
            let mut at = end;
            while at != start {
                at = parents[at as usize];
                path.push(at);
            }
            path.reverse();
            return Ok(Some((path, d)));
        }
        for (v, w) in csr.weighted(u) {
            let through = d + w;
            if through < distances[v as usize] {
                distances[v as usize] = through;
                parents[v as usize] = u;
                heap.push(through + bound[v as usize], v);
            }
        }
    }
    Ok(None)
}
