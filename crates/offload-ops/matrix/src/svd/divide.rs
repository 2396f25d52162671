//! Singular values and vectors of an upper bidiagonal matrix by divide and conquer: Gu and Eisenstat (SIAM J. Matrix
//! Anal. Appl. 16, 1995). A row in the middle ties an upper to a lower part, which are decomposed beside each other;
//! a merge is two products, in blocks between which the job can stop.
//!
//! Without vectors the same is done with the first and the last row of the right vectors alone, which is all that a
//! merge reads: it then takes time in proportion to n², and no matrix.

use crate::kernel::merge::{self, Packed, Rows, pick, rotate};
use crate::kernel::real::{Real, exponent, no_convergence, power_of_two};
use crate::kernel::run::{Run, scratch};
use crate::kernel::secular::{Kind, Secular};
use faer::diag::DiagMut;
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::svd::{ComputeSvdVectors, SvdParams, svd, svd_scratch};
use faer::linalg::temp_mat_scratch;
use faer::{Auto, Mat, MatMut, Par};
use offload_core::Failure;

/// Up to this extent the library's QR iteration does it, in about a millisecond.
const LEAF: usize = 40;

/// Operations.
pub(super) fn work(n: usize, vectors: bool) -> f64 {
    let n = n as f64;
    if vectors { 8.0 / 3.0 * n * n * n } else { 60.0 * n * n }
}

/// Workspace beyond the vectors.
pub(super) fn req<T: Real>(n: usize, vectors: bool) -> StackReq {
    let rows = if vectors { n } else { 2 };
    StackReq::all_of(&[
        // The columns that a merge multiplies and those it does not.
        temp_mat_scratch::<T>(rows + 64, n + 64).array(2),
        merge::req::<T>(n).array(2),
        leaf_req::<T>().array(crate::kernel::need::threads()),
    ])
}

fn leaf_req<T: Real>() -> StackReq {
    let full = ComputeSvdVectors::Full;
    StackReq::all_of(&[
        svd_scratch::<T>(LEAF + 1, LEAF, full, full, Par::Seq, params()),
        temp_mat_scratch::<T>(LEAF + 1, LEAF + 1).array(3),
        StackReq::new::<T>(2 * LEAF),
    ])
}

fn params<T: Real>() -> faer::Spec<SvdParams, T> {
    <SvdParams as Auto<T>>::auto().into()
}

/// Replaces the diagonal `d` of a matrix with `e` above it by the singular values, in no order, and `u` and `v` by
/// the vectors in the same order. With as many entries in `e` as in `d` the matrix has one more column than rows, and
/// the last column of `v` is what it maps to zero. Of `v` there are all rows or, without `u`, the first and the last.
///
/// # Errors
/// When the job is to stop.
pub(super) fn decompose<T: Real>(
    run: &Run<'_>,
    d: &mut [f64],
    e: &[f64],
    mut u: Option<MatMut<'_, T>>,
    mut v: MatMut<'_, T>,
) -> Result<(), Failure> {
    let n = d.len();
    if n <= LEAF {
        return leaf(run, d, e, u, v);
    }
    let full = u.is_some();
    let middle = n / 2;
    let coupling = (d[middle], e[middle]);
    {
        let (d1, d2) = d.split_at_mut(middle);
        let d2 = &mut d2[1..];
        let (e1, e2) = (&e[..middle], &e[middle + 1..]);
        let (u1, u2) = match u.as_mut() {
            Some(u) => {
                let (u1, _, _, u2) = u.as_mut().split_at_mut(middle, middle);
                let rest = n - middle - 1;
                (Some(u1), Some(u2.submatrix_mut(1, 1, rest, rest)))
            }
            None => (None, None),
        };
        let (v1, v2) = if full {
            let (v1, _, _, v2) = v.as_mut().split_at_mut(middle + 1, middle + 1);
            (v1, v2)
        } else {
            v.as_mut().split_at_col_mut(middle + 1)
        };
        if run.threads() > 1 && n >= merge::PARALLEL {
            let (ctx, threads) = (run.context(), run.threads() / 2);
            let (one, two) = rayon::join(
                || decompose(&Run::part(ctx, threads), d1, e1, u1, v1),
                || decompose(&Run::part(ctx, threads), d2, e2, u2, v2),
            );
            one.and(two)?;
            run.did(2.0 * work(middle, full))?;
        } else {
            decompose(run, d1, e1, u1, v1)?;
            decompose(run, d2, e2, u2, v2)?;
        }
    }
    join(run, d, middle, coupling, u, v)
}

fn leaf<T: Real>(
    run: &Run<'_>,
    d: &mut [f64],
    e: &[f64],
    u: Option<MatMut<'_, T>>,
    mut v: MatMut<'_, T>,
) -> Result<(), Failure> {
    let n = d.len();
    let columns = e.len() + 1;
    // The library wants no fewer rows than columns, so it gets the transpose.
    let mut lower = Mat::<T>::zeros(columns, n);
    for (i, &x) in d.iter().enumerate() {
        lower[(i, i)] = T::narrow(x);
    }
    for (i, &x) in e.iter().enumerate() {
        lower[(i + 1, i)] = T::narrow(x);
    }
    let mut values = vec![T::default(); n];
    let (mut left, mut right) = (Mat::<T>::zeros(columns, columns), Mat::<T>::zeros(n, n));
    let full = ComputeSvdVectors::Full;
    let mut memory = scratch(svd_scratch::<T>(columns, n, full, full, Par::Seq, params()));
    svd(
        lower.as_ref(),
        DiagMut::from_slice_mut(&mut values),
        Some(left.as_mut()),
        Some(right.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        params(),
    )
    .map_err(|_| no_convergence())?;
    for (d, s) in d.iter_mut().zip(&values) {
        *d = s.wide();
    }
    if let Some(mut u) = u {
        u.copy_from(&right);
        v.copy_from(&left);
    } else {
        for j in 0..columns {
            v[(0, j)] = left[(0, j)];
            v[(1, j)] = left[(columns - 1, j)];
        }
    }
    run.did(work(n, true))
}

/// The decomposition of two decomposed parts with a row between them that holds `coupling` at its diagonal and
/// right of it.
fn join<T: Real>(
    run: &Run<'_>,
    d: &mut [f64],
    middle: usize,
    coupling: (f64, f64),
    mut u: Option<MatMut<'_, T>>,
    mut v: MatMut<'_, T>,
) -> Result<(), Failure> {
    let (n, columns) = (d.len(), v.ncols());
    let full = u.is_some();
    d[middle] = 0.0;
    let largest = d.iter().fold(coupling.0.abs().max(coupling.1.abs()), |m, &x| m.max(x));
    let scale = if largest > 0.0 { exponent(largest) } else { 0 };
    let down = power_of_two(-scale);
    let coupling = (coupling.0 * down, coupling.1 * down);
    d.iter_mut().for_each(|x| *x *= down);
    let tolerance = 4.0 * T::EPS * (largest * down);

    // The row between, by the right vectors of both parts.
    let (last, first) = if full { (middle, middle + 1) } else { (1, 0) };
    let mut z: Vec<f64> =
        (0..columns)
            .map(|j| {
                if j <= middle { coupling.0 * v[(last, j)].wide() } else { coupling.1 * v[(first, j)].wide() }
            })
            .collect();
    if !full {
        // Of the first row of the whole the lower part has nothing, of the last row the upper.
        for j in 0..columns {
            v[(if j <= middle { 1 } else { 0 }, j)] = T::default();
        }
    }
    // Both parts map a vector to zero: of their plane the row sees one direction.
    if columns > n {
        let length = z[middle].hypot(z[n]);
        if length > 0.0 {
            rotate(v.as_mut(), middle, n, z[middle] / length, z[n] / length);
        }
        z[middle] = length;
    }
    z[middle] = if z[middle].abs() <= tolerance { tolerance } else { z[middle] };

    let mut rows: Vec<Rows> = (0..n).map(|j| if j < middle { Rows::Upper } else { Rows::Lower }).collect();
    let (mut kept, mut settled) = (vec![middle], Vec::new());
    let mut order: Vec<usize> = (0..n).filter(|&j| j != middle).collect();
    order.sort_by(|&i, &j| d[i].total_cmp(&d[j]));
    let mut pending: Option<usize> = None;
    for j in order {
        if z[j].abs() <= tolerance {
            settled.push(j);
            continue;
        }
        let Some(i) = pending.replace(j) else { continue };
        if d[j] - d[i] > tolerance {
            kept.push(i);
            continue;
        }
        let length = z[i].hypot(z[j]);
        let (c, s) = (z[j] / length, -z[i] / length);
        (z[i], z[j]) = (0.0, length);
        if rows[i] != rows[j] {
            rows[j] = Rows::Both;
        }
        rotate(v.as_mut(), i, j, c, s);
        if let Some(u) = u.as_mut() {
            rotate(u.as_mut(), i, j, c, s);
        }
        settled.push(i);
    }
    kept.extend(pending);
    let k = kept.len();
    let mut poles: Vec<f64> = kept.iter().map(|&j| d[j]).collect();
    // The pole at zero must stay the only one there.
    if k > 1 && poles[1] <= 0.5 * tolerance {
        poles[1] = 0.5 * tolerance;
    }
    let weights: Vec<f64> = kept.iter().map(|&j| z[j] * z[j]).collect();
    let secular = Secular { kind: Kind::Singular, poles: &poles, weights: &weights };
    let (zeros, mut roots) = merge::solve(run, &secular)?;
    for (root, &j) in roots.iter_mut().zip(&kept) {
        *root = root.copysign(z[j]);
    }

    // Upper, then the pole at zero, whose right vector is everywhere, then both, then lower.
    let packed = Packed::new((1..k).collect(), |i| rows[kept[i]]);
    let mut right_order: Vec<usize> = packed.order.clone();
    right_order.insert(packed.upper, 0);
    let (upper, both) = (packed.upper, packed.both);
    let upper_rows = if full { middle + 1 } else { 1 };
    let column_of = |i: usize| kept[i];
    let (v_upper, v_lower) = v.as_ref().split_at_row(upper_rows);
    let v_upper = pick(v_upper, right_order[..upper + both + 1].iter().map(|&i| column_of(i)));
    let v_lower = pick(v_lower, right_order[upper..].iter().map(|&i| column_of(i)));
    merge::settle(v.as_mut(), k, &settled);
    let left = u.as_mut().map(|u| {
        let (u_upper, u_lower) = u.as_ref().split_at_row(middle);
        let u_lower = u_lower.subrows(1, n - middle - 1);
        let parts = (
            pick(u_upper, packed.order[..upper + both].iter().map(|&i| column_of(i))),
            pick(u_lower, packed.order[upper..].iter().map(|&i| column_of(i))),
        );
        merge::settle(u.as_mut(), k, &settled);
        parts
    });
    let resting: Vec<f64> = settled.iter().map(|&j| d[j]).collect();
    d[k..].copy_from_slice(&resting);
    for (to, zero) in d.iter_mut().zip(&zeros) {
        *to = secular.value(*zero);
    }
    d.iter_mut().for_each(|x| *x *= power_of_two(scale));

    let entry = |i: usize, c: usize| if k == 1 { 1.0 } else { roots[i] / secular.difference(i, zeros[c]) };
    merge::bands(run, k, k, |from, count, band| {
        merge::unit_columns(run, band, k, |c, p| entry(right_order[p], from + c));
        run.did(6.0 * k as f64 * count as f64)?;
        let vectors = faer::MatRef::from_column_major_slice(band, k, count);
        let to = v.as_mut().subcols_mut(from, count);
        merge::product(run, to, upper_rows, &v_upper, &v_lower, vectors, upper, both + 1)
    })?;
    let (Some(mut u), Some((u_upper, u_lower))) = (u, left) else { return Ok(()) };
    merge::bands(run, k, k, |from, count, band| {
        // The middle row's own entry last, so that the others are one block.
        merge::unit_columns(run, band, k, |c, p| {
            if p + 1 == k {
                return if k == 1 { 1f64.copysign(z[middle]) } else { -1.0 };
            }
            let i = packed.order[p];
            poles[i] * entry(i, from + c)
        });
        run.did(6.0 * k as f64 * count as f64)?;
        let vectors = faer::MatRef::from_column_major_slice(band, k, count);
        let (to_upper, mut rest) = u.as_mut().subcols_mut(from, count).split_at_row_mut(middle);
        rest.as_mut().row_mut(0).copy_from(vectors.row(k - 1));
        let to_lower = rest.subrows_mut(1, n - middle - 1);
        let vectors = vectors.subrows(0, k - 1);
        run.product(
            to_upper,
            faer::Accum::Replace,
            u_upper.as_ref(),
            vectors.subrows(0, upper + both),
            T::ONE,
        )?;
        let lower = vectors.subrows(upper, k - 1 - upper);
        run.product(to_lower, faer::Accum::Replace, u_lower.as_ref(), lower, T::ONE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use offload_core::Context;

    /// Bidiagonal matrices of 90 rows, whose merges leave all, some or none of the columns to the secular function.
    fn matrices() -> Vec<(&'static str, Vec<f64>, Vec<f64>)> {
        let n = 90;
        let wave = |i: usize, step: usize| ((i * step % 61) as f64 - 30.0) / 31.0;
        let of = |f: &dyn Fn(usize) -> f64, len: usize| (0..len).map(f).collect::<Vec<f64>>();
        vec![
            ("the identity", vec![1.0; n], vec![0.0; n - 1]),
            ("minus the identity", vec![-1.0; n], vec![0.0; n - 1]),
            ("zero", vec![0.0; n], vec![0.0; n - 1]),
            ("a shift", vec![0.0; n], vec![-1.0; n - 1]),
            ("two of each", of(&|i| (1 + i / 2) as f64 / 45.0, n), vec![0.0; n - 1]),
            ("constant", vec![-1.0; n], vec![1.0; n - 1]),
            ("waves", of(&|i| wave(i, 17), n), of(&|i| wave(i, 23), n - 1)),
            ("graded", of(&|i| 0.6f64.powi(i as i32), n), of(&|i| -0.6f64.powi(i as i32), n - 1)),
            (
                "a negative row between",
                of(&|i| if i == n / 2 { -0.5 } else { 1.0 }, n),
                of(&|i| if i == n / 2 { -1e-3 } else { 1e-17 }, n - 1),
            ),
        ]
    }

    fn off<T: Real>(a: &Mat<T>, b: impl Fn(usize, usize) -> f64) -> f64 {
        let mut most = 0.0f64;
        for j in 0..a.ncols() {
            for i in 0..a.nrows() {
                let difference = (a[(i, j)].wide() - b(i, j)).abs();
                most = if difference.is_nan() { f64::NAN } else { most.max(difference) };
            }
        }
        most
    }

    fn holds<T: Real>(name: &str, d: &[f64], e: &[f64], columns: usize) {
        let n = d.len();
        let ctx = Context::default();
        let run = Run::part(&ctx, 1);
        let mut e = e.to_vec();
        e.resize(columns - 1, -0.25);
        let given = Mat::<T>::from_fn(n, columns, |i, j| {
            T::narrow(if i == j {
                d[i]
            } else if i + 1 == j {
                e[i]
            } else {
                0.0
            })
        });
        let (mut u, mut v) = (Mat::<T>::zeros(n, n), Mat::<T>::zeros(columns, columns));
        let mut values = d.to_vec();
        decompose(&run, &mut values, &e, Some(u.as_mut()), v.as_mut()).unwrap();
        let what = format!("{name}, {n} by {columns}");
        let tolerance = 64.0 * T::EPS;
        let middle = u.transpose() * &given * &v;
        let error = off(&middle, |i, j| if i == j { values[i] } else { 0.0 });
        assert!(error <= tolerance, "{what}: off by {error:e}");
        assert!(values.iter().all(|&s| s >= 0.0), "{what}: {values:?}");
        for q in [&u, &v] {
            let error = off(&(q.transpose() * q), |i, j| f64::from(i == j));
            assert!(error <= tolerance, "{what}: {error:e} from orthogonal");
        }
        // The values alone are the same.
        let mut alone = d.to_vec();
        let mut ends = Mat::<T>::zeros(2, columns);
        decompose(&run, &mut alone, &e, None, ends.as_mut()).unwrap();
        values.sort_by(f64::total_cmp);
        alone.sort_by(f64::total_cmp);
        for (x, y) in values.iter().zip(&alone) {
            assert!((x - y).abs() <= tolerance, "{what}: {x:e} and {y:e}");
        }
    }

    #[test]
    fn the_vectors_make_every_bidiagonal_matrix_diagonal() {
        for (name, d, e) in matrices() {
            for columns in [d.len(), d.len() + 1] {
                holds::<f64>(name, &d, &e, columns);
                holds::<f32>(name, &d, &e, columns);
            }
        }
    }
}
