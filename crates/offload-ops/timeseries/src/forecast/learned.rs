//! Forecasts by a recurrent network, and what is done to a series before and after: a season is taken out, the rest is
//! differenced until it keeps its level, and brought to a spread of 1.

use super::arima::level;
use super::outcome::Outcome;
use super::which::seasons;
use crate::lstm::{self, Ahead, Series, Settings};
use offload_core::{Context, Failure};

/// A series with equal changes, to what is left of their spread by rounding.
const EQUAL: f64 = 1e-9;

/// A series as a network takes it, and the way back.
pub(super) struct Prepared {
    pub(super) series: Series,
    mean: f64,
    deviation: f64,
    /// The last value before each difference.
    lasts: Vec<f64>,
    season: Vec<f64>,
}

/// What a series is to a network.
pub(super) enum Prepare {
    /// Too short.
    Refused,
    /// Nothing changes, or each change is the last one.
    Known(Outcome),
    /// To be learned.
    Learn(Prepared),
}

/// Readies a series.
///
/// # Errors
/// When the job is cancelled.
pub(super) fn prepare(y: &[f64], season: usize, horizon: usize, ctx: &Context) -> Result<Prepare, Failure> {
    let (rest, season) = match seasons(season) {
        Some(stl) if y.len() >= 2 * season => {
            let parts = stl.parts(y, ctx)?;
            let rest = y.iter().zip(&parts.season).map(|(y, s)| y - s).collect();
            (rest, parts.season[y.len() - season..].to_vec())
        }
        _ => (y.to_vec(), Vec::new()),
    };
    let mut w: Vec<f64> = rest;
    let mut lasts = Vec::new();
    let (_, spread) = deviation(&w);
    while lasts.len() < 2 && w.len() > 1 && spread > 0.0 && !level(&w) {
        lasts.push(w[w.len() - 1]);
        w = w.windows(2).map(|pair| pair[1] - pair[0]).collect();
    }
    let (mean, deviation) = deviation(&w);
    if deviation <= EQUAL * spread {
        let zeros = Ahead { values: vec![0.0; horizon], deviations: vec![0.0; horizon] };
        return Ok(Prepare::Known(back(
            mean,
            0.0,
            &lasts,
            &season,
            &zeros,
            "a line, as nothing else changes",
        )));
    }
    // A drift is one if chance would hardly make it, and none of second differences: it would lead far away.
    let drift = mean * mean * w.len() as f64 > 4.0 * deviation * deviation;
    let mean = if lasts.is_empty() || (lasts.len() == 1 && drift) { mean } else { 0.0 };
    let narrow = w.iter().map(|v| ((v - mean) / deviation) as f32).collect();
    let Some(series) = Series::new(narrow, lasts.len()) else { return Ok(Prepare::Refused) };
    Ok(Prepare::Learn(Prepared { series, mean, deviation, lasts, season }))
}

/// Mean and standard deviation.
fn deviation(w: &[f64]) -> (f64, f64) {
    let n = w.len().max(1) as f64;
    let mean = w.iter().sum::<f64>() / n;
    (mean, (w.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt())
}

impl Prepared {
    /// The forecasts of the series itself.
    pub(super) fn outcome(&self, ahead: &Ahead) -> Outcome {
        let of = ["", " of differences", " of second differences"];
        let model = format!("lstm({}){}", lstm::HIDDEN, of[self.lasts.len().min(2)]);
        back(self.mean, self.deviation, &self.lasts, &self.season, ahead, &model)
    }
}

/// Undoes what was done to a series.
fn back(mean: f64, deviation: f64, lasts: &[f64], season: &[f64], ahead: &Ahead, model: &str) -> Outcome {
    let mut levels = lasts.to_vec();
    let value = |v: &f32| {
        // What the mean and the last values lead to; sums of the rest are in `ahead`.
        let mut value = mean;
        for level in levels.iter_mut().rev() {
            *level += value;
            value = *level;
        }
        value + deviation * f64::from(*v)
    };
    let values = ahead.values.iter().map(value).collect();
    let deviations = ahead.deviations.iter().map(|d| deviation * f64::from(*d)).collect();
    let outcome = Outcome { values, deviations, log: false, season: Vec::new(), model: model.into() };
    if season.is_empty() { outcome } else { outcome.with_season(season) }
}

/// Forecasts of a series; `None` when it is too short.
///
/// # Errors
/// When the job is cancelled.
pub(super) fn ahead(
    y: &[f64],
    season: usize,
    horizon: usize,
    settings: Settings,
    ctx: &Context,
) -> Result<Option<Outcome>, Failure> {
    Ok(match prepare(y, season, horizon, ctx)? {
        Prepare::Refused => None,
        Prepare::Known(outcome) => Some(outcome),
        Prepare::Learn(prepared) => {
            let ahead = lstm::forecast(&prepared.series, settings, horizon, ctx)?;
            Some(prepared.outcome(&ahead))
        }
    })
}
