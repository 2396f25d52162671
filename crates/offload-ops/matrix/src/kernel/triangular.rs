//! Triangular systems with many right-hand sides, in blocks between which the job can stop.

use super::real::Real;
use super::run::{BLOCK_WORK, Run};
use faer::linalg::triangular_solve as solve;
use faer::{Accum, MatMut, MatRef};
use offload_core::Failure;

/// Which triangle holds the system, and whether its diagonal is ones that are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Triangle {
    /// The lower one, ones on the diagonal.
    UnitLower,
    /// The lower one.
    Lower,
    /// The upper one.
    Upper,
    /// The upper one, ones on the diagonal.
    UnitUpper,
}

/// Replaces `x` by the solution of `t · y = x`.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn solve_in_place<T: Real>(
    run: &Run<'_>,
    t: MatRef<'_, T>,
    triangle: Triangle,
    mut x: MatMut<'_, T>,
) -> Result<(), Failure> {
    let (n, k) = (x.nrows(), x.ncols());
    let work = n as f64 * n as f64 * k as f64;
    if work <= BLOCK_WORK || n <= 64 {
        match triangle {
            Triangle::UnitLower => solve::solve_unit_lower_triangular_in_place(t, x, run.par()),
            Triangle::Lower => solve::solve_lower_triangular_in_place(t, x, run.par()),
            Triangle::Upper => solve::solve_upper_triangular_in_place(t, x, run.par()),
            Triangle::UnitUpper => solve::solve_unit_upper_triangular_in_place(t, x, run.par()),
        }
        return run.did(work);
    }
    if k > n {
        let (left, right) = x.split_at_col_mut(k / 2);
        solve_in_place(run, t, triangle, left)?;
        return solve_in_place(run, t, triangle, right);
    }
    let half = n / 2;
    let (first, upper, lower, second) = t.split_at(half, half);
    let (mut x1, mut x2) = x.as_mut().split_at_row_mut(half);
    let minus_one = -T::ONE;
    if matches!(triangle, Triangle::UnitLower | Triangle::Lower) {
        solve_in_place(run, first, triangle, x1.as_mut())?;
        run.product(x2.as_mut(), Accum::Add, lower, x1.as_ref(), minus_one)?;
        solve_in_place(run, second, triangle, x2)
    } else {
        solve_in_place(run, second, triangle, x2.as_mut())?;
        run.product(x1.as_mut(), Accum::Add, upper, x2.as_ref(), minus_one)?;
        solve_in_place(run, first, triangle, x1)
    }
}
