//! What is known of every window of a series: its deviation, and whether all its values are one.

use crate::rolling;
use offload_core::{Context, Failure};

/// Standard deviations (of all values, not of a sample) of the windows of `m` values; 0 exactly where all are one.
pub(super) fn deviations(x: &[f64], m: usize, ctx: &Context) -> Result<Vec<f64>, Failure> {
    let mut all = rolling::deviations(x, m, ctx)?;
    all.drain(..m - 1);
    // Roundings do not make a window of equal values vary, nor one of others constant.
    let mut same = 1;
    for i in 0..x.len() {
        same = if i > 0 && x[i] == x[i - 1] { same + 1 } else { 1 };
        if let Some(start) = (i + 1).checked_sub(m) {
            let d = &mut all[start];
            *d = if same >= m { 0.0 } else { d.max(f64::MIN_POSITIVE) };
        }
    }
    Ok(all)
}

/// The distance of two windows whose level and scale are taken off, from their correlation (Mueen et al. 2017). Of two
/// constant ones it is 0, of a constant one and another √m.
pub(super) fn distance(m: usize, correlation: f64) -> f64 {
    (2.0 * m as f64 * (1.0 - correlation.clamp(-1.0, 1.0))).sqrt()
}

/// The distance of two windows value by value, which loses no digits.
pub(super) fn exact(a: &[f64], b: &[f64]) -> f64 {
    let m = a.len() as f64;
    let (a, b) = (standard(a), standard(b));
    match (a, b) {
        (None, None) => 0.0,
        (None, Some(_)) | (Some(_), None) => m.sqrt(),
        (Some(a), Some(b)) => a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
    }
}

/// A window without its level and its scale; `None` when it is constant.
pub(super) fn standard(x: &[f64]) -> Option<Vec<f64>> {
    let origin = *x.first()?;
    if x.iter().all(|v| *v == origin) {
        return None;
    }
    let n = x.len() as f64;
    let mut z: Vec<f64> = x.iter().map(|v| v - origin).collect();
    // Twice, as the first mean is rounded to the size of the values.
    for _ in 0..2 {
        let mean = z.iter().sum::<f64>() / n;
        z.iter_mut().for_each(|v| *v -= mean);
    }
    let deviation = (z.iter().map(|v| v * v).sum::<f64>() / n).sqrt().max(f64::MIN_POSITIVE);
    z.iter_mut().for_each(|v| *v /= deviation);
    Some(z)
}
