//! The methods, each of which turns a history into an outcome.

use super::outcome::Outcome;
use super::{FITTED, arima, learned, smoothing};
use crate::lstm::{self, Settings};
use crate::stl::Stl;
use offload_core::{Context, Failure};

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Naive,
    SeasonalNaive,
    Smoothing,
    Arima,
    Lstm(Settings),
}

/// A forecast is no use beyond this.
const LARGEST: f64 = 1e150;

impl Which {
    /// The word on the wire.
    pub(super) fn word(self) -> &'static str {
        match self {
            Which::Naive => "naive",
            Which::SeasonalNaive => "seasonal_naive",
            Which::Smoothing => "holt_winters",
            Which::Arima => "arima",
            Which::Lstm(_) => "lstm",
        }
    }

    /// Multiplications and additions to fit `n` values and go on.
    pub(super) fn work(self, n: f64, season: usize, horizon: f64) -> f64 {
        let apart = seasons(season).map_or(0.0, |s| s.work(n));
        20.0 * horizon
            + match self {
                Which::Naive | Which::SeasonalNaive => 4.0 * n,
                Which::Smoothing if season > smoothing::LONGEST_SEASON => {
                    apart + smoothing::Form::all(0, true).iter().map(|f| f.work(n)).sum::<f64>()
                }
                Which::Smoothing => smoothing::Form::all(season, true).iter().map(|f| f.work(n)).sum(),
                Which::Arima => apart + arima::work(n),
                Which::Lstm(settings) => apart + lstm::work(n, settings.steps as f64, horizon),
            }
    }

    /// Forecasts of a series by this method; `None` when it does not take such a series.
    ///
    /// # Errors
    /// When the job is cancelled.
    pub(super) fn ahead(
        self,
        y: &[f64],
        season: usize,
        horizon: usize,
        ctx: &Context,
    ) -> Result<Option<Outcome>, Failure> {
        ctx.check()?;
        let y = &y[y.len().saturating_sub(FITTED)..];
        let outcome = match self {
            Which::Naive => Some(repeated(y, 1, horizon, "the last value")),
            Which::SeasonalNaive => (season > 1 && y.len() > season)
                .then(|| repeated(y, season, horizon, &format!("the last season of {season}"))),
            Which::Smoothing if season <= smoothing::LONGEST_SEASON => smoothed(y, season, horizon, ctx)?,
            Which::Smoothing => without_season(y, season, ctx, |y| smoothed(y, 0, horizon, ctx))?,
            Which::Arima => without_season(y, season, ctx, |y| arima::ahead(y, horizon, ctx))?,
            Which::Lstm(settings) => learned::ahead(y, season, horizon, settings, ctx)?,
        };
        Ok(outcome.filter(useful))
    }
}

/// Whether a forecast and twenty deviations around it are numbers.
fn useful(outcome: &Outcome) -> bool {
    outcome.interval(20.0).all(|(v, l, u)| [v, l, u].iter().all(|x| x.abs() <= LARGEST))
}

/// The last `season` values over and over. Errors add up from one to the next.
fn repeated(y: &[f64], season: usize, horizon: usize, model: &str) -> Outcome {
    let n = y.len();
    let last = &y[n - season.min(n)..];
    let changes = n.saturating_sub(season);
    let squares: f64 = y[n - changes..].iter().zip(y).map(|(b, a)| (b - a) * (b - a)).sum();
    let deviation = (squares / changes.max(1) as f64).sqrt();
    Outcome {
        values: (0..horizon).map(|i| last[i % season]).collect(),
        deviations: (0..horizon).map(|i| deviation * ((i / season + 1) as f64).sqrt()).collect(),
        log: false,
        season: Vec::new(),
        model: model.into(),
    }
}

/// The likeliest model of exponential smoothing; the last value where there is none.
fn smoothed(y: &[f64], season: usize, horizon: usize, ctx: &Context) -> Result<Option<Outcome>, Failure> {
    let positive = y.iter().all(|v| *v > 0.0);
    let mut best: Option<(f64, Outcome)> = None;
    for form in smoothing::Form::all(season, positive) {
        let Some(fitted) = smoothing::fit(y, form, ctx)? else { continue };
        let criterion = fitted.criterion;
        if best.as_ref().is_some_and(|(b, _)| criterion >= *b) {
            continue;
        }
        let outcome = fitted.ahead(horizon);
        if useful(&outcome) {
            best = Some((criterion, outcome));
        }
    }
    Ok(Some(match best {
        Some((_, outcome)) => outcome,
        None => repeated(y, 1, horizon, "the last value, for want of values or of changes"),
    }))
}

/// How a season is taken out.
pub(super) fn seasons(season: usize) -> Option<Stl> {
    (season > 1).then_some(Stl { period: season, seasons: 13, inner: 2, outer: 0 })
}

/// What `of` makes of the series without its season, and the last season again.
fn without_season(
    y: &[f64],
    season: usize,
    ctx: &Context,
    of: impl Fn(&[f64]) -> Result<Option<Outcome>, Failure>,
) -> Result<Option<Outcome>, Failure> {
    match seasons(season) {
        Some(stl) if y.len() >= 2 * season => {
            let parts = stl.parts(y, ctx)?;
            let rest: Vec<f64> = y.iter().zip(&parts.season).map(|(y, s)| y - s).collect();
            let last = &parts.season[y.len() - season..];
            Ok(of(&rest)?.map(|outcome| outcome.with_season(last)))
        }
        _ => of(y),
    }
}
