//! Exponential smoothing as a state space model: level, trend (none, additive, damped) and season (none, additive), of
//! the values or of their logarithms, with additive errors (Hyndman, Koehler, Ord and Snyder 2008).
//!
//! For given weights the errors are linear in the first states, so those are found by least squares (De Livera, Hyndman
//! and Snyder 2011), and a search goes over the weights alone, of which there are at most four.

use super::outcome::Outcome;
use super::simplex::least;
use super::squares::Squares;
use offload_core::{Context, Failure};

/// The longest season whose states are fitted; longer ones are taken out beforehand.
pub(super) const LONGEST_SEASON: usize = 24;
/// Evaluations of the likelihood for one model, at most.
const EVALUATIONS: usize = 220;

/// What a model has beside its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    trend: bool,
    damped: bool,
    /// Values of a season; 0 without one.
    season: usize,
    /// Of the logarithms.
    log: bool,
}

/// The weights of a model.
#[derive(Clone, Copy, Debug)]
struct Weights {
    level: f64,
    trend: f64,
    season: f64,
    damping: f64,
}

impl Form {
    /// Models for a series, the simplest first.
    pub(super) fn all(season: usize, positive: bool) -> Vec<Form> {
        let mut all = Vec::new();
        for log in [false, true] {
            for season in if season > 1 { vec![0, season] } else { vec![0] } {
                for (trend, damped) in [(false, false), (true, false), (true, true)] {
                    all.push(Form { trend, damped, season, log });
                }
            }
        }
        all.retain(|f| positive || !f.log);
        all
    }

    /// States that are fitted: the seasons sum to zero.
    fn states(&self) -> usize {
        1 + usize::from(self.trend) + self.season.saturating_sub(1)
    }

    fn weights(&self) -> usize {
        1 + usize::from(self.trend) + usize::from(self.damped) + usize::from(self.season > 0)
    }

    /// Multiplications and additions to fit `n` values.
    pub(super) fn work(&self, n: f64) -> f64 {
        let k = self.states() as f64;
        EVALUATIONS as f64 * n * (20.0 + 4.0 * k + 3.0 * k * k)
    }

    /// What it is called.
    fn name(&self) -> String {
        let trend = match (self.trend, self.damped) {
            (false, _) => "no trend",
            (true, false) => "additive trend",
            (true, true) => "damped trend",
        };
        let season = match self.season {
            0 => "no season".to_string(),
            m => format!("season of {m}"),
        };
        format!("{}exponential smoothing, {trend}, {season}", if self.log { "log " } else { "" })
    }

    /// Weights within the usual bounds, from numbers without bounds.
    fn within(&self, u: &[f64]) -> Weights {
        let mut u = u.iter().copied();
        let mut next = |low: f64, high: f64| low + (high - low) / (1.0 + (-u.next().unwrap_or(0.0)).exp());
        let level = next(1e-4, 0.9999);
        let trend = if self.trend { level * next(1e-4, 0.9999) } else { 0.0 };
        let season = if self.season > 0 { (1.0 - level) * next(1e-4, 0.9999) } else { 0.0 };
        let damping = if self.damped { next(0.8, 0.98) } else { 1.0 };
        Weights { level, trend, season, damping }
    }
}

/// The level, the trend and the last season, the latest first.
struct State {
    level: f64,
    trend: f64,
    season: Vec<f64>,
    /// Where the latest of the season stands.
    latest: usize,
}

impl State {
    fn new(form: Form) -> State {
        State { level: 0.0, trend: 0.0, season: vec![0.0; form.season], latest: 0 }
    }

    /// What comes next, by the model.
    fn next(&self, w: Weights) -> f64 {
        self.level + w.damping * self.trend + self.oldest()
    }

    fn oldest(&self) -> f64 {
        match self.season.len() {
            0 => 0.0,
            m => self.season[(self.latest + m - 1) % m],
        }
    }

    /// Goes on by one value, which was off by `error`.
    fn step(&mut self, w: Weights, error: f64) {
        self.level += w.damping * self.trend + w.level * error;
        self.trend = w.damping * self.trend + w.trend * error;
        let m = self.season.len();
        if m > 0 {
            let new = self.oldest() + w.season * error;
            self.latest = (self.latest + m - 1) % m;
            self.season[self.latest] = new;
        }
    }
}

/// A model with weights and states after the last value.
pub(super) struct Fitted {
    form: Form,
    weights: Weights,
    state: State,
    /// The standard deviation of an error.
    deviation: f64,
    /// The corrected information criterion of Akaike, of the values as they came.
    pub(super) criterion: f64,
}

/// Errors of a model with first states of zero, turned into a triangle in the states.
fn triangle(y: &[f64], form: Form, w: Weights) -> Squares {
    let k = form.states();
    let mut squares = Squares::new(k);
    let mut state = State::new(form);
    // How the prediction depends on the first states: the level, the trend, the season with the latest first.
    let m = form.season;
    let (mut by_level, mut by_trend) = (1.0, w.damping);
    let mut by_season = vec![0.0; m];
    if let Some(last) = by_season.last_mut() {
        *last = 1.0;
    }
    let mut row = vec![0.0; k];
    let mut fades = false;
    for value in y {
        let error = value - state.next(w);
        state.step(w, error);
        if fades {
            squares.left += error * error;
            continue;
        }
        row[0] = by_level;
        if form.trend {
            row[1] = by_trend;
        }
        let at = k - m.saturating_sub(1);
        let last = by_season.last().copied().unwrap_or(0.0);
        row[at..].iter_mut().zip(&by_season).for_each(|(r, s)| *r = s - last);
        squares.add(&mut row, error);
        // One step: the row times the transition, less what the error changes.
        let first = by_season.first().copied().unwrap_or(0.0);
        let change =
            w.level * by_level + if form.trend { w.trend * by_trend } else { 0.0 } + w.season * first;
        by_trend = w.damping * (by_level + by_trend) - change * w.damping;
        by_level -= change;
        by_season.rotate_left(usize::from(m > 0));
        if let Some(last) = by_season.last_mut() {
            *last -= change;
        }
        let size = by_season
            .iter()
            .fold(by_level.abs().max(if form.trend { by_trend.abs() } else { 0.0 }), |s, v| s.max(v.abs()));
        // What is left of the first states counts by its square.
        fades = size < 1e-9;
    }
    squares
}

/// Fits one model; `None` when there are too few values for it, or they are not what it takes.
///
/// # Errors
/// When the job is cancelled.
pub(super) fn fit(y: &[f64], form: Form, ctx: &Context) -> Result<Option<Fitted>, Failure> {
    let n = y.len();
    let parameters = form.states() + form.weights() + 1;
    if n < parameters + 2 || (form.season > 0 && n < 2 * form.season) {
        return Ok(None);
    }
    let logs: Vec<f64> = if form.log { y.iter().map(|v| v.ln()).collect() } else { Vec::new() };
    let y = if form.log { &logs[..] } else { y };
    // A linear model is the same at every offset and scale; near one it keeps its digits.
    let origin = y[0];
    let scale = y.iter().map(|v| (v - origin).abs()).sum::<f64>() / n as f64;
    if scale == 0.0 || !scale.is_finite() {
        return Ok(None);
    }
    let near: Vec<f64> = y.iter().map(|v| (v - origin) / scale).collect();
    let objective = |u: &[f64]| {
        ctx.check()?;
        Ok((triangle(&near, form, form.within(u)).left / n as f64 + 1e-24).ln())
    };
    let start: Vec<f64> = [-0.8, -2.0, -2.0, 1.0][..form.weights()].to_vec();
    let (u, _) = least(&start, 1.0, EVALUATIONS, objective)?;
    let weights = form.within(&u);
    let squares = triangle(&near, form, weights);
    let first = squares.solution();
    let mut state = State::new(form);
    state.level = first[0];
    if form.trend {
        state.trend = first[1];
    }
    if form.season > 0 {
        let free = &first[1 + usize::from(form.trend)..];
        state.season[..free.len()].copy_from_slice(free);
        state.season[form.season - 1] = -free.iter().sum::<f64>();
    }
    let mut sum = 0.0;
    for value in &near {
        let error = value - state.next(weights);
        sum += error * error;
        state.step(weights, error);
    }
    // Back to the values as they came.
    state.level = origin + scale * state.level;
    state.trend *= scale;
    state.season.iter_mut().for_each(|s| *s *= scale);
    let variance = (sum / n as f64).max(1e-24) * scale * scale;
    let jacobian: f64 = logs.iter().sum();
    let k = parameters as f64;
    let likelihood = -0.5 * n as f64 * ((std::f64::consts::TAU * variance).ln() + 1.0) - jacobian;
    let criterion = 2.0 * k - 2.0 * likelihood + 2.0 * k * (k + 1.0) / (n as f64 - k - 1.0);
    let free = (n - form.states() - form.weights()).max(1) as f64;
    let deviation = (sum / free).sqrt() * scale;
    Ok(Some(Fitted { form, weights, state, deviation, criterion }))
}

impl Fitted {
    /// The next values, each with its standard deviation.
    pub(super) fn ahead(mut self, horizon: usize) -> Outcome {
        let w = self.weights;
        let mut values = Vec::with_capacity(horizon);
        let mut deviations = Vec::with_capacity(horizon);
        // What an error of 1 now changes later (class 1 of Hyndman et al. 2005).
        let mut response = State::new(self.form);
        let mut variance = 0.0;
        for step in 0..horizon {
            values.push(self.state.next(w));
            self.state.step(w, 0.0);
            let effect = if step == 0 { 1.0 } else { response.next(w) };
            variance += effect * effect;
            response.step(w, if step == 0 { 1.0 } else { 0.0 });
            deviations.push(self.deviation * variance.sqrt());
        }
        Outcome { values, deviations, log: self.form.log, season: Vec::new(), model: self.form.name() }
    }
}
