//! `matrix.determinant`: the determinant of a square matrix.

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
    /// Inputs of `matrix.determinant`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[n, n]` or `[batch, n, n]`.
        a: T = real(2, 3),
    }
}

/// The determinant of a square matrix.
pub struct Determinant;

impl Operation for Determinant {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "determinant",
            version: 1,
            summary: "The determinant of a square matrix, or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                Field {
                    name: "result",
                    doc: "The determinant: one number, or `[batch]`.",
                    kind: real(0, 1),
                    required: true,
                    default: None,
                },
                Field {
                    name: "log_abs",
                    doc: "The natural logarithm of its magnitude, which does not overflow; the lowest finite number when the determinant is 0.",
                    kind: real(0, 1),
                    required: true,
                    default: None,
                },
                Field {
                    name: "sign",
                    doc: "Its sign: -1, 0 or 1.",
                    kind: real(0, 1),
                    required: true,
                    default: None,
                },
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let s = Stack::square("a", &inputs.a)?;
        let factors = match inputs.a.dtype.size_bytes() {
            4 => lu::bytes::<f32>(s.rows),
            _ => lu::bytes::<f64>(s.rows),
        };
        let need = Need {
            work_each: lu::work(s.rows),
            count: s.count(),
            workspace_each: factors,
            device: on_device(s.len() as f64 * s.count() as f64, || {
                gpu::bytes(s, inputs.a.dtype.size_bytes() as u64)
            }),
        };
        let number = TensorSpec::new(inputs.a.dtype, s.shape(&[]));
        let outputs = ["result", "log_abs", "sign"].map(|name| (name, number.clone(), true));
        need.plan(&[&inputs.a], outputs.into())
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
