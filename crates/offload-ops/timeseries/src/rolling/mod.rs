//! `timeseries.rolling`: statistics of the last so many values, at every value.

mod cases;
mod cpu;
mod fold;
pub(crate) mod gpu;
mod median;

pub(crate) use cpu::{deviations, means};

use crate::series::{Extents, Need, one_or_many, planned, sometimes, values_bytes};
use offload_api::{DType, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, int, json_value};
use serde_json::Value as Json;
use std::sync::Arc;

/// The most values of a series: places in a window are counted in 32 bits.
const LONGEST: usize = 1 << 30;

/// A statistic of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statistic {
    Mean,
    Std,
    Var,
    Min,
    Max,
    Sum,
    Median,
}

impl Statistic {
    const ALL: [(&'static str, Statistic); 7] = [
        ("mean", Statistic::Mean),
        ("std", Statistic::Std),
        ("var", Statistic::Var),
        ("min", Statistic::Min),
        ("max", Statistic::Max),
        ("sum", Statistic::Sum),
        ("median", Statistic::Median),
    ];

    /// Operations for each value.
    fn work(self, window: f64) -> f64 {
        match self {
            Statistic::Min | Statistic::Max => 3.0,
            Statistic::Sum | Statistic::Mean => 25.0,
            Statistic::Std | Statistic::Var => 30.0,
            Statistic::Median => 40.0 + 8.0 * window.max(2.0).log2(),
        }
    }
}

fn words() -> Json {
    let words: Vec<&str> = Statistic::ALL.iter().map(|(word, _)| *word).collect();
    serde_json::json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string", "enum": words}})
}

offload_core::inputs! {
    /// Inputs of `timeseries.rolling`.
    pub struct Inputs<T> (dtype: F64) {
        /// The values, one series `[n]` or many `[series, n]`, in the order of time.
        data: T = one_or_many(),
        /// How many values a window has: the value itself and those before it.
        window: i64 = int(1, 1 << 30),
        /// Which statistics, each of which is an output: `mean`, `std`, `var`, `min`, `max`, `sum`, `median`; `["mean"]`
        /// when left out.
        statistics: Option<Arc<Json>> = json_value(words),
        /// The fewest values that a statistic is taken of at the start of a series, at most `window`; `window` when left
        /// out.
        min_periods: Option<i64> = int(1, 1 << 30),
        /// What the sum of squares is divided by for `var` and `std`: the number of values less this; 1 when left out.
        ddof: Option<i64> = int(0, 1),
    }
}

impl<T> Inputs<T> {
    /// The statistics asked for, in their order.
    fn asked(&self) -> Result<Vec<(&'static str, Statistic)>, Rejection> {
        let all = || Statistic::ALL.map(|(word, _)| word).join(", ");
        let Some(json) = &self.statistics else { return Ok(vec![Statistic::ALL[0]]) };
        let words = json
            .as_array()
            .filter(|words| !words.is_empty())
            .ok_or_else(|| Rejection::new("statistics", format!("statistics must be a list of {}", all())))?;
        let mut asked = Vec::new();
        for word in words {
            let found = Statistic::ALL.iter().find(|(name, _)| word.as_str() == Some(*name));
            match found {
                Some(found) if asked.contains(found) => {
                    return Err(Rejection::new("statistics", format!("statistics names {word} twice")));
                }
                Some(found) => asked.push(*found),
                None => {
                    let message = format!("statistics holds {word}, it may hold {}", all());
                    return Err(Rejection::new("statistics", message));
                }
            }
        }
        Ok(asked)
    }

    fn fewest(&self) -> Result<usize, Rejection> {
        let fewest = self.min_periods.unwrap_or(self.window);
        if fewest > self.window {
            return Err(Rejection::new(
                "min_periods",
                format!("min_periods is {fewest}, it must be at most window: {}", self.window),
            ));
        }
        Ok(fewest.max(1) as usize)
    }
}

/// Statistics of the last so many values, at every value.
pub struct Rolling;

impl Operation for Rolling {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        let gapped = || Kind::Gapped { min_rank: 1, max_rank: 2 };
        About {
            family: "timeseries",
            name: "rolling",
            version: 1,
            summary: "Statistics of the last so many values, at every value",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                sometimes(
                    "mean",
                    "The mean of each window, as `data` is shaped; missing where it has too few values.",
                    gapped(),
                ),
                sometimes("std", "The standard deviation of each window.", gapped()),
                sometimes("var", "The variance of each window.", gapped()),
                sometimes("min", "The least value of each window.", gapped()),
                sometimes("max", "The largest value of each window.", gapped()),
                sometimes("sum", "The sum of each window.", gapped()),
                sometimes("median", "The median of each window.", gapped()),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of("data", &inputs.data, LONGEST)?;
        let asked = inputs.asked()?;
        inputs.fewest()?;
        let window = (inputs.window as u64).min(e.n as u64);
        let work: f64 = asked.iter().map(|(_, s)| s.work(window as f64)).sum();
        // A task holds the ends of one block, or two sorted blocks and one on its way there.
        let tasks = (e.n as u64).div_ceil(cpu::TASK as u64).saturating_mul(e.series as u64);
        let tasks = tasks.min(rayon::current_num_threads() as u64);
        let state = if asked.iter().any(|(_, s)| *s == Statistic::Median) {
            median::BYTES_PER_VALUE
        } else {
            fold::MOST_BYTES_PER_VALUE
        };
        Ok(e.plan(Need {
            work: work * e.values() as f64,
            more_bytes_in: 0,
            more_bytes_out: 0,
            workspace: values_bytes(&inputs.data).saturating_add(tasks.saturating_mul(state * (window + 1))),
            device: gpu::need(&inputs.data, e, &asked),
            outputs: asked.iter().map(|(name, _)| planned(name, DType::F64, e.shape(e.n))).collect(),
        }))
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        gpu::KERNELS
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
