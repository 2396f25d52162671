//! Factorisations by the vendor's library. Places are held against their memory here; cuSOLVER and rocSOLVER differ in how
//! they are called, and where their workspaces come from.

use super::blas::{BlasLibrary, int};
use super::cusolver::{Cusolver, CusolverLane};
use super::driver::Address;
use super::lane::Lane;
use super::rocsolver::Rocsolver;
use offload_core::device::{At, DeviceError, Solver};
use std::ffi::c_int;

/// A loaded solver.
#[derive(Clone, Copy)]
pub(super) enum SolverLibrary {
    Cusolver(Cusolver),
    Rocsolver(Rocsolver),
}

impl SolverLibrary {
    /// cuSOLVER.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn cusolver() -> Result<SolverLibrary, String> {
        Cusolver::load().map(SolverLibrary::Cusolver)
    }

    /// rocSOLVER, which works on the handles of this BLAS.
    ///
    /// # Errors
    /// What is missing, or that the two do not belong together.
    pub(super) fn rocsolver(blas: &BlasLibrary) -> Result<SolverLibrary, String> {
        Rocsolver::load(blas).map(SolverLibrary::Rocsolver)
    }

    /// The library's file.
    pub(super) fn software(&self) -> &'static str {
        match self {
            SolverLibrary::Cusolver(library) => library.software(),
            SolverLibrary::Rocsolver(library) => library.software(),
        }
    }

    /// Opens it on a lane's stream.
    ///
    /// # Errors
    /// What the library answers.
    pub(super) fn open(self, lane: &Lane) -> Result<SolverLane, DeviceError> {
        match self {
            SolverLibrary::Cusolver(library) => library.open(lane).map(SolverLane::Cusolver),
            // Its handle is the BLAS's.
            SolverLibrary::Rocsolver(library) => Ok(SolverLane::Rocsolver(library)),
        }
    }
}

/// A solver on a lane's stream.
#[derive(Clone, Copy)]
pub(super) enum SolverLane {
    Cusolver(CusolverLane),
    Rocsolver(Rocsolver),
}

impl SolverLane {
    fn routines(&self) -> &dyn Routines {
        match self {
            SolverLane::Cusolver(lane) => lane,
            SolverLane::Rocsolver(lane) => lane,
        }
    }

    pub(super) fn close(self) {
        if let SolverLane::Cusolver(lane) = self {
            lane.close();
        }
    }
}

/// Which singular vectors are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vectors {
    None,
    /// As many left ones as right ones.
    Thin,
    /// As many left ones as rows.
    Full,
}

/// How a library is called. What a routine reads and writes is as [`Solver`] has it, and was held against its memory.
#[allow(clippy::too_many_arguments, reason = "LAPACK's own signatures")]
pub(super) trait Routines {
    fn getrf(
        &self,
        lane: &mut Lane,
        double: bool,
        n: c_int,
        a: Address,
        pivots: Address,
        info: Address,
    ) -> Result<(), DeviceError>;
    fn getrs(
        &self,
        lane: &mut Lane,
        double: bool,
        transpose: bool,
        extents: (c_int, c_int),
        a: Address,
        pivots: Address,
        b: Address,
    ) -> Result<(), DeviceError>;
    fn getrf_batched(
        &self,
        lane: &mut Lane,
        double: bool,
        n_and_batch: (c_int, c_int),
        a: Address,
        pivots: Address,
        info: Address,
    ) -> Result<(), DeviceError>;
    fn getri_batched(
        &self,
        lane: &mut Lane,
        double: bool,
        n_and_batch: (c_int, c_int),
        a: Address,
        pivots: Address,
        inverse: Address,
        info: Address,
    ) -> Result<(), DeviceError>;
    fn potrf(
        &self,
        lane: &mut Lane,
        double: bool,
        lower: bool,
        n: c_int,
        a: Address,
        info: Address,
    ) -> Result<(), DeviceError>;
    fn geqrf(
        &self,
        lane: &mut Lane,
        double: bool,
        extents: (c_int, c_int),
        a: Address,
        tau: Address,
        info: Address,
    ) -> Result<(), DeviceError>;
    fn orgqr(
        &self,
        lane: &mut Lane,
        double: bool,
        extents: (c_int, c_int, c_int),
        a: Address,
        tau: Address,
        info: Address,
    ) -> Result<(), DeviceError>;
    fn syevd(
        &self,
        lane: &mut Lane,
        double: bool,
        vectors: bool,
        n: c_int,
        a: Address,
        values: Address,
        info: Address,
    ) -> Result<(), DeviceError>;
    fn gesvd(
        &self,
        lane: &mut Lane,
        double: bool,
        vectors: Vectors,
        extents: (c_int, c_int),
        a: Address,
        values: Address,
        u_and_vt: (Address, Address),
        info: Address,
    ) -> Result<(), DeviceError>;
}

/// Bytes of so many elements.
pub(super) fn bytes(elements: usize, double: bool) -> u64 {
    (elements as u64).saturating_mul(if double { 8 } else { 4 })
}

/// Bytes of a square matrix.
pub(super) fn square(n: c_int, double: bool) -> u64 {
    bytes(n as usize * n as usize, double)
}

impl Solver for Lane {
    fn transpose(
        &mut self,
        double: bool,
        rows: usize,
        columns: usize,
        batch: usize,
        from: At,
        to: At,
    ) -> Result<(), DeviceError> {
        let all = bytes(rows * columns, double) * batch as u64;
        let (from, to) = (self.address(from, all)?, self.address(to, all)?);
        self.blas_lane()?.transpose(double, (int(rows)?, int(columns)?), int(batch)?, from, to)
    }

    fn getrf(&mut self, double: bool, n: usize, a: At, pivots: At, info: At) -> Result<(), DeviceError> {
        let (a, pivots) = (self.address(a, bytes(n * n, double))?, self.address(pivots, 4 * n as u64)?);
        let info = self.address(info, 4)?;
        self.solver_lane()?.routines().getrf(self, double, int(n)?, a, pivots, info)
    }

    fn getrs(
        &mut self,
        double: bool,
        transpose: bool,
        n: usize,
        columns: usize,
        a: At,
        pivots: At,
        b: At,
    ) -> Result<(), DeviceError> {
        let (a, pivots) = (self.address(a, bytes(n * n, double))?, self.address(pivots, 4 * n as u64)?);
        let b = self.address(b, bytes(n * columns, double))?;
        let extents = (int(n)?, int(columns)?);
        self.solver_lane()?.routines().getrs(self, double, transpose, extents, a, pivots, b)
    }

    fn getrf_batched(
        &mut self,
        double: bool,
        n: usize,
        batch: usize,
        a: At,
        pivots: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let a = self.address(a, bytes(n * n, double) * batch as u64)?;
        let (pivots, info) =
            (self.address(pivots, 4 * (n * batch) as u64)?, self.address(info, 4 * batch as u64)?);
        let extents = (int(n)?, int(batch)?);
        self.solver_lane()?.routines().getrf_batched(self, double, extents, a, pivots, info)
    }

    fn getri_batched(
        &mut self,
        double: bool,
        n: usize,
        batch: usize,
        a: At,
        pivots: At,
        inverse: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let all = bytes(n * n, double) * batch as u64;
        let (a, inverse) = (self.address(a, all)?, self.address(inverse, all)?);
        let (pivots, info) =
            (self.address(pivots, 4 * (n * batch) as u64)?, self.address(info, 4 * batch as u64)?);
        let extents = (int(n)?, int(batch)?);
        self.solver_lane()?.routines().getri_batched(self, double, extents, a, pivots, inverse, info)
    }

    fn potrf(&mut self, double: bool, lower: bool, n: usize, a: At, info: At) -> Result<(), DeviceError> {
        let (a, info) = (self.address(a, bytes(n * n, double))?, self.address(info, 4)?);
        self.solver_lane()?.routines().potrf(self, double, lower, int(n)?, a, info)
    }

    fn geqrf(
        &mut self,
        double: bool,
        m: usize,
        n: usize,
        a: At,
        tau: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let (a, tau) = (self.address(a, bytes(m * n, double))?, self.address(tau, bytes(m.min(n), double))?);
        let info = self.address(info, 4)?;
        self.solver_lane()?.routines().geqrf(self, double, (int(m)?, int(n)?), a, tau, info)
    }

    fn orgqr(
        &mut self,
        double: bool,
        m: usize,
        n: usize,
        k: usize,
        a: At,
        tau: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let (a, tau) = (self.address(a, bytes(m * n, double))?, self.address(tau, bytes(k, double))?);
        let info = self.address(info, 4)?;
        self.solver_lane()?.routines().orgqr(self, double, (int(m)?, int(n)?, int(k)?), a, tau, info)
    }

    fn syevd(
        &mut self,
        double: bool,
        vectors: bool,
        n: usize,
        a: At,
        values: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let (a, values) = (self.address(a, bytes(n * n, double))?, self.address(values, bytes(n, double))?);
        let info = self.address(info, 4)?;
        self.solver_lane()?.routines().syevd(self, double, vectors, int(n)?, a, values, info)
    }

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
    ) -> Result<(), DeviceError> {
        let (a, values) = (self.address(a, bytes(m * n, double))?, self.address(values, bytes(n, double))?);
        let info = self.address(info, 4)?;
        let vectors = match (vectors, full) {
            (false, _) => Vectors::None,
            (true, false) => Vectors::Thin,
            (true, true) => Vectors::Full,
        };
        let left = if vectors == Vectors::Full { m } else { n };
        let (mut u_at, mut vt_at) = (0, 0);
        if vectors != Vectors::None {
            u_at = self.address(u, bytes(m * left, double))?;
            vt_at = self.address(vt, bytes(n * n, double))?;
        }
        let extents = (int(m)?, int(n)?);
        self.solver_lane()?.routines().gesvd(self, double, vectors, extents, a, values, (u_at, vt_at), info)
    }
}
