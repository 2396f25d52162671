//! Local regression by lines over evenly spaced values (Cleveland 1979), as STL uses it.

use crate::series::BLOCK;
use offload_core::{Context, Failure};
use rayon::prelude::*;
use std::ops::Range;

/// How a series is smoothed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    /// How many values a line is fitted to.
    pub(super) span: usize,
    /// Every how many values one is; the values between lie on lines between the fits.
    pub(super) jump: usize,
}

impl Fit {
    /// A fit at every tenth of the span, as the authors advise.
    pub(super) fn of(span: usize) -> Fit {
        Fit { span, jump: span.div_ceil(10).max(1) }
    }
}

/// Smooths a series.
pub(super) fn smooth(
    y: &[f64],
    fit: Fit,
    weights: Option<&[f64]>,
    to: &mut [f64],
    ctx: &Context,
) -> Result<(), Failure> {
    let n = y.len();
    if n < 2 {
        to.copy_from_slice(y);
        return Ok(());
    }
    let jump = fit.jump.min(n - 1);
    let span = fit.span.min(n);
    let shift = span.div_ceil(2);
    // The values that a fit at `i` sees: as many on both sides, and as many in all at the ends.
    let seen = |i: usize| {
        let from = (i + 1).saturating_sub(shift).min(n - span);
        from..from + span
    };
    let one = |i: usize| at(y, fit.span, i as isize, seen(i), weights).unwrap_or(y[i]);
    // Each task writes the values from one fit up to, and without, that of the next task.
    // A short series is one task.
    let task = if n <= BLOCK { n } else { jump * (BLOCK / span.max(jump)).max(1) };
    to.par_chunks_mut(task).enumerate().try_for_each(|(t, to)| {
        let start = t * task;
        let mut left = one(start);
        for (run, to) in to.chunks_mut(jump).enumerate() {
            if run.is_multiple_of(64) {
                ctx.check()?;
            }
            let from = start + run * jump;
            to[0] = left;
            // After the last fit that the jumps reach there is one at the very end.
            let next = (from + jump).min(n - 1);
            if next == from {
                break;
            }
            let right = one(next);
            let slope = (right - left) / (next - from) as f64;
            for (k, v) in to.iter_mut().enumerate().skip(1) {
                *v = left + slope * k as f64;
            }
            if next < from + to.len() {
                to[next - from] = right;
            }
            left = right;
        }
        Ok(())
    })
}

/// The fit at `place`, which may lie one beyond the values, to the values `seen`; `None` when none of them has weight.
pub(super) fn at(
    y: &[f64],
    span: usize,
    place: isize,
    seen: Range<usize>,
    weights: Option<&[f64]>,
) -> Option<f64> {
    let n = y.len();
    let reach = (place - seen.start as isize).max(seen.end as isize - 1 - place);
    // Spans beyond the series reach as far as if it went on.
    let reach = reach as f64 + (span.saturating_sub(n) / 2) as f64;
    let (mut sum, mut first, mut second, mut level, mut product) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for j in seen {
        let apart = (j as isize - place) as f64;
        let r = apart.abs();
        if r > 0.999 * reach {
            continue;
        }
        let mut w = if r <= 0.001 * reach {
            1.0
        } else {
            let u = r / reach;
            let u = 1.0 - u * u * u;
            u * u * u
        };
        if let Some(weights) = weights {
            w *= weights[j];
        }
        sum += w;
        first += w * apart;
        second += w * apart * apart;
        level += w * y[j];
        product += w * apart * y[j];
    }
    if sum <= 0.0 {
        return None;
    }
    let (mean, level) = (first / sum, level / sum);
    let spread = second / sum - mean * mean;
    if reach > 0.0 && spread.max(0.0).sqrt() > 0.001 * (n - 1) as f64 {
        let slope = (product / sum - mean * level) / spread;
        return Some(level - slope * mean);
    }
    Some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_series_are_fitted_as_they_are_value_by_value() {
        let n = 2 * BLOCK + 77;
        let y: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin() + (i % 13) as f64).collect();
        let weights: Vec<f64> = (0..n).map(|i| 0.25 + (i % 4) as f64 / 4.0).collect();
        for (span, jump) in [(7, 1), (15, 2), (301, 31)] {
            let mut got = vec![f64::NAN; n];
            smooth(&y, Fit { span, jump }, Some(&weights), &mut got, &Context::default()).unwrap();
            let half = span / 2;
            // Fits in the middle see as many values on both sides; between them lie lines.
            for i in (jump * span.div_ceil(jump)..n - 2 * span).step_by(jump) {
                let fit =
                    |i: usize| at(&y, span, i as isize, i - half..i + half + 1, Some(&weights)).unwrap();
                assert_eq!(got[i], fit(i), "{span} {jump} {i}");
                if jump > 1 {
                    let between = fit(i) + (fit(i + jump) - fit(i)) / jump as f64;
                    assert!((got[i + 1] - between).abs() < 1e-12, "{span} {jump} {i}");
                }
            }
            assert!(got.iter().all(|v| v.is_finite()));
        }
    }
}
