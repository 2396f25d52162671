//! Factorisations by rocSOLVER. Not yet run on a card.
//!
//! It works on rocBLAS's handle and takes its workspace from there. So each routine is called twice: once in the handle's
//! query of sizes, where nothing runs, and once with a workspace of that size, which is counted and zeroed as the rest.

use super::blas::BlasLibrary;
use super::driver::{Address, Opaque};
use super::lane::Lane;
use super::memory::set;
use super::search::{Library, functions};
use super::solver::{Routines, Vectors, bytes, square};
use offload_core::device::DeviceError;
use std::ffi::c_int;

functions! {
    /// The routines for one element type. Matrices of a batch lie one after another, so it takes the strided ones.
    struct Typed {
        getrf: fn(Opaque, c_int, c_int, Address, c_int, Address, Address) -> c_int;
        getrs: fn(Opaque, c_int, c_int, c_int, Address, c_int, Address, Address, c_int) -> c_int;
        getrf_strided_batched: fn(Opaque, c_int, c_int, Address, c_int, i64, Address, i64, Address, c_int) -> c_int;
        getri_strided_batched: fn(Opaque, c_int, Address, c_int, i64, Address, i64, Address, c_int) -> c_int;
        potrf: fn(Opaque, c_int, c_int, Address, c_int, Address) -> c_int;
        geqrf: fn(Opaque, c_int, c_int, Address, c_int, Address) -> c_int;
        orgqr: fn(Opaque, c_int, c_int, c_int, Address, c_int, Address) -> c_int;
        syevd: fn(Opaque, c_int, c_int, c_int, Address, c_int, Address, Address, Address) -> c_int;
        gesvd: fn(
            Opaque, c_int, c_int, c_int, c_int, Address, c_int, Address, Address, c_int, Address, c_int, Address, c_int,
            Address,
        ) -> c_int;
    }
}

/// `rocblas_fill`.
const UPPER: c_int = 121;
const LOWER: c_int = 122;
/// `rocblas_svect`: all, as many as there are values, none.
const SVECT_ALL: c_int = 191;
const SVECT_SINGULAR: c_int = 192;
const SVECT_NONE: c_int = 194;
/// `rocblas_workmode`: faster, with a larger workspace.
const OUT_OF_PLACE: c_int = 201;
/// `rocblas_evect`: of the matrix itself, none.
const EVECT_ORIGINAL: c_int = 211;
const EVECT_NONE: c_int = 213;

/// rocSOLVER.
#[derive(Clone, Copy)]
pub(super) struct Rocsolver {
    single: Typed,
    double: Typed,
    name: &'static str,
}

impl Rocsolver {
    /// Loads it, to work on handles of this rocBLAS.
    ///
    /// # Errors
    /// What is missing, or that it works on another rocBLAS, of which this machine then has two.
    pub(super) fn load(blas: &BlasLibrary) -> Result<Rocsolver, String> {
        let library = Library::open(&["librocsolver.so.0", "librocsolver.so"])?;
        if !blas.is_beneath(&library) {
            return Err(format!("{} works on another rocBLAS than {}", library.name(), blas.software()));
        }
        let typed = |letter: char| move |field: &'static str| format!("rocsolver_{letter}{field}");
        // SAFETY: these are rocSOLVER's signatures; device pointers are passed as addresses, enumerations as their values.
        unsafe {
            Ok(Rocsolver {
                single: Typed::load(&library, typed('s'))?,
                double: Typed::load(&library, typed('d'))?,
                name: library.name(),
            })
        }
    }

    /// The library's file.
    pub(super) fn software(&self) -> &'static str {
        self.name
    }

    fn of(&self, double: bool) -> Typed {
        if double { self.double } else { self.single }
    }
}

/// The library does not write an `info` where nothing can go wrong.
fn went_well(lane: &Lane, info: Address) -> Result<(), DeviceError> {
    set(&lane.shared.driver, lane.stream, info, 0, 4)
}

impl Routines for Rocsolver {
    fn getrf(
        &self,
        lane: &mut Lane,
        double: bool,
        n: c_int,
        a: Address,
        pivots: Address,
        info: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).getrf;
        // SAFETY: here and below: the ranges were checked against their memory, and the handle has as much workspace as the
        // library asked for.
        lane.by_rocblas("getrf", |handle| unsafe { call(handle, n, n, a, n, pivots, info) })
    }

    fn getrs(
        &self,
        lane: &mut Lane,
        double: bool,
        transpose: bool,
        (n, columns): (c_int, c_int),
        a: Address,
        pivots: Address,
        b: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).getrs;
        let (plain, transposed) = lane.blas_lane()?.library.operations();
        let operation = if transpose { transposed } else { plain };
        // SAFETY: as in `getrf`.
        lane.by_rocblas("getrs", |handle| unsafe { call(handle, operation, n, columns, a, n, pivots, b, n) })
    }

    fn getrf_batched(
        &self,
        lane: &mut Lane,
        double: bool,
        (n, batch): (c_int, c_int),
        a: Address,
        pivots: Address,
        info: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).getrf_strided_batched;
        let (each, row) = (i64::from(n) * i64::from(n), i64::from(n));
        // SAFETY: as in `getrf`.
        lane.by_rocblas("getrf_strided_batched", |handle| unsafe {
            call(handle, n, n, a, n, each, pivots, row, info, batch)
        })
    }

    fn getri_batched(
        &self,
        lane: &mut Lane,
        double: bool,
        (n, batch): (c_int, c_int),
        a: Address,
        pivots: Address,
        inverse: Address,
        info: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).getri_strided_batched;
        let (each, row) = (i64::from(n) * i64::from(n), i64::from(n));
        let all = square(n, double) as usize * batch as usize;
        let driver = &lane.shared.driver;
        // It inverts in place. SAFETY: both ranges were checked.
        driver.check("copy", unsafe { (driver.calls.copy)(inverse, a, all, lane.stream) })?;
        // SAFETY: as in `getrf`.
        lane.by_rocblas("getri_strided_batched", |handle| unsafe {
            call(handle, n, inverse, n, each, pivots, row, info, batch)
        })
    }

    fn potrf(
        &self,
        lane: &mut Lane,
        double: bool,
        lower: bool,
        n: c_int,
        a: Address,
        info: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).potrf;
        let side = if lower { LOWER } else { UPPER };
        // SAFETY: as in `getrf`.
        lane.by_rocblas("potrf", |handle| unsafe { call(handle, side, n, a, n, info) })
    }

    fn geqrf(
        &self,
        lane: &mut Lane,
        double: bool,
        (m, n): (c_int, c_int),
        a: Address,
        tau: Address,
        info: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).geqrf;
        went_well(lane, info)?;
        // SAFETY: as in `getrf`.
        lane.by_rocblas("geqrf", |handle| unsafe { call(handle, m, n, a, m, tau) })
    }

    fn orgqr(
        &self,
        lane: &mut Lane,
        double: bool,
        (m, n, k): (c_int, c_int, c_int),
        a: Address,
        tau: Address,
        info: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).orgqr;
        went_well(lane, info)?;
        // SAFETY: as in `getrf`.
        lane.by_rocblas("orgqr", |handle| unsafe { call(handle, m, n, k, a, m, tau) })
    }

    fn syevd(
        &self,
        lane: &mut Lane,
        double: bool,
        vectors: bool,
        n: c_int,
        a: Address,
        values: Address,
        info: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).syevd;
        let wanted = if vectors { EVECT_ORIGINAL } else { EVECT_NONE };
        // The tridiagonal matrix beside its diagonal.
        let beside = lane.workspace(bytes(n as usize, double))?;
        // SAFETY: as in `getrf`.
        lane.by_rocblas("syevd", |handle| unsafe {
            call(handle, wanted, LOWER, n, a, n, values, beside, info)
        })
    }

    fn gesvd(
        &self,
        lane: &mut Lane,
        double: bool,
        vectors: Vectors,
        (m, n): (c_int, c_int),
        a: Address,
        values: Address,
        (u, vt): (Address, Address),
        info: Address,
    ) -> Result<(), DeviceError> {
        let call = self.of(double).gesvd;
        let (left, right) = match vectors {
            Vectors::None => (SVECT_NONE, SVECT_NONE),
            Vectors::Thin => (SVECT_SINGULAR, SVECT_SINGULAR),
            Vectors::Full => (SVECT_ALL, SVECT_ALL),
        };
        // The bidiagonal matrix beside its diagonal.
        let beside = lane.workspace(bytes(n as usize, double))?;
        // SAFETY: as in `getrf`.
        lane.by_rocblas("gesvd", |handle| unsafe {
            call(handle, left, right, m, n, a, m, values, u, m, vt, n, beside, OUT_OF_PLACE, info)
        })
    }
}
