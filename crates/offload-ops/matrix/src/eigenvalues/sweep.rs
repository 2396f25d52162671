//! One sweep of the QR iteration: a chain of small bulges, one for each pair of shifts, is chased from the top to the
//! bottom in windows. Within a window every step is done at once; what lies beside it gets the window's whole turn as
//! a product.

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

use super::schur::{Active, Pair};
use crate::kernel::real::Real;
use crate::kernel::run::Run;
use faer::linalg::householder::make_householder_in_place;
use faer::{ColMut, Mat, MatMut};
use offload_core::Failure;

/// Rows between two bulges of a chain.
const SPACING: usize = 4;

/// Extent of a window.
pub(super) fn window(n: usize) -> usize {
    match n {
        0..600 => 80,
        600..3_000 => 144,
        _ => 240,
    }
}

/// Chases the bulges of these shifts through the rows and columns `start..stop`.
///
/// # Errors
/// When the job is to stop.
pub(super) fn sweep<T: Real>(
    run: &Run<'_>,
    a: &mut Active<'_, T>,
    start: usize,
    stop: usize,
    pairs: &[Pair],
) -> Result<(), Failure> {
    let size = window(a.h.nrows());
    // The row of each bulge's next reflection, the leading one first.
    let mut next = vec![start; pairs.len()];
    let end = stop - 1;
    while next.last().is_some_and(|&q| q < end) {
        let hindmost = next.last().copied().unwrap_or(start);
        let first = if hindmost == start { start } else { hindmost - 1 };
        let beyond = (first + size).min(stop);
        let mut turn = Mat::<T>::identity(beyond - first, beyond - first);
        let mut window = a.h.as_mut().submatrix_mut(first, first, beyond - first, beyond - first);
        for m in 0..pairs.len() {
            while next[m] < end {
                let q = next[m];
                let room = beyond == stop || q + 4 <= beyond;
                let clear = m == 0 || next[m - 1] >= end || next[m - 1] >= q + SPACING;
                if !room || !clear {
                    break;
                }
                let shifts = (q == start).then_some(pairs[m]);
                step(window.as_mut(), turn.as_mut(), q - first, beyond - first, shifts);
                next[m] += 1;
            }
        }
        run.did(0.0)?;
        a.turn(run, first, turn.as_ref(), start, stop)?;
    }
    Ok(())
}

/// One reflection of two or three rows and columns: the first of a bulge, which brings its shifts in, or the next.
/// Nothing below `end` is touched.
pub(super) fn step<T: Real>(
    mut h: MatMut<'_, T>,
    mut turn: MatMut<'_, T>,
    q: usize,
    end: usize,
    shifts: Option<Pair>,
) {
    let n = h.ncols();
    let rows = 3.min(end - q);
    let zero = T::default();
    let mut v = [zero; 3];
    match shifts {
        Some(pair) => first_column(h.as_ref(), q, rows, pair, &mut v),
        None => (0..rows).for_each(|i| v[i] = h[(q + i, q - 1)]),
    }
    let (head, tail) = v[..rows].split_at_mut(1);
    let tau = make_householder_in_place(&mut head[0], ColMut::from_slice_mut(tail)).tau;
    if shifts.is_none() {
        h[(q, q - 1)] = head[0];
        (1..rows).for_each(|i| h[(q + i, q - 1)] = zero);
    }
    if !tau.wide().is_finite() {
        return;
    }
    head[0] = T::ONE;
    if rows == 2 {
        v[2] = zero;
    }
    let inverse = T::ONE / tau;
    let w = [v[0] * inverse, v[1] * inverse, v[2] * inverse];
    for j in q..n {
        if let Some(column) = h.as_mut().col_mut(j).try_as_col_major_mut() {
            let column = &mut column.as_slice_mut()[q..q + rows];
            let sum = column.iter().zip(v).fold(zero, |s, (&x, v)| s + x * v);
            column.iter_mut().zip(w).for_each(|(x, w)| *x -= sum * w);
        }
    }
    columns(h.as_mut().subrows_mut(0, (q + 4).min(end)), q, rows, v, w);
    columns(turn.as_mut(), q, rows, v, w);
}

/// Turns two or three columns.
fn columns<T: Real>(a: MatMut<'_, T>, q: usize, rows: usize, v: [T; 3], w: [T; 3]) {
    let (_, right) = a.split_at_col_mut(q);
    let (one, rest) = right.split_at_col_mut(1);
    let (two, rest) = rest.split_at_col_mut(1);
    let (Some(one), Some(two)) =
        (one.col_mut(0).try_as_col_major_mut(), two.col_mut(0).try_as_col_major_mut())
    else {
        return;
    };
    let (one, two) = (one.as_slice_mut(), two.as_slice_mut());
    if rows == 2 {
        for (x, y) in one.iter_mut().zip(two) {
            let sum = *x * v[0] + *y * v[1];
            *x -= sum * w[0];
            *y -= sum * w[1];
        }
        return;
    }
    let Some(three) = rest.col_mut(0).try_as_col_major_mut() else { return };
    for ((x, y), z) in one.iter_mut().zip(two).zip(three.as_slice_mut()) {
        let sum = *x * v[0] + *y * v[1] + *z * v[2];
        *x -= sum * w[0];
        *y -= sum * w[1];
        *z -= sum * w[2];
    }
}

/// A multiple of the first column of `(H − s₁)(H − s₂)`.
fn first_column<T: Real>(h: faer::MatRef<'_, T>, q: usize, rows: usize, pair: Pair, v: &mut [T; 3]) {
    let entry = |i: usize, j: usize| h[(q + i, q + j)].wide();
    let (one, two) = (pair.one, pair.two);
    let third = if rows == 3 { entry(2, 1) } else { 0.0 };
    let size = (entry(0, 0) - two.0).abs() + two.1.abs() + entry(1, 0).abs();
    if size == 0.0 {
        return;
    }
    let below = entry(1, 0) / size;
    let x =
        (entry(0, 0) - one.0) * ((entry(0, 0) - two.0) / size) - one.1 * (two.1 / size) + entry(0, 1) * below;
    let y = below * (entry(0, 0) + entry(1, 1) - one.0 - two.0);
    let z = below * third;
    let largest = x.abs().max(y.abs()).max(z.abs());
    if largest > 0.0 {
        *v = [x, y, z].map(|x| T::narrow(x / largest));
    }
}
