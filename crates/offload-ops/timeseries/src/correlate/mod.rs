//! `timeseries.correlate`: how alike series are when one is moved along the other, or along itself.

mod cases;
mod cpu;
mod gpu;
mod lags;

pub(crate) use lags::product;

use crate::series::{Extents, Need, one_or_many, output, places, planned, values_bytes};
use offload_api::{DType, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, int};

/// The most values of a series.
const LONGEST: usize = 1 << 22;

offload_core::choice! {
    /// What sums of products are divided by.
    pub enum Normalization {
        /// By what makes lag 0 of a series with itself 1, after the means are taken off.
        Coefficient = "coefficient",
        /// By the number of values, after the means are taken off.
        Covariance = "covariance",
        /// By nothing; means stay.
        None = "none",
    }
}

offload_core::inputs! {
    /// Inputs of `timeseries.correlate`.
    pub struct Inputs<T> (dtype: F64) {
        /// The values, one series `[n]` or many `[series, n]`.
        a: T = one_or_many(),
        /// What each series is correlated with: one series for each, shaped as `a`, or one `[n]` for all; itself when left
        /// out.
        b: Option<T> = one_or_many(),
        /// The largest lag; all that have products when left out.
        max_lag: Option<i64> = int(0, 1 << 22),
        /// `coefficient`: means are taken off, and lag 0 of a series with itself is 1. `covariance`: means are taken off, and
        /// sums are divided by the number of values. `none`: the sums of the products.
        normalization: Normalization,
    }
}

impl<T> Inputs<T> {
    /// The largest lag over series of `n` values.
    fn farthest(&self, n: usize) -> usize {
        let last = n.saturating_sub(1);
        self.max_lag.map_or(last, |l| (l.max(0) as usize).min(last))
    }

    /// How many lags are given.
    fn count(&self, n: usize) -> usize {
        match (n, self.b.is_some()) {
            (0, _) => 0,
            (n, true) => 2 * self.farthest(n) + 1,
            (n, false) => self.farthest(n) + 1,
        }
    }
}

/// Correlations at every lag.
pub struct Correlate;

impl Operation for Correlate {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "timeseries",
            name: "correlate",
            version: 1,
            summary: "Cross-correlations of pairs of series, or autocorrelations, at every lag",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                output(
                    "lags",
                    "By how many values `a` lies behind `b`, ascending, `[m]`: from 0 without `b`, else from minus the largest.",
                    places(1, 1),
                ),
                output(
                    "values",
                    "The correlation at each lag, `[m]` or `[series, m]`; as coefficients missing where a series is constant.",
                    Kind::Gapped { min_rank: 1, max_rank: 2 },
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of("a", &inputs.a, LONGEST)?;
        if let Some(b) = &inputs.b {
            let other = Extents::of("b", b, LONGEST)?;
            let fits = other.n == e.n && (!other.many || (e.many && other.series == e.series));
            if !fits {
                return Err(Rejection::new(
                    "b",
                    format!("b is {:?}, it must be [{}] or shaped as a: {:?}", b.shape, e.n, inputs.a.shape),
                ));
            }
        }
        let m = inputs.count(e.n);
        let b = inputs.b.as_ref();
        let (work, workspace) = lags::cost(e.n, inputs.farthest(e.n), b.is_some());
        Ok(e.plan(Need {
            work: work * e.series as f64,
            more_bytes_in: b.map_or(0, TensorSpec::bytes),
            more_bytes_out: 0,
            workspace: values_bytes(&inputs.a)
                .saturating_add(b.map_or(0, values_bytes))
                .saturating_add(workspace),
            device: gpu::need(inputs, e),
            outputs: vec![planned("lags", DType::I64, vec![m]), planned("values", DType::F64, e.shape(m))],
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
