//! `matrix.svd`: singular values and vectors.

mod cases;
mod cpu;
mod divide;
mod gpu;
mod reduced;

use crate::kernel::need::{Need, on_device, workspace};
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::int;
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, real};

pub(crate) use cpu::{singular_values, spectral_limit, values_work, values_workspace};
pub(crate) use gpu::{singular_values as device_values, values_bytes as device_values_bytes};

offload_core::choice! {
    /// How the largest singular values are found.
    pub enum Method {
        /// All of them are computed, to the precision of the type.
        Exact = "exact",
        /// From a random sample of the range: quick for few of many, and nearly exact where they decay.
        Randomised = "randomised",
    }
}

offload_core::inputs! {
    /// Inputs of `matrix.svd`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[m, n]` or `[batch, m, n]`.
        a: T = real(2, 3),
        /// Whether `u` is `[m, m]` and `vt` `[n, n]`; otherwise both stop at `min(m, n)`. Not together with `k`.
        full: bool,
        /// Only the `k` largest singular values and their vectors. All when absent.
        k: Option<i64> = int(1, 65_536),
        /// `randomised` samples the range of `a` (Halko, Martinsson and Tropp 2011) with a fixed seed; it needs `k`.
        method: Method,
    }
}

/// The singular value decomposition of a matrix.
pub struct Svd;

impl Operation for Svd {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "svd",
            version: 2,
            summary: "The singular value decomposition of a matrix, or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                Field {
                    name: "u",
                    doc: "Left singular vectors as columns, `[m, k]`; with the leading `[batch]` of a stack.",
                    kind: real(2, 3),
                    required: true,
                    default: None,
                },
                Field {
                    name: "s",
                    doc: "Singular values, descending, `[k]`; with the leading `[batch]` of a stack.",
                    kind: real(1, 2),
                    required: true,
                    default: None,
                },
                Field {
                    name: "vt",
                    doc: "Right singular vectors as rows, `[k, n]`; with the leading `[batch]` of a stack.",
                    kind: real(2, 3),
                    required: true,
                    default: None,
                },
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = cpu::Extents::of(inputs, &inputs.a)?;
        let bytes = workspace(inputs.a.dtype, || e.req::<f32>(), || e.req::<f64>());
        let need = Need {
            work_each: e.work(),
            count: e.stack.count(),
            workspace_each: bytes,
            device: on_device(e.work() * e.stack.count() as f64, || {
                gpu::bytes(e, inputs.a.dtype.size_bytes() as u64)
            }),
        };
        let spec = |trailing: &[usize]| TensorSpec::new(inputs.a.dtype, e.stack.shape(trailing));
        let outputs = vec![
            ("u", spec(&[e.stack.rows, e.u_columns]), true),
            ("s", spec(&[e.values]), true),
            ("vt", spec(&[e.vt_rows, e.stack.columns]), true),
        ];
        need.plan(&[&inputs.a], outputs)
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        crate::device::kernels::OF_SPECTRA
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
