//! `matrix.qr`: an orthogonal times an upper triangular matrix.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::need::{Need, on_device, workspace};
use crate::kernel::qr;
use crate::kernel::stack::Stack;
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, real};
offload_core::inputs! {
    /// Inputs of `matrix.qr`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[m, n]` or `[batch, m, n]`.
        a: T = real(2, 3),
        /// Whether `q` has all `m` columns and `r` all `m` rows; otherwise both stop at `min(m, n)`.
        full: bool,
    }
}

/// The QR factorisation of a matrix.
pub struct Qr;

impl Operation for Qr {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "qr",
            version: 1,
            summary: "The QR factorisation of a matrix, or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                Field {
                    name: "q",
                    doc: "Orthonormal columns, `[m, k]` with k = min(m, n), or `[m, m]` with `full`; with the leading `[batch]` of a stack.",
                    kind: real(2, 3),
                    required: true,
                    default: None,
                },
                Field {
                    name: "r",
                    doc: "Upper triangular with a diagonal that is not negative, `[k, n]`, or `[m, n]` with `full`; with the leading `[batch]` of a stack.",
                    kind: real(2, 3),
                    required: true,
                    default: None,
                },
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let s = Stack::of("a", &inputs.a)?;
        let k = if inputs.full { s.rows } else { s.rows.min(s.columns) };
        let bytes = workspace(
            inputs.a.dtype,
            || qr::req::<f32>(s.rows, s.columns, k),
            || qr::req::<f64>(s.rows, s.columns, k),
        );
        let size = inputs.a.dtype.size_bytes() as u64;
        let need = Need {
            work_each: cpu::work(s.rows, s.columns, k),
            count: s.count(),
            // The factored matrix and q by columns.
            workspace_each: bytes + (s.rows * s.columns + s.rows * k) as u64 * size + k as u64,
            device: on_device(s.len() as f64 * s.count() as f64, || gpu::bytes(s, k, size)),
        };
        let q = TensorSpec::new(inputs.a.dtype, s.shape(&[s.rows, k]));
        let r = TensorSpec::new(inputs.a.dtype, s.shape(&[k, s.columns]));
        need.plan(&[&inputs.a], vec![("q", q, true), ("r", r, true)])
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        crate::device::kernels::OF_QR
    }

    fn stacks() -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
