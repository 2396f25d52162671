//! Symmetric matrices: reduced to tridiagonal form, that form decomposed, the vectors carried back. The job can stop
//! between the columns of the reduction, and between blocks of the other two.

use super::divide;
use crate::kernel::copy::write_rows;
use crate::kernel::qr::{self, Reflections};
use crate::kernel::real::{Real, Scale, exponent, largest, no_convergence, power_of_two};
use crate::kernel::run::{Run, scratch};
use crate::kernel::tridiagonal;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::evd::{
    ComputeEigenvectors, SelfAdjointEvdParams, self_adjoint_evd, self_adjoint_evd_scratch,
};
use faer::linalg::temp_mat_scratch;
use faer::{Auto, Mat, MatRef, Par};
use offload_core::Failure;

/// Up to this extent one call of the library does it, in a few milliseconds.
const WHOLE: usize = 128;

/// Operations.
pub(super) fn work(n: usize, vectors: bool) -> f64 {
    let back = if vectors { 2.0 * (n as f64).powi(3) } else { 0.0 };
    tridiagonal::work(n) + divide::work(n, vectors) + back
}

/// Workspace.
pub(super) fn req<T: Real>(n: usize, vectors: bool) -> StackReq {
    let columns = if vectors { n } else { 0 };
    let threads = crate::kernel::need::threads();
    let compute = if vectors { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    if n <= WHOLE {
        return StackReq::all_of(&[
            StackReq::new::<T>(n * n),
            temp_mat_scratch::<T>(n, columns),
            StackReq::new::<T>(2 * n + 128),
            self_adjoint_evd_scratch::<T>(n.max(1), compute, Par::rayon(0), params()),
        ]);
    }
    let rows = if vectors { n } else { 2 };
    StackReq::all_of(&[
        StackReq::new::<T>(n * n),
        temp_mat_scratch::<T>(rows, n),
        StackReq::new::<f64>(4 * n),
        StackReq::new::<T>(n + 128),
        StackReq::any_of(&[
            StackReq::new::<T>(tridiagonal::elements(n, threads)),
            divide::req::<T>(n, vectors),
            qr::req::<T>(n, n, columns),
        ]),
    ])
}

fn params<T: Real>() -> faer::Spec<SelfAdjointEvdParams, T> {
    <SelfAdjointEvdParams as Auto<T>>::auto().into()
}

/// The values, ascending, and the vectors where there is room for them.
///
/// # Errors
/// `not_finite`; when the job is to stop.
pub(super) fn decompose<T: Real>(
    a: &[T],
    n: usize,
    values: &mut [T],
    vectors: &mut [T],
    run: &Run<'_>,
) -> Result<(), Failure> {
    // The lower triangle alone is read, so that is all that must be finite. By columns it is the upper one.
    let mut w = vec![T::default(); n * n];
    let mut extent = 0.0f64;
    for (i, row) in a.chunks(n).enumerate() {
        let row = &row[..=i];
        extent = extent.max(largest(row, n).map_err(|e| at_row(e, i))?);
        for (j, &x) in row.iter().enumerate() {
            w[j * n + i] = x;
        }
    }
    let scale = Scale::of::<T>(extent);
    scale.apply(&mut w);
    if n <= WHOLE {
        whole(&w, n, values, vectors, run)?
    } else {
        divided(&mut w, n, values, vectors, run)?
    }
    scale.undo(values);
    Ok(())
}

/// The row was looked at alone; the failure names its place in the matrix.
fn at_row(failure: Failure, row: usize) -> Failure {
    match failure {
        Failure::Unprocessable { reason, mut details, .. } => {
            details["row"] = row.into();
            let message =
                format!("the entry at row {row}, column {} is not a finite number", details["column"]);
            Failure::Unprocessable { reason, message, details }
        }
        other => other,
    }
}

fn whole<T: Real>(
    w: &[T],
    n: usize,
    values: &mut [T],
    vectors: &mut [T],
    run: &Run<'_>,
) -> Result<(), Failure> {
    let mut u = (!vectors.is_empty()).then(|| Mat::<T>::zeros(n, n));
    let compute = if u.is_some() { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let mut memory = scratch(self_adjoint_evd_scratch::<T>(n, compute, run.par(), params()));
    self_adjoint_evd(
        MatRef::from_column_major_slice(w, n, n),
        DiagMut::from_slice_mut(values),
        u.as_mut().map(|u| u.as_mut()),
        run.par(),
        MemStack::new(&mut memory),
        params(),
    )
    .map_err(|_| no_convergence())?;
    if let Some(u) = u {
        write_rows(u.as_ref(), vectors);
    }
    run.did(work(n, !vectors.is_empty()))
}

fn divided<T: Real>(
    w: &mut [T],
    n: usize,
    values: &mut [T],
    vectors: &mut [T],
    run: &Run<'_>,
) -> Result<(), Failure> {
    let mut t = tridiagonal::reduce(run, w, n)?;
    // Near one, so that neither squares nor the squares of those leave the range.
    let extent = t.diagonal.iter().chain(&t.below).fold(0.0f64, |m, x| m.max(x.abs()));
    let e = if extent > 0.0 && extent.is_finite() { exponent(extent) } else { 0 };
    t.diagonal.iter_mut().chain(&mut t.below).for_each(|x| *x *= power_of_two(-e));
    let wanted = !vectors.is_empty();
    let mut q = Mat::<T>::zeros(if wanted { n } else { 2 }, n);
    divide::decompose(run, &mut t.diagonal, &t.below, q.as_mut())?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| t.diagonal[i].total_cmp(&t.diagonal[j]));
    for (value, &j) in values.iter_mut().zip(&order) {
        *value = T::narrow(t.diagonal[j] * power_of_two(e));
    }
    if !wanted {
        return Ok(());
    }
    let reflectors = MatRef::from_column_major_slice(w, n, n).submatrix(1, 0, n - 1, n - 1);
    let reflections = Reflections::of(run, reflectors, &t.taus);
    reflections.apply(run, reflectors, q.as_mut().subrows_mut(1, n - 1), false)?;
    for (i, row) in vectors.chunks_mut(n).enumerate() {
        for (to, &j) in row.iter_mut().zip(&order) {
            *to = q[(i, j)];
        }
        if i % 64 == 63 {
            run.did(0.0)?;
        }
    }
    Ok(())
}
