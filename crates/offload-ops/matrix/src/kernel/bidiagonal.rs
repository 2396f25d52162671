//! A matrix to upper bidiagonal form by Householder reflections from both sides, panel by panel: Dongarra,
//! Hammarling and Sorensen (J. Comput. Appl. Math. 27, 1989). Half of the work is products with the part that is not
//! reduced yet, two for each column, and the job can stop after each column.

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

use super::real::Real;
use super::run::Run;
use super::vector::add_scaled;
use faer::linalg::householder::make_householder_in_place;
use faer::linalg::matmul::matmul;
use faer::{Accum, ColMut, MatMut, MatRef, Par};
use offload_core::Failure;

/// Columns of a panel.
const PANEL: usize = 32;

/// Operations.
pub(crate) fn work(m: usize, n: usize) -> f64 {
    let (m, n) = (m as f64, n as f64);
    4.0 * n * n * (m - n / 3.0)
}

/// Elements of workspace, the right reflections included.
pub(crate) fn elements(m: usize, n: usize) -> usize {
    n * n + 3 * PANEL * (m + n) + 2 * (m + n)
}

/// What a reduction leaves beside the vectors of the left reflections.
pub(crate) struct Bidiagonal<T> {
    pub(crate) diagonal: Vec<f64>,
    pub(crate) above: Vec<f64>,
    /// One for each reflection from the left, as the library has it: the reflection is `I − v vᵀ / τ`.
    pub(crate) left_taus: Vec<T>,
    /// The vectors of the reflections from the right, below the diagonal of an `n × n` matrix by columns.
    pub(crate) right: Vec<T>,
    pub(crate) right_taus: Vec<T>,
}

/// Reduces the `m × n` matrix `a`, by columns, `m ≥ n ≥ 1`. It is left with the vectors of the reflections from the
/// left on and below its diagonal.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn reduce<T: Real>(
    run: &Run<'_>,
    a: &mut [T],
    m: usize,
    n: usize,
) -> Result<Bidiagonal<T>, Failure> {
    let mut out = Bidiagonal {
        diagonal: vec![0.0; n],
        above: vec![0.0; n - 1],
        left_taus: vec![T::default(); n],
        right: vec![T::default(); n * n],
        right_taus: vec![T::default(); n - 1],
    };
    // What the panel's reflections have changed: A − V Yᵀ − X Uᵀ.
    let (mut xs, mut ys) = (vec![T::default(); m * PANEL], vec![T::default(); n * PANEL]);
    for k in (0..n).step_by(PANEL) {
        let b = PANEL.min(n - k);
        let (x_rows, y_rows) = (m - k, n - k);
        for i in 0..b {
            let c = k + i;
            let (before, here) = a.split_at_mut(c * m);
            let (column, after) = here.split_at_mut(m);
            let column = &mut column[c..];
            for j in 0..i {
                add_scaled(column, &before[(k + j) * m + c..(k + j + 1) * m], -ys[j * y_rows + i]);
                let u = out.right[(k + j) * n + c];
                add_scaled(column, &xs[j * x_rows + i..(j + 1) * x_rows], -u);
            }
            let (head, tail) = column.split_at_mut(1);
            let tau = make_householder_in_place(&mut head[0], ColMut::from_slice_mut(tail)).tau;
            out.diagonal[c] = head[0].wide();
            out.left_taus[c] = tau;
            head[0] = T::ONE;
            let rest = n - c - 1;
            if rest == 0 {
                break;
            }
            let below = m - c;
            let v = MatRef::from_column_major_slice(column, below, 1);
            let vs = MatRef::from_column_major_slice(&before[k * m..], m, i).subrows(c, below);
            let (right_before, right_here) = out.right.split_at_mut(c * n);
            let us = MatRef::from_column_major_slice(&right_before[k * n..], n, i).subrows(c + 1, rest);
            let (ys_before, ys_here) = ys.split_at_mut(i * y_rows);
            let (xs_before, xs_here) = xs.split_at_mut(i * x_rows);
            let y = &mut ys_here[i + 1..y_rows];
            let x = &mut xs_here[i + 1..x_rows];
            let y_before = MatRef::from_column_major_slice(ys_before, y_rows, i).subrows(i + 1, rest);
            let x_before = MatRef::from_column_major_slice(xs_before, x_rows, i);
            let trailing = MatRef::from_column_major_slice(after, m, rest).subrows(c, below);
            if tau.wide().is_finite() {
                let mut to = MatMut::from_column_major_slice_mut(y, rest, 1);
                matmul(to.as_mut(), Accum::Replace, trailing.transpose(), v, T::ONE, run.par());
                correct(to.as_mut(), y_before, vs, v);
                correct(to, us, x_before.subrows(i, below), v);
                scale(y, T::ONE / tau);
            } else {
                y.fill(T::default());
            }
            // The row of the matrix as it is by now, and its reflection.
            let row = &mut right_here[c + 1..n];
            for (to, from) in row.iter_mut().zip(after.iter().skip(c).step_by(m)) {
                *to = *from;
            }
            for j in 0..i {
                add_scaled(row, &ys_before[j * y_rows + i + 1..(j + 1) * y_rows], -before[(k + j) * m + c]);
                let u = &right_before[(k + j) * n + c + 1..(k + j + 1) * n];
                add_scaled(row, u, -xs_before[j * x_rows + i]);
            }
            add_scaled(row, y, -T::ONE);
            let (head, tail) = row.split_at_mut(1);
            let tau = make_householder_in_place(&mut head[0], ColMut::from_slice_mut(tail)).tau;
            out.above[c] = head[0].wide();
            out.right_taus[c] = tau;
            head[0] = T::ONE;
            if tau.wide().is_finite() {
                let u = MatRef::from_column_major_slice(row, rest, 1);
                let mut to = MatMut::from_column_major_slice_mut(x, below - 1, 1);
                let lower = trailing.subrows(1, below - 1);
                matmul(to.as_mut(), Accum::Replace, lower, u, T::ONE, run.par());
                correct(to.as_mut(), vs.subrows(1, below - 1), y_before, u);
                correct(to.as_mut(), x_before.subrows(i + 1, below - 1), us, u);
                // The reflection of this column itself, which is not among those before.
                let own = super::vector::dot(y, row);
                add_scaled(x, &column[1..], -own);
                scale(x, T::ONE / tau);
            } else {
                x.fill(T::default());
            }
            run.did(4.0 * below as f64 * rest as f64)?;
        }
        let (rows, columns) = (m - k - b, n - k - b);
        if columns == 0 {
            break;
        }
        let (left, right) = a.split_at_mut((k + b) * m);
        let v = MatRef::from_column_major_slice(&left[k * m..], m, b).subrows(k + b, rows);
        let u = MatRef::from_column_major_slice(&out.right[k * n..(k + b) * n], n, b).subrows(k + b, columns);
        let x = MatRef::from_column_major_slice(&xs[..x_rows * b], x_rows, b).subrows(b, rows);
        let y = MatRef::from_column_major_slice(&ys[..y_rows * b], y_rows, b).subrows(b, columns);
        let (one, two) = (side_by_side(v, x), side_by_side(y, u));
        let one = MatRef::from_column_major_slice(&one, rows, 2 * b);
        let two = MatRef::from_column_major_slice(&two, columns, 2 * b);
        let to = MatMut::from_column_major_slice_mut(right, m, columns).subrows_mut(k + b, rows);
        run.product(to, Accum::Add, one, two.transpose(), -T::ONE)?;
    }
    Ok(out)
}

/// Subtracts `one · (twoᵀ x)`.
fn correct<T: Real>(to: MatMut<'_, T>, one: MatRef<'_, T>, two: MatRef<'_, T>, x: MatRef<'_, T>) {
    let mut t = [T::default(); PANEL];
    let mut t = MatMut::from_column_major_slice_mut(&mut t[..two.ncols()], two.ncols(), 1);
    matmul(t.as_mut(), Accum::Replace, two.transpose(), x, T::ONE, Par::Seq);
    matmul(to, Accum::Add, one, t.as_ref(), -T::ONE, Par::Seq);
}

fn scale<T: Real>(x: &mut [T], factor: T) {
    x.iter_mut().for_each(|x| *x *= factor);
}

fn side_by_side<T: Real>(one: MatRef<'_, T>, two: MatRef<'_, T>) -> Vec<T> {
    let (rows, b) = (one.nrows(), one.ncols());
    let mut both = vec![T::default(); rows * 2 * b];
    let mut to = MatMut::from_column_major_slice_mut(&mut both, rows, 2 * b);
    to.as_mut().subcols_mut(0, b).copy_from(one);
    to.as_mut().subcols_mut(b, b).copy_from(two);
    both
}
