//! `matrix.solve`: the solution of a square linear system, and how far to trust it.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::lu;
use crate::kernel::need::{Need, on_device};
use crate::kernel::stack::{Stack, check_extents, joint_batch, same_dtype};
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, real};
offload_core::inputs! {
    /// Inputs of `matrix.solve`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix of the system, `[n, n]` or `[batch, n, n]`.
        a: T = real(2, 3),
        /// The right-hand sides: `[n]`, `[n, k]` or `[batch, n, k]`. A stack of one, or an operand that is not in a
        /// stack, is used for every entry of the other's stack.
        b: T = real(1, 3),
    }
}

/// The solution of a square linear system.
pub struct Solve;

/// The extents of a system.
#[derive(Clone, Copy, Debug)]
struct Extents {
    batch: Option<usize>,
    n: usize,
    /// Right-hand sides of each system.
    k: usize,
    /// Whether `b` is a vector.
    vector: bool,
    /// Whether each system has an `a`, and a `b`, of its own.
    own: (bool, bool),
}

impl Extents {
    fn of(a: &TensorSpec, b: &TensorSpec) -> Result<Extents, Rejection> {
        same_dtype(a, b, "b")?;
        let s = Stack::of("a", a)?;
        if s.rows != s.columns {
            return Err(Rejection::new(
                "a",
                format!(
                    "a is {} by {}, it must be square; for least squares, factor it by matrix.qr and solve r x = q^T b",
                    s.rows, s.columns
                ),
            ));
        }
        check_extents("b", b)?;
        let (b_batch, rows, k, vector) = match b.shape[..] {
            [n] => (None, n, 1, true),
            [n, k] => (None, n, k, false),
            [batch, n, k] => (Some(batch), n, k, false),
            _ => return Err(Rejection::new("b", "b must have 1 to 3 dimensions")),
        };
        if rows != s.rows {
            return Err(Rejection::new(
                "b",
                format!("b has {rows} rows, it must have as many as a: {}", s.rows),
            ));
        }
        let batch = joint_batch(s.batch, b_batch, "b")?;
        let own = |x: Option<usize>| x.is_some_and(|x| x > 1 || batch == Some(x));
        Ok(Extents { batch, n: s.rows, k, vector, own: (own(s.batch), own(b_batch)) })
    }

    fn shape(&self) -> Vec<usize> {
        let columns = (!self.vector).then_some(self.k);
        self.batch.into_iter().chain([self.n]).chain(columns).collect()
    }

    /// Factoring, solving, and some ten solutions to estimate the condition.
    fn work(&self) -> f64 {
        lu::work(self.n) + 2.0 * (self.n as f64).powi(2) * (self.k as f64 + 10.0)
    }
}

impl Operation for Solve {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "solve",
            version: 1,
            summary: "The solution of a square system of linear equations, or of each of a stack",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![
                Field {
                    name: "x",
                    doc: "The solutions, of the shape of `b`, with the leading `[batch]` of a stack.",
                    kind: real(1, 3),
                    required: true,
                    default: None,
                },
                Field {
                    name: "rcond",
                    doc: "The reciprocal condition in the 1-norm, `1 / (|a| |a^-1|)`, by an estimate of at most three times the truth: one number, or `[batch]`.",
                    kind: real(0, 1),
                    required: true,
                    default: None,
                },
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.a, &inputs.b)?;
        let size = inputs.a.dtype.size_bytes() as u64;
        let (n, k) = (e.n as u64, e.k as u64);
        let factors = if size == 4 { lu::bytes::<f32>(e.n) } else { lu::bytes::<f64>(e.n) };
        let need = Need {
            work_each: e.work(),
            count: e.batch.unwrap_or(1),
            workspace_each: factors + n * k * size + 80 * n,
            device: on_device(e.work() * e.k as f64 * e.batch.unwrap_or(1) as f64, || gpu::bytes(e, size)),
        };
        let x = TensorSpec::new(inputs.a.dtype, e.shape());
        let rcond = TensorSpec::new(inputs.a.dtype, e.batch.into_iter().collect::<Vec<_>>());
        need.plan(&[&inputs.a, &inputs.b], vec![("x", x, true), ("rcond", rcond, true)])
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
