//! Sums in an order that a group of a device's items can keep as well, so that both find the same to the bit.
//!
//! A run of values is summed by lanes: each has every so-many-th value, in their order, and then the upper half of the lanes is
//! added to the lower until one is left. The sums of runs are summed in the same way.

use offload_core::{Context, Failure};

/// Lanes of a run: the items of a group.
pub(crate) const LANES: usize = 256;
/// Values of a run.
pub(crate) const RUN: usize = 1 << 13;

/// The sums of what `of` makes of each value.
///
/// # Errors
/// When the job is cancelled.
pub(crate) fn of<const K: usize>(
    x: &[f64],
    ctx: &Context,
    of: impl Fn(f64) -> [f64; K],
) -> Result<[f64; K], Failure> {
    let mut runs = [[0.0; LANES]; K];
    let count = x.len().div_ceil(RUN);
    for (r, run) in x.chunks(RUN).enumerate() {
        ctx.check()?;
        let mut lanes = [[0.0; LANES]; K];
        for row in run.chunks(LANES) {
            for (t, &v) in row.iter().enumerate() {
                lanes.iter_mut().zip(of(v)).for_each(|(lanes, v)| lanes[t] += v);
            }
        }
        for (runs, lanes) in runs.iter_mut().zip(&mut lanes) {
            runs[r % LANES] += joined(lanes, run.len());
        }
    }
    Ok(runs.map(|mut lanes| joined(&mut lanes, count)))
}

/// The sum of lanes, of which the first `count` are in use. The others hold 0, which adds nothing.
fn joined(lanes: &mut [f64; LANES], count: usize) -> f64 {
    let mut half = count.min(LANES).next_power_of_two() / 2;
    while half > 0 {
        let (lower, upper) = lanes.split_at_mut(half);
        lower.iter_mut().zip(upper).for_each(|(lower, upper)| *lower += *upper);
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_their_sums_whatever_their_number() {
        for n in [0, 1, 2, 3, 255, 256, 257, 1000, RUN - 1, RUN, RUN + 1, 3 * RUN + 77, LANES * RUN + RUN + 1]
        {
            let x: Vec<f64> = (0..n).map(|i| (i % 1013) as f64).collect();
            let want: u64 = (0..n as u64).map(|i| i % 1013).sum();
            let got = of(&x, &Context::default(), |v| [v, 1.0]).unwrap();
            assert_eq!(got, [want as f64, n as f64]);
        }
    }

    #[test]
    fn lanes_are_added_as_a_group_adds_them() {
        let x: Vec<f64> = (0..2 * RUN + 300).map(|i| (i as f64 * 0.37).sin()).collect();
        // The same by its definition, value by value.
        let tree = |mut lanes: Vec<f64>| {
            for half in [128, 64, 32, 16, 8, 4, 2, 1] {
                for t in 0..half {
                    lanes[t] += lanes[t + half];
                }
            }
            lanes[0]
        };
        let lane =
            |values: &[f64], t: usize| values.iter().skip(t).step_by(LANES).fold(0.0, |sum, v| sum + v);
        let by_lanes = |values: &[f64]| tree((0..LANES).map(|t| lane(values, t)).collect());
        let runs: Vec<f64> = x.chunks(RUN).map(by_lanes).collect();
        let got = of(&x, &Context::default(), |v| [v]).unwrap();
        assert_eq!(got[0].to_bits(), by_lanes(&runs).to_bits());
    }
}
