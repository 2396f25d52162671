//! Every row held against every query, exactly: for few queries, and where nothing cheaper decides.

use super::exact::Space;
use super::top::Top;
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Components of a block of rows, which stays in a core's cache while the queries pass over it.
const BLOCK_COMPONENTS: usize = 1 << 16;
/// Queries that pass over a block together.
const QUERIES_TOGETHER: usize = 64;
/// Rows of a piece of the corpus at least.
const LEAST_PIECE: usize = 2048;

/// How the work is cut: pieces of the corpus for each group of queries.
pub(crate) fn pieces(rows: usize, queries: usize) -> usize {
    let groups = queries.div_ceil(QUERIES_TOGETHER).max(1);
    (4 * rayon::current_num_threads()).div_ceil(groups).min(rows.div_ceil(LEAST_PIECE)).max(1)
}

/// The best `k` rows for each of these queries.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn direct(
    ctx: &Context,
    space: &impl Space,
    rows: &[u32],
    queries: &[u32],
    k: usize,
) -> Result<Vec<Top>, Failure> {
    let pieces = pieces(rows.len(), queries.len());
    let piece = rows.len().div_ceil(pieces).max(1);
    let mut best = Vec::with_capacity(queries.len());
    // So many groups at once that all of them, and not more, have their lists in memory twice.
    let together = QUERIES_TOGETHER * rayon::current_num_threads();
    for some in queries.chunks(together) {
        let groups: Vec<&[u32]> = some.chunks(QUERIES_TOGETHER).collect();
        let tasks: Vec<(usize, usize)> =
            (0..groups.len()).flat_map(|g| (0..pieces).map(move |p| (g, p))).collect();
        let run = |&(g, p): &(usize, usize)| {
            let from = (p * piece).min(rows.len());
            over(ctx, space, &rows[from..(from + piece).min(rows.len())], groups[g], k)
        };
        // A search this small may run on a thread that has no pool of its own.
        let parts: Vec<Vec<Top>> = if tasks.len() == 1 {
            tasks.iter().map(run).collect::<Result<_, _>>()?
        } else {
            tasks.par_iter().with_max_len(1).map(run).collect::<Result<_, _>>()?
        };
        let mut parts = parts.into_iter();
        for _ in &groups {
            let mut merged = parts.next().unwrap_or_default();
            for part in parts.by_ref().take(pieces - 1) {
                merged.iter_mut().zip(part).for_each(|(m, p)| m.merge(p));
            }
            best.extend(merged);
        }
    }
    Ok(best)
}

fn over(
    ctx: &Context,
    space: &impl Space,
    rows: &[u32],
    queries: &[u32],
    k: usize,
) -> Result<Vec<Top>, Failure> {
    let mut best: Vec<Top> = queries.iter().map(|_| Top::new(k)).collect();
    for block in rows.chunks((BLOCK_COMPONENTS / space.dimensions().max(1)).clamp(1, 1024)) {
        for (&query, top) in queries.iter().zip(&mut best) {
            ctx.check()?;
            space.offer(query as usize, block, top);
        }
    }
    Ok(best)
}
