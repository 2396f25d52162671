//! Dense linear algebra of a lane: matrix products everywhere, factorisations where a vendor's library is loaded.

use super::{DeviceError, Handle};

/// A place in device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The memory.
    pub handle: Handle,
    /// Bytes from its beginning.
    pub offset_bytes: u64,
}

impl From<Handle> for At {
    fn from(handle: Handle) -> At {
        At { handle, offset_bytes: 0 }
    }
}

/// A matrix product `C = op(A) · op(B)` over row-major device memory, for `batch` matrices one after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gemm {
    /// Rows of `op(A)` and `C`.
    pub m: usize,
    /// Columns of `op(B)` and `C`.
    pub n: usize,
    /// Columns of `op(A)`, rows of `op(B)`.
    pub k: usize,
    /// How many products.
    pub batch: usize,
    /// Whether `A` is stored `[k, m]`.
    pub transpose_a: bool,
    /// Whether `B` is stored `[n, k]`.
    pub transpose_b: bool,
    /// Whether each product has an `A` (and a `B`) of its own, or all share the first.
    pub batched: (bool, bool),
    /// Whether reduced precision (TF32) is welcome.
    pub tf32: bool,
}

impl Gemm {
    /// One product of `[m, k]` and `[k, n]` in full precision.
    pub fn new(m: usize, n: usize, k: usize) -> Gemm {
        Gemm { m, n, k, batch: 1, transpose_a: false, transpose_b: false, batched: (true, true), tf32: false }
    }
}

/// Dense matrix products of a lane.
pub trait Blas {
    /// A matrix product in `f32`, or in `f64` when `double`.
    ///
    /// # Errors
    /// When the library refuses.
    fn gemm(&mut self, gemm: &Gemm, double: bool, a: At, b: At, c: At) -> Result<(), DeviceError>;
}

/// Factorisations as LAPACK defines them: **column-major**, in place, leading dimension = rows. `double` tells `f64`
/// from `f32`; pivots and `info` are `i32` in device memory, `info` as LAPACK's. Workspaces are the lane's own,
/// asked of the library at each call and counted for the tenant whose job runs.
pub trait Solver {
    /// Writes the transposes of `batch` row-major `[rows, columns]` matrices one after another, `[columns, rows]`, to
    /// other memory. Entries move and are not computed with. This is how row-major matrices become column-major ones.
    ///
    /// # Errors
    /// When the library refuses.
    fn transpose(
        &mut self,
        double: bool,
        rows: usize,
        columns: usize,
        batch: usize,
        from: At,
        to: At,
    ) -> Result<(), DeviceError>;
    /// `A = P L U` of `[n, n]`; `n` pivots from 1, one `info`.
    ///
    /// # Errors
    /// When the library refuses.
    fn getrf(&mut self, double: bool, n: usize, a: At, pivots: At, info: At) -> Result<(), DeviceError>;
    /// Solves `op(A) X = B` with the factors of [`getrf`](Self::getrf); `B` is `[n, columns]`, in place.
    ///
    /// # Errors
    /// When the library refuses.
    #[allow(clippy::too_many_arguments, reason = "LAPACK's own signature")]
    fn getrs(
        &mut self,
        double: bool,
        transpose: bool,
        n: usize,
        columns: usize,
        a: At,
        pivots: At,
        b: At,
    ) -> Result<(), DeviceError>;
    /// `A = P L U` of `batch` matrices one after another; `n` pivots and one `info` each.
    ///
    /// # Errors
    /// When the library refuses.
    fn getrf_batched(
        &mut self,
        double: bool,
        n: usize,
        batch: usize,
        a: At,
        pivots: At,
        info: At,
    ) -> Result<(), DeviceError>;
    /// The inverses from the factors of [`getrf_batched`](Self::getrf_batched), into `inverse`.
    ///
    /// # Errors
    /// When the library refuses.
    #[allow(clippy::too_many_arguments, reason = "LAPACK's own signature")]
    fn getri_batched(
        &mut self,
        double: bool,
        n: usize,
        batch: usize,
        a: At,
        pivots: At,
        inverse: At,
        info: At,
    ) -> Result<(), DeviceError>;
    /// The Cholesky factor in the lower (or upper) triangle; the other triangle keeps what it held.
    ///
    /// # Errors
    /// When the library refuses.
    fn potrf(&mut self, double: bool, lower: bool, n: usize, a: At, info: At) -> Result<(), DeviceError>;
    /// `A = Q R` of `[m, n]`: `R` above, reflectors below, `min(m, n)` factors in `tau`.
    ///
    /// # Errors
    /// When the library refuses.
    fn geqrf(
        &mut self,
        double: bool,
        m: usize,
        n: usize,
        a: At,
        tau: At,
        info: At,
    ) -> Result<(), DeviceError>;
    /// The first `n` columns of `Q` (`[m, n]`, in place) from `k` reflectors.
    ///
    /// # Errors
    /// When the library refuses.
    #[allow(clippy::too_many_arguments, reason = "LAPACK's own signature")]
    fn orgqr(
        &mut self,
        double: bool,
        m: usize,
        n: usize,
        k: usize,
        a: At,
        tau: At,
        info: At,
    ) -> Result<(), DeviceError>;
    /// Eigenvalues, ascending, of the symmetric matrix in the lower triangle; with `vectors`, `A` becomes the
    /// eigenvectors, one a column.
    ///
    /// # Errors
    /// When the library refuses.
    fn syevd(
        &mut self,
        double: bool,
        vectors: bool,
        n: usize,
        a: At,
        values: At,
        info: At,
    ) -> Result<(), DeviceError>;
    /// Singular values, descending, of `[m, n]` with `m ≥ n`; with `vectors`, `u` is `[m, n]` (`[m, m]` when `full`)
    /// and `vt` is `[n, n]`. `A` is destroyed.
    ///
    /// # Errors
    /// When the library refuses.
    #[allow(clippy::too_many_arguments, reason = "LAPACK's own signature")]
    fn gesvd(
        &mut self,
        double: bool,
        vectors: bool,
        full: bool,
        m: usize,
        n: usize,
        a: At,
        values: At,
        u: At,
        vt: At,
        info: At,
    ) -> Result<(), DeviceError>;
}
