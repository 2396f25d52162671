//! The factor, computed where the result lies.

use super::Inputs;
use crate::kernel::cholesky;
use crate::kernel::copy::transpose_square;
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::run::Run;
use crate::kernel::stack::{Stack, for_each};
use faer::MatMut;
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};
use serde_json::json;

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    let n = s.rows;
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let mut result = vec![T::default(); a.len()];
        for_each(ctx, s.batch, cholesky::work(n), [n * n], [&mut result], |i, [to], run| {
            factor(&a[i * n * n..(i + 1) * n * n], n, to, run)
        })?;
        Ok(Record::new().with("result", tensor(inputs.a.shape().to_vec(), result)))
    })
}

fn factor<T: Real>(a: &[T], n: usize, to: &mut [T], run: &Run<'_>) -> Result<(), Failure> {
    for i in 0..n {
        let row = &a[i * n..=i * n + i];
        if let Some(j) = row.iter().position(|x| !x.wide().is_finite()) {
            return Err(Failure::unprocessable(
                "not_finite",
                format!("the entry at row {i}, column {j} is not a finite number"),
                json!({"row": i, "column": j}),
            ));
        }
        to[i * n..=i * n + i].copy_from_slice(row);
    }
    // The kernel wants columns; the transposition within the square costs no second matrix.
    transpose_square(to, n);
    let outcome = cholesky::factor_in_place(run, MatMut::from_column_major_slice_mut(to, n, n))?;
    if let Err(k) = outcome {
        return Err(indefinite(k));
    }
    transpose_square(to, n);
    // The kernel leaves remains of its work above the diagonal.
    for (i, row) in to.chunks_mut(n.max(1)).enumerate() {
        row[i + 1..].fill(T::default());
    }
    Ok(())
}

/// Pivot `k`, counted from 0, is not positive.
pub(super) fn indefinite(k: usize) -> Failure {
    Failure::unprocessable(
        "not_positive_definite",
        format!("the matrix is not positive definite: pivot {k} (counted from 0) is not positive"),
        json!({"pivot": k}),
    )
}
