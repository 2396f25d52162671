//! Windows by joining ends: a window is the end of one block and the start of the next (van Herk 1992; Gil and Werman
//! 1993). Nothing is ever taken out of a sum, so no digits are lost to what was in it before.

use super::cpu::Windows;
use crate::series::BLOCK;
use offload_core::{Context, Failure};

/// What one value of a block takes at most.
pub(super) const MOST_BYTES_PER_VALUE: u64 = size_of::<Moments>() as u64;

/// A statistic that follows from those of two parts.
pub(super) trait Fold {
    /// What is kept of a part.
    type Part: Copy;
    /// What is kept of one value, given as its difference from `origin`.
    fn of(value: f64, origin: f64) -> Self::Part;
    /// What is kept of two parts, the first of which comes first.
    fn join(a: Self::Part, b: Self::Part) -> Self::Part;
    /// The statistic of a whole window.
    fn value(part: Self::Part, count: usize, ddof: usize) -> f64;
}

/// Writes the statistic of the windows that end at `start` and after. `start` is where a block starts.
pub(super) fn slide<F: Fold>(
    x: &[f64],
    start: usize,
    out: &mut [f64],
    w: Windows,
    ctx: &Context,
) -> Result<(), Failure> {
    let mut ends: Vec<F::Part> = Vec::with_capacity(w.width);
    for (block, out) in out.chunks_mut(w.width).enumerate() {
        let from = start + block * w.width;
        let before = &x[from.saturating_sub(w.width)..from];
        // This value is in every window that ends in this block, so what it costs in digits the window loses anyway.
        let origin = x[from];
        // From the last value back: `ends[k]` is of the last k + 1 values of the block before.
        ends.clear();
        for run in before.rchunks(BLOCK) {
            ctx.check()?;
            for &value in run.iter().rev() {
                let part = F::of(value, origin);
                ends.push(ends.last().map_or(part, |&later| F::join(part, later)));
            }
        }
        let mut head: Option<F::Part> = None;
        for (run, out) in out.chunks_mut(BLOCK).enumerate() {
            ctx.check()?;
            for (i, out) in out.iter_mut().enumerate() {
                let i = run * BLOCK + i;
                let part = F::of(x[from + i], origin);
                let part = head.map_or(part, |head| F::join(head, part));
                head = Some(part);
                let earlier = w.width - 1 - i;
                let count = i + 1 + earlier.min(before.len());
                if count < w.fewest {
                    continue;
                }
                let whole = match earlier.min(before.len()).checked_sub(1) {
                    Some(k) => F::join(ends[k], part),
                    None => part,
                };
                *out = F::value(whole, count, w.ddof);
            }
        }
    }
    Ok(())
}

/// The least value.
pub(super) struct Least;

impl Fold for Least {
    type Part = f64;
    fn of(value: f64, _: f64) -> f64 {
        value
    }
    fn join(a: f64, b: f64) -> f64 {
        a.min(b)
    }
    fn value(part: f64, _: usize, _: usize) -> f64 {
        part
    }
}

/// The largest value.
pub(super) struct Largest;

impl Fold for Largest {
    type Part = f64;
    fn of(value: f64, _: f64) -> f64 {
        value
    }
    fn join(a: f64, b: f64) -> f64 {
        a.max(b)
    }
    fn value(part: f64, _: usize, _: usize) -> f64 {
        part
    }
}

/// The sum, in two words of which the second holds what the first cannot (Dekker 1971).
pub(super) struct Sum;

impl Fold for Sum {
    type Part = (f64, f64);
    fn of(value: f64, _: f64) -> (f64, f64) {
        (value, 0.0)
    }
    fn join(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
        let sum = a.0 + b.0;
        let of_b = sum - a.0;
        let lost = (a.0 - (sum - of_b)) + (b.0 - of_b);
        let rest = lost + (a.1 + b.1);
        let high = sum + rest;
        (high, rest - (high - sum))
    }
    fn value(part: (f64, f64), _: usize, _: usize) -> f64 {
        part.0 + part.1
    }
}

/// The mean, by the sum.
pub(super) struct Mean;

impl Fold for Mean {
    type Part = (f64, f64);
    fn of(value: f64, origin: f64) -> (f64, f64) {
        Sum::of(value, origin)
    }
    fn join(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
        Sum::join(a, b)
    }
    fn value(part: (f64, f64), count: usize, _: usize) -> f64 {
        (part.0 + part.1) / count as f64
    }
}

/// How many values, their mean and the sum of the squares of their differences from it.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

/// The variance, by joining moments (Chan, Golub and LeVeque 1983). Values are differences from one near them, so that
/// a large offset takes no digits.
pub(super) struct Variance;

impl Fold for Variance {
    type Part = Moments;
    fn of(value: f64, origin: f64) -> Moments {
        Moments { count: 1.0, mean: value - origin, squares: 0.0 }
    }
    fn join(a: Moments, b: Moments) -> Moments {
        let count = a.count + b.count;
        let apart = b.mean - a.mean;
        let share = b.count / count;
        Moments {
            count,
            mean: a.mean + apart * share,
            squares: a.squares + b.squares + apart * apart * a.count * share,
        }
    }
    fn value(part: Moments, count: usize, ddof: usize) -> f64 {
        if count > ddof { part.squares / (count - ddof) as f64 } else { f64::NAN }
    }
}
