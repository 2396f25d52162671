//! `matrix.norm`: how large a matrix is.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::need::{Need, on_device, workspace};
use crate::kernel::stack::Stack;
use crate::svd::{spectral_limit, values_work, values_workspace};
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, real};

offload_core::choice! {
    /// Which norm.
    pub enum Kind {
        /// The root of the sum of squares.
        Frobenius = "frobenius",
        /// The largest sum of magnitudes of a column.
        One = "one",
        /// The largest sum of magnitudes of a row.
        Inf = "inf",
        /// The largest magnitude.
        Max = "max",
        /// The largest singular value.
        Two = "two",
        /// The sum of the singular values.
        Nuclear = "nuclear",
    }
}

impl Kind {
    /// Whether it is computed from the singular values.
    fn is_spectral(self) -> bool {
        matches!(self, Kind::Two | Kind::Nuclear)
    }
}

offload_core::inputs! {
    /// Inputs of `matrix.norm`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[m, n]` or `[batch, m, n]`.
        a: T = real(2, 3),
        /// Which norm: `one` is the largest column sum of magnitudes, `inf` the largest row sum, `max` the largest
        /// magnitude, `two` the largest singular value, `nuclear` the sum of the singular values.
        kind: Kind,
    }
}

/// The norm of a matrix.
pub struct Norm;

impl Operation for Norm {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "norm",
            version: 2,
            summary: "A norm of a matrix, or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![Field {
                name: "result",
                doc: "The norm: one number, or `[batch]`.",
                kind: real(0, 1),
                required: true,
                default: None,
            }],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let s = Stack::of("a", &inputs.a)?;
        let (work_each, workspace_each) = if inputs.kind.is_spectral() {
            spectral_limit("a", s)?;
            let bytes = workspace(
                inputs.a.dtype,
                || values_workspace::<f32>(s.rows, s.columns),
                || values_workspace::<f64>(s.rows, s.columns),
            );
            (values_work(s.rows, s.columns), bytes)
        } else {
            (2.0 * s.rows as f64 * s.columns as f64, 8 * s.columns as u64)
        };
        let need = Need {
            work_each,
            count: s.count(),
            workspace_each,
            device: on_device(s.len() as f64 * s.count() as f64, || {
                gpu::bytes(s, inputs.kind, inputs.a.dtype.size_bytes() as u64)
            }),
        };
        need.plan(&[&inputs.a], vec![("result", TensorSpec::new(inputs.a.dtype, s.shape(&[])), true)])
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

    fn stacks() -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
