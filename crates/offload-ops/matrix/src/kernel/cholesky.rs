//! Cholesky, panel by panel: the job can stop between panels and between the blocks of an update.

use super::real::Real;
use super::run::{BLOCK_WORK, Run, scratch};
use super::triangular::{Triangle, solve_in_place};
use faer::dyn_stack::MemStack;
use faer::linalg::cholesky::llt::factor::{
    LltError, LltParams, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Auto, MatMut};
use offload_core::Failure;

/// Operations of a factorisation.
pub(crate) fn work(n: usize) -> f64 {
    (n as f64).powi(3) / 3.0
}

/// Columns of a panel.
fn panel_width(n: usize) -> usize {
    let width = (BLOCK_WORK / n.max(1) as f64).sqrt() as usize;
    width.clamp(64, 512)
}

/// Bytes of workspace.
pub(crate) fn bytes<T>(n: usize) -> u64 {
    (panel_width(n) * size_of::<T>()) as u64 + 512
}

/// Replaces the lower triangle of `a` by its factor; the upper one is
/// not read, and what it holds afterwards has no meaning. The outer result
/// is an error when the job is to stop, the inner one holds the first pivot that is not positive.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn factor_in_place<T: Real>(
    run: &Run<'_>,
    mut a: MatMut<'_, T>,
) -> Result<Result<(), usize>, Failure> {
    let n = a.nrows();
    let width = panel_width(n);
    let params = || <LltParams as Auto<T>>::auto().into();
    let mut memory = scratch(cholesky_in_place_scratch::<T>(width.min(n), run.par(), params()));
    for k in (0..n).step_by(width) {
        let b = width.min(n - k);
        let (mut a11, _, mut a21, a22) = a.as_mut().submatrix_mut(k, k, n - k, n - k).split_at_mut(b, b);
        let stack = MemStack::new(&mut memory);
        if let Err(LltError::NonPositivePivot { index }) =
            cholesky_in_place(a11.as_mut(), Default::default(), run.par(), stack, params())
        {
            return Ok(Err(k + index));
        }
        run.did(work(b))?;
        solve_in_place(run, a11.as_ref(), Triangle::Lower, a21.as_mut().transpose_mut())?;
        update(run, a22, a21.as_ref())?;
    }
    Ok(Ok(()))
}

/// Subtracts `l · lᵀ` from the lower triangle of `a`.
fn update<T: Real>(run: &Run<'_>, a: MatMut<'_, T>, l: faer::MatRef<'_, T>) -> Result<(), Failure> {
    let n = a.nrows();
    let work = n as f64 * n as f64 * l.ncols() as f64;
    if n == 0 {
        return Ok(());
    }
    if work <= BLOCK_WORK || n <= 64 {
        let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
        matmul(a, lower, Accum::Add, l, full, l.transpose(), full, -T::ONE, run.par());
        return run.did(work);
    }
    let half = n / 2;
    let (a11, _, a21, a22) = a.split_at_mut(half, half);
    let (l1, l2) = l.split_at_row(half);
    update(run, a11, l1)?;
    run.product(a21, Accum::Add, l2, l1.transpose(), -T::ONE)?;
    update(run, a22, l2)
}
