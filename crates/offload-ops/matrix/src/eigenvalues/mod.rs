//! `matrix.eigenvalues`: eigenvalues and eigenvectors of a square matrix.

mod cases;
mod cpu;
mod divide;
mod general;
mod gpu;
mod schur;
mod small;
mod swap;
mod sweep;
mod symmetric;
mod vectors;

use crate::kernel::need::{Need, on_device, workspace};
use crate::kernel::stack::Stack;
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, DeviceNeed, Failure, Operation, Plan, Rejection, Slot, real};

offload_core::choice! {
    /// Whether the matrix is symmetric.
    pub enum Symmetric {
        /// It is when every entry equals its mirror image exactly.
        Auto = "auto",
        /// It is: only its lower triangle is read.
        Yes = "true",
        /// It is treated as if it were not.
        No = "false",
    }
}

offload_core::inputs! {
    /// Inputs of `matrix.eigenvalues`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[n, n]` or `[batch, n, n]`.
        a: T = real(2, 3),
        /// Whether the eigenvectors are wanted.
        vectors: bool,
        /// Whether `a` is symmetric. `auto` looks: it is when every entry, of every matrix of a stack, equals its
        /// mirror image exactly. With `true` only the lower triangle is read.
        symmetric: Symmetric,
    }
}

/// The eigenvalues of a square matrix.
pub struct Eigenvalues;

impl Operation for Eigenvalues {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "eigenvalues",
            version: 2,
            summary: "The eigenvalues, and eigenvectors where asked for, of a square matrix or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                Field {
                    name: "values",
                    doc: "Symmetric: `[n]`, ascending. Otherwise `[n, 2]`: real and imaginary part, ascending by real, then imaginary part. With the leading `[batch]` of a stack.",
                    kind: real(1, 3),
                    required: true,
                    default: None,
                },
                Field {
                    name: "vectors",
                    doc: "Eigenvectors of length 1 as columns, in the order of the values, when `vectors` is set. Symmetric: `[n, n]`. Otherwise `[n, n, 2]`: real and imaginary parts. With the leading `[batch]` of a stack.",
                    kind: real(2, 4),
                    required: false,
                    default: None,
                },
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let s = Stack::square("a", &inputs.a)?;
        crate::svd::spectral_limit("a", s)?;
        let symmetric = match inputs.symmetric {
            Symmetric::Auto => None,
            Symmetric::Yes => Some(true),
            Symmetric::No => Some(false),
        };
        let n = s.rows;
        let (dtype, vectors) = (inputs.a.dtype, inputs.vectors);
        let bytes = [true, false]
            .into_iter()
            .filter(|&kind| symmetric.is_none_or(|s| s == kind))
            .map(|kind| {
                workspace(dtype, || cpu::req::<f32>(n, vectors, kind), || cpu::req::<f64>(n, vectors, kind))
            })
            .max()
            .unwrap_or(0);
        let pair: &[usize] = if symmetric == Some(true) { &[] } else { &[2] };
        let spec = |lead: &[usize]| TensorSpec::new(dtype, s.shape(&[lead, pair].concat()));
        let device = if symmetric == Some(false) {
            DeviceNeed::CpuOnly("eigenvalues of a general matrix have no device path")
        } else {
            let bytes = || gpu::bytes(s, vectors, dtype.size_bytes() as u64);
            on_device(s.len() as f64 * s.count() as f64, bytes)
        };
        let need = Need {
            work_each: cpu::work(n, vectors, symmetric.unwrap_or(false)),
            count: s.count(),
            workspace_each: bytes,
            device,
        };
        // With `auto` the shapes depend on the entries; these are the larger ones.
        let mut outputs = vec![("values", spec(&[n]), symmetric.is_some())];
        if vectors {
            outputs.push(("vectors", spec(&[n, n]), symmetric.is_some()));
        }
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
