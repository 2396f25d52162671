//! `vector.batch_similarity`: `vector.similarity` under the name that says it takes many queries.

mod cases;
mod cpu;
mod gpu;

use crate::similarity::{Inputs, about};
use offload_api::{Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot};

/// The rows most like each query.
pub struct BatchSimilarity;

impl Operation for BatchSimilarity {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        about("batch_similarity", include_str!("doc.md"))
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
        cases::cases()
    }
}
