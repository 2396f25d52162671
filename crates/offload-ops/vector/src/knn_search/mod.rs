//! `vector.knn_search`: `vector.knn` under its longer name.

mod cases;
mod cpu;
mod gpu;

use crate::knn::{Inputs, about};
use offload_api::{Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot};

/// The nearest rows.
pub struct KnnSearch;

impl Operation for KnnSearch {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        about("knn_search", include_str!("doc.md"))
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
        cases::cases()
    }
}
