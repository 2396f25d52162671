//! Factorisations by cuSOLVER, and by cuBLAS for batches of small matrices.

use super::driver::{Address, Opaque};
use super::lane::Lane;
use super::search::{Library, functions};
use super::solver::{Routines, Vectors, bytes, square};
use offload_core::device::DeviceError;
use std::ffi::{c_char, c_int};

functions! {
    /// What does not depend on the element type.
    struct Common {
        create: fn(*mut Opaque) -> c_int;
        destroy: fn(Opaque) -> c_int;
        set_stream: fn(Opaque, Opaque) -> c_int;
    }
}

functions! {
    /// The calls for one element type; sizes of workspaces are in elements.
    struct Typed {
        getrf_size: fn(Opaque, c_int, c_int, Address, c_int, *mut c_int) -> c_int;
        getrf: fn(Opaque, c_int, c_int, Address, c_int, Address, Address, Address) -> c_int;
        getrs: fn(Opaque, c_int, c_int, c_int, Address, c_int, Address, Address, c_int, Address) -> c_int;
        potrf_size: fn(Opaque, c_int, c_int, Address, c_int, *mut c_int) -> c_int;
        potrf: fn(Opaque, c_int, c_int, Address, c_int, Address, c_int, Address) -> c_int;
        geqrf_size: fn(Opaque, c_int, c_int, Address, c_int, *mut c_int) -> c_int;
        geqrf: fn(Opaque, c_int, c_int, Address, c_int, Address, Address, c_int, Address) -> c_int;
        orgqr_size: fn(Opaque, c_int, c_int, c_int, Address, c_int, Address, *mut c_int) -> c_int;
        orgqr: fn(Opaque, c_int, c_int, c_int, Address, c_int, Address, Address, c_int, Address) -> c_int;
        syevd_size: fn(Opaque, c_int, c_int, c_int, Address, c_int, Address, *mut c_int) -> c_int;
        syevd: fn(Opaque, c_int, c_int, c_int, Address, c_int, Address, Address, c_int, Address) -> c_int;
        gesvd_size: fn(Opaque, c_int, c_int, *mut c_int) -> c_int;
        gesvd: fn(
            Opaque, c_char, c_char, c_int, c_int, Address, c_int, Address, Address, c_int, Address, c_int, Address, c_int,
            Address, Address,
        ) -> c_int;
    }
}

/// cuSOLVER.
#[derive(Clone, Copy)]
pub(super) struct Cusolver {
    common: Common,
    single: Typed,
    double: Typed,
    name: &'static str,
}

impl Cusolver {
    /// Loads it.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn load() -> Result<Cusolver, String> {
        // What it stands on, wherever pip put it.
        let _ = Library::open_for_others(&["libnvJitLink.so.13", "libnvJitLink.so.12"]);
        let _ = Library::open_for_others(&["libcusparse.so.13", "libcusparse.so.12"]);
        let library = Library::open(&["libcusolver.so.12", "libcusolver.so.11", "libcusolver.so"])?;
        let common = |field: &'static str| {
            match field {
                "create" => "cusolverDnCreate",
                "destroy" => "cusolverDnDestroy",
                "set_stream" => "cusolverDnSetStream",
                other => other,
            }
            .to_string()
        };
        let typed = |letter: char| {
            move |field: &'static str| match field.strip_suffix("_size") {
                Some(routine) => format!("cusolverDn{letter}{routine}_bufferSize"),
                None => format!("cusolverDn{letter}{field}"),
            }
        };
        // SAFETY: these are cuSOLVER's signatures; device pointers are passed as addresses, modes as their values.
        unsafe {
            Ok(Cusolver {
                common: Common::load(&library, common)?,
                single: Typed::load(&library, typed('S'))?,
                double: Typed::load(&library, typed('D'))?,
                name: library.name(),
            })
        }
    }

    /// The library's file.
    pub(super) fn software(&self) -> &'static str {
        self.name
    }

    /// A handle on a lane's stream.
    ///
    /// # Errors
    /// What the library answers.
    pub(super) fn open(self, lane: &Lane) -> Result<CusolverLane, DeviceError> {
        let mut handle: Opaque = std::ptr::null_mut();
        // SAFETY: `handle` outlives the call; the stream is the lane's.
        unsafe {
            check("create", (self.common.create)(&raw mut handle))?;
            check("stream", (self.common.set_stream)(handle, lane.stream))?;
        }
        Ok(CusolverLane { library: self, handle })
    }
}

/// cuSOLVER's handle on a lane's stream.
#[derive(Clone, Copy)]
pub(super) struct CusolverLane {
    library: Cusolver,
    handle: Opaque,
}

impl CusolverLane {
    pub(super) fn close(self) {
        // SAFETY: the lane has waited; the handle is not used any more.
        unsafe { (self.library.common.destroy)(self.handle) };
    }

    fn of(&self, double: bool) -> (Opaque, Typed) {
        (self.handle, if double { self.library.double } else { self.library.single })
    }
}

/// An error of cuSOLVER. Those that mean the device is lost are seen at the next wait.
fn check(what: &str, code: c_int) -> Result<(), DeviceError> {
    match code {
        0 => Ok(()),
        // Out of resources.
        2 => Err(DeviceError::OutOfMemory { needed_bytes: 0, free_bytes: 0 }),
        // Execution failed, internal error.
        6 | 7 => Err(DeviceError::Lost(format!("{what}: library error {code}"))),
        _ => Err(DeviceError::Call(format!("{what}: library error {code}"))),
    }
}

const LOWER: c_int = 0;
const UPPER: c_int = 1;

impl Lane {
    /// A workspace of as many elements as `ask` says.
    fn solver_workspace(
        &mut self,
        what: &str,
        double: bool,
        ask: impl FnOnce(*mut c_int) -> c_int,
    ) -> Result<(Address, c_int), DeviceError> {
        let mut elements = 0;
        check(what, ask(&raw mut elements))?;
        let at = self.workspace(bytes(elements.max(1) as usize, double))?;
        Ok((at, elements))
    }

    /// The addresses of `batch` matrices of `each` bytes one after another, in device memory.
    fn pointers(&mut self, first: Address, each: u64, batch: c_int) -> Result<Address, DeviceError> {
        let batch = batch as usize;
        let list: Vec<u64> = (0..batch as u64).map(|i| first + i * each).collect();
        let at = self.workspace(8 * batch as u64)?;
        let driver = &self.shared.driver;
        // SAFETY: the target is a workspace of that size; the pageable source is read before the call returns.
        driver.check("upload", unsafe {
            (driver.calls.upload)(at, list.as_ptr().cast(), 8 * batch, self.stream)
        })?;
        Ok(at)
    }
}

impl Routines for CusolverLane {
    fn getrf(
        &self,
        lane: &mut Lane,
        double: bool,
        n: c_int,
        a: Address,
        pivots: Address,
        info: Address,
    ) -> Result<(), DeviceError> {
        let (handle, calls) = self.of(double);
        // SAFETY: here and below: ranges were checked against their memory, the workspace is as large as asked.
        let (work, _) = lane.solver_workspace("getrf", double, |size| unsafe {
            (calls.getrf_size)(handle, n, n, a, n, size)
        })?;
        // SAFETY: as above.
        check("getrf", unsafe { (calls.getrf)(handle, n, n, a, n, work, pivots, info) })
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
        let (handle, calls) = self.of(double);
        let info = lane.workspace(4)?;
        // SAFETY: the ranges were checked.
        check("getrs", unsafe {
            (calls.getrs)(handle, c_int::from(transpose), n, columns, a, n, pivots, b, n, info)
        })
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
        let list = lane.pointers(a, square(n, double), batch)?;
        let blas = lane.blas_lane()?;
        let cublas = blas.library.own_cublas()?;
        let call = if double { cublas.dgetrf_batched } else { cublas.sgetrf_batched };
        // SAFETY: the ranges were checked; the list names the batch's matrices.
        let code = unsafe { call(blas.handle, n, list, n, pivots, info, batch) };
        blas.library.check("getrfBatched", code)
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
        let each = square(n, double);
        let (from, to) = (lane.pointers(a, each, batch)?, lane.pointers(inverse, each, batch)?);
        let blas = lane.blas_lane()?;
        let cublas = blas.library.own_cublas()?;
        let call = if double { cublas.dgetri_batched } else { cublas.sgetri_batched };
        // SAFETY: the ranges were checked; the lists name the batch's matrices.
        let code = unsafe { call(blas.handle, n, from, n, pivots, to, n, info, batch) };
        blas.library.check("getriBatched", code)
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
        let (handle, calls) = self.of(double);
        let side = if lower { LOWER } else { UPPER };
        // SAFETY: the ranges were checked.
        let (work, size) = lane.solver_workspace("potrf", double, |size| unsafe {
            (calls.potrf_size)(handle, side, n, a, n, size)
        })?;
        // SAFETY: as above.
        check("potrf", unsafe { (calls.potrf)(handle, side, n, a, n, work, size, info) })
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
        let (handle, calls) = self.of(double);
        // SAFETY: the ranges were checked.
        let (work, size) = lane.solver_workspace("geqrf", double, |size| unsafe {
            (calls.geqrf_size)(handle, m, n, a, m, size)
        })?;
        // SAFETY: as above.
        check("geqrf", unsafe { (calls.geqrf)(handle, m, n, a, m, tau, work, size, info) })
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
        let (handle, calls) = self.of(double);
        // SAFETY: the ranges were checked.
        let (work, size) = lane.solver_workspace("orgqr", double, |size| unsafe {
            (calls.orgqr_size)(handle, m, n, k, a, m, tau, size)
        })?;
        // SAFETY: as above.
        check("orgqr", unsafe { (calls.orgqr)(handle, m, n, k, a, m, tau, work, size, info) })
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
        let (handle, calls) = self.of(double);
        let job = c_int::from(vectors);
        // SAFETY: the ranges were checked.
        let (work, size) = lane.solver_workspace("syevd", double, |size| unsafe {
            (calls.syevd_size)(handle, job, LOWER, n, a, n, values, size)
        })?;
        // SAFETY: as above.
        check("syevd", unsafe { (calls.syevd)(handle, job, LOWER, n, a, n, values, work, size, info) })
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
        let (handle, calls) = self.of(double);
        let job = match vectors {
            Vectors::None => b'N',
            Vectors::Thin => b'S',
            Vectors::Full => b'A',
        } as c_char;
        // SAFETY: the ranges were checked.
        let (work, size) =
            lane.solver_workspace("gesvd", double, |size| unsafe { (calls.gesvd_size)(handle, m, n, size) })?;
        // SAFETY: as above. The last workspace is for complex types alone.
        check("gesvd", unsafe {
            (calls.gesvd)(handle, job, job, m, n, a, m, values, u, m, vt, n, work, size, 0, info)
        })
    }
}
