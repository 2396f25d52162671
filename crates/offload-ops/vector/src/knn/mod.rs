//! `vector.knn`: the nearest rows of a corpus.

mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;

pub(crate) use cases::cases;

use crate::kernel::metric::Metric as Compared;
use crate::kernel::search::{MAX_K, Search};
use offload_api::{DType, Field, Kind, Layout, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, float, int, one_of};

offload_core::choice! {
    /// How vectors are compared.
    pub enum Metric {
        /// The Euclidean distance, the smallest first.
        L2 = "l2",
        /// The cosine of their angle, the largest first.
        Cosine = "cosine",
        /// The inner product, the largest first.
        Dot = "dot",
        /// How many components differ, or bits of `u8` codes, the fewest first.
        Hamming = "hamming",
    }
}

impl From<Metric> for Compared {
    fn from(m: Metric) -> Compared {
        match m {
            Metric::Cosine => Compared::Cosine,
            Metric::L2 => Compared::L2,
            Metric::Dot => Compared::Dot,
            Metric::Hamming => Compared::Hamming,
        }
    }
}

/// Neighbours where a request does not say how many.
const K: i64 = 10;

offload_core::inputs! {
    /// Inputs of `vector.knn`.
    pub struct Inputs<T> (dtype: F32) {
        /// The query `[d]`, or several `[q, d]`: `f32`, `f64`, or `u8` codes for the metric `hamming`.
        query: T = one_of(&[DType::F32, DType::F64, DType::U8], 1, 2),
        /// The rows to look through, `[n, d]`, of the same type.
        corpus: T = one_of(&[DType::F32, DType::F64, DType::U8], 2, 2),
        /// How many neighbours each query gets; 10 when absent.
        k: Option<i64> = int(1, MAX_K),
        /// How vectors are compared: `l2` (the Euclidean distance) and `hamming` (components that differ, or bits of
        /// codes) rank the smallest first, `cosine` and `dot` the largest.
        metric: Metric,
        /// Which rows count, `[n]`: those whose element is not zero (or is `true`). All, when absent.
        filter: Option<T> = offload_core::integers(DType::U8, 1, 1),
        /// The share of the true neighbours that is enough. The answer is exact whatever is asked for.
        recall: Option<f64> = float(0.0, 1.0),
    }
}

impl<T> Inputs<T> {
    /// The search that these inputs ask for.
    pub(crate) fn search(&self) -> Search<'_, T> {
        Search {
            queries: ("query", &self.query),
            corpus: &self.corpus,
            filter: self.filter.as_ref(),
            metric: self.metric.into(),
            k: self.k.unwrap_or(K).clamp(1, MAX_K) as usize,
        }
    }
}

/// What the operation says about itself under this name.
pub(crate) fn about(name: &'static str, doc: &'static str) -> About {
    About {
        family: "vector",
        name,
        version: 1,
        summary: "The nearest rows of a corpus",
        doc,
        default_priority: Priority::Medium,
        work_unit: "pairs of components",
        outputs: vec![Field {
            name: "matches",
            doc: "The nearest rows, best first: row and score (`f64`); a list of such lists for several queries. In binary, rows and scores `[k]` or `[q, k]`, padded with -1 and NaN.",
            kind: Kind::Matches(Layout::Flat),
            required: true,
            default: None,
        }],
    }
}

/// The nearest rows.
pub struct Knn;

impl Operation for Knn {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        about("knn", include_str!("doc.md"))
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        inputs.search().plan("matches")
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        crate::kernel::device::TEXTS
    }

    fn cases() -> Vec<Case> {
        cases()
    }
}
