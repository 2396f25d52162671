//! Scores by method, and what lies beyond the threshold.

use super::{Detector, Inputs, LONGEST, global, local};
use crate::series::{BLOCK, Extents, filled, values, vector};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use rayon::prelude::*;

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of_checked("data", &inputs.data, LONGEST, ctx)?;
    let detector = inputs.detector(e.n)?;
    let x = values(&inputs.data);
    let mut scores = vec![0.0f64; x.len()];
    if !x.is_empty() {
        // Within a long series, and within a forest, work is spread as well. A thread that waits for it must not start
        // another series and hold the memory of both, so those are taken one after another.
        let together = e.n < BLOCK && !matches!(detector, Detector::Isolation(_));
        let one = |(x, scores): (&[f64], &mut [f64])| score(detector, x, scores, ctx);
        if together {
            x.par_chunks(e.n).zip(scores.par_chunks_mut(e.n)).try_for_each(one)?;
        } else {
            for (i, (x, scores)) in x.chunks(e.n).zip(scores.chunks_mut(e.n)).enumerate() {
                ctx.block(i, e.series)?;
                one((x, scores))?;
            }
        }
    }
    outputs(inputs, e, scores, ctx)
}

/// What lies beyond the threshold, and all scores where they are asked for.
pub(super) fn outputs(
    inputs: &Inputs<Tensor>,
    e: Extents,
    scores: Vec<f64>,
    ctx: &Context,
) -> Result<Record<Tensor>, Failure> {
    ctx.check()?;
    let limit = inputs.limit();
    let (mut series, mut indices, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for (s, scores) in scores.chunks(e.n.max(1)).enumerate() {
        for (i, &score) in scores.iter().enumerate() {
            if score >= limit && score > 0.0 {
                series.push(s as i64);
                indices.push(i as i64);
                found.push(score);
            }
        }
    }
    let mut outputs = Record::new()
        .with("series", vector(series))
        .with("indices", vector(indices))
        .with("scores", vector(found));
    if inputs.all_scores {
        outputs.set("all_scores", Value::Tensor(filled(e.shape(e.n), scores)));
    }
    Ok(outputs)
}

fn score(detector: Detector, x: &[f64], to: &mut [f64], ctx: &Context) -> Result<(), Failure> {
    match detector {
        Detector::Global(scale) => global::score(scale, x, 0.0, to, ctx),
        Detector::Local(scale, window) => local::score(scale, window, x, to, ctx),
        Detector::Seasonal(stl) => {
            let parts = stl.parts(x, ctx)?;
            global::score(global::Scale::Median, &parts.remainder, global::size(x), to, ctx)
        }
        Detector::Isolation(forest) => forest.score(x, to, ctx),
    }
}
