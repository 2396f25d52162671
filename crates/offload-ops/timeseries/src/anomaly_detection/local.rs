//! How far each value is from the middle of those before it.

use super::global::{OF_MEAN, OF_MEDIAN, Scale, at_least, far};
use crate::median::Middle;
use crate::series::BLOCK;
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Bytes that a thread takes for each value of a window: in order, or the moments of a block's ends.
pub(super) const MEDIAN_BYTES: u64 = 8;
pub(super) const MEAN_BYTES: u64 = 16;

/// Writes how far each value is from the middle of the `window` values before it; 0 where there are fewer.
pub(super) fn score(
    scale: Scale,
    window: usize,
    x: &[f64],
    to: &mut [f64],
    ctx: &Context,
) -> Result<(), Failure> {
    if x.len() <= window {
        return Ok(());
    }
    let task = BLOCK.max(4 * window);
    to[window..].par_chunks_mut(task).enumerate().try_for_each(|(t, to)| match scale {
        Scale::Median => medians(window, &x[t * task..], to, ctx),
        Scale::Clipped => means(window, &x[t * task..], to, ctx),
    })
}

/// Against medians. `x` starts with the window of the first score.
fn medians(window: usize, x: &[f64], to: &mut [f64], ctx: &Context) -> Result<(), Failure> {
    let mut sorted = x[..window].to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    for (i, to) in to.iter_mut().enumerate() {
        if i.is_multiple_of(256) {
            ctx.check()?;
        }
        let middle = middle_of(window, |k| sorted[k]);
        // Distances from the middle ascend to both sides, so the one in the middle of them is found by halving.
        let upper = sorted.partition_point(|v| middle.to(*v) < 0.0);
        let (below, above) = sorted.split_at(upper);
        let mut deviation = OF_MEDIAN * middle_of(window, |k| nearest(below, above, middle, k)).value();
        if deviation == 0.0 {
            // In the order of time, as a device has them.
            let before = x[i..i + window].iter();
            deviation = OF_MEAN * before.map(|v| middle.to(*v).abs()).sum::<f64>() / window as f64;
        }
        let next = x[i + window];
        *to = far(middle.to(next), at_least(deviation, middle.value()));
        replace(&mut sorted, x[i], next);
    }
    Ok(())
}

/// The median of `n` values, given by rank.
fn middle_of(n: usize, ranked: impl Fn(usize) -> f64) -> Middle {
    Middle(ranked((n - 1) / 2), ranked(n / 2))
}

/// The distance of this rank from `middle`, of values ascending up to it and from it.
fn nearest(below: &[f64], above: &[f64], middle: Middle, rank: usize) -> f64 {
    // Of the `rank + 1` nearest, `taken` lie above: the most for which the last of them is no farther than what it keeps out.
    let distance_below = |k: usize| -middle.to(below[below.len() - 1 - k]);
    let distance_above = |k: usize| middle.to(above[k]);
    let (mut low, mut high) = ((rank + 1).saturating_sub(below.len()), above.len().min(rank + 1));
    while low < high {
        let taken = (low + high).div_ceil(2);
        // The last one above against the first one below that is left out for it.
        let kept_out = rank + 1 - taken;
        if kept_out >= below.len() || distance_above(taken - 1) <= distance_below(kept_out) {
            low = taken;
        } else {
            high = taken - 1;
        }
    }
    let from_above = if low > 0 { distance_above(low - 1) } else { 0.0 };
    let from_below = if low <= rank { distance_below(rank - low) } else { 0.0 };
    from_above.max(from_below)
}

/// Takes `old` out of values in their order and puts `new` in.
fn replace(sorted: &mut [f64], old: f64, new: f64) {
    let out = sorted.partition_point(|v| v.total_cmp(&old).is_lt());
    let into = sorted.partition_point(|v| v.total_cmp(&new).is_lt());
    if into > out {
        sorted.copy_within(out + 1..into, out);
        sorted[into - 1] = new;
    } else {
        sorted.copy_within(into..out, into + 1);
        sorted[into] = new;
    }
}

/// Against means. `x` starts with the window of the first score.
fn means(window: usize, x: &[f64], to: &mut [f64], ctx: &Context) -> Result<(), Failure> {
    // Every window of a block holds the value before its end, so differences from that lose nothing.
    let mut ends: Vec<(f64, f64)> = vec![(0.0, 0.0); window];
    for (block, to) in to.chunks_mut(window).enumerate() {
        ctx.check()?;
        let here = &x[block * window..];
        let origin = here[window - 1];
        let (mut sum, mut squares) = (0.0, 0.0);
        for (k, v) in here[..window].iter().enumerate().rev() {
            let apart = v - origin;
            (sum, squares) = joined((sum, squares, (window - 1 - k) as f64), apart);
            ends[k] = (sum, squares);
        }
        let mut head = (0.0, 0.0);
        for (i, to) in to.iter_mut().enumerate() {
            let (a, b) = (ends[i], head);
            let (left, right) = ((window - i) as f64, i as f64);
            // Moments of the two parts joined (Chan, Golub and LeVeque 1983); the first of each is the mean.
            let apart = b.0 - a.0;
            let mean = a.0 + apart * right / window as f64;
            let squares = a.1 + b.1 + apart * apart * left * right / window as f64;
            let next = here[window + i];
            let middle = origin + mean;
            *to = far(next - origin - mean, at_least((squares / window as f64).sqrt(), middle));
            head = joined((head.0, head.1, i as f64), next - origin);
        }
    }
    Ok(())
}

/// The mean and the sum of squares around it of `count` values and one more (Welford 1962).
fn joined((mean, squares, count): (f64, f64, f64), value: f64) -> (f64, f64) {
    let apart = value - mean;
    let mean = mean + apart / (count + 1.0);
    (mean, squares + apart * (value - mean))
}
