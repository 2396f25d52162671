//! The search by blocked products: bounds of a block of rows against many queries at once, the lowest kept for each
//! query, and the kept rows evaluated exactly until the next bound shows that no other row can be among the best.
//!
//! A query for which the bounds do not decide (near ties below the precision of the product) is searched directly.

use super::direct::direct;
use super::exact::{Space, Vectors};
use super::frame::{Frame, Framed};
use super::pair::Real;
use super::shortlist::{Shortlist, room, unkey};
use super::simd::{Loop, vectorised};
use super::top::Top;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use offload_core::{Context, Failure};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of a block, at most.
const BLOCK_ROWS: usize = 1024;
/// Components of a block of rows, at most.
const BLOCK_COMPONENTS: usize = 1 << 20;
/// Queries of one product.
const BLOCK_QUERIES: usize = 64;
/// Queries whose lists are in memory at once, and the bytes these lists may take.
const GROUP_QUERIES: usize = 4096;
const GROUP_BYTES: usize = 32 << 20;
/// Rows without a place in the frame, of one piece of the corpus: beyond this, the frame is not worth it.
const APART_LIMIT: usize = 1024;

/// How the work is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    block_rows: usize,
    pieces: usize,
    group: usize,
    part: usize,
    keep: usize,
}

impl Cut {
    /// For so many rows of `d` components, so many queries, and the best `k`.
    pub(crate) fn of(rows: usize, d: usize, queries: usize, k: usize) -> Cut {
        let threads = rayon::current_num_threads();
        let block_rows = (BLOCK_COMPONENTS / (d + 2)).clamp(64, BLOCK_ROWS);
        let keep = k.saturating_add((k / 2).max(24)).min(rows.max(1));
        let pieces = rows.div_ceil(block_rows).clamp(1, 4 * threads);
        let bytes = room(keep) * size_of::<u64>() * pieces;
        let group = (GROUP_BYTES / bytes).clamp(BLOCK_QUERIES, GROUP_QUERIES).min(queries.max(1));
        // Where the corpus alone does not give every thread something to do, the queries are cut as well.
        let part = group.div_ceil((2 * threads).div_ceil(pieces)).max(BLOCK_QUERIES).min(group);
        Cut { block_rows, pieces, group, part, keep }
    }

    /// Bytes of workspace at most.
    pub(crate) fn bytes(&self, d: usize, queries: usize) -> u64 {
        let width = (d + 2) as u64;
        let threads = rayon::current_num_threads() as u64;
        let (rows, group) = (self.block_rows as u64, self.group as u64);
        let block = rows * width * 4 + rows * BLOCK_QUERIES as u64 * 4 + rows * 4 + APART_LIMIT as u64 * 8;
        let list = (room(self.keep) * size_of::<u64>() + 128) as u64;
        // Packed queries, lists of every piece, and the lists of one query merged.
        let packed = group * width * 4 + group * 64;
        let lists = group * list * self.pieces as u64;
        let merged = threads * (self.keep as u64) * 16 * self.pieces as u64 * 2;
        threads * block + packed + lists + merged + queries as u64 * 4 + width * 8
    }
}

/// The best `k` rows for each query.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn blocked<T: Real>(
    ctx: &Context,
    space: &Vectors<'_, T>,
    rows: &[u32],
    queries: usize,
    k: usize,
) -> Result<Vec<Top>, Failure> {
    let (mut best, undecided) = bounded(ctx, space, rows, queries, k)?;
    for (&query, top) in undecided.iter().zip(direct(ctx, space, rows, &undecided, k)?) {
        best[query as usize] = top;
    }
    ctx.block(1, 1)?;
    Ok(best)
}

/// The best `k` rows for each query, and the queries that the bounds did not decide.
fn bounded<T: Real>(
    ctx: &Context,
    space: &Vectors<'_, T>,
    rows: &[u32],
    queries: usize,
    k: usize,
) -> Result<(Vec<Top>, Vec<u32>), Failure> {
    let cut = Cut::of(rows.len(), space.d, queries, k);
    let frame = Frame::fit(space.metric, space.d, rows, |r| space.row(r));
    let total = queries.div_ceil(cut.group) * cut.pieces * cut.group.div_ceil(cut.part) + 1;
    let done = AtomicUsize::new(0);
    let mut best: Vec<Top> = Vec::with_capacity(queries);
    let mut undecided: Vec<u32> = Vec::new();
    for first in (0..queries).step_by(cut.group) {
        let count = cut.group.min(queries - first);
        let group = Group::pack(&frame, space, first, count);
        let step = || ctx.block(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        match group.shortlists(ctx, &frame, space, rows, cut, &step)? {
            Some(lists) => {
                let tops = group.decide(ctx, &frame, space, lists, k)?;
                for (i, top) in tops.into_iter().enumerate() {
                    undecided.extend(top.is_none().then_some((first + i) as u32));
                    best.push(top.unwrap_or_else(|| Top::new(k)));
                }
            }
            None => {
                undecided.extend(first as u32..(first + count) as u32);
                best.extend((0..count).map(|_| Top::new(k)));
            }
        }
    }
    Ok((best, undecided))
}

/// Queries that are searched together.
struct Group {
    first: usize,
    packed: Vec<f32>,
    framed: Vec<Option<Framed>>,
}

/// What a piece of the corpus gave for a part of a group's queries.
struct Found {
    lists: Vec<Shortlist>,
    apart: Vec<u32>,
}

impl Group {
    fn pack<T: Real>(frame: &Frame, space: &Vectors<'_, T>, first: usize, count: usize) -> Group {
        let mut packed = vec![0.0f32; count * frame.width()];
        let framed = packed
            .par_chunks_mut(frame.width())
            .enumerate()
            .with_min_len(64)
            .map(|(i, to)| frame.pack_query(space.query(first + i), to))
            .collect();
        Group { first, packed, framed }
    }

    /// The rows with the lowest bounds for each query, by part of the queries and piece of the corpus; `None` when
    /// too many rows have no place in the frame.
    fn shortlists<T: Real>(
        &self,
        ctx: &Context,
        frame: &Frame,
        space: &Vectors<'_, T>,
        rows: &[u32],
        cut: Cut,
        step: &(impl Fn() -> Result<(), Failure> + Sync),
    ) -> Result<Option<Vec<Vec<Found>>>, Failure> {
        let count = self.framed.len();
        let parts: Vec<_> = (0..count).step_by(cut.part).map(|f| (f, cut.part.min(count - f))).collect();
        let piece = rows.len().div_ceil(cut.pieces).max(1);
        let tasks: Vec<_> = parts.iter().flat_map(|&p| (0..cut.pieces).map(move |c| (p, c))).collect();
        let found: Vec<Option<Found>> = tasks
            .par_iter()
            .with_max_len(1)
            .map(|&((from, count), c)| {
                let start = (c * piece).min(rows.len());
                let rows = &rows[start..(start + piece).min(rows.len())];
                let found = self.pass(ctx, frame, space, rows, (from, count), cut)?;
                step()?;
                Ok(found)
            })
            .collect::<Result<_, Failure>>()?;
        let Some(found) = found.into_iter().collect::<Option<Vec<Found>>>() else { return Ok(None) };
        let mut found = found.into_iter();
        Ok(Some(parts.iter().map(|_| found.by_ref().take(cut.pieces).collect()).collect()))
    }

    /// One piece of the corpus past one part of the queries.
    fn pass<T: Real>(
        &self,
        ctx: &Context,
        frame: &Frame,
        space: &Vectors<'_, T>,
        rows: &[u32],
        (from, count): (usize, usize),
        cut: Cut,
    ) -> Result<Option<Found>, Failure> {
        let width = frame.width();
        let queries = &self.packed[from * width..(from + count) * width];
        let mut found =
            Found { lists: (0..count).map(|_| Shortlist::new(cut.keep)).collect(), apart: Vec::new() };
        let mut block = vec![0.0f32; cut.block_rows * width];
        let mut bounds = vec![0.0f32; cut.block_rows * BLOCK_QUERIES];
        let mut packed = Vec::with_capacity(cut.block_rows);
        for some in rows.chunks(cut.block_rows) {
            ctx.check()?;
            frame.pack_rows(some, space, &mut block, &mut packed, &mut found.apart);
            if found.apart.len() > APART_LIMIT {
                return Ok(None);
            }
            let m = packed.len();
            if m == 0 {
                continue;
            }
            let x = MatRef::from_row_major_slice(&block[..m * width], m, width);
            let each = queries.chunks(BLOCK_QUERIES * width).zip(found.lists.chunks_mut(BLOCK_QUERIES));
            for (queries, lists) in each {
                ctx.check()?;
                let n = lists.len();
                let to = MatMut::from_column_major_slice_mut(&mut bounds[..m * n], m, n);
                let q = MatRef::from_column_major_slice(queries, width, n);
                matmul(to, Accum::Replace, x, q, 1.0, Par::Seq);
                vectorised(Sift { lists, bounds: &bounds[..m * n], rows: &packed });
            }
        }
        Ok(Some(found))
    }

    /// The best rows of each query; `None` for a query whose bounds do not decide.
    fn decide<T: Real>(
        &self,
        ctx: &Context,
        frame: &Frame,
        space: &Vectors<'_, T>,
        parts: Vec<Vec<Found>>,
        k: usize,
    ) -> Result<Vec<Option<Top>>, Failure> {
        let mut queries = Vec::with_capacity(self.framed.len());
        let mut apart: Vec<Vec<u32>> = Vec::new();
        for (p, pieces) in parts.into_iter().enumerate() {
            apart.push(pieces.iter().flat_map(|f| f.apart.iter().copied()).collect());
            let mut lists = pieces.into_iter().map(|f| f.lists.into_iter()).collect::<Vec<_>>();
            while let Some(first) = lists.first_mut().and_then(Iterator::next) {
                let rest: Vec<Shortlist> = lists[1..].iter_mut().filter_map(Iterator::next).collect();
                queries.push((p, first, rest));
            }
        }
        queries
            .into_par_iter()
            .enumerate()
            .with_min_len(16)
            .map(|(i, (p, mut list, rest))| {
                ctx.check()?;
                rest.into_iter().for_each(|other| list.merge(other));
                let Some(framed) = &self.framed[i] else { return Ok(None) };
                Ok(decide_one(frame, framed, space, self.first + i, list, &apart[p], k))
            })
            .collect()
    }
}

/// Bounds of packed rows past the lists of their queries.
struct Sift<'a> {
    lists: &'a mut [Shortlist],
    bounds: &'a [f32],
    rows: &'a [u32],
}

impl Loop for Sift<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (list, bounds) in self.lists.iter_mut().zip(self.bounds.chunks(self.rows.len())) {
            list.offer(bounds, self.rows);
        }
    }
}

fn decide_one<T: Real>(
    frame: &Frame,
    framed: &Framed,
    space: &Vectors<'_, T>,
    query: usize,
    list: Shortlist,
    apart: &[u32],
    k: usize,
) -> Option<Top> {
    let mut top = Top::new(k);
    space.offer(query, apart, &mut top);
    let (keys, limit) = list.into_sorted();
    // A row whose least cost equals the worst one's may have a lower index, so only more is out.
    let out = |bound: f32, top: &Top| {
        top.worst().is_some_and(|worst| frame.least_cost(framed, bound.into()) > worst.cost)
    };
    let mut at = 0;
    while at < keys.len() {
        if out(unkey(keys[at]).0, &top) {
            return Some(top);
        }
        // A few at a time: what can be evaluated beside each other is.
        let few: Vec<u32> = keys[at..].iter().take(8).map(|&key| unkey(key).1).collect();
        space.offer(query, &few, &mut top);
        at += few.len();
    }
    (limit == f32::INFINITY || out(limit, &top)).then_some(top)
}

#[cfg(test)]
mod tests {
    use super::super::metric::Metric;
    use super::super::random::unit;
    use super::*;

    /// Rows about `offset`, spread by `spread`.
    fn vectors(seed: u64, n: usize, d: usize, offset: f64, spread: f64) -> Vec<f32> {
        (0..(n * d) as u64).map(|i| (offset + spread * (unit(seed, i) - 0.5)) as f32).collect()
    }

    #[test]
    fn bounds_decide_alone_where_rows_can_be_told_apart() {
        let (q, n, d) = (50, 20_000, 48);
        for (offset, spread) in [(0.0, 1.0), (1e4, 1.0), (1e30, 1e30), (1e-30, 1e-30), (-3.0, 100.0)] {
            let (queries, corpus) = (vectors(1, q, d, offset, spread), vectors(2, n, d, offset, spread));
            for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
                // Far from the origin all directions are alike: the bounds need not decide.
                if metric != Metric::L2 && offset == 1e4 {
                    continue;
                }
                let space = Vectors { queries: &queries, corpus: &corpus, d, metric };
                let rows: Vec<u32> = (0..n as u32).collect();
                let (best, undecided) = bounded(&Context::default(), &space, &rows, q, 10).unwrap();
                assert_eq!(undecided, [0; 0], "{metric:?} about {offset} by {spread}");
                let all: Vec<u32> = (0..q as u32).collect();
                let plain = direct(&Context::default(), &space, &rows, &all, 10).unwrap();
                for (i, (best, plain)) in best.into_iter().zip(plain).enumerate() {
                    assert_eq!(
                        best.into_sorted(),
                        plain.into_sorted(),
                        "{metric:?} about {offset}: query {i}"
                    );
                }
            }
        }
    }

    #[test]
    fn ties_beyond_the_list_are_not_decided_by_bounds() {
        let (q, n, d) = (5, 4000, 64);
        let (queries, corpus) = (vectors(1, q, d, 0.0, 1.0), vec![0.25f32; n * d]);
        let space = Vectors { queries: &queries, corpus: &corpus, d, metric: Metric::L2 };
        let rows: Vec<u32> = (0..n as u32).collect();
        let (_, undecided) = bounded(&Context::default(), &space, &rows, q, 10).unwrap();
        assert_eq!(undecided, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn no_row_costs_less_than_its_bound_says() {
        let (q, n, d) = (4, 3000, 200);
        for (offset, spread) in [(0.0, 1.0), (1e3, 1e-2), (0.0, 1e30), (0.0, 1e-38)] {
            let (queries, corpus) = (vectors(3, q, d, offset, spread), vectors(4, n, d, offset, spread));
            for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
                let space = Vectors { queries: &queries, corpus: &corpus, d, metric };
                let rows: Vec<u32> = (0..n as u32).collect();
                let frame = Frame::fit(metric, d, &rows, |r| space.row(r));
                let cut = Cut { block_rows: n, pieces: 1, group: q, part: q, keep: n };
                let group = Group::pack(&frame, &space, 0, q);
                let found = group.pass(&Context::default(), &frame, &space, &rows, (0, q), cut);
                for (i, list) in found.unwrap().unwrap().lists.into_iter().enumerate() {
                    let Some(framed) = &group.framed[i] else { continue };
                    for key in list.into_sorted().0 {
                        let (bound, row) = unkey(key);
                        let mut top = Top::new(1);
                        space.offer(i, &[row], &mut top);
                        let (cost, least) =
                            (top.worst().unwrap().cost, frame.least_cost(framed, bound.into()));
                        assert!(
                            least <= cost,
                            "{metric:?} about {offset}: row {row} costs {cost:e}, bound {least:e}"
                        );
                    }
                }
            }
        }
    }
}
