//! `vector.cosine_similarity`: the cosine of the angle between two vectors.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::pairs::{self, Inputs};
use offload_api::{DType, Elem, Field, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot};

/// The cosine of the angle between two vectors.
pub struct CosineSimilarity;

impl Operation for CosineSimilarity {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "vector",
            name: "cosine_similarity",
            version: 1,
            summary: "The cosine of the angle between two vectors",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "pairs of components",
            outputs: vec![Field {
                name: "score",
                doc: "The cosine, from -1 to 1: one number, or `[n]`, `f64` whatever the inputs are.",
                kind: Kind::Tensor { elem: Elem::Fixed(DType::F64), min_rank: 0, max_rank: 1 },
                required: true,
                default: None,
            }],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        pairs::plan(inputs)
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        crate::kernel::device::PAIR_TEXTS
    }

    fn stacks() -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
