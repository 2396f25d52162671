//! `matrix.inverse`: the inverse of a square matrix, and how far to trust it.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::lu;
use crate::kernel::need::{Need, on_device};
use crate::kernel::stack::Stack;
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, real};
offload_core::inputs! {
    /// Inputs of `matrix.inverse`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[n, n]` or `[batch, n, n]`.
        a: T = real(2, 3),
    }
}

/// The inverse of a square matrix.
pub struct Inverse;

impl Operation for Inverse {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "inverse",
            version: 1,
            summary: "The inverse of a square matrix, or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                Field {
                    name: "result",
                    doc: "The inverse, `[n, n]` or `[batch, n, n]`.",
                    kind: real(2, 3),
                    required: true,
                    default: None,
                },
                Field {
                    name: "rcond",
                    doc: "The reciprocal condition in the 1-norm, `1 / (|a| |a^-1|)`: one number, or `[batch]`.",
                    kind: real(0, 1),
                    required: true,
                    default: None,
                },
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let s = Stack::square("a", &inputs.a)?;
        let size = inputs.a.dtype.size_bytes() as u64;
        let n = s.rows as u64;
        let factors = if size == 4 { lu::bytes::<f32>(s.rows) } else { lu::bytes::<f64>(s.rows) };
        let need = Need {
            work_each: 2.0 * (s.rows as f64).powi(3),
            count: s.count(),
            workspace_each: factors + n * cpu::band(s.rows) as u64 * size + 8 * n,
            device: on_device(s.len() as f64 * s.count() as f64, || gpu::bytes(s, size)),
        };
        let rcond = TensorSpec::new(inputs.a.dtype, s.shape(&[]));
        need.plan(&[&inputs.a], vec![("result", inputs.a.clone(), true), ("rcond", rcond, true)])
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        crate::device::kernels::OF_LU
    }

    fn stacks() -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
