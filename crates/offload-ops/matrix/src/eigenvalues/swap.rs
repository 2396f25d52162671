//! Neighbouring blocks of a quasi-triangular matrix change places: Bai and Demmel (Linear Algebra Appl. 186, 1993).

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

use crate::kernel::real::Real;
use faer::{Mat, MatMut, MatRef};

/// Moves the block at `from` up to `to`, both the first rows of blocks. Returns where it came to lie: not all the way
/// where a change of places would be inexact.
pub(super) fn move_up<T: Real>(t: &mut Mat<T>, q: &mut Mat<T>, from: usize, to: usize) -> usize {
    let mut at = from;
    let mut own = height(t.as_ref(), at);
    while at > to {
        let above = if at >= 2 && t[(at - 1, at - 2)] != T::default() { 2 } else { 1 };
        let first = at - above;
        if !swap(t, q, first, above, own) {
            break;
        }
        at = first;
        own = height(t.as_ref(), at).min(own);
    }
    at
}

/// The rows of the block that starts there.
pub(super) fn height<T: Real>(t: MatRef<'_, T>, at: usize) -> usize {
    if at + 1 < t.nrows() && t[(at + 1, at)] != T::default() { 2 } else { 1 }
}

/// Exchanges the blocks of `above` rows at `at` and of `below` rows after it.
fn swap<T: Real>(t: &mut Mat<T>, q: &mut Mat<T>, at: usize, above: usize, below: usize) -> bool {
    let size = above + below;
    let entry = |i: usize, j: usize| t[(at + i, at + j)].wide();
    // A11 X − X A22 = A12, whose solution gives the invariant subspace of A22 as the columns of [−X; 1].
    let unknowns = above * below;
    let mut system = [[0.0f64; 5]; 4];
    for j in 0..below {
        for i in 0..above {
            let row = &mut system[j * above + i];
            for l in 0..above {
                row[j * above + l] += entry(i, l);
            }
            for l in 0..below {
                row[l * above + i] -= entry(above + l, above + j);
            }
            row[4] = entry(i, above + j);
        }
    }
    let Some(x) = eliminate(&mut system, unknowns) else { return false };
    let mut basis = [[0.0f64; 2]; 4];
    for j in 0..below {
        for i in 0..above {
            basis[i][j] = -x[j * above + i];
        }
        basis[above + j][j] = 1.0;
    }
    let turn = orthogonal(basis, size, below);
    // Tried on a copy: the corner that must vanish shows whether the exchange is exact.
    let mut block = [[0.0f64; 4]; 4];
    let mut norm = 0.0f64;
    for i in 0..size {
        for j in 0..size {
            for k in 0..size {
                for l in 0..size {
                    block[i][j] += turn[k][i] * entry(k, l) * turn[l][j];
                }
            }
            norm = norm.max(entry(i, j).abs());
        }
    }
    let corner = (below..size).flat_map(|i| (0..below).map(move |j| (i, j)));
    if corner.clone().any(|(i, j)| block[i][j].abs() > 20.0 * T::EPS * norm) {
        return false;
    }
    apply(t.as_mut(), at, size, &turn);
    apply_right(q.as_mut(), at, size, &turn);
    for (i, j) in corner {
        t[(at + i, at + j)] = T::default();
    }
    for (first, rows) in [(at, below), (at + below, above)] {
        if rows == 2 {
            standardise(t, q, first);
        }
    }
    true
}

fn apply<T: Real>(mut t: MatMut<'_, T>, at: usize, size: usize, turn: &[[f64; 4]; 4]) {
    for mut column in t.as_mut().subrows_mut(at, size).col_iter_mut() {
        let old: [f64; 4] = std::array::from_fn(|i| if i < size { column[i].wide() } else { 0.0 });
        for i in 0..size {
            column[i] = T::narrow((0..size).map(|k| turn[k][i] * old[k]).sum());
        }
    }
    apply_right(t, at, size, turn);
}

fn apply_right<T: Real>(mut q: MatMut<'_, T>, at: usize, size: usize, turn: &[[f64; 4]; 4]) {
    for r in 0..q.nrows() {
        let old: [f64; 4] = std::array::from_fn(|i| if i < size { q[(r, at + i)].wide() } else { 0.0 });
        for j in 0..size {
            q[(r, at + j)] = T::narrow((0..size).map(|k| old[k] * turn[k][j]).sum());
        }
    }
}

/// Gauss with the largest pivot of all that is left.
fn eliminate(a: &mut [[f64; 5]; 4], n: usize) -> Option<[f64; 4]> {
    let mut places = [0, 1, 2, 3];
    for k in 0..n {
        let rest = (k..n).flat_map(|i| (k..n).map(move |j| (i, j)));
        let (i, j) = rest.max_by(|&(i, j), &(p, q)| a[i][j].abs().total_cmp(&a[p][q].abs()))?;
        if a[i][j] == 0.0 {
            return None;
        }
        a.swap(i, k);
        a.iter_mut().for_each(|row| row.swap(j, k));
        places.swap(j, k);
        for i in k + 1..n {
            let f = a[i][k] / a[k][k];
            for j in k..5 {
                a[i][j] -= f * a[k][j];
            }
        }
    }
    let mut x = [0.0; 4];
    for k in (0..n).rev() {
        let sum: f64 = (k + 1..n).map(|j| a[k][j] * x[places[j]]).sum();
        x[places[k]] = (a[k][4] - sum) / a[k][k];
    }
    x.iter().all(|x| x.is_finite()).then_some(x)
}

/// An orthogonal matrix whose first columns span what the basis' columns do, by reflections.
fn orthogonal(mut basis: [[f64; 2]; 4], size: usize, columns: usize) -> [[f64; 4]; 4] {
    let mut q = [[0.0f64; 4]; 4];
    for (i, row) in q.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    for j in 0..columns {
        let length = (j..size).map(|i| basis[i][j] * basis[i][j]).sum::<f64>().sqrt();
        let mut v = [0.0; 4];
        for i in j..size {
            v[i] = basis[i][j];
        }
        v[j] += length.copysign(basis[j][j]);
        let square: f64 = v.iter().map(|x| x * x).sum();
        if square == 0.0 {
            continue;
        }
        for c in 0..columns {
            let f = 2.0 * (0..size).map(|i| v[i] * basis[i][c]).sum::<f64>() / square;
            (0..size).for_each(|i| basis[i][c] -= f * v[i]);
        }
        for row in q.iter_mut().take(size) {
            let f = 2.0 * (0..size).map(|i| row[i] * v[i]).sum::<f64>() / square;
            (0..size).for_each(|i| row[i] -= f * v[i]);
        }
    }
    q
}

/// Turns a two by two block so that its diagonal entries are equal, or so that it is triangular where its eigenvalues
/// are real.
pub(super) fn standardise<T: Real>(t: &mut Mat<T>, q: &mut Mat<T>, at: usize) {
    let entry = |i: usize, j: usize| t[(at + i, at + j)].wide();
    let (a, b, c, d) = (entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1));
    if c == 0.0 {
        return;
    }
    let half = 0.5 * (a - d);
    let discriminant = half * half + b * c;
    let (x, y) = if discriminant >= 0.0 {
        // An eigenvector (λ − d, c) as the first column.
        let root = discriminant.sqrt();
        (half + root.copysign(half), c)
    } else {
        // The angle at which both diagonal entries are the mean: tan 2θ = (a − d) / −(b + c).
        let angle = 0.5 * (a - d).atan2(-(b + c));
        (angle.cos(), angle.sin())
    };
    let length = x.hypot(y);
    let (cos, sin) = (x / length, y / length);
    let mut turn = [[0.0; 4]; 4];
    (turn[0][0], turn[0][1], turn[1][0], turn[1][1]) = (cos, -sin, sin, cos);
    apply(t.as_mut(), at, 2, &turn);
    apply_right(q.as_mut(), at, 2, &turn);
    if discriminant >= 0.0 {
        t[(at + 1, at)] = T::default();
    } else {
        let mean = T::narrow(0.5 * (t[(at, at)].wide() + t[(at + 1, at + 1)].wide()));
        (t[(at, at)], t[(at + 1, at + 1)]) = (mean, mean);
    }
}
