//! `vector.similarity`: for each query, the rows of a corpus that are most like it.

mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;

pub(crate) use cases::cases;

use crate::kernel::metric::Metric as Compared;
use crate::kernel::search::{MAX_K, Search};
use offload_api::{DType, Field, Kind, Layout, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, int, one_of};

offload_core::choice! {
    /// How vectors are compared.
    pub enum Metric {
        /// The cosine of their angle, the largest first.
        Cosine = "cosine",
        /// The Euclidean distance, the smallest first.
        L2 = "l2",
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

/// Answers where a request does not say how many.
const TOP_K: i64 = 10;

offload_core::inputs! {
    /// Inputs of `vector.similarity`.
    pub struct Inputs<T> (dtype: F32) {
        /// The queries, `[q, d]`: `f32`, `f64`, or `u8` codes for the metric `hamming`.
        queries: T = one_of(&[DType::F32, DType::F64, DType::U8], 2, 2),
        /// The rows to look through, `[n, d]`, of the same type.
        corpus: T = one_of(&[DType::F32, DType::F64, DType::U8], 2, 2),
        /// How vectors are compared: `cosine` and `dot` rank the largest first, `l2` (the Euclidean distance) and
        /// `hamming` (components that differ, or bits of codes) the smallest.
        metric: Metric,
        /// How many answers each query gets; 10 when absent.
        top_k: Option<i64> = int(1, MAX_K),
        /// Which rows count, `[n]`: those whose element is not zero (or is `true`). All, when absent.
        filter: Option<T> = offload_core::integers(DType::U8, 1, 1),
    }
}

impl<T> Inputs<T> {
    /// The search that these inputs ask for.
    pub(crate) fn search(&self) -> Search<'_, T> {
        Search {
            queries: ("queries", &self.queries),
            corpus: &self.corpus,
            filter: self.filter.as_ref(),
            metric: self.metric.into(),
            k: self.top_k.unwrap_or(TOP_K).clamp(1, MAX_K) as usize,
        }
    }
}

/// What the operation says about itself under this name.
pub(crate) fn about(name: &'static str, doc: &'static str) -> About {
    About {
        family: "vector",
        name,
        version: 1,
        summary: "The rows of a corpus that are most like each of many queries",
        doc,
        default_priority: Priority::Medium,
        work_unit: "pairs of components",
        outputs: vec![Field {
            name: "results",
            doc: "For each query its matches, best first: row and score (`f64`). In binary, rows and scores `[q, top_k]`, padded with -1 and NaN.",
            kind: Kind::Matches(Layout::PerQuery),
            required: true,
            default: None,
        }],
    }
}

/// The rows most like each query.
pub struct Similarity;

impl Operation for Similarity {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        about("similarity", include_str!("doc.md"))
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        inputs.search().plan("results")
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
