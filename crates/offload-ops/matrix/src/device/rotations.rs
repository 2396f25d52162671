//! Spectra by Jacobi's rotations, by the kernels beside this: for devices without a vendor's library, and over stacks of small
//! matrices. A symmetric matrix is made positive by a shift first, so that its singular vectors are its eigenvectors.

use super::kernels::{
    self, jacobi_arrange, jacobi_lengths, jacobi_quotient, jacobi_round, jacobi_shift, jacobi_whole,
    matrix_transpose,
};
use super::own::{Panels, groups, identity, items, panels_elements};
use crate::kernel::real::Real;
use offload_core::Failure;
use offload_core::device::{Buffer, DeviceError, Gpu, Groups, Rounds};

/// Columns that one group turns; twice `PAIRS` in the text.
pub(super) const WHOLE: usize = 64;
/// Columns beyond which sweeps take too long.
const MOST_COLUMNS: usize = 2_048;
/// Sweeps after which every matrix has long converged; ten are many.
const SWEEPS: usize = 40;

/// Singular values, descending, of matrices that are lost.
pub(super) struct Singular<'a, T> {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) count: usize,
    pub(super) a: &'a Buffer<T>,
    /// Left vectors, their number for each matrix, and right vectors transposed.
    pub(super) vectors: Option<(&'a Buffer<T>, usize, &'a Buffer<T>)>,
}

/// Elements that [`singular`] takes.
pub(super) fn singular_elements(m: usize, n: usize, u_columns: usize, count: usize) -> u64 {
    let (rows, columns) = (m as u64, n as u64);
    let each = 2 * columns * columns + 5 * columns + 4 + (2 * rows + 1) * u_columns as u64;
    each.saturating_mul(count as u64).saturating_add(panels_elements(m, u_columns, u_columns, count))
}

/// Elements that [`symmetric`] takes.
pub(super) fn symmetric_elements(n: usize, count: usize) -> u64 {
    let n = n as u64;
    (2 * n * n + 5 * n + 4).saturating_mul(count as u64)
}

fn within(columns: usize) -> Result<(), Failure> {
    if columns <= MOST_COLUMNS {
        return Ok(());
    }
    let reason = format!("spectra of more than {MOST_COLUMNS} columns need the vendor's library on a device");
    Err(DeviceError::Unsupported(reason).into())
}

/// Turns the columns of `count` matrices of `m × n` until they are orthogonal, and those of `v` (`k` rows, none when 0)
/// along; the squares of the lengths that are left.
fn turn<T: Real>(
    gpu: &mut Gpu<'_>,
    (m, n, k): (usize, usize, usize),
    count: usize,
    w: &Buffer<T>,
    v: &Buffer<T>,
) -> Result<(Vec<T>, Vec<bool>), Failure> {
    let lengths = gpu.zeros::<T>(n * count)?;
    jacobi_lengths::<T>(gpu, groups(n * count)?, m as u32, w, &lengths)?;
    // Columns this much shorter than the longest are rounding errors, and stay what they are.
    let negligible = (T::EPS * 1e-3).powi(2);
    let longest = |squares: &[T]| squares.iter().fold(0.0f64, |m, x| m.max(x.wide()));
    let null: Vec<T> =
        gpu.download(&lengths)?.chunks(n).map(|s| T::narrow(longest(s) * negligible)).collect();
    let null = gpu.upload(&null)?;
    let tolerance = T::narrow(T::EPS * (2.0 + (m as f64).sqrt()));
    let [m32, n32, k32] = [m, n, k].map(|x| x as u32);
    let mut converged = vec![false; count];
    if n <= WHOLE {
        let turned = gpu.zeros::<u32>(count)?;
        let sweeps = SWEEPS as u32;
        jacobi_whole::<T>(gpu, groups(count)?, m32, n32, k32, sweeps, tolerance, w, v, &null, &turned)?;
        converged = gpu.download(&turned)?.into_iter().map(|t| t == 0).collect();
    } else {
        let ends = n + n % 2;
        let turned = gpu.zeros::<u32>(ends / 2 * count)?;
        let all = groups(ends / 2 * count)?;
        let mut sweeps = Rounds::new(|gpu: &mut Gpu<'_>| {
            gpu.clear(&turned)?;
            (0..ends as u32 - 1).try_for_each(|round| {
                jacobi_round::<T>(gpu, all, m32, n32, k32, round, tolerance, w, v, &null, &turned)
            })
        });
        for sweep in 0..SWEEPS {
            sweeps.run(gpu, 1)?;
            let turned = gpu.download(&turned)?;
            converged = turned.chunks(ends / 2).map(|t| t.iter().all(|x| *x == 0)).collect();
            if converged.iter().all(|c| *c) {
                break;
            }
            gpu.context().block(sweep + 1, SWEEPS)?;
        }
    }
    jacobi_lengths::<T>(gpu, groups(n * count)?, m as u32, w, &lengths)?;
    Ok((gpu.download(&lengths)?, converged))
}

/// Values of `count` matrices, and whether each converged.
pub(super) fn singular<T: Real>(
    gpu: &mut Gpu<'_>,
    s: Singular<'_, T>,
) -> Result<(Vec<T>, Vec<bool>), Failure> {
    let (m, n, count) = (s.m, s.n, s.count);
    within(n)?;
    let Some((u, u_columns, vt)) = s.vectors else {
        let (squares, converged) = turn(gpu, (m, n, 0), count, s.a, s.a)?;
        let mut values: Vec<T> = squares.into_iter().map(root).collect();
        values.chunks_mut(n).for_each(|v| v.sort_by(|x, y| y.wide().total_cmp(&x.wide())));
        return Ok((values, converged));
    };
    let v = gpu.zeros::<T>(n * n * count)?;
    identity(gpu, (n, n), count, &v)?;
    let (squares, converged) = turn(gpu, (m, n, n), count, s.a, &v)?;
    let (mut order, mut values, mut factors, mut ranks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for squares in squares.chunks(n) {
        let mut places: Vec<usize> = (0..n).collect();
        places.sort_by(|&i, &j| squares[j].wide().total_cmp(&squares[i].wide()));
        let limit = squares[places[0]].wide() * (T::EPS * 1e-3).powi(2);
        ranks.push(places.iter().filter(|&&i| squares[i].wide() > limit).count());
        for &i in &places {
            let (square, value) = (squares[i].wide(), root(squares[i]));
            values.push(value);
            factors.push(if square > limit { T::narrow(1.0 / value.wide()) } else { T::default() });
        }
        order.extend(places.into_iter().map(|i| i as u32));
    }
    let order = gpu.upload(&order)?;
    let ones = gpu.upload(&vec![T::ONE; n * count])?;
    let factors = gpu.upload(&factors)?;
    arrange(gpu, (m, n), n, count, s.a, &order, &factors, (u, u_columns))?;
    let right = gpu.zeros::<T>(n * n * count)?;
    arrange(gpu, (n, n), n, count, &v, &order, &ones, (&right, n))?;
    turned(gpu, n, count, &right, vt)?;
    if ranks.iter().any(|&rank| rank < u_columns) {
        complete(gpu, m, u_columns, &ranks, u)?;
    }
    Ok((values, converged))
}

fn root<T: Real>(square: T) -> T {
    T::narrow(square.wide().sqrt())
}

#[allow(clippy::too_many_arguments, reason = "the kernel's own operands")]
fn arrange<T: Real>(
    gpu: &mut Gpu<'_>,
    (m, n): (usize, usize),
    wanted: usize,
    count: usize,
    from: &Buffer<T>,
    order: &Buffer<u32>,
    factors: &Buffer<T>,
    (to, columns): (&Buffer<T>, usize),
) -> Result<(), Failure> {
    let total = m * wanted * count;
    let [m, n, wanted, columns] = [m, n, wanted, columns].map(|x| x as u32);
    let all = items(total, &kernels::JACOBI);
    jacobi_arrange::<T>(gpu, all, m, n, wanted, total as u64, from, order, factors, columns, to)
}

fn turned<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    from: &Buffer<T>,
    to: &Buffer<T>,
) -> Result<(), Failure> {
    matrix_transpose::<T>(gpu, tiles((n, n), count)?, n as u32, n as u32, from, 0, to, 0)
}

/// A group for each tile of a transposition.
///
/// # Errors
/// When they are more than every driver takes.
pub(super) fn tiles((rows, columns): (usize, usize), count: usize) -> Result<Groups, Failure> {
    groups(rows.div_ceil(32) * columns.div_ceil(32) * count)
}

/// Replaces the columns of each `u` from its rank on by an orthonormal complement of those before: the columns of `Q`
/// behind them, where those are zeros.
fn complete<T: Real>(
    gpu: &mut Gpu<'_>,
    m: usize,
    columns: usize,
    ranks: &[usize],
    u: &Buffer<T>,
) -> Result<(), Failure> {
    let count = ranks.len();
    let len = m * columns;
    let (copy, q) = (gpu.zeros::<T>(len * count)?, gpu.zeros::<T>(len * count)?);
    let tau = gpu.zeros::<T>(columns * count)?;
    gpu.copy((u, 0), (&copy, 0), len * count)?;
    let panels = Panels::room(gpu, (m, columns), columns, count)?;
    panels.factor(gpu, (m, columns), count, &copy, &tau)?;
    panels.write(gpu, (m, columns), columns, count, &copy, &q)?;
    for (i, &rank) in ranks.iter().enumerate().filter(|(_, rank)| **rank < columns) {
        let at = i * len + rank * m;
        gpu.copy((&q, at), (u, at), (columns - rank) * m)?;
    }
    Ok(())
}

/// Eigenvalues, ascending, of `count` symmetric matrices whose lower triangles are read; with `vectors` they become their
/// eigenvectors, one a column. And whether each converged.
pub(super) fn symmetric<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    vectors: bool,
    a: &Buffer<T>,
) -> Result<(Vec<T>, Vec<bool>), Failure> {
    within(n)?;
    let (w, shift) = (gpu.zeros::<T>(n * n * count)?, gpu.zeros::<T>(count)?);
    jacobi_shift::<T>(gpu, groups(count)?, n as u32, a, &w, &shift)?;
    let v = gpu.zeros::<T>(n * n * count)?;
    identity(gpu, (n, n), count, &v)?;
    let (_, converged) = turn(gpu, (n, n, n), count, &w, &v)?;
    let quotients = gpu.zeros::<T>(n * count)?;
    jacobi_quotient::<T>(gpu, groups(n * count)?, n as u32, a, &v, &quotients)?;
    let (mut order, mut values) = (Vec::new(), Vec::new());
    for of in gpu.download(&quotients)?.chunks(n) {
        let mut places: Vec<usize> = (0..n).collect();
        places.sort_by(|&i, &j| of[i].wide().total_cmp(&of[j].wide()));
        values.extend(places.iter().map(|&i| of[i]));
        order.extend(places.into_iter().map(|i| i as u32));
    }
    if vectors {
        let (order, ones) = (gpu.upload(&order)?, gpu.upload(&vec![T::ONE; n * count])?);
        arrange(gpu, (n, n), n, count, &v, &order, &ones, (a, n))?;
    }
    Ok((values, converged))
}
