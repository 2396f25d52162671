//! Factorisations of matrices that lie on the device by columns, one after another, in place: the vendor's, where its
//! library is loaded.

use crate::kernel::real::Real;
use offload_core::Failure;
use offload_core::device::{Buffer, DeviceError, Gemm, Gpu, Solver};

/// From so many matrices on, and up to this extent, the vendor's calls over a whole stack are quicker than a call each.
const BATCHED: (usize, usize) = (8, 256);

fn is_double<T>() -> bool {
    size_of::<T>() == 8
}

/// The vendor's factorisations.
///
/// # Errors
/// When the device has none.
fn library<'a>(gpu: &'a mut Gpu<'_>) -> Result<&'a mut dyn Solver, Failure> {
    gpu.solver()?.ok_or_else(|| DeviceError::Unsupported("the device has no factorisations".into()).into())
}

/// Writes the transposes of row-major `rows × columns` matrices to `to`.
///
/// # Errors
/// When the device refuses.
pub(crate) fn transpose<T: Real>(
    gpu: &mut Gpu<'_>,
    (rows, columns): (usize, usize),
    count: usize,
    from: (&Buffer<T>, usize),
    to: (&Buffer<T>, usize),
) -> Result<(), Failure> {
    let (from, to) = (from.0.at(from.1), to.0.at(to.1));
    Ok(library(gpu)?.transpose(is_double::<T>(), rows, columns, count, from, to)?)
}

/// LU factors of `count` matrices of extent `n`.
pub(crate) struct Lu<T> {
    /// The factors.
    pub(crate) factors: Buffer<T>,
    n: usize,
    pivots: Buffer<i32>,
    info: Buffer<i32>,
}

/// Bytes that [`lu`] takes.
pub(crate) fn lu_bytes(n: usize, count: usize) -> u64 {
    4 * (n as u64 + 1) * count as u64
}

/// Factors matrices.
///
/// # Errors
/// When the device refuses.
pub(crate) fn lu<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    factors: Buffer<T>,
) -> Result<Lu<T>, Failure> {
    let pivots = gpu.zeros::<i32>(n * count)?;
    let info = gpu.zeros::<i32>(count)?;
    let double = is_double::<T>();
    if is_batched(n, count) {
        library(gpu)?.getrf_batched(double, n, count, factors.at(0), pivots.at(0), info.at(0))?;
    } else {
        for i in 0..count {
            library(gpu)?.getrf(double, n, factors.at(i * n * n), pivots.at(i * n), info.at(i))?;
        }
    }
    Ok(Lu { factors, n, pivots, info })
}

fn is_batched(n: usize, count: usize) -> bool {
    count >= BATCHED.0 && n <= BATCHED.1
}

impl<T: Real> Lu<T> {
    /// For each matrix, the first pivot that is zero.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn zero_pivots(&self, gpu: &mut Gpu<'_>) -> Result<Vec<Option<usize>>, Failure> {
        Ok(gpu.download(&self.info)?.into_iter().map(|i| usize::try_from(i - 1).ok()).collect())
    }

    /// For each matrix, whether its rows were permuted oddly.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn odd(&self, gpu: &mut Gpu<'_>) -> Result<Vec<bool>, Failure> {
        let pivots = gpu.download(&self.pivots)?;
        let moved = |p: &[i32]| p.iter().enumerate().filter(|(i, p)| **p != *i as i32 + 1).count();
        Ok(pivots.chunks(self.n.max(1)).map(|p| moved(p) % 2 == 1).collect())
    }

    /// Replaces `columns` vectors from `at` on by their solutions of matrix `index`, or of its transpose.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn solve(
        &self,
        gpu: &mut Gpu<'_>,
        index: usize,
        transposed: bool,
        columns: usize,
        (x, at): (&Buffer<T>, usize),
    ) -> Result<(), Failure> {
        let n = self.n;
        let (a, pivots) = (self.factors.at(index * n * n), self.pivots.at(index * n));
        Ok(library(gpu)?.getrs(is_double::<T>(), transposed, n, columns, a, pivots, x.at(at))?)
    }

    /// The inverses, by columns.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn invert(&self, gpu: &mut Gpu<'_>, count: usize) -> Result<Buffer<T>, Failure> {
        let n = self.n;
        if is_batched(n, count) {
            let to = gpu.zeros::<T>(n * n * count)?;
            let double = is_double::<T>();
            let (a, pivots) = (self.factors.at(0), self.pivots.at(0));
            library(gpu)?.getri_batched(double, n, count, a, pivots, to.at(0), self.info.at(0))?;
            return Ok(to);
        }
        let one = identity::<T>(gpu, n)?;
        if count == 1 {
            self.solve(gpu, 0, false, n, (&one, 0))?;
            return Ok(one);
        }
        let to = gpu.zeros::<T>(n * n * count)?;
        for i in 0..count {
            gpu.copy((&one, 0), (&to, i * n * n), n * n)?;
            self.solve(gpu, i, false, n, (&to, i * n * n))?;
        }
        Ok(to)
    }

    /// The diagonals of the factors, `n` numbers each.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn diagonals(&self, gpu: &mut Gpu<'_>, count: usize) -> Result<Vec<T>, Failure> {
        let n = self.n;
        if n * count <= DIRECT / n {
            let all = gpu.download_range(&self.factors, 0, n * n * count)?;
            return Ok(all.chunks(n * n).flat_map(|a| a.iter().step_by(n + 1).copied()).collect());
        }
        // All but the last entry of the diagonal are the first column of the matrix's memory seen as n − 1 rows of
        // n + 1, which a transposition makes one piece.
        let turned = gpu.zeros::<T>(n * n)?;
        let diagonals = gpu.zeros::<T>(n * count)?;
        for i in 0..count {
            transpose(gpu, (n - 1, n + 1), 1, (&self.factors, i * n * n), (&turned, 0))?;
            gpu.copy((&turned, 0), (&diagonals, i * n), n - 1)?;
            gpu.copy((&self.factors, (i + 1) * n * n - 1), (&diagonals, (i + 1) * n - 1), 1)?;
        }
        gpu.download(&diagonals)
    }
}

/// Elements that are downloaded whole rather than picked from on the device.
const DIRECT: usize = 1 << 16;

/// Elements that [`Lu::diagonals`] takes.
pub(crate) fn diagonals_elements(n: usize, count: usize) -> u64 {
    (n as u64).saturating_mul((n + count) as u64)
}

/// Elements that [`Lu::invert`] takes.
pub(crate) fn inverse_elements(n: usize, count: usize) -> u64 {
    let n = n as u64;
    (n * n).saturating_mul(count as u64 + 1).saturating_add(3 * n + 1)
}

/// The identity, in the first `n²` elements: seen as `n` rows of `n + 1`, each is one and zeros, so it is a product of a
/// column of ones and that row.
fn identity<T: Real>(gpu: &mut Gpu<'_>, n: usize) -> Result<Buffer<T>, Failure> {
    let mut row = vec![T::default(); n + 1];
    row[0] = T::ONE;
    let (ones, row) = (gpu.upload(&vec![T::ONE; n])?, gpu.upload(&row)?);
    let to = gpu.zeros::<T>(n * (n + 1))?;
    gpu.gemm(&Gemm::new(n, n + 1, 1), &ones, &row, &to)?;
    Ok(to)
}

/// Replaces the upper triangles by Cholesky factors `U`, `A = Uᵀ U`, and says for each matrix which pivot was the first
/// that is not positive.
///
/// # Errors
/// When the device refuses.
pub(crate) fn cholesky<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    a: &Buffer<T>,
) -> Result<Vec<Option<usize>>, Failure> {
    let info = gpu.zeros::<i32>(count)?;
    for i in 0..count {
        library(gpu)?.potrf(is_double::<T>(), false, n, a.at(i * n * n), info.at(i))?;
    }
    Ok(gpu.download(&info)?.into_iter().map(|i| usize::try_from(i - 1).ok()).collect())
}

/// Householder reflections of one `m × n` matrix at a time.
pub(crate) struct Reflections<T> {
    tau: Buffer<T>,
    info: Buffer<i32>,
}

/// Bytes that [`Reflections`] take.
pub(crate) fn reflections_bytes(m: usize, n: usize, size: u64) -> u64 {
    m.min(n) as u64 * size + 4
}

impl<T: Real> Reflections<T> {
    /// Room for those of an `m × n` matrix.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn room(gpu: &mut Gpu<'_>, m: usize, n: usize) -> Result<Self, Failure> {
        Ok(Reflections { tau: gpu.zeros(m.min(n))?, info: gpu.zeros(1)? })
    }

    /// Factors the `m × n` matrix at `at`: `R` above, reflectors below.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn factor(
        &self,
        gpu: &mut Gpu<'_>,
        (m, n): (usize, usize),
        (a, at): (&Buffer<T>, usize),
    ) -> Result<(), Failure> {
        let (a, tau, info) = (a.at(at), self.tau.at(0), self.info.at(0));
        Ok(library(gpu)?.geqrf(is_double::<T>(), m, n, a, tau, info)?)
    }

    /// Writes the first `n` columns of `Q` over the `k` reflectors at `at`.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn write(
        &self,
        gpu: &mut Gpu<'_>,
        (m, n, k): (usize, usize, usize),
        (a, at): (&Buffer<T>, usize),
    ) -> Result<(), Failure> {
        let (a, tau, info) = (a.at(at), self.tau.at(0), self.info.at(0));
        Ok(library(gpu)?.orgqr(is_double::<T>(), m, n, k, a, tau, info)?)
    }
}

/// Eigenvalues, ascending, into `values`; with `vectors` the symmetric matrices, whose lower triangles are read, become
/// their eigenvectors, one a column. For each matrix, whether that converged.
///
/// # Errors
/// When the device refuses.
pub(crate) fn symmetric<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    vectors: bool,
    a: &Buffer<T>,
    values: &Buffer<T>,
) -> Result<Vec<bool>, Failure> {
    let info = gpu.zeros::<i32>(count)?;
    for i in 0..count {
        let (a, values, info) = (a.at(i * n * n), values.at(i * n), info.at(i));
        library(gpu)?.syevd(is_double::<T>(), vectors, n, a, values, info)?;
    }
    Ok(gpu.download(&info)?.into_iter().map(|i| i == 0).collect())
}

/// What [`singular`] computes of an `m × n` matrix, `m ≥ n`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Rows.
    pub(crate) m: usize,
    /// Columns.
    pub(crate) n: usize,
    /// Columns of `u`; 0 for no vectors, otherwise `n` or `m`.
    pub(crate) u_columns: usize,
}

/// Singular values, descending, of matrices that are lost; `u` and `vt` by columns. For each matrix, whether that
/// converged.
///
/// # Errors
/// When the device refuses.
pub(crate) fn singular<T: Real>(
    gpu: &mut Gpu<'_>,
    w: Wanted,
    count: usize,
    a: &Buffer<T>,
    values: &Buffer<T>,
    (u, vt): (&Buffer<T>, &Buffer<T>),
) -> Result<Vec<bool>, Failure> {
    let (m, n) = (w.m, w.n);
    let info = gpu.zeros::<i32>(count)?;
    let (vectors, full) = (w.u_columns > 0, w.u_columns > n);
    for i in 0..count {
        let vt_at = if vectors { i * n * n } else { 0 };
        let places = (a.at(i * m * n), values.at(i * n), u.at(i * m * w.u_columns), vt.at(vt_at));
        let (a, values, u, vt) = places;
        library(gpu)?.gesvd(is_double::<T>(), vectors, full, m, n, a, values, u, vt, info.at(i))?;
    }
    Ok(gpu.download(&info)?.into_iter().map(|i| i == 0).collect())
}
