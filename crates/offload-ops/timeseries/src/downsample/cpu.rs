//! Largest triangle three buckets (Steinarsson 2013), each series by one thread: a choice depends on the one before.

use super::{Inputs, LONGEST};
use crate::series::{BLOCK, Extents, filled, values};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use rayon::prelude::*;
use serde_json::json;

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of_checked("data", &inputs.data, LONGEST, ctx)?;
    let times = inputs.timestamps.as_ref().map(|t| ascending(t, ctx)).transpose()?;
    let m = e.n.min(inputs.points as usize);
    let mut indices = vec![0i64; e.series * m];
    let mut kept = vec![0f64; e.series * m];
    if m > 0 {
        values(&inputs.data)
            .par_chunks(e.n)
            .zip(indices.par_chunks_mut(m).zip(kept.par_chunks_mut(m)))
            .try_for_each(|(y, (indices, kept))| {
                match &times {
                    Some(x) => triangles(y, &Stamped(x), indices, ctx)?,
                    None => triangles(y, &Even, indices, ctx)?,
                }
                kept.iter_mut().zip(indices.iter()).for_each(|(kept, &i)| *kept = y[i as usize]);
                Ok::<_, Failure>(())
            })?;
    }
    Ok(Record::new()
        .with("indices", Value::Tensor(filled(e.shape(m), indices)))
        .with("values", Value::Tensor(filled(e.shape(m), kept))))
}

/// How far apart in time values are.
trait Times: Sync {
    /// From one value to another.
    fn between(&self, from: usize, to: usize) -> f64;
    /// From one value to the mean of others.
    fn to_mean(&self, from: usize, of: std::ops::Range<usize>) -> f64;
}

struct Even;

impl Times for Even {
    fn between(&self, from: usize, to: usize) -> f64 {
        (to - from) as f64
    }
    fn to_mean(&self, from: usize, of: std::ops::Range<usize>) -> f64 {
        (of.start - from) as f64 + (of.len() - 1) as f64 / 2.0
    }
}

struct Stamped<'a>(&'a [f64]);

impl Times for Stamped<'_> {
    fn between(&self, from: usize, to: usize) -> f64 {
        self.0[to] - self.0[from]
    }
    fn to_mean(&self, from: usize, of: std::ops::Range<usize>) -> f64 {
        let count = of.len() as f64;
        of.map(|to| self.between(from, to)).sum::<f64>() / count
    }
}

/// Of each bucket the value that spans the largest triangle with the choice before it and the mean of the next bucket;
/// the first of equals. The first and the last value are buckets of their own.
fn triangles(y: &[f64], x: &impl Times, chosen: &mut [i64], ctx: &Context) -> Result<(), Failure> {
    let (n, m) = (y.len(), chosen.len());
    if m == n {
        chosen.iter_mut().enumerate().for_each(|(i, c)| *c = i as i64);
        return Ok(());
    }
    // In integers, so that no bucket is off by a rounding. `m` is below 2^32 and `n` below 2^41.
    let edge = |bucket: usize| 1 + (bucket as u128 * (n - 2) as u128 / (m - 2) as u128) as usize;
    let mut last = 0;
    let mut seen = 0;
    for bucket in 0..m.saturating_sub(2) {
        let here = edge(bucket)..edge(bucket + 1);
        let next = here.end..if bucket + 3 == m { n } else { edge(bucket + 2) };
        seen += here.len();
        if seen >= BLOCK {
            seen = 0;
            ctx.check()?;
        }
        let run = x.to_mean(last, next.clone());
        let rise = next.clone().map(|i| y[i] - y[last]).sum::<f64>() / next.len() as f64;
        let (mut best, mut largest) = (here.start, -1.0);
        for i in here {
            let area = (run * (y[i] - y[last]) - x.between(last, i) * rise).abs();
            if area > largest {
                (best, largest) = (i, area);
            }
        }
        chosen[bucket + 1] = best as i64;
        last = best;
    }
    chosen[m - 1] = (n - 1) as i64;
    ctx.check()
}

/// Times as differences from the first.
///
/// # Errors
/// `not_finite`, `out_of_range` or `not_ascending` with the first time that is.
pub(super) fn ascending(t: &Tensor, ctx: &Context) -> Result<Vec<f64>, Failure> {
    let times: Vec<f64> = match (t.as_slice::<i64>(), t.as_slice::<f64>()) {
        // Differences of 64 bits are exact before they are rounded; stamps in nanoseconds keep their last digits.
        (Some(t), _) => t.iter().map(|x| (i128::from(*x) - i128::from(t[0])) as f64).collect(),
        (_, Some(all)) => {
            Extents::of_checked("timestamps", t, LONGEST, ctx)?;
            all.iter().map(|x| x - all[0]).collect()
        }
        _ => Vec::new(),
    };
    match times.windows(2).position(|pair| pair[1] < pair[0]) {
        None => Ok(times),
        Some(i) => Err(Failure::unprocessable(
            "not_ascending",
            format!("timestamps[{}] is before the one before it; sort data by time", i + 1),
            json!({"index": i + 1}),
        )),
    }
}
