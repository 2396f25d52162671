//! Rows times the vector. The matrix is read once, at the speed of memory; one shared matrix under a stack of
//! vectors is a product of matrices, so that it is still read once.

use super::{Extents, Inputs};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::run::Run;
use faer::{Accum, MatMut, MatRef};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Elements of the matrix between two looks at the cancel flag.
const BLOCK: usize = 1 << 22;
/// Elements of the matrix that are worth a task of their own.
const TASK: usize = 1 << 15;

pub(super) fn run(inputs: &Inputs, e: Extents, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let x = elements::<T>(&inputs.x, "x")?;
        Ok(Record::new().with("result", tensor(e.shape(), product(a, x, e, ctx)?)))
    })
}

fn product<T: Real>(a: &[T], x: &[T], e: Extents, ctx: &Context) -> Result<Vec<T>, Failure> {
    ctx.check()?;
    let count = e.batch.unwrap_or(1);
    let mut result = vec![T::default(); count * e.m];
    if result.is_empty() || e.n == 0 {
        return Ok(result);
    }
    if e.own == (false, true) && count > 1 {
        let run = Run::alone(ctx, 0, 1, 2.0 * count as f64 * e.m as f64 * e.n as f64);
        let to = MatMut::from_column_major_slice_mut(&mut result, e.m, count);
        let a = MatRef::from_row_major_slice(a, e.m, e.n);
        run.product(to, Accum::Replace, a, MatRef::from_column_major_slice(x, e.n, count), T::ONE)?;
        return Ok(result);
    }
    let rows_per_block = (BLOCK / e.n).max(1);
    let rows_per_task = (TASK / e.n).max(1);
    let blocks = result.len().div_ceil(rows_per_block);
    for (block, to) in result.chunks_mut(rows_per_block).enumerate() {
        let first = block * rows_per_block;
        to.par_chunks_mut(rows_per_task).enumerate().for_each(|(task, to)| {
            for (i, t) in to.iter_mut().enumerate() {
                let row = first + task * rows_per_task + i;
                let a_row = if e.own.0 || count == 1 { row } else { row % e.m };
                let x = if e.own.1 { &x[row / e.m * e.n..][..e.n] } else { x };
                *t = dot(&a[a_row * e.n..][..e.n], x);
            }
        });
        ctx.block(block + 1, blocks)?;
    }
    Ok(result)
}

/// Sixteen sums beside each other, which vectorise and halve the rounding error's growth four times over.
fn dot<T: Real>(a: &[T], x: &[T]) -> T {
    const LANES: usize = 16;
    let mut sums = [T::default(); LANES];
    let (a_chunks, x_chunks) = (a.chunks_exact(LANES), x.chunks_exact(LANES));
    let (a_rest, x_rest) = (a_chunks.remainder(), x_chunks.remainder());
    for (a, x) in a_chunks.zip(x_chunks) {
        for i in 0..LANES {
            sums[i] += a[i] * x[i];
        }
    }
    for ((s, &a), &x) in sums.iter_mut().zip(a_rest).zip(x_rest) {
        *s += a * x;
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            let other = sums[i + width];
            sums[i] += other;
        }
    }
    sums[0]
}
