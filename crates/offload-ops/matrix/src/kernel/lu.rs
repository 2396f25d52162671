//! LU with partial pivoting, panel by panel: the job can stop between panels and between the blocks of an update.

use super::copy::transpose;
use super::real::{Real, largest};
use super::run::{BLOCK_WORK, Run, scratch};
use super::triangular::{Triangle, solve_in_place};
use crate::device::estimate::InverseNorm;
use faer::linalg::lu::partial_pivoting::factor::{PartialPivLuParams, lu_in_place, lu_in_place_scratch};
use faer::{Accum, Auto, MatMut, MatRef};
use offload_core::Failure;
use serde_json::json;

/// `P · A = L · U`.
pub(crate) struct Lu<T> {
    /// Extent of the matrix.
    pub(crate) n: usize,
    /// `L` below the diagonal, `U` on and above it, by columns.
    factors: Vec<T>,
    /// The row of `A` that each row of `P · A` is.
    pub(crate) rows: Vec<usize>,
    /// Whether `P` is an odd permutation.
    pub(crate) odd: bool,
    /// The first pivot that is zero, if one is: the factors from there on mean nothing.
    pub(crate) zero_pivot: Option<usize>,
}

/// Operations of a factorisation.
pub(crate) fn work(n: usize) -> f64 {
    2.0 / 3.0 * (n as f64).powi(3)
}

/// Bytes of a factorisation, the factors included.
pub(crate) fn bytes<T>(n: usize) -> u64 {
    let n = n as u64;
    let panel = panel_width(n as usize) as u64;
    n * n * size_of::<T>() as u64 + 8 * (3 * n + 2 * panel) + 2 * panel * (8 + size_of::<T>() as u64) + 512
}

/// Columns of a panel: as many as make some [`BLOCK_WORK`], as wide panels lose least to the product.
fn panel_width(n: usize) -> usize {
    let width = (BLOCK_WORK / n.max(1) as f64).sqrt() as usize;
    width.clamp(64, 512)
}

/// The factors of the row-major matrix `a`.
///
/// # Errors
/// `not_finite` when `a` is not finite or its factors are not; when the job is to stop.
pub(crate) fn factor<T: Real>(a: &[T], n: usize, run: &Run<'_>) -> Result<Lu<T>, Failure> {
    largest(a, n)?;
    let mut factors = vec![T::default(); n * n];
    transpose(a, n, n, &mut factors);
    let mut lu = Lu { n, factors, rows: (0..n).collect(), odd: false, zero_pivot: None };
    let mut w = MatMut::from_column_major_slice_mut(&mut lu.factors, n, n);
    let width = panel_width(n);
    let mut order = vec![0usize; n];
    let mut inverse_order = vec![0usize; n];
    let mut memory = scratch(lu_in_place_scratch::<usize, T>(n, width.min(n), run.par(), auto::<T>()));
    for k in (0..n).step_by(width) {
        let b = width.min(n - k);
        let m = n - k;
        let panel = w.as_mut().submatrix_mut(k, k, m, b);
        let (info, _) = lu_in_place(
            panel,
            &mut order[..m],
            &mut inverse_order[..m],
            run.par(),
            faer::dyn_stack::MemStack::new(&mut memory),
            auto::<T>(),
        );
        lu.odd ^= info.transposition_count % 2 == 1;
        run.did(m as f64 * (b * b) as f64)?;
        for j in k..k + b {
            let pivot = w[(j, j)];
            if pivot == T::default() {
                lu.zero_pivot = Some(j);
                return Ok(lu);
            }
            if !pivot.wide().is_finite() {
                return Err(overflow());
            }
        }
        let moved: Vec<(usize, usize)> =
            (0..m).filter(|&i| order[i] != i).map(|i| (k + i, k + order[i])).collect();
        let mut held = vec![T::default(); moved.len()];
        move_rows(w.as_mut().subcols_mut(0, k), &moved, &mut held);
        move_rows(w.as_mut().subcols_mut(k + b, n - k - b), &moved, &mut held);
        let before: Vec<usize> = moved.iter().map(|&(_, from)| lu.rows[from]).collect();
        for (&(to, _), row) in moved.iter().zip(before) {
            lu.rows[to] = row;
        }
        if k + b < n {
            let rest = n - k - b;
            let (left, right) = w.as_mut().submatrix_mut(k, k, m, m).split_at_col_mut(b);
            let (l11, l21) = left.as_ref().split_at_row(b);
            let (mut u12, a22) = right.split_at_row_mut(b);
            solve_in_place(run, l11, Triangle::UnitLower, u12.as_mut())?;
            run.product(a22, Accum::Add, l21, u12.as_ref(), -T::ONE)?;
            debug_assert_eq!(rest, l21.nrows());
        }
    }
    Ok(lu)
}

fn auto<T: Real>() -> faer::Spec<PartialPivLuParams, T> {
    <PartialPivLuParams as Auto<T>>::auto().into()
}

/// The factors of a finite matrix are not.
pub(crate) fn overflow() -> Failure {
    Failure::unprocessable(
        "not_finite",
        "the factors of the matrix leave the range of its type; scale the matrix or use f64",
        json!({}),
    )
}

/// Pivot `k`, counted from 0, is zero.
pub(crate) fn singular(k: usize) -> Failure {
    Failure::unprocessable(
        "singular",
        format!("the matrix is singular: pivot {k} (counted from 0) is zero"),
        json!({"pivot": k}),
    )
}

/// At most two rows move for every column of a panel, so only those are touched.
fn move_rows<T: Real>(mut a: MatMut<'_, T>, moved: &[(usize, usize)], held: &mut [T]) {
    for mut column in a.as_mut().col_iter_mut() {
        for (h, &(_, from)) in held.iter_mut().zip(moved) {
            *h = column[from];
        }
        for (h, &(to, _)) in held.iter().zip(moved) {
            column[to] = *h;
        }
    }
}

impl<T: Real> Lu<T> {
    /// The factors in one matrix.
    pub(crate) fn factors(&self) -> MatRef<'_, T> {
        MatRef::from_column_major_slice(&self.factors, self.n, self.n)
    }

    /// The pivots.
    pub(crate) fn pivots(&self) -> impl Iterator<Item = T> {
        self.factors.iter().step_by(self.n + 1).copied()
    }

    /// A failure when a pivot is zero.
    ///
    /// # Errors
    /// `singular`, with the pivot.
    pub(crate) fn regular(&self) -> Result<(), Failure> {
        self.zero_pivot.map_or(Ok(()), |k| Err(singular(k)))
    }

    /// Replaces `x` by the solution of `A · y = x`, whose rows the caller has put in the order of `rows`.
    ///
    /// # Errors
    /// When the job is to stop.
    pub(crate) fn solve_permuted(&self, run: &Run<'_>, mut x: MatMut<'_, T>) -> Result<(), Failure> {
        solve_in_place(run, self.factors(), Triangle::UnitLower, x.as_mut())?;
        solve_in_place(run, self.factors(), Triangle::Upper, x)
    }

    /// `A⁻¹ · x`, or `A⁻ᵀ · x`.
    fn solve_one(&self, run: &Run<'_>, x: &[f64], transposed: bool) -> Result<Vec<f64>, Failure> {
        let f = self.factors();
        let mut y: Vec<T> = if transposed {
            x.iter().map(|&x| T::narrow(x)).collect()
        } else {
            self.rows.iter().map(|&r| T::narrow(x[r])).collect()
        };
        let mut column = MatMut::from_column_major_slice_mut(&mut y, self.n, 1);
        if transposed {
            solve_in_place(run, f.transpose(), Triangle::Lower, column.as_mut())?;
            solve_in_place(run, f.transpose(), Triangle::UnitUpper, column)?;
            let mut out = vec![0.0; self.n];
            for (&row, y) in self.rows.iter().zip(&y) {
                out[row] = y.wide();
            }
            return Ok(out);
        }
        self.solve_permuted(run, column)?;
        Ok(y.iter().map(|y| y.wide()).collect())
    }

    /// An estimate of the 1-norm of the inverse, by a handful of solutions.
    ///
    /// # Errors
    /// When the job is to stop.
    pub(crate) fn inverse_norm(&self, run: &Run<'_>) -> Result<f64, Failure> {
        let mut search = InverseNorm::new(self.n);
        while let Some((x, transposed)) = search.ask() {
            search.answer(&self.solve_one(run, &x, transposed)?);
        }
        Ok(search.norm())
    }
}
