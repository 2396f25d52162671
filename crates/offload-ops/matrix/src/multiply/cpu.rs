//! The product on the CPU: one blocked product, or many small ones beside each other.

use super::{Extents, Inputs};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::stack::for_each;
use faer::{Accum, MatMut, MatRef};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

pub(super) fn run(inputs: &Inputs, e: Extents, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let b = elements::<T>(&inputs.b, "b")?;
        let result = product(a, b, inputs.transpose_a, inputs.transpose_b, e, ctx)?;
        Ok(Record::new().with("result", tensor(e.shape(), result)))
    })
}

fn product<T: Real>(
    a: &[T],
    b: &[T],
    transpose_a: bool,
    transpose_b: bool,
    mut e: Extents,
    ctx: &Context,
) -> Result<Vec<T>, Failure> {
    let mut result = vec![T::default(); e.count() * e.m * e.n];
    // A stack of left matrices over one right matrix is one tall left matrix.
    if e.own == (true, false) && !transpose_a {
        e.m *= e.count();
        e.batch = None;
        e.own = (false, false);
    }
    if result.is_empty() || e.k == 0 {
        ctx.check()?;
        return Ok(result);
    }
    let work = 2.0 * e.m as f64 * e.n as f64 * e.k as f64;
    for_each(ctx, e.batch, work, [e.m * e.n], [&mut result], |i, [to], run| {
        let part = |all: &'_ [T], own, len| if own { i * len..(i + 1) * len } else { 0..all.len().min(len) };
        let a = &a[part(a, e.own.0, e.m * e.k)];
        let b = &b[part(b, e.own.1, e.k * e.n)];
        let a = if transpose_a {
            MatRef::from_column_major_slice(a, e.m, e.k)
        } else {
            MatRef::from_row_major_slice(a, e.m, e.k)
        };
        let b = if transpose_b {
            MatRef::from_column_major_slice(b, e.k, e.n)
        } else {
            MatRef::from_row_major_slice(b, e.k, e.n)
        };
        // The library is fastest into columns, so the transposed product is formed: its columns are our rows.
        let to = MatMut::from_column_major_slice_mut(to, e.n, e.m);
        run.product(to, Accum::Replace, b.transpose(), a.transpose(), T::ONE)
    })?;
    Ok(result)
}
