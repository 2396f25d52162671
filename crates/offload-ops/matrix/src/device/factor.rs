//! Factorisations of matrices that lie on the device by columns, one after another, in place: the vendor's where its
//! library is loaded and a call for each matrix pays, else those of our own kernels.

use super::kernels::{self, matrix_transpose};
use super::own::{self, Panels, compiles};
use super::rotations::{self, Singular};
use crate::kernel::real::Real;
use offload_core::Failure;
use offload_core::device::{Buffer, DeviceError, Gemm, Gpu, Solver};

/// From so many matrices on, and up to this extent, the vendor's calls over a whole stack are quicker than a call each.
const BATCHED: (usize, usize) = (8, 256);

/// From so many matrices on, and up to these extents of panels and of spectra, one start of our own kernels over the stack
/// is quicker than a call of the vendor's for each.
const OWN: (usize, usize, usize) = (8, 128, rotations::WHOLE);

/// Whether our own kernels are to do this: there is no other way, or they are preferred and there is a compiler.
fn is_own<T: Real>(
    gpu: &mut Gpu<'_>,
    preferred: bool,
    text: &'static offload_core::device::KernelText,
) -> Result<bool, Failure> {
    Ok(gpu.solver()?.is_none() || (preferred && compiles::<T>(gpu, text)?))
}

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
    if compiles::<T>(gpu, &kernels::TRANSPOSE)? {
        let tiles = rotations::tiles((rows, columns), count)?;
        let (r, c) = (rows as u32, columns as u32);
        return matrix_transpose::<T>(gpu, tiles, r, c, from.0, from.1 as u64, to.0, to.1 as u64);
    }
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
    own: bool,
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
    let own = is_own::<T>(gpu, false, &kernels::LU)?;
    if own {
        own::lu(gpu, n, count, &factors, &pivots, &info)?;
    } else if is_batched(n, count) {
        library(gpu)?.getrf_batched(double, n, count, factors.at(0), pivots.at(0), info.at(0))?;
    } else {
        for i in 0..count {
            library(gpu)?.getrf(double, n, factors.at(i * n * n), pivots.at(i * n), info.at(i))?;
        }
    }
    Ok(Lu { factors, n, pivots, info, own })
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
        if i32::try_from(columns).is_err() {
            return Err(DeviceError::Unsupported(format!("{columns} right-hand sides at once")).into());
        }
        if self.own {
            let (factors, pivots) = ((&self.factors, index * n * n), (&self.pivots, index * n));
            return own::lu_solve(gpu, (n, 1), transposed, factors, pivots, columns, (x, at));
        }
        let (a, pivots) = (self.factors.at(index * n * n), self.pivots.at(index * n));
        Ok(library(gpu)?.getrs(is_double::<T>(), transposed, n, columns, a, pivots, x.at(at))?)
    }

    /// The inverses, by columns.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn invert(&self, gpu: &mut Gpu<'_>, count: usize) -> Result<Buffer<T>, Failure> {
        let n = self.n;
        if self.own {
            let to = gpu.zeros::<T>(n * n * count)?;
            own::identity(gpu, (n, n), count, &to)?;
            let (factors, pivots) = ((&self.factors, 0), (&self.pivots, 0));
            own::lu_solve(gpu, (n, count), false, factors, pivots, n, (&to, 0))?;
            return Ok(to);
        }
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
    if is_own::<T>(gpu, count >= OWN.0 && n <= OWN.1, &kernels::CHOLESKY)? {
        own::cholesky(gpu, n, count, a, &info)?;
    } else {
        for i in 0..count {
            library(gpu)?.potrf(is_double::<T>(), false, n, a.at(i * n * n), info.at(i))?;
        }
    }
    Ok(gpu.download(&info)?.into_iter().map(|i| usize::try_from(i - 1).ok()).collect())
}

/// Householder reflections of `count` matrices of `m × n`.
pub(crate) struct Reflections<T> {
    extents: (usize, usize),
    count: usize,
    tau: Buffer<T>,
    info: Buffer<i32>,
    panels: Option<Panels<T>>,
}

/// Elements that [`Reflections`] take where `Q` gets up to `widest` columns.
pub(crate) fn reflections_elements(m: usize, n: usize, widest: usize, count: usize) -> u64 {
    own::panels_elements(m, n, widest.max(n), count) + (m.min(n) as u64 + 1).saturating_mul(count as u64)
}

impl<T: Real> Reflections<T> {
    /// Room for those of matrices whose `Q` gets up to `widest` columns.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn room(
        gpu: &mut Gpu<'_>,
        (m, n): (usize, usize),
        widest: usize,
        count: usize,
    ) -> Result<Self, Failure> {
        let preferred = count >= OWN.0 && m.max(n) <= OWN.1;
        let own = is_own::<T>(gpu, preferred, &kernels::QR)?;
        let panels = if own { Some(Panels::room(gpu, (m, n), widest.max(n), count)?) } else { None };
        let (tau, info) = (gpu.zeros(m.min(n) * count)?, gpu.zeros(1)?);
        Ok(Reflections { extents: (m, n), count, tau, info, panels })
    }

    /// Factors the matrices: `R` above, reflectors below.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn factor(&self, gpu: &mut Gpu<'_>, a: &Buffer<T>) -> Result<(), Failure> {
        let (m, n) = self.extents;
        if let Some(panels) = &self.panels {
            return panels.factor(gpu, (m, n), self.count, a, &self.tau);
        }
        for i in 0..self.count {
            let (a, tau, info) = (a.at(i * m * n), self.tau.at(i * m.min(n)), self.info.at(0));
            library(gpu)?.geqrf(is_double::<T>(), m, n, a, tau, info)?;
        }
        Ok(())
    }

    /// Writes the first `columns` columns of each `Q`, at least `min(m, n)`, from the reflectors in `a`.
    ///
    /// # Errors
    /// When the device refuses.
    pub(crate) fn write(
        &self,
        gpu: &mut Gpu<'_>,
        columns: usize,
        a: &Buffer<T>,
        q: &Buffer<T>,
    ) -> Result<(), Failure> {
        let (m, n) = self.extents;
        let size = m.min(n);
        if let Some(panels) = &self.panels {
            return panels.write(gpu, (m, n), columns, self.count, a, q);
        }
        for i in 0..self.count {
            gpu.copy((a, i * m * n), (q, i * m * columns), m * size)?;
            let (q, tau, info) = (q.at(i * m * columns), self.tau.at(i * size), self.info.at(0));
            library(gpu)?.orgqr(is_double::<T>(), m, columns, size, q, tau, info)?;
        }
        Ok(())
    }
}

/// Elements that [`symmetric`] takes.
pub(crate) fn symmetric_elements(n: usize, count: usize) -> u64 {
    rotations::symmetric_elements(n, count)
}

/// Eigenvalues, ascending; with `vectors` the symmetric matrices, whose lower triangles are read, become their
/// eigenvectors, one a column. For each matrix, whether that converged.
///
/// # Errors
/// When the device refuses.
pub(crate) fn symmetric<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    vectors: bool,
    a: &Buffer<T>,
) -> Result<(Vec<T>, Vec<bool>), Failure> {
    if is_own::<T>(gpu, count >= OWN.0 && n <= OWN.2, &kernels::JACOBI)? {
        return rotations::symmetric(gpu, n, count, vectors, a);
    }
    let (values, info) = (gpu.zeros::<T>(n * count)?, gpu.zeros::<i32>(count)?);
    for i in 0..count {
        let (a, values, info) = (a.at(i * n * n), values.at(i * n), info.at(i));
        library(gpu)?.syevd(is_double::<T>(), vectors, n, a, values, info)?;
    }
    let converged = gpu.download(&info)?.into_iter().map(|i| i == 0).collect();
    Ok((gpu.download(&values)?, converged))
}

/// What [`singular`] computes of `count` matrices of `m × n`, `m ≥ n`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Rows.
    pub(crate) m: usize,
    /// Columns.
    pub(crate) n: usize,
    /// How many.
    pub(crate) count: usize,
    /// Columns of `u`; 0 for no vectors, otherwise `n` or `m`.
    pub(crate) u_columns: usize,
}

/// Elements that [`singular`] takes.
pub(crate) fn singular_elements(w: Wanted) -> u64 {
    rotations::singular_elements(w.m, w.n, w.u_columns, w.count)
}

/// Singular values, descending, of matrices that are lost; `u` and `vt` by columns. For each matrix, whether that
/// converged.
///
/// # Errors
/// When the device refuses.
pub(crate) fn singular<T: Real>(
    gpu: &mut Gpu<'_>,
    w: Wanted,
    a: &Buffer<T>,
    (u, vt): (&Buffer<T>, &Buffer<T>),
) -> Result<(Vec<T>, Vec<bool>), Failure> {
    let (m, n, count) = (w.m, w.n, w.count);
    let (vectors, full) = (w.u_columns > 0, w.u_columns > n);
    if is_own::<T>(gpu, count >= OWN.0 && n <= OWN.2, &kernels::JACOBI)? {
        let vectors = vectors.then_some((u, w.u_columns, vt));
        return rotations::singular(gpu, Singular { m, n, count, a, vectors });
    }
    let (values, info) = (gpu.zeros::<T>(n * count)?, gpu.zeros::<i32>(count)?);
    for i in 0..count {
        let vt_at = if vectors { i * n * n } else { 0 };
        let (u, vt) = (u.at(i * m * w.u_columns), vt.at(vt_at));
        let (a, values, info) = (a.at(i * m * n), values.at(i * n), info.at(i));
        library(gpu)?.gesvd(is_double::<T>(), vectors, full, m, n, a, values, u, vt, info)?;
    }
    let converged = gpu.download(&info)?.into_iter().map(|i| i == 0).collect();
    Ok((gpu.download(&values)?, converged))
}
