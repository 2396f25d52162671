//! What the merges of divide and conquer have in common, for eigenvalues and for singular values: the zeros, the
//! columns that take part and those that do not, and the products in bands between which the job can stop.

use super::real::Real;
use super::run::Run;
use super::secular::{Secular, Zero};
use faer::dyn_stack::StackReq;
use faer::linalg::temp_mat_scratch;
use faer::{Accum, Mat, MatMut, MatRef};
use offload_core::Failure;
use rayon::prelude::*;

/// Below this extent a second thread costs more than it brings.
pub(crate) const PARALLEL: usize = 192;
/// Columns of vectors that are made and multiplied between two looks at the cancel flag.
const BAND: usize = 128;
/// Zeros that are found between two looks at the cancel flag.
const ZEROS: usize = 128;

/// Workspace of a merge beyond the columns it multiplies.
pub(crate) fn req<T: Real>(n: usize) -> StackReq {
    StackReq::all_of(&[
        temp_mat_scratch::<T>(n, BAND.min(n)),
        StackReq::new::<f64>((20 + 8 * super::need::threads()) * n + 512),
    ])
}

/// Where a column of vectors is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Upper,
    Both,
    Lower,
}

/// The columns that take part by where they are not zero, so that both products are of full blocks.
pub(crate) struct Packed {
    pub(crate) order: Vec<usize>,
    pub(crate) upper: usize,
    pub(crate) both: usize,
}

impl Packed {
    pub(crate) fn new(mut order: Vec<usize>, rows: impl Fn(usize) -> Rows) -> Packed {
        order.sort_by_key(|&i| rows(i) as u8);
        let count = |r: Rows| order.iter().filter(|&&i| rows(i) == r).count();
        let (upper, both) = (count(Rows::Upper), count(Rows::Both));
        Packed { order, upper, both }
    }
}

/// Copies of these columns.
pub(crate) fn pick<T: Real>(from: MatRef<'_, T>, which: impl ExactSizeIterator<Item = usize>) -> Mat<T> {
    let mut to = Mat::<T>::zeros(from.nrows(), which.len());
    for (mut column, j) in to.as_mut().col_iter_mut().zip(which) {
        column.copy_from(from.col(j));
    }
    to
}

/// Moves the columns that do not take part behind the others' place.
pub(crate) fn settle<T: Real>(mut q: MatMut<'_, T>, k: usize, settled: &[usize]) {
    let at_rest = pick(q.as_ref(), settled.iter().copied());
    q.as_mut().subcols_mut(k, settled.len()).copy_from(&at_rest);
}

/// Turns two columns: the first becomes `c · x + s · y`, the second `c · y − s · x`.
pub(crate) fn rotate<T: Real>(mut q: MatMut<'_, T>, i: usize, j: usize, c: f64, s: f64) {
    let (c, s) = (T::narrow(c), T::narrow(s));
    for r in 0..q.nrows() {
        let (x, y) = (q[(r, i)], q[(r, j)]);
        q[(r, i)] = c * x + s * y;
        q[(r, j)] = c * y - s * x;
    }
}

/// All zeros, and the square roots of the weights they are exact for.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn solve(run: &Run<'_>, secular: &Secular<'_>) -> Result<(Vec<Zero>, Vec<f64>), Failure> {
    let k = secular.poles.len();
    let mut zeros = vec![Zero::default(); k];
    let mut roots = vec![0.0; k];
    let parallel = run.threads() > 1 && k >= PARALLEL;
    for (c, part) in zeros.chunks_mut(ZEROS).enumerate() {
        let first = c * ZEROS;
        if parallel {
            let of = part.par_iter_mut().with_min_len(16).enumerate();
            of.for_each(|(i, zero)| *zero = secular.zero(first + i));
        } else {
            part.iter_mut().enumerate().for_each(|(i, zero)| *zero = secular.zero(first + i));
        }
        run.did(30.0 * k as f64 * part.len() as f64)?;
    }
    for (c, part) in roots.chunks_mut(ZEROS).enumerate() {
        let first = c * ZEROS;
        if parallel {
            part.par_chunks_mut(16)
                .enumerate()
                .for_each(|(i, part)| secular.roots_of_exact_weights(&zeros, first + 16 * i, part));
        } else {
            secular.roots_of_exact_weights(&zeros, first, part);
        }
        run.did(6.0 * k as f64 * part.len() as f64)?;
    }
    Ok((zeros, roots))
}

/// Calls `f` for bands of `columns` columns, each with its first column, their number and room for them.
///
/// # Errors
/// Those of `f`.
pub(crate) fn bands<T: Real>(
    run: &Run<'_>,
    rows: usize,
    columns: usize,
    mut f: impl FnMut(usize, usize, &mut [T]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut band = vec![T::default(); rows * BAND.min(columns)];
    for from in (0..columns).step_by(BAND) {
        let count = BAND.min(columns - from);
        f(from, count, &mut band[..rows * count])?;
        run.did(0.0)?;
    }
    Ok(())
}

/// Fills columns of `k` with entries by column and place, and brings each to length 1.
pub(crate) fn unit_columns<T: Real>(
    run: &Run<'_>,
    band: &mut [T],
    k: usize,
    entry: impl Fn(usize, usize) -> f64 + Sync,
) {
    // In f64 until the length is known: before that, entries can be beyond the range of the type.
    let make = |wide: &mut Vec<f64>, c: usize, column: &mut [T]| {
        wide.clear();
        wide.extend((0..k).map(|p| entry(c, p)));
        let f = 1.0 / wide.iter().map(|x| x * x).sum::<f64>().sqrt();
        column.iter_mut().zip(wide).for_each(|(to, x)| *to = T::narrow(*x * f));
    };
    if run.threads() > 1 && k >= PARALLEL {
        let columns = band.par_chunks_mut(k).with_min_len(16).enumerate();
        columns.for_each_init(|| Vec::with_capacity(k), |wide, (c, column)| make(wide, c, column));
    } else {
        let mut wide = Vec::with_capacity(k);
        band.chunks_mut(k).enumerate().for_each(|(c, column)| make(&mut wide, c, column));
    }
}

/// The product of both halves of the picked columns with vectors by the places of the columns.
///
/// # Errors
/// When the job is to stop.
#[allow(clippy::too_many_arguments, reason = "a product of two blocks has that many sides")]
pub(crate) fn product<T: Real>(
    run: &Run<'_>,
    to: MatMut<'_, T>,
    upper_rows: usize,
    one: &Mat<T>,
    two: &Mat<T>,
    vectors: MatRef<'_, T>,
    upper: usize,
    both: usize,
) -> Result<(), Failure> {
    let (to_upper, to_lower) = to.split_at_row_mut(upper_rows);
    let (of_upper, of_lower) =
        (vectors.subrows(0, upper + both), vectors.subrows(upper, vectors.nrows() - upper));
    run.product(to_upper, Accum::Replace, one.as_ref(), of_upper, T::ONE)?;
    run.product(to_lower, Accum::Replace, two.as_ref(), of_lower, T::ONE)
}
