//! The transpose in tiles, over bands of the result's rows.

use super::Inputs;
use crate::kernel::copy::transpose_rows;
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::stack::{Stack, for_each};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Elements between two looks at the cancel flag.
const BLOCK: usize = 1 << 22;
/// Elements that are worth a task of their own.
const TASK: usize = 1 << 16;

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let s = Stack::of("a", &inputs.a.spec())?;
    by_dtype!(inputs.a, T => {
        let result = transposed(elements::<T>(&inputs.a, "a")?, s, ctx)?;
        Ok(Record::new().with("result", tensor(s.shape(&[s.columns, s.rows]), result)))
    })
}

fn transposed<T: Real>(a: &[T], s: Stack, ctx: &Context) -> Result<Vec<T>, Failure> {
    let mut result = vec![T::default(); a.len()];
    if result.is_empty() {
        return Ok(result);
    }
    let band = (BLOCK / s.rows).max(1) * s.rows;
    let task = (TASK / s.rows).max(1) * s.rows;
    for_each(ctx, s.batch, s.len() as f64, [s.len()], [&mut result], |i, [to], run| {
        let a = &a[i * s.len()..(i + 1) * s.len()];
        for (b, to) in to.chunks_mut(band).enumerate() {
            let first = b * band / s.rows;
            let done = to.len() as f64;
            to.par_chunks_mut(task).enumerate().for_each(|(t, to)| {
                transpose_rows(a, s.rows, s.columns, first + t * task / s.rows, to);
            });
            run.did(done)?;
        }
        Ok(())
    })?;
    Ok(result)
}
