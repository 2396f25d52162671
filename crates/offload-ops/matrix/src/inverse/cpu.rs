//! The inverse from LU: `A⁻¹ = U⁻¹ L⁻¹ P`, a band of columns at a time.

use super::Inputs;
use crate::kernel::lu;
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements, one_norm, reciprocal_condition};
use crate::kernel::run::Run;
use crate::kernel::stack::{Stack, for_each};
use crate::kernel::triangular::{Triangle, solve_in_place};
use faer::MatMut;
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};
use serde_json::json;

/// Columns of the inverse that are computed together.
pub(super) fn band(n: usize) -> usize {
    n.min(256)
}

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    let n = s.rows;
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let mut result = vec![T::default(); a.len()];
        let mut rcond = vec![T::default(); s.count()];
        let work = 2.0 * (n as f64).powi(3);
        for_each(ctx, s.batch, work, [n * n, 1], [&mut result, &mut rcond], |i, [to, rcond], run| {
            rcond[0] = T::narrow(inverse(&a[i * n * n..(i + 1) * n * n], n, to, run)?);
            Ok(())
        })?;
        Ok(Record::new()
            .with("result", tensor(inputs.a.shape().to_vec(), result))
            .with("rcond", tensor(s.shape(&[]), rcond)))
    })
}

/// Writes the inverse of a matrix; gives its reciprocal condition.
///
/// # Errors
/// `not_finite`, `singular`; when the job is to stop.
pub(super) fn inverse<T: Real>(a: &[T], n: usize, to: &mut [T], run: &Run<'_>) -> Result<f64, Failure> {
    if n == 0 {
        return Ok(1.0);
    }
    let lu = lu::factor(a, n, run)?;
    lu.regular()?;
    let width = band(n);
    let mut columns = vec![T::default(); n * width];
    let mut inverse_norm = 0.0f64;
    for j in (0..n).step_by(width) {
        let w = width.min(n - j);
        let columns = &mut columns[..n * w];
        columns.fill(T::default());
        for c in 0..w {
            columns[c * n + j + c] = T::ONE;
        }
        let mut x = MatMut::from_column_major_slice_mut(columns, n, w);
        // L⁻¹ is lower triangular: above row j these columns of it are zero.
        let l = lu.factors().submatrix(j, j, n - j, n - j);
        solve_in_place(run, l, Triangle::UnitLower, x.as_mut().subrows_mut(j, n - j))?;
        solve_in_place(run, lu.factors(), Triangle::Upper, x)?;
        for column in columns.chunks(n) {
            inverse_norm = inverse_norm.max(column.iter().map(|x| x.wide().abs()).sum());
        }
        for i in (0..n).step_by(32) {
            for c in 0..w {
                let target = lu.rows[j + c];
                for r in i..n.min(i + 32) {
                    to[r * n + target] = columns[c * n + r];
                }
            }
        }
    }
    // `max` passes NaN over, so what overflowed is found among the entries.
    if to.iter().map(|x| x.wide() * 0.0).sum::<f64>() != 0.0 {
        return Err(out_of_range(lu.pivots()));
    }
    Ok(reciprocal_condition(one_norm(a, n), inverse_norm))
}

/// The failure of a matrix that has these pivots and whose inverse is not finite.
pub(super) fn out_of_range<T: Real>(pivots: impl Iterator<Item = T>) -> Failure {
    let magnitude = |x: &(usize, T)| x.1.wide().abs();
    let smallest = pivots.enumerate().min_by(|a, b| magnitude(a).total_cmp(&magnitude(b)));
    let pivot = smallest.map_or(0, |(k, _)| k);
    Failure::unprocessable(
        "singular",
        format!(
            "the matrix is singular to the range of its type: pivot {pivot} (counted from 0) is nearly zero"
        ),
        json!({"pivot": pivot}),
    )
}
