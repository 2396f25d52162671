//! Windows on the CPU: over each series, and within one over runs of whole blocks.

use super::{Inputs, LONGEST, Statistic, fold, median};
use crate::series::{Extents, filled, values};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Values of one task, where a window does not have more.
pub(super) const TASK: usize = 1 << 14;

/// What all windows of a job share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Values of a window, at most as many as the series has.
    pub(super) width: usize,
    /// The fewest values that a statistic is taken of.
    pub(super) fewest: usize,
    /// What is taken off the number of values for a variance.
    pub(super) ddof: usize,
}

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of_checked("data", &inputs.data, LONGEST, ctx)?;
    let (asked, fewest) = (inputs.asked()?, inputs.fewest()?);
    // A window that is never full has what a window of the whole series has.
    let width = (inputs.window as usize).clamp(1, e.n.max(1));
    let windows = Windows { width, fewest, ddof: inputs.ddof.unwrap_or(1) as usize };
    let x = values(&inputs.data);
    let mut outputs = Record::new();
    for (i, &(name, statistic)) in asked.iter().enumerate() {
        ctx.block(i, asked.len())?;
        let mut out = vec![f64::NAN; x.len()];
        if e.n > 0 && fewest <= e.n {
            x.par_chunks(e.n)
                .zip(out.par_chunks_mut(e.n))
                .try_for_each(|(x, out)| one(statistic, x, out, windows, ctx))?;
        }
        outputs.set(name, Value::Gapped(filled(e.shape(e.n), out)));
    }
    Ok(outputs)
}

/// One statistic of one series.
fn one(s: Statistic, x: &[f64], out: &mut [f64], w: Windows, ctx: &Context) -> Result<(), Failure> {
    let run = w.width * (TASK / w.width).max(1);
    out.par_chunks_mut(run).enumerate().try_for_each(|(i, out)| {
        let start = i * run;
        match s {
            Statistic::Min => fold::slide::<fold::Least>(x, start, out, w, ctx),
            Statistic::Max => fold::slide::<fold::Largest>(x, start, out, w, ctx),
            Statistic::Sum => fold::slide::<fold::Sum>(x, start, out, w, ctx),
            Statistic::Mean => fold::slide::<fold::Mean>(x, start, out, w, ctx),
            Statistic::Var => fold::slide::<fold::Variance>(x, start, out, w, ctx),
            Statistic::Std => {
                fold::slide::<fold::Variance>(x, start, out, w, ctx)?;
                out.iter_mut().for_each(|v| *v = v.sqrt());
                Ok(())
            }
            Statistic::Median => median::slide(x, start, out, w, ctx),
        }
    })
}

/// The standard deviation of all values, and not of a sample, of each whole window of one series; NaN before.
pub(crate) fn deviations(x: &[f64], width: usize, ctx: &Context) -> Result<Vec<f64>, Failure> {
    of_whole(Statistic::Std, x, width, ctx)
}

/// The mean of each whole window of one series; NaN before.
pub(crate) fn means(x: &[f64], width: usize, ctx: &Context) -> Result<Vec<f64>, Failure> {
    of_whole(Statistic::Mean, x, width, ctx)
}

fn of_whole(statistic: Statistic, x: &[f64], width: usize, ctx: &Context) -> Result<Vec<f64>, Failure> {
    let mut out = vec![f64::NAN; x.len()];
    one(statistic, x, &mut out, Windows { width, fewest: width, ddof: 0 }, ctx)?;
    Ok(out)
}
