//! ARIMA(p, d, q): differences by the test of Kwiatkowski, Phillips, Schmidt and Shin (1992), orders by steps to the
//! likeliest neighbours (Hyndman and Khandakar 2008).

use super::arma::{Model, ORDER, Orders, STEPS, fit};
use super::outcome::Outcome;
use offload_core::{Context, Failure};

/// Models that are tried, at most.
const MODELS: usize = 40;

/// Multiplications and additions to find a model of `n` values.
pub(super) fn work(n: f64) -> f64 {
    MODELS as f64 * STEPS as f64 * n * 300.0
}

/// Bytes that the search takes for each value: differences, errors, and what the longest regression holds.
pub(super) const BYTES_PER_VALUE: u64 = 8 * 6;

/// Forecasts of a series; `None` when there are too few values, or all are one.
///
/// # Errors
/// When the job is cancelled.
pub(super) fn ahead(y: &[f64], horizon: usize, ctx: &Context) -> Result<Option<Outcome>, Failure> {
    let origin = y.first().copied().unwrap_or(0.0);
    let scale = y.iter().map(|v| (v - origin).abs()).sum::<f64>() / y.len().max(1) as f64;
    if y.len() < 12 || scale == 0.0 || !scale.is_finite() {
        return Ok(None);
    }
    let mut w: Vec<f64> = y.iter().map(|v| (v - origin) / scale).collect();
    // The last value before each difference, to sum the forecasts up from.
    let mut lasts = Vec::new();
    while lasts.len() < 2 && !level(&w) {
        lasts.push(w[w.len() - 1]);
        w = w.windows(2).map(|pair| pair[1] - pair[0]).collect();
    }
    let d = lasts.len();
    let Some(model) = search(&w, d, ctx)? else { return Ok(None) };
    let n = w.len();
    let errors = model.errors(&w);
    let deviation = (model.squares / n.saturating_sub(model.orders.count()).max(1) as f64).sqrt() * scale;

    // The model goes on with errors of zero; and with one error of 1 alone, for the variance.
    let mut z: Vec<f64> = w[n - ORDER.min(n)..].iter().map(|v| v - model.mean).collect();
    let mut e: Vec<f64> = errors[n - ORDER.min(n)..].to_vec();
    let (mut effect_z, mut effect_e) = (vec![0.0; ORDER], vec![0.0; ORDER]);
    let (mut values, mut deviations) = (Vec::with_capacity(horizon), Vec::with_capacity(horizon));
    let (mut level_of, mut effects) = (lasts, vec![0.0; d]);
    let mut variance = 0.0;
    for step in 0..horizon {
        let next = model.next(&z, &e);
        advance(&mut z, next);
        advance(&mut e, 0.0);
        let mut value = next + model.mean;
        for level in level_of.iter_mut().rev() {
            *level += value;
            value = *level;
        }
        values.push(origin + scale * value);
        let error = if step == 0 { 1.0 } else { 0.0 };
        let mut effect = model.next(&effect_z, &effect_e) + error;
        advance(&mut effect_z, effect);
        advance(&mut effect_e, error);
        for sum in effects.iter_mut().rev() {
            *sum += effect;
            effect = *sum;
        }
        variance += effect * effect;
        deviations.push(deviation * f64::sqrt(variance));
    }
    let Orders { p, q, mean } = model.orders;
    let model = format!(
        "arima({p}, {d}, {q}){}",
        match (mean, d) {
            (false, _) => "",
            (true, 0) => " with mean",
            (true, _) => " with drift",
        }
    );
    Ok(Some(Outcome { values, deviations, log: false, season: Vec::new(), model }))
}

/// Puts a value at the end and drops the first.
fn advance(last: &mut [f64], new: f64) {
    last.rotate_left(1);
    if let Some(end) = last.last_mut() {
        *end = new;
    }
}

/// Whether a series keeps its level: the statistic of Kwiatkowski et al. is below its value at 5%.
pub(super) fn level(w: &[f64]) -> bool {
    let n = w.len() as f64;
    let mean = w.iter().sum::<f64>() / n;
    let e: Vec<f64> = w.iter().map(|v| v - mean).collect();
    let covariance = |lag: usize| e[lag..].iter().zip(&e).map(|(a, b)| a * b).sum::<f64>() / n;
    let lags = (4.0 * (n / 100.0).powf(0.25)) as usize;
    let long: f64 = covariance(0)
        + (1..=lags.min(e.len() - 1))
            .map(|l| 2.0 * (1.0 - l as f64 / (lags as f64 + 1.0)) * covariance(l))
            .sum::<f64>();
    let mut sum = 0.0;
    let sums: f64 = e
        .iter()
        .map(|v| {
            sum += v;
            sum * sum
        })
        .sum();
    long <= 0.0 || sums / (n * n * long) < 0.463
}

/// The likeliest model among neighbours, by the corrected criterion of Akaike.
fn search(w: &[f64], d: usize, ctx: &Context) -> Result<Option<Model>, Failure> {
    let mut tried: Vec<Orders> = Vec::new();
    let mut best: Option<Model> = None;
    let means: &[bool] = match d {
        0 => &[true],
        1 => &[false, true],
        _ => &[false],
    };
    let starts: Vec<Orders> = [(2, 2), (0, 0), (1, 0), (0, 1)]
        .iter()
        .flat_map(|&(p, q)| means.iter().map(move |&mean| Orders { p, q, mean }))
        .collect();
    let mut next = starts;
    while !next.is_empty() {
        let mut improved = false;
        for orders in std::mem::take(&mut next) {
            if tried.contains(&orders) || tried.len() >= MODELS {
                continue;
            }
            tried.push(orders);
            let Some(model) = fit(w, orders, ctx)? else { continue };
            if best.as_ref().is_none_or(|b| model.criterion < b.criterion) {
                best = Some(model);
                improved = true;
            }
        }
        if let (true, Some(b)) = (improved, &best) {
            let Orders { p, q, mean } = b.orders;
            let steps = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)];
            let moved = |of: usize, by: isize| of.checked_add_signed(by).filter(|&o| o <= ORDER);
            next.extend(
                steps.iter().filter_map(|&(i, j)| Some(Orders { p: moved(p, i)?, q: moved(q, j)?, mean })),
            );
            if means.len() > 1 {
                next.push(Orders { p, q, mean: !mean });
            }
        }
    }
    Ok(best)
}
