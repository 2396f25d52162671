//! The nearest other window of each window (matrix profile: Yeh et al. 2016), along the diagonals of the table of all
//! pairs, on which a covariance follows from the one before it (Zhu et al. 2016; Zimmerman et al. 2019).

use super::Asked;
use super::windows::deviations;
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Steps along a diagonal after which a covariance is summed anew, so that roundings do not add up.
pub(super) const ANEW: usize = 1 << 12;

/// For each window the largest correlation with another, and where that starts; none where all others are excluded.
pub(super) struct Profile {
    pub(super) correlation: Vec<f64>,
    pub(super) neighbour: Vec<u32>,
}

/// Stands for no window.
pub(super) const NOBODY: u32 = u32::MAX;

/// Operations and bytes of workspace.
pub(super) fn cost(a: Asked) -> (f64, u64) {
    let w = a.windows as f64;
    let anew = 2.0 * a.m as f64 * (w * w / ANEW as f64 / 2.0 + w);
    let threads = rayon::current_num_threads() as u64;
    let windows = a.windows as u64;
    // What is known of each window, and for each thread a profile; what the ends of windows take while deviations are made.
    (5.0 * w * w + anew, 64 * (windows + a.m as u64) + threads * (12 * windows + 40 * (a.m as u64 + 1)))
}

/// A series from its first value on, and what each window is made of.
pub(super) struct Known {
    pub(super) x: Vec<f64>,
    m: usize,
    /// 1 / (σ √m), 0 where the window is constant.
    pub(super) scale: Vec<f64>,
    pub(super) mean: Vec<f64>,
    /// Half of what the last value and the one before the first differ by, and the sum of their differences from the means.
    pub(super) half: Vec<f64>,
    pub(super) both: Vec<f64>,
}

impl Known {
    /// Looks at each window of a series.
    pub(super) fn of(x: &[f64], a: Asked, ctx: &Context) -> Result<Known, Failure> {
        let (m, windows) = (a.m, a.windows);
        let origin = x.first().copied().unwrap_or(0.0);
        let x: Vec<f64> = x.iter().map(|v| v - origin).collect();
        let mut scale = deviations(&x, m, ctx)?;
        scale.iter_mut().for_each(|s| *s = if *s > 0.0 { 1.0 / (*s * (m as f64).sqrt()) } else { 0.0 });
        let mut mean = crate::rolling::means(&x, m, ctx)?;
        mean.drain(..m - 1);
        let step = |i: usize, of: &dyn Fn(usize) -> f64| if i == 0 { 0.0 } else { of(i) };
        let half = (0..windows).map(|i| step(i, &|i| (x[i + m - 1] - x[i - 1]) / 2.0)).collect();
        let both =
            (0..windows).map(|i| step(i, &|i| (x[i + m - 1] - mean[i]) + (x[i - 1] - mean[i - 1]))).collect();
        Ok(Known { x, m, scale, mean, half, both })
    }
}

/// Finds the profile of a series.
pub(super) fn of(x: &[f64], a: Asked, ctx: &Context) -> Result<Profile, Failure> {
    let windows = a.windows;
    let known = Known::of(x, a, ctx)?;

    // Every so many-th diagonal is one thread's. The largest of all is the largest of each one's largest, whoever had which.
    let parts = rayon::current_num_threads().max(1);
    let first = a.exclusion + 1;
    let found = (0..parts)
        .into_par_iter()
        .map(|part| {
            let mut p =
                Profile { correlation: vec![f64::NEG_INFINITY; windows], neighbour: vec![NOBODY; windows] };
            for apart in (first + part..windows).step_by(parts) {
                known.diagonal(apart, &mut p, ctx)?;
                if part == 0 {
                    ctx.block(apart, windows)?;
                }
            }
            Ok(p)
        })
        .collect::<Result<Vec<Profile>, Failure>>()?;
    let mut all = found.into_iter();
    let Some(mut p) = all.next() else {
        return Ok(Profile { correlation: Vec::new(), neighbour: Vec::new() });
    };
    for other in all {
        for i in 0..windows {
            take(&mut p.correlation[i], &mut p.neighbour[i], other.correlation[i], other.neighbour[i]);
        }
    }
    Ok(p)
}

/// Keeps the larger correlation, of equals the earlier window.
#[inline]
fn take(best: &mut f64, at: &mut u32, correlation: f64, window: u32) {
    if correlation > *best || (correlation == *best && window < *at) {
        (*best, *at) = (correlation, window);
    }
}

impl Known {
    /// All pairs of windows that are `apart` from each other.
    fn diagonal(&self, apart: usize, p: &mut Profile, ctx: &Context) -> Result<(), Failure> {
        let windows = self.scale.len();
        let mut covariance = 0.0;
        for i in 0..windows - apart {
            let j = i + apart;
            if i.is_multiple_of(ANEW) {
                ctx.check()?;
                covariance = self.covariance(i, j);
            } else {
                covariance += self.half[i] * self.both[j] + self.half[j] * self.both[i];
            }
            let (a, b) = (self.scale[i], self.scale[j]);
            // Constant windows are alike, and half alike to others: a distance of √m is a correlation of a half.
            let correlation = match (a == 0.0, b == 0.0) {
                (false, false) => (covariance * a * b).min(1.0),
                (true, true) => 1.0,
                _ => 0.5,
            };
            take(&mut p.correlation[i], &mut p.neighbour[i], correlation, j as u32);
            take(&mut p.correlation[j], &mut p.neighbour[j], correlation, i as u32);
        }
        Ok(())
    }

    fn covariance(&self, i: usize, j: usize) -> f64 {
        let (a, b) = (&self.x[i..i + self.m], &self.x[j..j + self.m]);
        a.iter().zip(b).map(|(a, b)| (a - self.mean[i]) * (b - self.mean[j])).sum()
    }
}
