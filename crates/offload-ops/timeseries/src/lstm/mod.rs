//! A small recurrent network that learns to predict the next value of a series.

mod adam;
mod bend;
mod network;
mod parameters;
mod paths;
mod train;

use offload_core::{Context, Failure};
use parameters::COUNT;
pub(crate) use paths::Ahead;

/// Units of the layer.
pub(crate) const HIDDEN: usize = 32;
/// Gates of all units.
const GATES: usize = 4 * HIDDEN;
/// The last inputs, which the head sees.
const LAGS: usize = 8;
/// Weights of the head: of the state, of these inputs, and what is added.
const HEAD: usize = HIDDEN + LAGS + 1;
/// Windows of a batch.
const ROWS: usize = 32;
/// Ways on that are tried to see how far they lead apart; of each [`ROWS`] one is the forecast itself.
const PATHS: usize = 4 * ROWS;
/// Inputs of a window, at most.
const WINDOW: usize = 32;
/// Values that are held back, at most.
const BACK: usize = 2048;

/// Values around 0 with a spread around 1, and what part of them is learned from.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    w: Vec<f32>,
    /// Where the values begin that are held back.
    held: usize,
    /// Inputs of a window.
    window: usize,
    /// How often the series to forecast was differenced, at most twice.
    differences: usize,
}

impl Series {
    /// `None` when there are too few values.
    pub(crate) fn new(w: Vec<f32>, differences: usize) -> Option<Series> {
        let held = w.len() - (w.len() / 8).min(BACK);
        let room = held.checked_sub(LAGS)?;
        let window = WINDOW.min(room / 2);
        (window >= 4 && held < w.len()).then_some(Series { w, held, window, differences })
    }

    /// Beyond this nothing is expected: twice the largest of the past.
    fn largest(&self) -> f32 {
        2.0 * self.w.iter().fold(0.0f32, |m, w| m.max(w.abs()))
    }

    /// Inputs of a window whose predictions are not looked at: the state has yet to form.
    fn burn(&self) -> usize {
        self.window / 4
    }
}

/// The numbers that a training depends on, beside the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) steps: usize,
}

/// Learns a series and goes on from its end.
pub(crate) fn forecast(
    series: &Series,
    settings: Settings,
    horizon: usize,
    ctx: &Context,
) -> Result<Ahead, Failure> {
    let learned = train::learn(series, settings, ctx)?;
    paths::ahead(series, &learned, horizon, settings.seed, ctx)
}

/// Multiplications and additions to learn a series of `n` values and to go on.
pub(crate) fn work(n: f64, steps: f64, horizon: f64) -> f64 {
    // A gate of a row: its products, and what it takes to bend it; back it is twice as much.
    let gate = 2.0 * HIDDEN as f64 + 30.0;
    let step = (ROWS * GATES) as f64 * gate;
    let window = WINDOW as f64;
    let looks = (steps / train::LOOK_EVERY as f64 + 2.0) * (window + n / 8.0 / ROWS as f64);
    step * (3.0 * steps * window + looks + (PATHS / ROWS) as f64 * (window + horizon))
}

/// Bytes that learning a series of `n` values and going on takes: steps of a window and the way back through them, parameters and
/// what has their shape, the series, errors and forecasts.
pub(crate) fn bytes(n: usize, horizon: usize) -> u64 {
    let moments = (WINDOW + 3) * ROWS * (GATES + 2 * HIDDEN);
    (4 * (moments + 8 * COUNT + 4 * (WINDOW + LAGS) * ROWS + 4 * n + 4 * horizon) + (1 << 16)) as u64
}
