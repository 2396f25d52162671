//! `matrix.cholesky`: the triangular factor of a positive definite matrix.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::cholesky;
use crate::kernel::need::{Need, on_device};
use crate::kernel::stack::Stack;
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, real};
offload_core::inputs! {
    /// Inputs of `matrix.cholesky`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[n, n]` or `[batch, n, n]`. Only its lower triangle is read.
        a: T = real(2, 3),
    }
}

/// The Cholesky factor of a positive definite matrix.
pub struct Cholesky;

impl Operation for Cholesky {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "cholesky",
            version: 1,
            summary: "The lower triangular factor of a symmetric positive definite matrix, or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![Field {
                name: "result",
                doc: "The lower triangular `l` with positive diagonal and `a = l l^T`, `[n, n]` or `[batch, n, n]`.",
                kind: real(2, 3),
                required: true,
                default: None,
            }],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let s = Stack::square("a", &inputs.a)?;
        let need = Need {
            work_each: cholesky::work(s.rows),
            count: s.count(),
            workspace_each: cholesky::bytes::<f64>(s.rows),
            device: on_device(s.len() as f64 * s.count() as f64, || {
                gpu::bytes(s, inputs.a.dtype.size_bytes() as u64)
            }),
        };
        need.plan(&[&inputs.a], vec![("result", inputs.a.clone(), true)])
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        crate::device::kernels::OF_CHOLESKY
    }

    fn stacks() -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
