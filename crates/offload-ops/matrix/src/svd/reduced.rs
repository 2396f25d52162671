//! Matrices that are not tall: reduced to bidiagonal form, that form decomposed, the vectors carried back. The job can
//! stop between the columns of the reduction, and between blocks of the other two.

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

use super::divide;
use crate::kernel::bidiagonal;
use crate::kernel::qr::{self, Reflections};
use crate::kernel::real::{Real, exponent, no_convergence, power_of_two};
use crate::kernel::run::{Run, scratch};
use faer::diag::DiagMut;
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::svd::{ComputeSvdVectors, SvdParams, svd, svd_scratch};
use faer::linalg::temp_mat_scratch;
use faer::{Auto, Mat, MatMut, MatRef, Par};
use offload_core::Failure;

/// Up to this extent one call of the library does it, in a few milliseconds.
const WHOLE: usize = 128;

/// Operations.
pub(super) fn work(m: usize, n: usize, left_columns: usize) -> f64 {
    let (rows, columns, left) = (m as f64, n as f64, left_columns as f64);
    let back = if left_columns > 0 {
        2.0 * columns * (2.0 * rows - columns) * left + 2.0 * columns.powi(3)
    } else {
        0.0
    };
    bidiagonal::work(m, n) + divide::work(n, left_columns > 0) + back
}

/// Workspace.
pub(super) fn req<T: Real>(m: usize, n: usize, vectors: ComputeSvdVectors) -> StackReq {
    let right = if vectors == ComputeSvdVectors::No { vectors } else { ComputeSvdVectors::Thin };
    if n <= WHOLE {
        return svd_scratch::<T>(m, n, vectors, right, Par::rayon(0), params());
    }
    let wanted = vectors != ComputeSvdVectors::No;
    let columns = match vectors {
        ComputeSvdVectors::No => 0,
        ComputeSvdVectors::Thin => n,
        ComputeSvdVectors::Full => m,
    };
    StackReq::all_of(&[
        StackReq::new::<T>(bidiagonal::elements(m, n)),
        StackReq::new::<f64>(6 * n),
        if wanted { StackReq::EMPTY } else { temp_mat_scratch::<T>(2, n) },
        StackReq::any_of(&[divide::req::<T>(n, wanted), qr::req::<T>(m, n, columns)]),
    ])
}

fn params<T: Real>() -> faer::Spec<SvdParams, T> {
    <SvdParams as Auto<T>>::auto().into()
}

/// Decomposes an `m × n` matrix by columns, `m ≥ n ≥ 1`, whose entries are lost. The values descend; the left vectors
/// are as many as there is room for.
///
/// # Errors
/// When the job is to stop.
pub(super) fn decompose<T: Real>(
    a: &mut [T],
    m: usize,
    n: usize,
    values: &mut [T],
    vectors: Option<(MatMut<'_, T>, MatMut<'_, T>)>,
    run: &Run<'_>,
) -> Result<(), Failure> {
    if n <= WHOLE {
        return whole(MatRef::from_column_major_slice(a, m, n), values, vectors, run);
    }
    let mut b = bidiagonal::reduce(run, a, m, n)?;
    // Near one, so that neither squares nor the squares of those leave the range.
    let extent = b.diagonal.iter().chain(&b.above).fold(0.0f64, |m, x| m.max(x.abs()));
    let e = if extent > 0.0 && extent.is_finite() { exponent(extent) } else { 0 };
    b.diagonal.iter_mut().chain(&mut b.above).for_each(|x| *x *= power_of_two(-e));
    let d = &mut b.diagonal;
    let Some((mut left, mut right)) = vectors else {
        let mut ends = Mat::<T>::zeros(2, n);
        divide::decompose(run, d, &b.above, None, ends.as_mut())?;
        d.sort_by(|x, y| y.total_cmp(x));
        values.iter_mut().zip(d).for_each(|(value, d)| *value = T::narrow(*d * power_of_two(e)));
        return Ok(());
    };
    let square = left.as_mut().submatrix_mut(0, 0, n, n);
    divide::decompose(run, d, &b.above, Some(square), right.as_mut())?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| d[j].total_cmp(&d[i]));
    for (value, &j) in values.iter_mut().zip(&order) {
        *value = T::narrow(d[j] * power_of_two(e));
    }
    arrange(left.as_mut(), &order);
    arrange(right.as_mut(), &order);
    for j in n..left.ncols() {
        left[(j, j)] = T::ONE;
    }
    run.did(0.0)?;
    let reflectors = MatRef::from_column_major_slice(a, m, n);
    Reflections::of(run, reflectors, &b.left_taus).apply(run, reflectors, left, false)?;
    let reflectors = MatRef::from_column_major_slice(&b.right, n, n).submatrix(1, 0, n - 1, n - 1);
    let right = right.subrows_mut(1, n - 1);
    Reflections::of(run, reflectors, &b.right_taus).apply(run, reflectors, right, false)
}

/// Puts the column `order[j]` at place `j`, along the cycles of the permutation.
fn arrange<T: Real>(mut q: MatMut<'_, T>, order: &[usize]) {
    let mut settled = vec![false; order.len()];
    let mut held = vec![T::default(); q.nrows()];
    for start in 0..order.len() {
        if settled[start] {
            continue;
        }
        held.iter_mut().enumerate().for_each(|(r, h)| *h = q[(r, start)]);
        let mut to = start;
        while order[to] != start {
            settled[to] = true;
            for r in 0..q.nrows() {
                q[(r, to)] = q[(r, order[to])];
            }
            to = order[to];
        }
        settled[to] = true;
        held.iter().enumerate().for_each(|(r, &h)| q[(r, to)] = h);
    }
}

fn whole<T: Real>(
    a: MatRef<'_, T>,
    values: &mut [T],
    vectors: Option<(MatMut<'_, T>, MatMut<'_, T>)>,
    run: &Run<'_>,
) -> Result<(), Failure> {
    run.did(0.0)?;
    let (m, n) = (a.nrows(), a.ncols());
    let (u, v) = vectors.unzip();
    let left_columns = u.as_ref().map_or(0, |u| u.ncols());
    let left = match &u {
        None => ComputeSvdVectors::No,
        Some(u) if u.ncols() > n => ComputeSvdVectors::Full,
        Some(_) => ComputeSvdVectors::Thin,
    };
    let right = if u.is_none() { ComputeSvdVectors::No } else { ComputeSvdVectors::Thin };
    let mut memory = scratch(svd_scratch::<T>(m, n, left, right, run.par(), params()));
    let values = DiagMut::from_slice_mut(values);
    svd(a, values, u, v, run.par(), MemStack::new(&mut memory), params()).map_err(|_| no_convergence())?;
    run.did(work(m, n, left_columns))
}
