//! Correlations on the CPU, one series after another; the lags of each are spread over the threads.

use super::{Inputs, LONGEST, Normalization, lags};
use crate::series::{BLOCK, Extents, filled, values, vector};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of_checked("a", &inputs.a, LONGEST, ctx)?;
    if let Some(b) = &inputs.b {
        Extents::of_checked("b", b, LONGEST, ctx)?;
    }
    let (farthest, m) = (inputs.farthest(e.n), inputs.count(e.n));
    let a = values(&inputs.a);
    let b = inputs.b.as_ref().map(values);
    let mut out = vec![0.0f64; e.series * m];
    for (i, to) in out.chunks_mut(m.max(1)).enumerate() {
        ctx.block(i, e.series)?;
        let of = |all: &[f64]| {
            // One series for all stands at the start.
            let at = if all.len() > e.n { i * e.n } else { 0 };
            prepared(&all[at..at + e.n], inputs.normalization, ctx)
        };
        let a = of(&a)?;
        let b = b.as_deref().map(of).transpose()?;
        lags::correlate(&a.values, b.as_ref().map(|b| &b.values[..]), farthest, to, ctx)?;
        let by = match inputs.normalization {
            Normalization::None => 1.0,
            Normalization::Covariance => e.n as f64,
            Normalization::Coefficient => (a.squares * b.as_ref().map_or(a.squares, |b| b.squares)).sqrt(),
        };
        // A constant series has no coefficient: 0 / 0 is not a number.
        to.iter_mut().for_each(|v| *v /= by);
    }
    let first = if inputs.b.is_some() { -(farthest as i64) } else { 0 };
    Ok(Record::new()
        .with("lags", vector((0..m as i64).map(|i| first + i).collect::<Vec<_>>()))
        .with("values", Value::Gapped(filled(e.shape(m), out))))
}

/// A series without its mean, where that is asked for, and the sum of its squares.
struct Prepared {
    values: Vec<f64>,
    squares: f64,
}

fn prepared(x: &[f64], normalization: Normalization, ctx: &Context) -> Result<Prepared, Failure> {
    ctx.check()?;
    let mut values = x.to_vec();
    if normalization != Normalization::None {
        // Differences from one of the values first: an offset takes no digits, and a constant is zero.
        let origin = x.first().copied().unwrap_or(0.0);
        values.iter_mut().for_each(|v| *v -= origin);
        let n = x.len().max(1) as f64;
        let mean = values.chunks(BLOCK).map(|b| b.iter().sum::<f64>()).sum::<f64>() / n;
        values.iter_mut().for_each(|v| *v -= mean);
    }
    let squares = values.chunks(BLOCK).map(|b| b.iter().map(|v| v * v).sum::<f64>()).sum();
    Ok(Prepared { values, squares })
}
