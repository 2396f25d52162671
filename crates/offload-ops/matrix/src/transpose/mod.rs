//! `matrix.transpose`: rows become columns.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::need::{Need, on_device};
use crate::kernel::stack::Stack;
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, real};

offload_core::inputs! {
    /// Inputs of `matrix.transpose`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[m, n]` or `[batch, m, n]`.
        a: T = real(2, 3),
    }
}

/// The transpose of a matrix.
pub struct Transpose;

impl Operation for Transpose {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "transpose",
            version: 1,
            summary: "The transpose of a matrix, or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![Field {
                name: "result",
                doc: "The transpose, `[n, m]` or `[batch, n, m]`.",
                kind: real(2, 3),
                required: true,
                default: None,
            }],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let s = Stack::of("a", &inputs.a)?;
        // Moving an element counts as one operation.
        let work_each = s.rows as f64 * s.columns as f64;
        let need = Need {
            work_each,
            count: s.count(),
            workspace_each: 0,
            device: on_device(s.len() as f64 * s.count() as f64, || {
                gpu::bytes(s, inputs.a.dtype.size_bytes() as u64)
            }),
        };
        let result = TensorSpec::new(inputs.a.dtype, s.shape(&[s.columns, s.rows]));
        need.plan(&[&inputs.a], vec![("result", result, true)])
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        crate::device::kernels::OF_TRANSPOSE
    }

    fn stacks() -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
