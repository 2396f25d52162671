//! Medians of values that need not lie in memory, by counting digits, so that a long one can be stopped and copies nothing.

use crate::series::BLOCK;
use offload_core::{Context, Failure};

/// Fewer values than this are copied and partitioned.
const FEW: usize = 1 << 14;
const DIGIT_BITS: u32 = 16;

/// Bytes of workspace.
pub(crate) fn bytes(n: u64) -> u64 {
    if n < FEW as u64 { 8 * n } else { 8 << DIGIT_BITS }
}

/// The value in the middle, or the two there of an even number: their mean would lose the last digit of both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Middle(pub(crate) f64, pub(crate) f64);

impl Middle {
    /// The median.
    pub(crate) fn value(self) -> f64 {
        (self.0 + self.1) / 2.0
    }

    /// How far a value is above it.
    pub(crate) fn to(self, value: f64) -> f64 {
        ((value - self.0) + (value - self.1)) / 2.0
    }
}

/// The median of the `n` values that `at` gives, all of them finite; 0 of none.
///
/// # Errors
/// When the job is cancelled.
pub(crate) fn of(n: usize, at: impl Fn(usize) -> f64, ctx: &Context) -> Result<Middle, Failure> {
    if n < FEW {
        ctx.check()?;
        let mut all: Vec<f64> = (0..n).map(at).collect();
        return Ok(of_few(&mut all));
    }
    let lower = ranked(n, &at, (n - 1) / 2, ctx)?;
    if !n.is_multiple_of(2) {
        return Ok(Middle(lower, lower));
    }
    let (mut up_to, mut above) = (0, f64::INFINITY);
    for i in 0..n {
        if i.is_multiple_of(BLOCK) {
            ctx.check()?;
        }
        let v = at(i);
        if v <= lower { up_to += 1 } else { above = above.min(v) }
    }
    Ok(Middle(lower, if up_to > n / 2 { lower } else { above }))
}

/// The median of a few values, which change places.
pub(crate) fn of_few(all: &mut [f64]) -> Middle {
    let n = all.len();
    if n == 0 {
        return Middle(0.0, 0.0);
    }
    let (below, &mut upper, _) = all.select_nth_unstable_by(n / 2, f64::total_cmp);
    if !n.is_multiple_of(2) {
        return Middle(upper, upper);
    }
    Middle(below.iter().copied().fold(f64::NEG_INFINITY, f64::max), upper)
}

/// The value of this rank, from 0: its bits are found from the highest, sixteen at a time.
fn ranked(n: usize, at: &impl Fn(usize) -> f64, mut rank: usize, ctx: &Context) -> Result<f64, Failure> {
    let mut found = 0u64;
    let mut counts = vec![0usize; 1 << DIGIT_BITS];
    for shift in (0..64).step_by(DIGIT_BITS as usize).rev() {
        counts.fill(0);
        for i in 0..n {
            if i.is_multiple_of(BLOCK) {
                ctx.check()?;
            }
            let key = key(at(i));
            if shift + DIGIT_BITS == 64 || key >> (shift + DIGIT_BITS) == found >> (shift + DIGIT_BITS) {
                counts[(key >> shift) as usize & ((1 << DIGIT_BITS) - 1)] += 1;
            }
        }
        for (digit, &count) in counts.iter().enumerate() {
            if rank < count {
                found |= (digit as u64) << shift;
                break;
            }
            rank -= count;
        }
    }
    Ok(f64::from_bits(if found >> 63 == 1 { found ^ (1 << 63) } else { !found }))
}

/// A number in the order of the values. Zeros are one.
fn key(v: f64) -> u64 {
    let bits = (v + 0.0).to_bits();
    if bits >> 63 == 0 { bits | (1 << 63) } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_and_sorted_medians_agree() {
        let mut state = 9u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        for n in [FEW, FEW + 1, 3 * FEW] {
            for (scale, offset, steps) in
                [(2.0, -1.0, 0.0), (1e-3, 1e9, 0.0), (8.0, -4.0, 1.0), (1e100, -1e99, 0.0)]
            {
                let x: Vec<f64> = (0..n)
                    .map(|_| {
                        if steps > 0.0 { (next() * scale).floor() + offset } else { next() * scale + offset }
                    })
                    .collect();
                let mut sorted = x.clone();
                sorted.sort_by(f64::total_cmp);
                let want = Middle(sorted[(n - 1) / 2], sorted[n / 2]);
                assert_eq!(of(n, |i| x[i], &Context::default()), Ok(want), "{n} {scale} {offset}");
            }
        }
    }
}
