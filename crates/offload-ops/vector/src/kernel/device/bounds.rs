//! What a product of a query and a row says about the row's cost, where the product is a device's: queries as it takes
//! them, and the least cost that a bound leaves.
//!
//! The names are those of [`Frame`]: `t = α (n² − 2 q·x)` for the distance and `t = −q̂·x` else, of vectors in the frame.
//! A product `p` of `f·q` (`f = −2α` or `−1/‖q‖`) and `x` is off by at most `s ‖f q‖ n`, whatever the order of summation,
//! where `s` is that of the precision:
//!
//! * `f32`: the frame's slack, a little above `(d + 16) u`.
//! * TF32: either operand keeps 10 bits behind the point, by rounding or by truncation, so each is off by at most 2⁻¹⁰ of
//!   itself, a product by 2⁻⁹ + 2⁻²⁰; the sum is kept in `f32`, whose terms tensor cores truncate as they align them
//!   (Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021): `(d + 16)` times 2⁻²¹ is
//!   four times what that can amount to.
//!
//! For the distance that is at most `s α ‖q‖ (n²/m + m)` for any `m > 0`, by the inequality of the means. With `m` the
//! usual norm of a row it is nearly as tight, and needs no root: the kernel forms `p + own · n²` with
//! `own = α (1 − s‖q‖/m − ε)`, which is never above `t + s α ‖q‖ m` but for underflow. For products it forms `p − s n`,
//! for cosines `p / n`, off by at most `s`.

use super::super::frame::{Frame, Framed};
use super::super::metric::Metric;
use super::super::pair::{LEAST, MOST, Real, largest, square};

/// Half the distance from 1 to the next `f32`.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;
/// Rows that the frame is fitted to.
const SAMPLE: usize = 256;
/// Components whose largest is beyond these powers of two are scaled before a product takes them.
const SMALL: f64 = 1.0 / (1u64 << 20) as f64;
const LARGE: f64 = (1u64 << 20) as f64;

/// The precision of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Tf32,
    F32,
}

/// How vectors are brought to the product, and what that makes of its results.
pub(super) struct Bounds {
    pub(super) frame: Frame,
    /// Whether rows are packed, or taken as they are.
    pub(super) packed: bool,
    metric: Metric,
    d: usize,
    /// A usual norm of a row in the frame.
    usual: f64,
}

/// A query in the frame.
pub(super) struct Query {
    framed: Framed,
    /// What the kernel multiplies a row's weight by.
    pub(super) own: f32,
    /// How far a bound can be above.
    above: f64,
}

impl Bounds {
    /// For rows of which `sample` are typical.
    pub(super) fn fit<T: Real>(metric: Metric, d: usize, sample: &[&[T]]) -> Bounds {
        let numbers: Vec<u32> = (0..sample.len() as u32).collect();
        let fitted = Frame::fit(metric, d, &numbers, |i| sample[i as usize]);
        let most = sample.iter().map(|x| largest(x)).fold(0.0f64, |m, x| if x > m { x } else { m });
        let mut as_is = T::SAFE && d.is_multiple_of(4) && (SMALL..=LARGE).contains(&most);
        let mut usual = usual_norm(&fitted, metric, sample);
        let plain = Frame::plain(metric, d);
        if metric == Metric::L2 {
            // Far from the origin the squares cancel: then moving the rows is worth a pass over them.
            let centre = fitted.centre.iter().map(|c| c * c).sum::<f64>().sqrt() * fitted.scale;
            as_is &= centre <= 0.5 * usual;
        }
        let frame = if as_is {
            usual = usual_norm(&plain, metric, sample);
            plain
        } else {
            fitted
        };
        Bounds { frame, packed: !as_is, metric, d, usual }
    }

    fn slack(&self, precision: Precision) -> f64 {
        match precision {
            Precision::F32 => self.frame.slack(),
            Precision::Tf32 => 1.01 / 512.0 + (self.d + 16) as f64 / (1u64 << 21) as f64 + self.frame.slack(),
        }
    }

    /// Packs a query; `None` when it has no place in the frame and every row must be evaluated for it.
    pub(super) fn query<T: Real>(&self, q: &[T], precision: Precision, to: &mut [f32]) -> Option<Query> {
        let frame = &self.frame;
        let moved = |i: usize| match self.metric {
            Metric::L2 => (q[i].wide() - frame.centre[i]) * frame.scale,
            _ => q[i].wide(),
        };
        let square: f64 = (0..self.d).map(|i| moved(i) * moved(i)).sum();
        let norm = square.sqrt();
        let usable =
            if self.metric == Metric::L2 { square <= MOST } else { (LEAST..=MOST).contains(&square) };
        if !usable {
            return None;
        }
        let s = self.slack(precision) + 8.0 * UNIT;
        let (alpha, factor, own, above) = match self.metric {
            Metric::L2 => {
                let alpha = 1.0 / norm.max(1.0);
                let share = s * norm / self.usual;
                // What the weight and the sum are rounded by, and this factor itself.
                let rounding = frame.slack() + share / LARGE;
                let above = s * alpha * norm * self.usual * (1.0 + 1.0 / LARGE);
                (alpha, -2.0 * alpha, alpha * (1.0 - share - rounding), above)
            }
            Metric::Cosine => {
                // A row as it is may be as short as 2^-40, which underflow is divided by.
                let under = frame.underflow() * (1u64 << 40) as f64;
                (1.0, -1.0 / norm, 0.0, s + under)
            }
            _ => (1.0, -1.0 / norm, -s, 0.0),
        };
        for (i, to) in to[..self.d].iter_mut().enumerate() {
            *to = (moved(i) * factor) as f32;
        }
        Some(Query { framed: Framed { alpha, square, norm }, own: own as f32, above })
    }

    /// The least cost of a row whose bound came out as this or more.
    pub(super) fn least_cost(&self, query: &Query, bound: f32) -> f64 {
        self.frame.least_cost(&query.framed, f64::from(bound) - query.above)
    }
}

/// The root of the mean square of the norms that are in range.
fn usual_norm<T: Real>(frame: &Frame, metric: Metric, sample: &[&[T]]) -> f64 {
    if metric != Metric::L2 {
        return 1.0;
    }
    let norm = |x: &[T]| {
        let moved = x.iter().zip(&frame.centre).map(|(x, c)| (x.wide() - c) * frame.scale);
        moved.map(|v| v * v).sum::<f64>()
    };
    let squares: Vec<f64> = sample.iter().map(|x| norm(x)).filter(|s| *s < LARGE * LARGE).collect();
    let mean = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    if mean > 0.0 { mean.sqrt() } else { 1.0 }
}

/// Typical rows: some that the filter leaves in, spread over the corpus.
pub(super) fn sample<'a, T: Real>(corpus: &'a [T], d: usize, filter: Option<&[u8]>) -> Vec<&'a [T]> {
    let rows = corpus.len() / d.max(1);
    let row = |i: usize| &corpus[i * d..(i + 1) * d];
    match filter {
        None => (0..rows).step_by(rows.div_ceil(SAMPLE).max(1)).map(row).collect(),
        Some(mask) => {
            let left = mask.iter().filter(|&&m| m != 0).count();
            let step = left.div_ceil(SAMPLE).max(1);
            let kept = mask.iter().enumerate().filter(|(_, m)| **m != 0);
            kept.step_by(step).map(|(i, _)| row(i)).collect()
        }
    }
}

/// The queries as `f64`, and their sums of squares.
pub(super) fn widened<T: Real>(queries: &[T], d: usize) -> (Vec<f64>, Vec<f64>) {
    let wide = queries.iter().map(|x| x.wide()).collect();
    (wide, queries.chunks_exact(d).map(square).collect())
}
