//! Compressed rows from a list of edges: a counting sort in two stable passes, both of them parallel.
//!
//! The first pass spreads the arcs over ranges of rows, each thread into a part of every range that is its own; the
//! second sorts each range by row, where all that it touches stays in a core's cache. A single pass would write every
//! arc to a random place of the whole result.

use super::{Arcs, BLOCK, Csr};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// The most ranges of the first pass: as many as a core's address translation keeps apart.
const RANGES: usize = 256;

/// Below this many arcs, one thread and one range.
const SMALL: usize = 1 << 15;

/// An arc on its way to its row.
trait Arc: Copy + Default + Send + Sync {
    fn new(row: u32, target: u32, weight: f64) -> Self;
    fn row(self) -> u32;
    fn target(self) -> u32;
    fn weight(self) -> f64;
}

impl Arc for (u32, u32) {
    fn new(row: u32, target: u32, _: f64) -> Self {
        (row, target)
    }
    fn row(self) -> u32 {
        self.0
    }
    fn target(self) -> u32 {
        self.1
    }
    fn weight(self) -> f64 {
        1.0
    }
}

impl Arc for (u32, u32, f64) {
    fn new(row: u32, target: u32, weight: f64) -> Self {
        (row, target, weight)
    }
    fn row(self) -> u32 {
        self.0
    }
    fn target(self) -> u32 {
        self.1
    }
    fn weight(self) -> f64 {
        self.2
    }
}

/// The edges to build from, by index.
#[derive(Clone, Copy)]
pub(super) struct Edges<'a> {
    pub(super) src: &'a [u32],
    pub(super) dst: &'a [u32],
    pub(super) weight: Option<&'a [f64]>,
}

/// The rows of `n` nodes.
pub(super) fn rows(n: usize, edges: Edges<'_>, arcs: Arcs, ctx: &Context) -> Result<Csr, Failure> {
    if edges.weight.is_some() {
        sorted::<(u32, u32, f64)>(n, edges, arcs, ctx)
    } else {
        sorted::<(u32, u32)>(n, edges, arcs, ctx)
    }
}

/// Calls `each` with the row of every arc of the edges from `from` to `to`, and what makes the arc.
#[inline]
fn for_each<A: Arc>(e: Edges<'_>, arcs: Arcs, from: usize, to: usize, mut each: impl FnMut(A)) {
    for i in from..to {
        let (u, v) = (e.src[i], e.dst[i]);
        let w = e.weight.map_or(1.0, |w| w[i]);
        match arcs {
            Arcs::Out => each(A::new(u, v, w)),
            Arcs::In => each(A::new(v, u, w)),
            Arcs::Both => {
                each(A::new(u, v, w));
                // A loop leaves its node once.
                if u != v {
                    each(A::new(v, u, w));
                }
            }
        }
    }
}

fn sorted<A: Arc>(n: usize, e: Edges<'_>, arcs: Arcs, ctx: &Context) -> Result<Csr, Failure> {
    let m = e.src.len();
    let small = m < SMALL;
    let shift = if small {
        u32::BITS - 1
    } else {
        let mut shift = 0;
        while n >> shift >= RANGES {
            shift += 1;
        }
        shift
    };
    let ranges = if small { 1 } else { (n >> shift) + 1 };
    let parts = if small { 1 } else { 2 * rayon::current_num_threads() };
    let part = m.div_ceil(parts).max(1);
    // The edges of a part, in blocks between which the job can stop.
    let blocks = |p: usize| {
        let (from, to) = ((p * part).min(m), ((p + 1) * part).min(m));
        (from..to).step_by(BLOCK).map(move |at| (at, (at + BLOCK).min(to)))
    };

    // How many arcs each part has for each range.
    let counts: Vec<Vec<usize>> = (0..parts)
        .into_par_iter()
        .map(|p| {
            let mut counts = vec![0usize; ranges];
            for (from, to) in blocks(p) {
                ctx.check()?;
                for_each::<(u32, u32)>(Edges { weight: None, ..e }, arcs, from, to, |a| {
                    counts[(a.row() >> shift) as usize] += 1;
                });
            }
            Ok(counts)
        })
        .collect::<Result<_, Failure>>()?;

    let total: usize = counts.iter().flatten().sum();
    let mut spread = vec![A::default(); total];
    let mut places: Vec<Vec<&mut [A]>> = (0..parts).map(|_| Vec::with_capacity(ranges)).collect();
    let mut rest = &mut spread[..];
    let mut sizes = Vec::with_capacity(ranges);
    for r in 0..ranges {
        let mut size = 0;
        for (places, counts) in places.iter_mut().zip(&counts) {
            let (place, after) = rest.split_at_mut(counts[r]);
            places.push(place);
            rest = after;
            size += counts[r];
        }
        sizes.push(size);
    }
    places.into_par_iter().enumerate().try_for_each(|(p, mut places)| {
        let mut filled = vec![0usize; ranges];
        for (from, to) in blocks(p) {
            ctx.check()?;
            for_each::<A>(e, arcs, from, to, |a| {
                let r = (a.row() >> shift) as usize;
                places[r][filled[r]] = a;
                filled[r] += 1;
            });
        }
        Ok::<_, Failure>(())
    })?;

    let mut csr = Csr {
        offsets: vec![0u32; n + 1],
        targets: vec![0u32; total],
        weights: if e.weight.is_some() { vec![0f64; total] } else { Vec::new() },
    };
    let mut work = Vec::with_capacity(ranges);
    let (mut offsets, mut targets, mut weights) =
        (&mut csr.offsets[1..], &mut csr.targets[..], &mut csr.weights[..]);
    let (mut arcs_left, mut before) = (&spread[..], 0usize);
    for (r, size) in sizes.into_iter().enumerate() {
        let rows = offsets.len().min(if small { n } else { 1 << shift });
        let (o, o_rest) = offsets.split_at_mut(rows);
        let (t, t_rest) = targets.split_at_mut(size);
        let (w, w_rest) = weights.split_at_mut(if e.weight.is_some() { size } else { 0 });
        let (a, a_rest) = arcs_left.split_at(size);
        work.push((o, t, w, a, before, if small { 0 } else { r << shift }));
        (offsets, targets, weights, arcs_left) = (o_rest, t_rest, w_rest, a_rest);
        before += size;
    }
    work.into_par_iter().try_for_each(|(offsets, targets, weights, arcs, before, first)| {
        // `next[i]` is where the next arc of row i goes.
        let mut next = vec![0u32; offsets.len() + 1];
        for block in arcs.chunks(BLOCK) {
            ctx.check()?;
            block.iter().for_each(|a| next[a.row() as usize - first + 1] += 1);
        }
        for i in 1..next.len() {
            next[i] += next[i - 1];
            offsets[i - 1] = (before as u32) + next[i];
        }
        for block in arcs.chunks(BLOCK) {
            ctx.check()?;
            for a in block {
                let at = &mut next[a.row() as usize - first];
                targets[*at as usize] = a.target();
                if let Some(w) = weights.get_mut(*at as usize) {
                    *w = a.weight();
                }
                *at += 1;
            }
        }
        Ok::<_, Failure>(())
    })?;
    Ok(csr)
}
