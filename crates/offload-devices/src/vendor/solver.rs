//! Factorisations by cuSOLVER, and by cuBLAS for batches of small matrices.

use super::blas::check as blas_check;
use super::blas::int;
use super::driver::{Address, Opaque};
use super::lane::Lane;
use super::search::{Library, functions};
use offload_core::device::{At, DeviceError, Solver};
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

/// A loaded solver.
#[derive(Clone, Copy)]
pub(super) struct SolverLibrary {
    common: Common,
    single: Typed,
    double: Typed,
    name: &'static str,
}

impl SolverLibrary {
    /// cuSOLVER.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn cusolver() -> Result<SolverLibrary, String> {
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
            Ok(SolverLibrary {
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
}

/// A library's handle on a lane's stream.
pub(super) struct SolverLane {
    library: SolverLibrary,
    handle: Opaque,
}

impl SolverLane {
    pub(super) fn open(library: SolverLibrary, lane: &Lane) -> Result<SolverLane, DeviceError> {
        let mut handle: Opaque = std::ptr::null_mut();
        // SAFETY: `handle` outlives the call; the stream is the lane's.
        unsafe {
            check("create", (library.common.create)(&raw mut handle))?;
            check("stream", (library.common.set_stream)(handle, lane.stream))?;
        }
        Ok(SolverLane { library, handle })
    }

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

fn bytes(elements: usize, double: bool) -> u64 {
    (elements as u64).saturating_mul(if double { 8 } else { 4 })
}

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
    fn pointers(&mut self, first: Address, each: u64, batch: usize) -> Result<Address, DeviceError> {
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
        let each = bytes(rows * columns, double);
        let (from, to) = (self.address(from, each * batch as u64)?, self.address(to, each * batch as u64)?);
        let (rows, columns) = (int(rows)?, int(columns)?);
        let blas = self.blas_lane()?;
        let cublas =
            blas.library.cublas.ok_or_else(|| DeviceError::Unsupported("no geam is loaded".into()))?;
        let (plain, transposed) = blas.library.operations();
        let handle = blas.handle;
        // Column-major `[columns, rows]` becomes `[rows, columns]`.
        macro_rules! call {
            ($geam:expr, $t:ty, $i:expr) => {{
                let (one, zero): ($t, $t) = (1.0, 0.0);
                let (a, c) = (from + $i as u64 * each, to + $i as u64 * each);
                // SAFETY: the ranges were checked; the second operand has factor zero and the result's place, as the
                // library allows; the scalars are read before the call returns.
                unsafe {
                    $geam(
                        handle,
                        transposed,
                        plain,
                        rows,
                        columns,
                        &raw const one,
                        a,
                        columns,
                        &raw const zero,
                        c,
                        rows,
                        c,
                        rows,
                    )
                }
            }};
        }
        for i in 0..batch {
            let code = if double { call!((cublas.dgeam), f64, i) } else { call!((cublas.sgeam), f32, i) };
            blas_check("geam", code)?;
        }
        Ok(())
    }

    fn getrf(&mut self, double: bool, n: usize, a: At, pivots: At, info: At) -> Result<(), DeviceError> {
        let (a, pivots) = (self.address(a, bytes(n * n, double))?, self.address(pivots, 4 * n as u64)?);
        let info = self.address(info, 4)?;
        let (handle, calls) = self.solver_lane()?.of(double);
        let n = int(n)?;
        // SAFETY: here and below: ranges were checked against their memory, the workspace is as large as asked.
        let (work, _) = self.solver_workspace("getrf", double, |size| unsafe {
            (calls.getrf_size)(handle, n, n, a, n, size)
        })?;
        // SAFETY: as above.
        check("getrf", unsafe { (calls.getrf)(handle, n, n, a, n, work, pivots, info) })
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
        let (handle, calls) = self.solver_lane()?.of(double);
        let info = self.workspace(4)?;
        let (n, columns) = (int(n)?, int(columns)?);
        // SAFETY: the ranges were checked.
        check("getrs", unsafe {
            (calls.getrs)(handle, c_int::from(transpose), n, columns, a, n, pivots, b, n, info)
        })
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
        let each = bytes(n * n, double);
        let a = self.address(a, each * batch as u64)?;
        let (pivots, info) =
            (self.address(pivots, 4 * (n * batch) as u64)?, self.address(info, 4 * batch as u64)?);
        let list = self.pointers(a, each, batch)?;
        let (n, batch) = (int(n)?, int(batch)?);
        let blas = self.blas_lane()?;
        let cublas =
            blas.library.cublas.ok_or_else(|| DeviceError::Unsupported("no batched LU is loaded".into()))?;
        let call = if double { cublas.dgetrf_batched } else { cublas.sgetrf_batched };
        // SAFETY: the ranges were checked; the list names the batch's matrices.
        blas_check("getrfBatched", unsafe { call(blas.handle, n, list, n, pivots, info, batch) })
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
        let each = bytes(n * n, double);
        let (a, inverse) =
            (self.address(a, each * batch as u64)?, self.address(inverse, each * batch as u64)?);
        let (pivots, info) =
            (self.address(pivots, 4 * (n * batch) as u64)?, self.address(info, 4 * batch as u64)?);
        let (from, to) = (self.pointers(a, each, batch)?, self.pointers(inverse, each, batch)?);
        let (n, batch) = (int(n)?, int(batch)?);
        let blas = self.blas_lane()?;
        let cublas =
            blas.library.cublas.ok_or_else(|| DeviceError::Unsupported("no batched LU is loaded".into()))?;
        let call = if double { cublas.dgetri_batched } else { cublas.sgetri_batched };
        // SAFETY: the ranges were checked; the lists name the batch's matrices.
        blas_check("getriBatched", unsafe { call(blas.handle, n, from, n, pivots, to, n, info, batch) })
    }

    fn potrf(&mut self, double: bool, lower: bool, n: usize, a: At, info: At) -> Result<(), DeviceError> {
        let (a, info) = (self.address(a, bytes(n * n, double))?, self.address(info, 4)?);
        let (handle, calls) = self.solver_lane()?.of(double);
        let n = int(n)?;
        let side = if lower { LOWER } else { UPPER };
        // SAFETY: the ranges were checked.
        let (work, size) = self.solver_workspace("potrf", double, |size| unsafe {
            (calls.potrf_size)(handle, side, n, a, n, size)
        })?;
        // SAFETY: as above.
        check("potrf", unsafe { (calls.potrf)(handle, side, n, a, n, work, size, info) })
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
        let (handle, calls) = self.solver_lane()?.of(double);
        let (m, n) = (int(m)?, int(n)?);
        // SAFETY: the ranges were checked.
        let (work, size) = self.solver_workspace("geqrf", double, |size| unsafe {
            (calls.geqrf_size)(handle, m, n, a, m, size)
        })?;
        // SAFETY: as above.
        check("geqrf", unsafe { (calls.geqrf)(handle, m, n, a, m, tau, work, size, info) })
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
        let (handle, calls) = self.solver_lane()?.of(double);
        let (m, n, k) = (int(m)?, int(n)?, int(k)?);
        // SAFETY: the ranges were checked.
        let (work, size) = self.solver_workspace("orgqr", double, |size| unsafe {
            (calls.orgqr_size)(handle, m, n, k, a, m, tau, size)
        })?;
        // SAFETY: as above.
        check("orgqr", unsafe { (calls.orgqr)(handle, m, n, k, a, m, tau, work, size, info) })
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
        let (handle, calls) = self.solver_lane()?.of(double);
        let (n, job) = (int(n)?, c_int::from(vectors));
        // SAFETY: the ranges were checked.
        let (work, size) = self.solver_workspace("syevd", double, |size| unsafe {
            (calls.syevd_size)(handle, job, LOWER, n, a, n, values, size)
        })?;
        // SAFETY: as above.
        check("syevd", unsafe { (calls.syevd)(handle, job, LOWER, n, a, n, values, work, size, info) })
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
        let (mut left, mut right) = (0, 0);
        if vectors {
            left = self.address(u, bytes(m * if full { m } else { n }, double))?;
            right = self.address(vt, bytes(n * n, double))?;
        }
        let (handle, calls) = self.solver_lane()?.of(double);
        let (m, n) = (int(m)?, int(n)?);
        let letter = |l: u8| l as c_char;
        let (job_u, job_vt) = match (vectors, full) {
            (false, _) => (letter(b'N'), letter(b'N')),
            (true, false) => (letter(b'S'), letter(b'S')),
            (true, true) => (letter(b'A'), letter(b'A')),
        };
        // SAFETY: the ranges were checked.
        let (work, size) =
            self.solver_workspace("gesvd", double, |size| unsafe { (calls.gesvd_size)(handle, m, n, size) })?;
        // SAFETY: as above. The last workspace is for complex types alone.
        check("gesvd", unsafe {
            (calls.gesvd)(handle, job_u, job_vt, m, n, a, m, values, left, m, right, n, work, size, 0, info)
        })
    }
}
