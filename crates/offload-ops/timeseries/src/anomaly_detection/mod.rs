//! `timeseries.anomaly_detection`: the values that do not fit the others.

mod cases;
mod cpu;
mod global;
mod global_gpu;
mod gpu;
mod isolation;
mod local;
mod local_gpu;

use crate::series::{
    Extents, Need, numbers, one_or_many, output, places, planned, sometimes, unplanned, values_bytes,
};
use crate::{median, stl};
use offload_api::{DType, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, float, int};

/// The most values of a series.
const LONGEST: usize = 1 << 26;
/// The largest reference window.
const WIDEST: i64 = 1 << 16;
const THRESHOLD: f64 = 3.5;
const ISOLATION_THRESHOLD: f64 = 0.7;
const TREES: i64 = 100;
const SAMPLES: i64 = 256;
const SEED: i64 = 1234;

offload_core::choice! {
    /// How far a value is from the others.
    pub enum Method {
        /// From the median, in deviations estimated by the median absolute deviation.
        Mad = "mad",
        /// From the mean, in standard deviations, both without what lies far out.
        Zscore = "zscore",
        /// The remainder without trend and season, as `mad`.
        Stl = "stl",
        /// How few cuts set it apart.
        Isolation = "isolation",
    }
}

offload_core::inputs! {
    /// Inputs of `timeseries.anomaly_detection`.
    pub struct Inputs<T> (dtype: F64) {
        /// The values, one series `[n]` or many `[series, n]`, in the order of time.
        data: T = one_or_many(),
        /// From which score on a value is an anomaly: in robust standard deviations for `mad`, `zscore` and `stl`, 3.5 when
        /// left out; between 0 and 1 for `isolation`, 0.7 when left out.
        threshold: Option<f64> = float(0.0, 1e300),
        /// `mad`: from the median, in deviations estimated by the median absolute deviation. `zscore`: from the mean, in
        /// standard deviations, both without what lies more than three of them out. `stl`: the remainder without
        /// trend and season, as `mad`. `isolation`: how few cuts at random set a value apart.
        method: Method,
        /// Values of a season, for `stl`, which needs it.
        period: Option<i64> = int(2, 1 << 25),
        /// Holds each value against so many before it and not against the whole series, for `mad` and `zscore`.
        window: Option<i64> = int(3, WIDEST),
        /// Trees of `isolation`; 100 when left out.
        trees: Option<i64> = int(1, 1000),
        /// Values that each tree of `isolation` sees; 256 when left out.
        samples: Option<i64> = int(2, 4096),
        /// Decides the cuts of `isolation`; 1234 when left out.
        seed: Option<i64> = int(0, i64::MAX),
        /// Whether the scores of all values are given as well.
        all_scores: bool,
    }
}

/// A method with what it takes.
#[derive(Clone, Copy, Debug)]
enum Detector {
    Global(global::Scale),
    Local(global::Scale, usize),
    Seasonal(stl::Stl),
    Isolation(isolation::Forest),
}

impl<T> Inputs<T> {
    /// The method with its parameters for series of `n` values.
    fn detector(&self, n: usize) -> Result<Detector, Rejection> {
        let only = |name: &'static str, given: bool, methods: &str| {
            let message = || format!("{name} is for the method {methods}; leave it out, or name that method");
            if given { Err(Rejection::new(name, message())) } else { Ok(()) }
        };
        let method = self.method;
        only("period", self.period.is_some() && method != Method::Stl, "stl")?;
        let windowed = matches!(method, Method::Mad | Method::Zscore);
        only("window", self.window.is_some() && !windowed, "mad or zscore")?;
        let forest = method == Method::Isolation;
        only("trees", self.trees.is_some() && !forest, "isolation")?;
        only("samples", self.samples.is_some() && !forest, "isolation")?;
        only("seed", self.seed.is_some() && !forest, "isolation")?;
        let scale = if method == Method::Zscore { global::Scale::Clipped } else { global::Scale::Median };
        Ok(match method {
            Method::Mad | Method::Zscore => match self.window {
                Some(w) => Detector::Local(scale, w.clamp(3, WIDEST) as usize),
                None => Detector::Global(scale),
            },
            Method::Stl => {
                let Some(period) = self.period else {
                    return Err(Rejection::new("period", "stl needs period: how many values a season has"));
                };
                let period = period.max(2) as usize;
                if n > 0 && n / 2 < period {
                    return Err(Rejection::new(
                        "period",
                        format!(
                            "period is {period}, it must be at most half of the values of a series: {}",
                            n / 2
                        ),
                    ));
                }
                Detector::Seasonal(stl::Stl { period, seasons: 7, inner: 1, outer: 5 })
            }
            Method::Isolation => {
                if self.threshold.is_some_and(|t| t > 1.0) {
                    return Err(Rejection::new("threshold", "threshold must be from 0 to 1 for isolation"));
                }
                Detector::Isolation(isolation::Forest {
                    trees: self.trees.unwrap_or(TREES) as usize,
                    samples: (self.samples.unwrap_or(SAMPLES) as usize).min(n.max(2)),
                    seed: self.seed.unwrap_or(SEED) as u64,
                })
            }
        })
    }

    fn limit(&self) -> f64 {
        let forest = self.method == Method::Isolation;
        self.threshold.unwrap_or(if forest { ISOLATION_THRESHOLD } else { THRESHOLD })
    }
}

impl Detector {
    /// Operations for each value, and bytes that a series and a thread take beside the scores.
    fn cost(self, n: u64) -> (f64, u64, u64) {
        match self {
            Detector::Global(global::Scale::Median) => (60.0, 0, median::bytes(n)),
            Detector::Global(global::Scale::Clipped) => (40.0, 0, 0),
            Detector::Local(global::Scale::Median, w) => {
                (80.0 + w as f64 / 4.0, 0, local::MEDIAN_BYTES * (w as u64 + 1))
            }
            Detector::Local(global::Scale::Clipped, w) => (40.0, 0, local::MEAN_BYTES * w as u64),
            Detector::Seasonal(s) => {
                let each = stl::BYTES_PER_VALUE * n + stl::BYTES_PER_PERIOD * s.period as u64;
                (s.work(1.0) + 100.0, each, median::bytes(n))
            }
            Detector::Isolation(f) => (f.work(), f.bytes(), 0),
        }
    }
}

/// The values that do not fit the others.
pub struct AnomalyDetection;

impl Operation for AnomalyDetection {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "timeseries",
            name: "anomaly_detection",
            version: 1,
            summary: "The values that do not fit the others, and how far they are from them",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                output("series", "Which series each anomaly is of, from 0, ascending, `[k]`.", places(1, 1)),
                output(
                    "indices",
                    "Where in its series each anomaly stands, from 0, ascending within a series, `[k]`.",
                    places(1, 1),
                ),
                output("scores", "The score of each anomaly, `[k]`.", numbers(1, 1)),
                sometimes("all_scores", "The score of every value, as `data` is shaped.", numbers(1, 2)),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of("data", &inputs.data, LONGEST)?;
        let detector = inputs.detector(e.n)?;
        let n = e.n as u64;
        let (work, per_series, per_thread) = detector.cost(n);
        let threads = rayon::current_num_threads() as u64;
        let all = e.values().saturating_mul(8);
        let mut outputs = vec![unplanned("series"), unplanned("indices"), unplanned("scores")];
        let mut scores = all;
        if inputs.all_scores {
            outputs.push(planned("all_scores", DType::F64, e.shape(e.n)));
            scores = 0;
        }
        Ok(e.plan(Need {
            work: work * e.values() as f64,
            more_bytes_in: 0,
            // Every value may be an anomaly; lists grow by doubling.
            more_bytes_out: all.saturating_mul(3),
            workspace: values_bytes(&inputs.data)
                .saturating_add(scores)
                .saturating_add(all.saturating_mul(3))
                .saturating_add(per_series.saturating_mul(e.at_once()))
                .saturating_add(per_thread.saturating_mul(threads)),
            device: gpu::need(&inputs.data, e, detector),
            outputs,
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
