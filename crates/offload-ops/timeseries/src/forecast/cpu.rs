//! Forecasts on the CPU: each method is tried from several places of the history on what came next (Tashman 2000), and
//! the one that was off the least goes on from the end.

use super::normal::both_sides;
use super::outcome::Outcome;
use super::which::Which;
use super::{Inputs, LEVEL};
use crate::series::{checked, filled, values};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use rayon::prelude::*;
use serde_json::Value as Json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How far forecasts were off.
#[derive(Clone, Copy, Debug)]
struct Errors {
    mae: f64,
    rmse: f64,
    mase: f64,
}

/// What is known of one series in the end.
struct Done {
    which: Which,
    outcome: Outcome,
    errors: Errors,
}

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = inputs.extents(&inputs.history.spec())?;
    checked("history", &inputs.history, e, ctx)?;
    let candidates = inputs.candidates()?;
    let y = values(&inputs.history);
    let finished = AtomicUsize::new(0);
    let one = |y: &[f64]| {
        let done = forecast(y, &candidates, inputs, ctx)?;
        ctx.block(finished.fetch_add(1, Ordering::Relaxed) + 1, e.series)?;
        Ok(done)
    };
    let all = y.par_chunks(e.n.max(1)).map(one).collect::<Result<Vec<Done>, Failure>>()?;

    let horizon = inputs.horizon();
    let deviations = both_sides(inputs.level.unwrap_or(LEVEL));
    let mut parts: [Vec<f64>; 3] = std::array::from_fn(|_| Vec::with_capacity(all.len() * horizon));
    for done in &all {
        for (value, lower, upper) in done.outcome.interval(deviations) {
            parts.iter_mut().zip([value, lower, upper]).for_each(|(p, v)| p.push(v));
        }
    }
    let words = |of: fn(&Done) -> &str| {
        let mut words = all.iter().map(|done| Json::from(of(done)));
        let one = if e.many { None } else { words.next() };
        Value::Json(Arc::new(one.unwrap_or_else(|| words.collect())))
    };
    let figures = |of: fn(&Errors) -> f64| {
        let shape = if e.many { vec![all.len()] } else { Vec::new() };
        Value::Gapped(filled(shape, all.iter().map(|done| of(&done.errors)).collect()))
    };
    let mut outputs = Record::new();
    for (name, part) in ["values", "lower", "upper"].into_iter().zip(parts) {
        outputs.set(name, Value::Tensor(filled(e.shape(horizon), part)));
    }
    Ok(outputs
        .with("method", words(|done| done.which.word()))
        .with("model", words(|done| &done.outcome.model))
        .with("mae", figures(|e| e.mae))
        .with("rmse", figures(|e| e.rmse))
        .with("mase", figures(|e| e.mase)))
}

fn forecast(
    y: &[f64],
    candidates: &[Which],
    inputs: &Inputs<Tensor>,
    ctx: &Context,
) -> Result<Done, Failure> {
    let (season, horizon) = (inputs.season(), inputs.horizon());
    let origins = Origins::of(y.len(), season, horizon, inputs.origins());
    let trials = candidates
        .par_iter()
        .map(|&which| Ok((which, origins.tried(which, y, season, ctx)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    // The first of equals, and the simplest where nothing could be tried; methods that fail somewhere come last.
    let mut order: Vec<usize> = (0..trials.len()).collect();
    let off = |i: usize| trials[i].1.map_or(f64::INFINITY, |e| if e.mae.is_nan() { f64::MAX } else { e.mae });
    order.sort_by(|&a, &b| off(a).total_cmp(&off(b)).then(a.cmp(&b)));
    for i in order {
        let (which, errors) = trials[i];
        if let Some(outcome) = which.ahead(y, season, horizon, ctx)? {
            let nan = Errors { mae: f64::NAN, rmse: f64::NAN, mase: f64::NAN };
            return Ok(Done { which, outcome, errors: errors.unwrap_or(nan) });
        }
    }
    let names: Vec<&str> = candidates.iter().map(|w| w.word()).collect();
    Err(Failure::unprocessable(
        "no_model",
        format!(
            "history has no model of {}: it is too short, nothing in it changes, or its forecasts grow out of bounds",
            names.join(", ")
        ),
        serde_json::json!({"methods": names, "values": y.len()}),
    ))
}

/// The places of the history from which a method is tried, and how far it looks from there.
#[derive(Clone, Copy, Debug)]
struct Origins {
    count: usize,
    ahead: usize,
    n: usize,
}

impl Origins {
    /// Places one horizon apart from the end back. What comes before each has at least two seasons and ten values, and a
    /// horizon is at most a fifth of the history.
    fn of(n: usize, season: usize, horizon: usize, most: usize) -> Origins {
        let least = (2 * season + 1).max(10);
        let ahead = horizon.min((n / 5).max(1));
        Origins { count: most.min(n.saturating_sub(least) / ahead), ahead, n }
    }

    /// How far a method was off; `None` when it did not take the series somewhere.
    fn tried(
        &self,
        which: Which,
        y: &[f64],
        season: usize,
        ctx: &Context,
    ) -> Result<Option<Errors>, Failure> {
        let each = (0..self.count)
            .into_par_iter()
            .map(|i| {
                let origin = self.n - (i + 1) * self.ahead;
                let (before, after) = y.split_at(origin);
                let Some(outcome) = which.ahead(before, season, self.ahead, ctx)? else { return Ok(None) };
                let lag = season.max(1);
                let changes = before.len() - lag;
                let usual = before[lag..].iter().zip(before).map(|(b, a)| (b - a).abs()).sum::<f64>()
                    / changes as f64;
                let off = |power: fn(f64) -> f64| {
                    outcome.interval(0.0).zip(after).map(|((v, ..), y)| power(v - y)).sum::<f64>()
                };
                Ok(Some((off(f64::abs), off(|e| e * e), usual)))
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let Some(each) = each.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let ahead = self.ahead as f64;
        let mean =
            |of: &dyn Fn(&(f64, f64, f64)) -> f64| each.iter().map(of).sum::<f64>() / each.len() as f64;
        let scaled = mean(&|(absolute, _, usual)| absolute / ahead / usual);
        Ok(Some(Errors {
            mae: mean(&|e| e.0 / ahead),
            rmse: mean(&|e| e.1 / ahead).sqrt(),
            mase: if scaled.is_finite() { scaled } else { f64::NAN },
        }))
    }
}
