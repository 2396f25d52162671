//! A symmetric matrix to tridiagonal form by Householder reflections, panel by panel: Dongarra, Hammarling and
//! Sorensen (J. Comput. Appl. Math. 27, 1989). Half of the work is products with the part that is not reduced yet, one
//! for each column, and the job can stop after each.

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

use super::real::Real;
use super::run::Run;
use super::vector::{add_scaled, dot, symmetric_times};
use faer::linalg::householder::make_householder_in_place;
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{BlockStructure, matmul as triangular_matmul};
use faer::{Accum, ColMut, MatMut, MatRef, Par};
use offload_core::Failure;

/// Columns of a panel.
const PANEL: usize = 32;
/// Extent of the triangles on the diagonal that an update takes whole.
const TRIANGLE: usize = 128;

/// Operations.
pub(crate) fn work(n: usize) -> f64 {
    4.0 / 3.0 * (n as f64).powi(3)
}

/// Elements of workspace.
pub(crate) fn elements(n: usize, threads: usize) -> usize {
    n * (5 * PANEL + 6 + threads)
}

/// What a reduction leaves beside the vectors of the reflections.
pub(crate) struct Tridiagonal<T> {
    pub(crate) diagonal: Vec<f64>,
    pub(crate) below: Vec<f64>,
    /// One for each reflection, as the library has it: the reflection is `I − v vᵀ / τ`.
    pub(crate) taus: Vec<T>,
}

/// Reduces the `n × n` matrix `a`, by columns, whose lower triangle alone is read. It is left with the vectors of
/// the reflections below its diagonal.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn reduce<T: Real>(run: &Run<'_>, a: &mut [T], n: usize) -> Result<Tridiagonal<T>, Failure> {
    let last = n.saturating_sub(1);
    let mut out =
        Tridiagonal { diagonal: vec![0.0; n], below: vec![0.0; last], taus: vec![T::default(); last] };
    let mut x = vec![T::default(); n];
    let mut y = vec![T::default(); n];
    let mut sums = vec![T::default(); n * run.threads()];
    let mut products = vec![T::default(); n * PANEL];
    for k in (0..last).step_by(PANEL) {
        let b = PANEL.min(last - k);
        let m = n - k;
        for i in 0..b {
            let c = k + i;
            let rest = n - c - 1;
            let (before, column) = a.split_at_mut(c * n);
            let column = &mut column[c..n];
            let vectors = MatRef::from_column_major_slice(&before[k * n..], n, i).subrows(c, rest + 1);
            let products_here =
                MatRef::from_column_major_slice(&products[..m * i], m, i).subrows(i, rest + 1);
            for j in 0..i {
                let (v, w) = (vectors[(0, j)], products_here[(0, j)]);
                add_scaled(column, &before[(k + j) * n + c..(k + j + 1) * n], -w);
                add_scaled(column, &products[j * m + i..(j + 1) * m], -v);
            }
            out.diagonal[c] = column[0].wide();
            let (head, tail) = column[1..].split_at_mut(1);
            let tau = make_householder_in_place(&mut head[0], ColMut::from_slice_mut(tail)).tau;
            out.below[c] = head[0].wide();
            out.taus[c] = tau;
            head[0] = T::ONE;
            let (x, y) = (&mut x[..rest], &mut y[..rest]);
            x.copy_from_slice(&column[1..]);
            let w = products_column(&mut products, m, i);
            if !tau.wide().is_finite() {
                w.fill(T::default());
                continue;
            }
            symmetric_times(a, n, c + 1, x, y, &mut sums, run.threads());
            let vectors = MatRef::from_column_major_slice(&a[k * n..(k + i) * n], n, i).subrows(c + 1, rest);
            let before = MatRef::from_column_major_slice(&products[..m * i], m, i).subrows(i + 1, rest);
            let mut t = [T::default(); PANEL];
            let t = MatMut::from_column_major_slice_mut(&mut t[..i], i, 1);
            let x_column = MatRef::from_column_major_slice(x, rest, 1);
            correct(MatMut::from_column_major_slice_mut(y, rest, 1), vectors, before, x_column, t);
            let inverse = T::ONE / tau;
            y.iter_mut().for_each(|y| *y *= inverse);
            let half = -T::narrow(0.5) * inverse * dot(x, y);
            add_scaled(y, x, half);
            products_column(&mut products, m, i)[i + 1..].copy_from_slice(y);
            run.did(2.0 * rest as f64 * rest as f64)?;
        }
        let rest = m - b;
        let (left, right) = a.split_at_mut((k + b) * n);
        let v = MatRef::from_column_major_slice(&left[k * n..], n, b).subrows(k + b, rest);
        let w = MatRef::from_column_major_slice(&products[..m * b], m, b).subrows(b, rest);
        let (mut one, mut two) = (vec![T::default(); rest * 2 * b], vec![T::default(); rest * 2 * b]);
        for (to, first, second) in [(&mut one, v, w), (&mut two, w, v)] {
            let mut to = MatMut::from_column_major_slice_mut(to, rest, 2 * b);
            to.as_mut().subcols_mut(0, b).copy_from(first);
            to.as_mut().subcols_mut(b, b).copy_from(second);
        }
        let a22 = MatMut::from_column_major_slice_mut(right, n, n - k - b).subrows_mut(k + b, rest);
        let one = MatRef::from_column_major_slice(&one, rest, 2 * b);
        let two = MatRef::from_column_major_slice(&two, rest, 2 * b);
        update(run, a22, one, two)?;
    }
    if n > 0 {
        out.diagonal[n - 1] = a[n * n - 1].wide();
    }
    Ok(out)
}

fn products_column<T>(products: &mut [T], m: usize, i: usize) -> &mut [T] {
    &mut products[i * m..(i + 1) * m]
}

/// Takes from `y = A x` what the panel's reflections have changed of `A` by now: `V (Wᵀ x) + W (Vᵀ x)`.
fn correct<T: Real>(
    mut y: MatMut<'_, T>,
    v: MatRef<'_, T>,
    w: MatRef<'_, T>,
    x: MatRef<'_, T>,
    mut t: MatMut<'_, T>,
) {
    for (one, two) in [(v, w), (w, v)] {
        matmul(t.as_mut(), Accum::Replace, two.transpose(), x, T::ONE, Par::Seq);
        matmul(y.as_mut(), Accum::Add, one, t.as_ref(), -T::ONE, Par::Seq);
    }
}

/// Subtracts `one · twoᵀ`, which is symmetric, from the lower triangle.
fn update<T: Real>(
    run: &Run<'_>,
    a: MatMut<'_, T>,
    one: MatRef<'_, T>,
    two: MatRef<'_, T>,
) -> Result<(), Failure> {
    let n = a.nrows();
    if n <= TRIANGLE {
        let (lower, whole) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
        triangular_matmul(a, lower, Accum::Add, one, whole, two.transpose(), whole, -T::ONE, run.par());
        return run.did(n as f64 * n as f64 * one.ncols() as f64);
    }
    let half = n / 2;
    let (a11, _, a21, a22) = a.split_at_mut(half, half);
    let (one1, one2) = one.split_at_row(half);
    let (two1, two2) = two.split_at_row(half);
    update(run, a11, one1, two1)?;
    run.product(a21, Accum::Add, one2, two1.transpose(), -T::ONE)?;
    update(run, a22, one2, two2)
}
