//! `matrix.multiply`: the product of two matrices, or of stacks of them.

mod cases;
mod cpu;
mod gpu;

use crate::kernel::need::Need;
use crate::kernel::stack::{Stack, joint_batch, same_dtype};
use offload_api::{Field, Priority, Record, Tensor, TensorSpec};
use offload_core::device::Gpu;
use offload_core::{About, Case, Context, DeviceNeed, Failure, Operation, Plan, Rejection, Slot, real};

offload_core::choice! {
    /// How exactly products are formed.
    pub enum Precision {
        /// Every product and sum in the element type, as IEEE 754 says.
        Ieee = "ieee",
        /// Factors rounded to ten bits of mantissa where the device is faster so.
        Tf32 = "tf32",
    }
}

offload_core::inputs! {
    /// Inputs of `matrix.multiply`.
    pub struct Inputs<T> (dtype: F64) {
        /// The left matrix, `[m, k]` or `[batch, m, k]`; `[k, m]` with `transpose_a`.
        a: T = real(2, 3),
        /// The right matrix, `[k, n]` or `[batch, k, n]`; `[n, k]` with `transpose_b`. A stack of one, or a matrix
        /// that is not in a stack, is used for every matrix of the other operand.
        b: T = real(2, 3),
        /// Whether `a` is used transposed.
        transpose_a: bool,
        /// Whether `b` is used transposed.
        transpose_b: bool,
        /// `tf32` lets a device round `f32` factors to ten bits of mantissa; the CPU always computes as `ieee`.
        precision: Precision,
    }
}

/// The product of two matrices.
pub struct Multiply;

/// The extents of a product.
#[derive(Clone, Copy, Debug)]
struct Extents {
    batch: Option<usize>,
    m: usize,
    n: usize,
    k: usize,
    /// Whether each product has an `a`, and a `b`, of its own.
    own: (bool, bool),
}

impl Extents {
    fn of<T: Slot>(inputs: &Inputs<T>, a: &TensorSpec, b: &TensorSpec) -> Result<Extents, Rejection> {
        same_dtype(a, b, "b")?;
        let (sa, sb) = (Stack::of("a", a)?, Stack::of("b", b)?);
        let (m, k) = if inputs.transpose_a { (sa.columns, sa.rows) } else { (sa.rows, sa.columns) };
        let (kb, n) = if inputs.transpose_b { (sb.columns, sb.rows) } else { (sb.rows, sb.columns) };
        if k != kb {
            let side = |transposed, yes: &'static str, no: &'static str| if transposed { yes } else { no };
            return Err(Rejection::new(
                "b",
                format!(
                    "b has {kb} {}, it must have as many as a has {}: {k}",
                    side(inputs.transpose_b, "columns", "rows"),
                    side(inputs.transpose_a, "rows", "columns"),
                ),
            ));
        }
        let batch = joint_batch(sa.batch, sb.batch, "b")?;
        let own = |s: Stack| s.batch.is_some_and(|x| x > 1 || batch == Some(x));
        Ok(Extents { batch, m, n, k, own: (own(sa), own(sb)) })
    }

    fn count(&self) -> usize {
        self.batch.unwrap_or(1)
    }

    fn shape(&self) -> Vec<usize> {
        self.batch.into_iter().chain([self.m, self.n]).collect()
    }
}

impl Operation for Multiply {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "matrix",
            name: "multiply",
            version: 1,
            summary: "The product of two matrices, or of stacks of them",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "floating-point operations",
            outputs: vec![Field {
                name: "result",
                doc: "The product, `[m, n]` or `[batch, m, n]`.",
                kind: real(2, 3),
                required: true,
                default: None,
            }],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(inputs, &inputs.a, &inputs.b)?;
        let result = TensorSpec::new(inputs.a.dtype, e.shape());
        let work_each = 2.0 * e.m as f64 * e.n as f64 * e.k as f64;
        let device = if work_each * e.count() as f64 == 0.0 {
            DeviceNeed::CpuOnly("an empty product has nothing to compute")
        } else {
            let bytes = [&inputs.a, &inputs.b, &result].iter().fold(0u64, |s, t| s.saturating_add(t.bytes()));
            DeviceNeed::Bytes(bytes)
        };
        let need = Need { work_each, count: e.count(), workspace_each: 0, device };
        need.plan(&[&inputs.a, &inputs.b], vec![("result", result, true)])
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        let e = Extents::of(&inputs, &inputs.a.spec(), &inputs.b.spec())?;
        cpu::run(&inputs, e, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        let e = Extents::of(&inputs, &inputs.a.spec(), &inputs.b.spec())?;
        gpu::run(&inputs, e, gpu)
    }

    fn stacks() -> bool {
        true
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
