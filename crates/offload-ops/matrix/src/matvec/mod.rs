//! `matrix.matvec`: a matrix times a vector, or stacks of them.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::need::{Need, on_device};
use crate::kernel::stack::{Stack, check_extents, joint_batch, same_dtype};
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::Gpu;
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, real};

offload_core::inputs! {
    /// Inputs of `matrix.matvec`.
    pub struct Inputs<T> (dtype: F64) {
        /// The matrix, `[m, n]` or `[batch, m, n]`.
        a: T = real(2, 3),
        /// The vector, `[n]` or `[batch, n]`. A stack of one, or an operand that is not in a stack, is used for
        /// every entry of the other's stack.
        x: T = real(1, 2),
    }
}

/// A matrix times a vector.
pub struct Matvec;

#[derive(Clone, Copy, Debug)]
struct Extents {
    batch: Option<usize>,
    m: usize,
    n: usize,
    own: (bool, bool),
}

impl Extents {
    fn of(a: &TensorSpec, x: &TensorSpec) -> Result<Extents, Rejection> {
        same_dtype(a, x, "x")?;
        let sa = Stack::of("a", a)?;
        check_extents("x", x)?;
        let (xb, n) = match x.shape[..] {
            [n] => (None, n),
            [b, n] => (Some(b), n),
            _ => return Err(Rejection::new("x", "x must have 1 or 2 dimensions")),
        };
        if n != sa.columns {
            return Err(Rejection::new(
                "x",
                format!("x has {n} elements, it must have as many as a has columns: {}", sa.columns),
            ));
        }
        let batch = joint_batch(sa.batch, xb, "x")?;
        let own = |b: Option<usize>| b.is_some_and(|x| x > 1 || batch == Some(x));
        Ok(Extents { batch, m: sa.rows, n, own: (own(sa.batch), own(xb)) })
    }

    fn shape(&self) -> Vec<usize> {
        self.batch.into_iter().chain([self.m]).collect()
    }
}

impl Operation for Matvec {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "matvec",
            version: 1,
            summary: "A matrix times a vector, or stacks of them",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![Field {
                name: "result",
                doc: "The product, `[m]` or `[batch, m]`.",
                kind: real(1, 2),
                required: true,
                default: None,
            }],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.a, &inputs.x)?;
        let need = Need {
            work_each: 2.0 * e.m as f64 * e.n as f64,
            count: e.batch.unwrap_or(1),
            workspace_each: 0,
            device: on_device(e.m as f64 * e.n as f64 * e.batch.unwrap_or(1) as f64, || {
                gpu::bytes(e, inputs.a.dtype.size_bytes() as u64)
            }),
        };
        let result = TensorSpec::new(inputs.a.dtype, e.shape());
        need.plan(&[&inputs.a, &inputs.x], vec![("result", result, true)])
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        let e = Extents::of(&inputs.a.spec(), &inputs.x.spec())?;
        cpu::run(&inputs, e, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn stacks() -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
