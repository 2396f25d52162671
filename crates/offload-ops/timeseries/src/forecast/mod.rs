//! `timeseries.forecast`: the values to come, how far they may be off, and how far such forecasts were off before.

mod arima;
mod arma;
mod cases;
mod cpu;
mod learned;
mod likelihood;
mod normal;
mod outcome;
mod simplex;
mod smoothing;
mod squares;
mod which;

use crate::lstm::{self, Settings};
use crate::series::{Extents, Need, numbers, one_or_many, output, planned, unplanned, values_bytes};
use crate::stl;
use offload_api::{DType, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Operation, Plan, Rejection, Slot, float, int, json_value,
};
use serde_json::Value as Json;
use which::Which;

/// The most values of a series.
const LONGEST: usize = 1 << 30;
/// The last values that a model is fitted to; older ones weigh nothing in any of them.
const FITTED: usize = 1 << 14;
const FARTHEST: i64 = 1 << 16;
const LEVEL: f64 = 0.95;
const ORIGINS: i64 = 4;
const SEED: i64 = 1234;
const STEPS: i64 = 600;
const MOST_STEPS: i64 = 10_000;

const WHY_CPU: &str = "models are fitted by recurrences over at most 16,384 values, of which a device could do one step at a time";
const WHY_LSTM_CPU: &str = "lstm has no device path yet";

offload_core::choice! {
    /// How the values to come are found.
    pub enum Method {
        /// By the method below that was off the least before.
        Auto = "auto",
        /// The last value.
        Naive = "naive",
        /// The values of the last season.
        SeasonalNaive = "seasonal_naive",
        /// Exponential smoothing.
        HoltWinters = "holt_winters",
        /// Autoregression, differences and moving averages of errors.
        Arima = "arima",
        /// A recurrent network.
        Lstm = "lstm",
        /// As `lstm`.
        DesignLstm = "LSTM",
    }
}

offload_core::inputs! {
    /// Inputs of `timeseries.forecast`.
    pub struct Inputs<T> (dtype: F64) {
        /// The values so far, one series `[n]` or many `[series, n]`, evenly spaced in time, the latest last.
        history: T = one_or_many(),
        /// How many values to forecast.
        horizon: i64 = int(1, FARTHEST),
        /// `naive`: the last value. `seasonal_naive`: the last season. `holt_winters`: exponential smoothing, its components
        /// chosen by their likelihood. `arima`: its orders chosen alike. `auto`: the one of these that was off the
        /// least before. `lstm`: a recurrent network that learns the series; `auto` does not try it, as it takes a hundred
        /// times as long.
        method: Method,
        /// Values of a season (12 for months, 52 for weeks); without seasons when left out.
        period: Option<i64> = int(2, FARTHEST),
        /// How much of what may come lies between `lower` and `upper`; 0.95 when left out.
        level: Option<f64> = float(0.01, 0.9999),
        /// From how many places of the history the method is tried on what came next; 4 when left out.
        origins: Option<i64> = int(0, 64),
        /// What the first weights of `lstm` and the windows that it learns from depend on; 1234 when left out.
        seed: Option<i64> = int(0, i64::MAX),
        /// How many steps `lstm` learns for, at most; 600 when left out.
        steps: Option<i64> = int(1, MOST_STEPS),
    }
}

impl<T> Inputs<T> {
    fn candidates(&self) -> Result<Vec<Which>, Rejection> {
        let seasonal = self.period.is_some();
        let learns = matches!(self.method, Method::Lstm | Method::DesignLstm);
        for (name, given) in [("seed", self.seed.is_some()), ("steps", self.steps.is_some())] {
            if given && !learns {
                let message = format!("{name} is for the method lstm; leave it out, or name that method");
                return Err(Rejection::new(name, message));
            }
        }
        Ok(match self.method {
            Method::Auto => {
                let mut all = vec![Which::Naive, Which::SeasonalNaive, Which::Smoothing, Which::Arima];
                all.retain(|w| seasonal || *w != Which::SeasonalNaive);
                all
            }
            Method::Naive => vec![Which::Naive],
            Method::SeasonalNaive if !seasonal => {
                return Err(Rejection::new(
                    "period",
                    "seasonal_naive needs period: how many values a season has",
                ));
            }
            Method::SeasonalNaive => vec![Which::SeasonalNaive],
            Method::HoltWinters => vec![Which::Smoothing],
            Method::Arima => vec![Which::Arima],
            Method::Lstm | Method::DesignLstm => {
                let (seed, steps) = (self.seed.unwrap_or(SEED), self.steps.unwrap_or(STEPS));
                vec![Which::Lstm(Settings { seed: seed as u64, steps: steps.clamp(1, MOST_STEPS) as usize })]
            }
        })
    }

    fn season(&self) -> usize {
        self.period.map_or(0, |p| p.clamp(2, FARTHEST) as usize)
    }

    fn horizon(&self) -> usize {
        self.horizon.clamp(1, FARTHEST) as usize
    }

    fn origins(&self) -> usize {
        self.origins.unwrap_or(ORIGINS).clamp(0, 64) as usize
    }

    /// Checks the history's length.
    fn extents(&self, spec: &TensorSpec) -> Result<Extents, Rejection> {
        let e = Extents::of("history", spec, LONGEST)?;
        let season = self.season();
        let least = (2 * season).max(2);
        if e.series > 0 && e.n < least {
            let why = if season > 0 { "two seasons" } else { "the least that has a change" };
            return Err(Rejection::new(
                "history",
                format!("history has {} values, it must have at least {least}: {why}", e.n),
            ));
        }
        Ok(e)
    }
}

fn text_or_list() -> Json {
    let text = serde_json::json!({"type": "string"});
    serde_json::json!({"anyOf": [text, {"type": "array", "items": text}]})
}

/// The values to come, with intervals and the errors of such forecasts before.
pub struct Forecast;

impl Operation for Forecast {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        let each = || Kind::Gapped { min_rank: 0, max_rank: 1 };
        About {
            family: "timeseries",
            name: "forecast",
            version: 1,
            summary: "The values to come, with intervals and the errors of such forecasts before",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                output("values", "The forecasts, `[horizon]` or `[series, horizon]`.", numbers(1, 2)),
                output("lower", "The lower end of each interval, shaped as `values`.", numbers(1, 2)),
                output("upper", "The upper end of each interval, shaped as `values`.", numbers(1, 2)),
                output(
                    "method",
                    "The method that was used; a list of one for each of many series.",
                    json_value(text_or_list),
                ),
                output(
                    "model",
                    "The model that was fitted, in words; a list of one for each of many series.",
                    json_value(text_or_list),
                ),
                output(
                    "mae",
                    "The mean absolute error of such forecasts before, `[]` or `[series]`; missing where the history is too short.",
                    each(),
                ),
                output("rmse", "The root of their mean squared error, as `mae`.", each()),
                output(
                    "mase",
                    "`mae` over the mean absolute change of the history from one value (season) to the next, as `mae`; missing where nothing changes.",
                    each(),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = inputs.extents(&inputs.history)?;
        let candidates = inputs.candidates()?;
        let (season, horizon) = (inputs.season(), inputs.horizon());
        let n = e.n.min(FITTED);
        let threads = rayon::current_num_threads() as u64;
        let each: f64 = candidates.iter().map(|w| w.work(n as f64, season, horizon as f64)).sum();
        let (why, of_network) = match candidates[..] {
            [Which::Lstm(_)] => (WHY_LSTM_CPU, lstm::bytes(n, horizon) * threads),
            _ => (WHY_CPU, 0),
        };
        let rounds = inputs.origins() as f64 + 1.0;
        let values = (n + horizon) as u64;
        let per_task = values * (8 * 6 + arima::BYTES_PER_VALUE + stl::BYTES_PER_VALUE)
            + stl::BYTES_PER_PERIOD * season as u64
            + (1 << 16);
        let of_series = if e.many { vec![e.series] } else { Vec::new() };
        let word = 2 * (size_of::<Json>() as u64 + 96);
        let mut outputs: Vec<_> =
            ["values", "lower", "upper"].map(|name| planned(name, DType::F64, e.shape(horizon))).into();
        outputs.extend([unplanned("method"), unplanned("model")]);
        outputs.extend(["mae", "rmse", "mase"].map(|name| planned(name, DType::F64, of_series.clone())));
        Ok(e.plan(Need {
            work: each * rounds * e.series as f64,
            more_bytes_in: 0,
            more_bytes_out: word.saturating_mul(e.series as u64),
            // What is written is gathered series by series before it is laid out.
            workspace: values_bytes(&inputs.history)
                .saturating_add(per_task.saturating_mul(threads))
                .saturating_add(of_network)
                .saturating_add((24 * horizon as u64 + 4 * word).saturating_mul(e.series as u64)),
            device: DeviceNeed::CpuOnly(why),
            outputs,
        }))
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
