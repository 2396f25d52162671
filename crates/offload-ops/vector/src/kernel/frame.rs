//! Vectors as the blocked product takes them: `f32`, moved and scaled into range, with two columns beside their
//! components that turn each product into a bound.
//!
//! For a query `q` and a row `x`, both moved by a common centre and scaled, let `n = ‖x‖`. What ranks rows is
//! `t = α (n² − 2 q·x)` for the distance, with `α = 1 / max(1, ‖q‖)`, and `t = −q̂·x` for products and cosines. In `f32`
//! a product of `d + 2` terms is off by at most `γ Σ|terms|` in any order of summation, `γ = (d + 2) u / (1 − (d + 2) u)`
//! (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, section 3.1). With the columns `n²` and `n`
//! of a row against coefficients `α (1 − s)` and `−2 s α ‖q‖` of the query, `s` a little above `(d + 16) u`, the product comes out as a
//! number that is never above `t` but for underflow, which [`Frame::underflow`] bounds. The bound is as tight for each
//! row as its own norm allows, so a row far out does not blur the others.

use super::exact::Vectors;
use super::metric::Metric;
use super::pair::{LEAST, MOST, Real, exponent, largest, power_of_two, square};
use super::simd::{Loop, vectorised};

/// Half the distance from 1 to the next `f32`.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;
/// Rows longer than this in the frame are not bounded but evaluated.
const LONGEST: f64 = (1u64 << 40) as f64;
/// Rows that the frame is fitted to.
const SAMPLE: usize = 1024;

/// Where vectors are moved and how they are scaled.
pub(crate) struct Frame {
    metric: Metric,
    d: usize,
    pub(super) centre: Vec<f64>,
    pub(super) scale: f64,
}

/// A query in the frame.
pub(crate) struct Framed {
    pub(super) alpha: f64,
    pub(super) square: f64,
    pub(super) norm: f64,
}

impl Frame {
    /// The frame that fits these rows, as a sample of them tells.
    pub(crate) fn fit<'a, T: Real>(
        metric: Metric,
        d: usize,
        rows: &[u32],
        row: impl Fn(u32) -> &'a [T],
    ) -> Frame {
        let mut centre = vec![0.0; if metric == Metric::L2 { d } else { 0 }];
        let step = rows.len().div_ceil(SAMPLE).max(1);
        let sample = || rows.iter().step_by(step).map(|&r| row(r)).filter(|x| largest(x) < f64::MAX / 4096.0);
        if metric == Metric::L2 {
            let count = sample().count().max(1) as f64;
            for x in sample() {
                centre.iter_mut().zip(x).for_each(|(c, x)| *c += x.wide() / count);
            }
        }
        let most = sample().fold(0.0f64, |m, x| match metric {
            Metric::L2 => x.iter().zip(&centre).fold(m, |m, (x, c)| m.max((x.wide() - c).abs())),
            _ => m.max(largest(x)),
        });
        let scale = if most > 0.0 && metric != Metric::Cosine { power_of_two(-exponent(most)) } else { 1.0 };
        Frame { metric, d, centre, scale }
    }

    /// The frame in which vectors stay where and as they are.
    pub(super) fn plain(metric: Metric, d: usize) -> Frame {
        Frame { metric, d, centre: vec![0.0; if metric == Metric::L2 { d } else { 0 }], scale: 1.0 }
    }

    /// Columns of a packed vector.
    pub(crate) fn width(&self) -> usize {
        self.d + 2
    }

    /// The share of the product of two norms that a product in `f32` is off by at most.
    pub(super) fn slack(&self) -> f64 {
        // The second order, which counts from some ten thousand components on, is in the denominator.
        let first = (self.d + 16) as f64 * UNIT;
        first / (1.0 - 2.0 * first)
    }

    /// What underflow can add to a bound.
    pub(super) fn underflow(&self) -> f64 {
        (self.d + 16) as f64 * f64::from(f32::MIN_POSITIVE)
    }

    /// Packs a row; `false` when it has no place in the frame and must be evaluated instead.
    #[inline(always)]
    fn pack<T: Real>(&self, x: &[T], to: &mut [f32]) -> bool {
        let (components, columns) = to.split_at_mut(self.d);
        let (n_square, n) = match self.metric {
            Metric::Cosine => {
                let sum = square(x);
                if sum == 0.0 && largest(x) == 0.0 {
                    components.fill(0.0);
                    (0.0, 0.0)
                } else if (LEAST..=MOST).contains(&sum) {
                    let by = 1.0 / sum.sqrt();
                    for (to, x) in components.iter_mut().zip(x) {
                        *to = (x.wide() * by) as f32;
                    }
                    (1.0, 1.0)
                } else {
                    return false;
                }
            }
            Metric::L2 => {
                let sum = spread(components, x, &self.centre, |x, c| (x - c) * self.scale);
                (sum, sum.sqrt())
            }
            _ => {
                let sum = spread(components, x, x, |x, _| x * self.scale);
                (sum, sum.sqrt())
            }
        };
        columns[0] = n_square as f32;
        columns[1] = n as f32;
        // NaN is not below anything.
        n < LONGEST
    }

    /// Packs the rows that have a place; the others are named apart.
    pub(crate) fn pack_rows<T: Real>(
        &self,
        rows: &[u32],
        space: &Vectors<'_, T>,
        to: &mut [f32],
        packed: &mut Vec<u32>,
        apart: &mut Vec<u32>,
    ) {
        packed.clear();
        vectorised(PackRows { frame: self, rows, space, to, packed, apart });
    }

    /// Packs a query; `None` when it has no place in the frame and every row must be evaluated for it.
    pub(crate) fn pack_query<T: Real>(&self, q: &[T], to: &mut [f32]) -> Option<Framed> {
        let moved = |i: usize| match self.metric {
            Metric::L2 => (q[i].wide() - self.centre[i]) * self.scale,
            _ => q[i].wide(),
        };
        let square: f64 = (0..self.d).map(|i| moved(i) * moved(i)).sum();
        let norm = square.sqrt();
        let usable =
            if self.metric == Metric::L2 { square <= MOST } else { (LEAST..=MOST).contains(&square) };
        if !usable {
            return None;
        }
        let (alpha, factor, own, length) = match self.metric {
            Metric::L2 => {
                let alpha = 1.0 / norm.max(1.0);
                (alpha, -2.0 * alpha, alpha * (1.0 - self.slack()), -2.0 * self.slack() * alpha * norm)
            }
            _ => (1.0, -1.0 / norm, 0.0, -self.slack()),
        };
        for (i, to) in to[..self.d].iter_mut().enumerate() {
            *to = (moved(i) * factor) as f32;
        }
        to[self.d] = own as f32;
        to[self.d + 1] = length as f32;
        Some(Framed { alpha, square, norm })
    }

    /// The least cost that a row can have whose product with this query came out as `bound` or more.
    pub(crate) fn least_cost(&self, q: &Framed, bound: f64) -> f64 {
        let t = bound - self.underflow();
        match self.metric {
            Metric::L2 => {
                // What evaluating the distance in f64 can be off by where the query is far from the centre; the
                // part that goes with the row's norm is within the slack.
                let margin = 4.0 * (self.d + 32) as f64 * f64::EPSILON * q.square;
                (t / q.alpha + q.square - margin).max(0.0).sqrt() / self.scale
            }
            Metric::Dot => t * q.norm / self.scale,
            _ => t,
        }
    }
}

/// Rows into the frame.
struct PackRows<'a, 'b, T> {
    frame: &'a Frame,
    rows: &'a [u32],
    space: &'a Vectors<'b, T>,
    to: &'a mut [f32],
    packed: &'a mut Vec<u32>,
    apart: &'a mut Vec<u32>,
}

impl<T: Real> Loop for PackRows<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.frame.width();
        for &r in self.rows {
            let at = self.packed.len() * width;
            if self.frame.pack(self.space.row(r), &mut self.to[at..at + width]) {
                self.packed.push(r);
            } else {
                self.apart.push(r);
            }
        }
    }
}

/// Writes `f` of each component and gives the sum of its squares.
#[inline(always)]
fn spread<T: Real, C: Real>(to: &mut [f32], x: &[T], c: &[C], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0f64; 8];
    let (to, to_rest) = to.as_chunks_mut::<8>();
    let (x, x_rest) = x.as_chunks::<8>();
    let (c, c_rest) = c.as_chunks::<8>();
    for ((to, x), c) in to.iter_mut().zip(x).zip(c) {
        for i in 0..8 {
            let v = f(x[i].wide(), c[i].wide());
            to[i] = v as f32;
            sums[i] += v * v;
        }
    }
    for ((to, x), c) in to_rest.iter_mut().zip(x_rest).zip(c_rest) {
        let v = f(x.wide(), c.wide());
        *to = v as f32;
        sums[0] += v * v;
    }
    sums.iter().sum()
}
