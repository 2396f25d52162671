//! How far values are from the middle of all of them, in deviations that a few outliers do not widen.

use crate::series::BLOCK;
use crate::{median, sums};
use offload_core::{Context, Failure};

/// How the middle and the deviation are estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// By the median and the median absolute deviation.
    Median,
    /// By the mean and the standard deviation of what lies within three of them.
    Clipped,
}

/// What makes the median absolute deviation of normal values their standard deviation: 1 / Φ⁻¹(3/4).
pub(super) const OF_MEDIAN: f64 = 1.482_602_218_505_602;
/// What makes the mean absolute deviation of normal values their standard deviation: √(π/2).
pub(super) const OF_MEAN: f64 = 1.253_314_137_315_500_1;
/// Rounds of clipping; each takes values away, so most series need a few.
pub(super) const ROUNDS: usize = 100;
const CLIP: f64 = 3.0;

/// The middle of a series, how far above it a value is, and the deviation.
struct Usual<T> {
    middle: f64,
    to: T,
    deviation: f64,
}

/// Writes how far each value is from the middle of all. Deviations are taken for no smaller than the roundings of the
/// middle, and of numbers of `size`.
pub(super) fn score(
    scale: Scale,
    x: &[f64],
    size: f64,
    to: &mut [f64],
    ctx: &Context,
) -> Result<(), Failure> {
    match scale {
        Scale::Median => {
            let middle = median::of(x.len(), |i| x[i], ctx)?;
            let deviation = OF_MEDIAN * median::of(x.len(), |i| middle.to(x[i]).abs(), ctx)?.value();
            write(x, to, size, Usual { middle: middle.value(), to: |v| middle.to(v), deviation }, ctx)
        }
        Scale::Clipped => write(x, to, size, clipped(x, ctx)?, ctx),
    }
}

fn write<T: Fn(f64) -> f64>(
    x: &[f64],
    to: &mut [f64],
    size: f64,
    usual: Usual<T>,
    ctx: &Context,
) -> Result<(), Failure> {
    let Usual { middle, to: above, mut deviation } = usual;
    if deviation == 0.0 {
        // More than half of the values are one: the others are held against the mean deviation (Iglewicz and Hoaglin 1993).
        let [sum] = sums::of(x, ctx, |v| [above(v).abs()])?;
        deviation = OF_MEAN * (sum / x.len() as f64);
    }
    let deviation = at_least(deviation, size.max(middle.abs()));
    for (x, to) in x.chunks(BLOCK).zip(to.chunks_mut(BLOCK)) {
        ctx.check()?;
        to.iter_mut().zip(x).for_each(|(to, x)| *to = far(above(*x), deviation));
    }
    Ok(())
}

/// The largest magnitude of a series.
pub(super) fn size(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |size, v| v.abs().max(size))
}

/// A distance in deviations; never infinite.
pub(super) fn far(distance: f64, deviation: f64) -> f64 {
    (distance.abs() / deviation).min(1e300)
}

/// A deviation that is no smaller than the roundings of numbers of `size`.
pub(super) fn at_least(deviation: f64, size: f64) -> f64 {
    deviation.max(4.0 * f64::EPSILON * size.abs()).max(f64::MIN_POSITIVE)
}

/// The mean and the standard deviation of the values within three standard deviations of the mean, of those again, until
/// none goes.
fn clipped(x: &[f64], ctx: &Context) -> Result<Usual<impl Fn(f64) -> f64>, Failure> {
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    let mut count = 0.0;
    // The mean as a value near it and the rest, so that an offset takes no digits.
    let (mut origin, mut rest, mut deviation) = (x.first().copied().unwrap_or(0.0), 0.0, 0.0);
    for _ in 0..ROUNDS {
        let inside = |v: f64| (low..=high).contains(&v);
        let near = origin + rest;
        let [sum, here] = sums::of(x, ctx, |v| if inside(v) { [v - near, 1.0] } else { [0.0, 0.0] })?;
        if here == count || here == 0.0 {
            break;
        }
        (count, origin, rest) = (here, near, sum / here);
        let square = |v: f64| {
            let apart = v - origin - rest;
            [if inside(v) { apart * apart } else { 0.0 }]
        };
        let [squares] = sums::of(x, ctx, square)?;
        deviation = (squares / here).sqrt();
        // What has gone does not come back.
        let middle = origin + rest;
        (low, high) = (low.max(middle - CLIP * deviation), high.min(middle + CLIP * deviation));
    }
    Ok(Usual { middle: origin + rest, to: move |v| v - origin - rest, deviation })
}
