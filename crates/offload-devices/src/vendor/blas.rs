//! Matrix products by cuBLAS or rocBLAS.

use super::driver::{Address, Opaque};
use super::lane::Lane;
use super::search::{Library, functions};
use offload_core::TenantId;
use offload_core::device::{At, Blas, DeviceError, DeviceLane, Gemm, Handle};
use std::ffi::c_int;

/// What cuBLAS wants on Hopper to choose freely among its kernels, and what rocBLAS takes by itself on most cards.
const WORKSPACE_BYTES: usize = 32 << 20;

type GemmFn<T> = fn_gemm::Gemm<T>;
mod fn_gemm {
    use super::{Address, Opaque};
    use std::ffi::c_int;
    // SAFETY: a type; what calls it says why that is sound.
    pub(super) type Gemm<T> = unsafe extern "C" fn(
        Opaque,
        c_int,
        c_int,
        c_int,
        c_int,
        c_int,
        *const T,
        Address,
        c_int,
        i64,
        Address,
        c_int,
        i64,
        *const T,
        Address,
        c_int,
        i64,
        c_int,
    ) -> c_int;
}

functions! {
    /// What both libraries have.
    struct Common {
        create: fn(*mut Opaque) -> c_int;
        destroy: fn(Opaque) -> c_int;
        set_stream: fn(Opaque, Opaque) -> c_int;
        set_workspace: fn(Opaque, Address, usize) -> c_int;
    }
}

functions! {
    /// What is used of cuBLAS alone.
    pub(super) struct CublasCalls {
        set_math_mode: fn(Opaque, c_int) -> c_int;
        sgeam: fn(Opaque, c_int, c_int, c_int, c_int, *const f32, Address, c_int, *const f32, Address, c_int, Address, c_int) -> c_int;
        dgeam: fn(Opaque, c_int, c_int, c_int, c_int, *const f64, Address, c_int, *const f64, Address, c_int, Address, c_int) -> c_int;
        sgetrf_batched: fn(Opaque, c_int, Address, c_int, Address, Address, c_int) -> c_int;
        dgetrf_batched: fn(Opaque, c_int, Address, c_int, Address, Address, c_int) -> c_int;
        sgetri_batched: fn(Opaque, c_int, Address, c_int, Address, Address, c_int, Address, c_int) -> c_int;
        dgetri_batched: fn(Opaque, c_int, Address, c_int, Address, Address, c_int, Address, c_int) -> c_int;
    }
}

functions! {
    /// What is used of rocBLAS alone.
    struct RocblasCalls {
        start_query: fn(Opaque) -> c_int;
        stop_query: fn(Opaque, *mut usize) -> c_int;
        sgeam: fn(
            Opaque, c_int, c_int, c_int, c_int, *const f32, Address, c_int, i64, *const f32, Address, c_int, i64, Address,
            c_int, i64, c_int,
        ) -> c_int;
        dgeam: fn(
            Opaque, c_int, c_int, c_int, c_int, *const f64, Address, c_int, i64, *const f64, Address, c_int, i64, Address,
            c_int, i64, c_int,
        ) -> c_int;
    }
}

#[derive(Clone, Copy)]
enum Own {
    Cublas(CublasCalls),
    Rocblas(RocblasCalls),
}

/// A loaded BLAS.
#[derive(Clone, Copy)]
pub(super) struct BlasLibrary {
    common: Common,
    sgemm: GemmFn<f32>,
    dgemm: GemmFn<f64>,
    own: Own,
    name: &'static str,
}

impl BlasLibrary {
    /// cuBLAS.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn cublas() -> Result<BlasLibrary, String> {
        // Beside it, not through its own search path, where pip put it.
        let _ = Library::open_for_others(&["libcublasLt.so.13", "libcublasLt.so.12"]);
        let library = Library::open_for_others(&["libcublas.so.13", "libcublas.so.12", "libcublas.so"])?;
        let name = |field: &'static str| {
            match field {
                "create" => "cublasCreate_v2",
                "destroy" => "cublasDestroy_v2",
                "set_stream" => "cublasSetStream_v2",
                "set_workspace" => "cublasSetWorkspace_v2",
                "set_math_mode" => "cublasSetMathMode",
                "sgeam" => "cublasSgeam",
                "dgeam" => "cublasDgeam",
                "sgetrf_batched" => "cublasSgetrfBatched",
                "dgetrf_batched" => "cublasDgetrfBatched",
                "sgetri_batched" => "cublasSgetriBatched",
                "dgetri_batched" => "cublasDgetriBatched",
                other => other,
            }
            .to_string()
        };
        // SAFETY: these are cuBLAS's signatures; device pointers are passed as addresses.
        unsafe {
            Ok(BlasLibrary {
                common: Common::load(&library, name)?,
                sgemm: library.function("cublasSgemmStridedBatched")?,
                dgemm: library.function("cublasDgemmStridedBatched")?,
                own: Own::Cublas(CublasCalls::load(&library, name)?),
                name: library.name(),
            })
        }
    }

    /// rocBLAS.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn rocblas() -> Result<BlasLibrary, String> {
        let library =
            Library::open(&["librocblas.so.5", "librocblas.so.4", "librocblas.so.0", "librocblas.so"])?;
        let name = |field: &'static str| {
            match field {
                "create" => "rocblas_create_handle",
                "destroy" => "rocblas_destroy_handle",
                "set_stream" => "rocblas_set_stream",
                "set_workspace" => "rocblas_set_workspace",
                "start_query" => "rocblas_start_device_memory_size_query",
                "stop_query" => "rocblas_stop_device_memory_size_query",
                "sgeam" => "rocblas_sgeam_strided_batched",
                "dgeam" => "rocblas_dgeam_strided_batched",
                other => other,
            }
            .to_string()
        };
        // SAFETY: these are rocBLAS's signatures; device pointers are passed as addresses.
        unsafe {
            Ok(BlasLibrary {
                common: Common::load(&library, name)?,
                sgemm: library.function("rocblas_sgemm_strided_batched")?,
                dgemm: library.function("rocblas_dgemm_strided_batched")?,
                own: Own::Rocblas(RocblasCalls::load(&library, name)?),
                name: library.name(),
            })
        }
    }

    /// The library's file.
    pub(super) fn software(&self) -> &'static str {
        self.name
    }

    /// How it spells "as stored" and "transposed".
    pub(super) fn operations(&self) -> (c_int, c_int) {
        if matches!(self.own, Own::Cublas(_)) { (0, 1) } else { (111, 112) }
    }

    /// What cuBLAS alone has.
    ///
    /// # Errors
    /// When this is another.
    pub(super) fn own_cublas(&self) -> Result<CublasCalls, DeviceError> {
        match self.own {
            Own::Cublas(calls) => Ok(calls),
            Own::Rocblas(_) => Err(DeviceError::Unsupported("no cuBLAS is loaded".into())),
        }
    }

    /// Whether it is the one that this other library was linked to, of all that a machine may have.
    pub(super) fn is_beneath(&self, other: &Library) -> bool {
        // SAFETY: an address as a number; nothing is called through it.
        let theirs = unsafe { other.function::<usize>("rocblas_create_handle") };
        theirs.is_ok_and(|theirs| theirs == self.common.create as usize)
    }

    /// An error of the library. Those that mean the device is lost are seen at the next wait.
    pub(super) fn check(&self, what: &str, code: c_int) -> Result<(), DeviceError> {
        match (self.own, code) {
            // rocBLAS's 7: computed, if more slowly for want of workspace.
            (_, 0) | (Own::Rocblas(_), 7) => Ok(()),
            // Out of memory.
            (Own::Cublas(_), 3) | (Own::Rocblas(_), 5) => {
                Err(DeviceError::OutOfMemory { needed_bytes: 0, free_bytes: 0 })
            }
            // cuBLAS: execution failed, internal error.
            (Own::Cublas(_), 13 | 14) => Err(DeviceError::Lost(format!("{what}: library error {code}"))),
            _ => Err(DeviceError::Call(format!("{what}: library error {code}"))),
        }
    }
}

/// A library's handle on a lane's stream.
pub(super) struct BlasLane {
    pub(super) library: BlasLibrary,
    pub(super) handle: Opaque,
    workspace: Handle,
    used: bool,
    tf32: bool,
}

impl BlasLane {
    pub(super) fn open(library: BlasLibrary, lane: &mut Lane) -> Result<BlasLane, DeviceError> {
        let mut handle: Opaque = std::ptr::null_mut();
        // SAFETY: `handle` outlives the call; the stream is the lane's.
        unsafe {
            library.check("create", (library.common.create)(&raw mut handle))?;
            library.check("stream", (library.common.set_stream)(handle, lane.stream))?;
        }
        // The library's workspace is ours, so that it is counted and can be zeroed.
        let workspace = lane.alloc(&TenantId::new("service"), WORKSPACE_BYTES)?;
        let mut blas = BlasLane { library, handle, workspace, used: false, tf32: false };
        blas.take_workspace(lane.address(workspace.into(), WORKSPACE_BYTES as u64)?, WORKSPACE_BYTES)?;
        Ok(blas)
    }

    /// Gives the library its workspace. The memory stays the library's until it has another.
    fn take_workspace(&mut self, at: Address, bytes: usize) -> Result<(), DeviceError> {
        // SAFETY: the range lies within memory of the lane, which is given back after the handle has let go of it.
        let code = unsafe { (self.library.common.set_workspace)(self.handle, at, bytes) };
        self.library.check("workspace", code)
    }

    /// The workspace, when it may hold what a job left there; the caller zeroes it.
    pub(super) fn take_used_workspace(&mut self) -> Option<Handle> {
        std::mem::take(&mut self.used).then_some(self.workspace)
    }

    pub(super) fn close(self, lane: &mut Lane) {
        // SAFETY: the lane has waited; the handle is not used any more.
        unsafe { (self.library.common.destroy)(self.handle) };
        // Given back only when it reads zero.
        if lane.set(self.workspace, 0).and_then(|()| lane.synchronize()).is_ok() {
            lane.free(self.workspace);
        } else {
            lane.retire(self.workspace);
        }
    }

    /// Lets products round factors to TF32, or not.
    fn allow_tf32(&mut self, wanted: bool) -> Result<(), DeviceError> {
        if self.tf32 != wanted
            && let Own::Cublas(cublas) = self.library.own
        {
            const DEFAULT_MATH: c_int = 0;
            const TF32_MATH: c_int = 3;
            let mode = if wanted { TF32_MATH } else { DEFAULT_MATH };
            // SAFETY: the handle is alive.
            self.library.check("math mode", unsafe { (cublas.set_math_mode)(self.handle, mode) })?;
            self.tf32 = wanted;
        }
        Ok(())
    }

    /// Writes the transposes of `batch` row-major matrices to other memory. The caller has checked the ranges.
    pub(super) fn transpose(
        &mut self,
        double: bool,
        (rows, columns): (c_int, c_int),
        batch: c_int,
        from: Address,
        to: Address,
    ) -> Result<(), DeviceError> {
        let (plain, transposed) = self.library.operations();
        let (handle, each) = (self.handle, i64::from(rows) * i64::from(columns));
        // Column-major `[columns, rows]` becomes `[rows, columns]`. The second operand has factor zero and the result's
        // place, as the libraries allow.
        macro_rules! one {
            ($geam:expr, $t:ty, $i:expr) => {{
                let (one, zero): ($t, $t) = (1.0, 0.0);
                let step = $i as u64 * each as u64 * size_of::<$t>() as u64;
                let (a, c) = (from + step, to + step);
                let (one, zero) = (&raw const one, &raw const zero);
                // SAFETY: the ranges were checked; the scalars are read before the call returns.
                unsafe {
                    $geam(handle, transposed, plain, rows, columns, one, a, columns, zero, c, rows, c, rows)
                }
            }};
        }
        macro_rules! all {
            ($geam:expr, $t:ty) => {{
                let (one, zero): ($t, $t) = (1.0, 0.0);
                let (one, zero) = (&raw const one, &raw const zero);
                // SAFETY: as above.
                unsafe {
                    $geam(
                        handle, transposed, plain, rows, columns, one, from, columns, each, zero, to, rows,
                        each, to, rows, each, batch,
                    )
                }
            }};
        }
        match self.library.own {
            Own::Cublas(calls) => (0..batch).try_for_each(|i| {
                let code = if double { one!((calls.dgeam), f64, i) } else { one!((calls.sgeam), f32, i) };
                self.library.check("geam", code)
            }),
            Own::Rocblas(calls) => {
                let code = if double { all!((calls.dgeam), f64) } else { all!((calls.sgeam), f32) };
                self.library.check("geam", code)
            }
        }
    }
}

impl Lane {
    /// Calls a routine that takes its workspace from rocBLAS's handle: once to learn how much it wants, then with that
    /// much, for the running job.
    ///
    /// # Errors
    /// What the library answers.
    pub(super) fn by_rocblas(
        &mut self,
        what: &str,
        routine: impl Fn(Opaque) -> c_int,
    ) -> Result<(), DeviceError> {
        let blas = self.blas_lane()?;
        let (library, handle, own) = (blas.library, blas.handle, blas.workspace);
        let Own::Rocblas(calls) = library.own else {
            return Err(DeviceError::Unsupported("no rocBLAS is loaded".into()));
        };
        let mut bytes = 0;
        // SAFETY: the handle is alive, and `bytes` outlives the calls; within the query no routine computes.
        let (asked, told) = unsafe {
            library.check("size query", (calls.start_query)(handle))?;
            (routine(handle), (calls.stop_query)(handle, &raw mut bytes))
        };
        // A handle that stays in its query computes nothing any more.
        library.check("size query", told).map_err(|e| DeviceError::Lost(e.to_string()))?;
        // Larger or no larger than what was asked before; 0 where there is nothing to do.
        if !matches!(asked, 0 | 9 | 10) {
            library.check(what, asked)?;
        }
        let code = if bytes == 0 {
            routine(handle)
        } else {
            let work = self.workspace(bytes as u64)?;
            let home = self.address(own.into(), WORKSPACE_BYTES as u64)?;
            let blas = self.blas_lane()?;
            let code = blas.take_workspace(work, bytes).map(|()| routine(handle));
            // The job's workspace goes back at its next wait; a handle that kept it would write into another's memory.
            blas.take_workspace(home, WORKSPACE_BYTES).map_err(|e| DeviceError::Lost(e.to_string()))?;
            code?
        };
        self.blas_lane()?.used = true;
        library.check(what, code)
    }
}

/// A size as the libraries take it.
pub(super) fn int(size: usize) -> Result<c_int, DeviceError> {
    c_int::try_from(size)
        .map_err(|_| DeviceError::Unsupported(format!("an extent of {size} is beyond the library's 2^31")))
}

impl Blas for Lane {
    fn gemm(&mut self, g: &Gemm, double: bool, a: At, b: At, c: At) -> Result<(), DeviceError> {
        if g.m == 0 || g.n == 0 || g.batch == 0 {
            return Ok(());
        }
        if !self.has_blas() {
            return crate::kernels::gemm(self, g, double, a, b, c);
        }
        let size = if double { 8 } else { 4 };
        let count = |each: usize, own: bool| (each * if own { g.batch } else { 1 } * size) as u64;
        let a = self.address(a, count(g.m * g.k, g.batched.0))?;
        let b = self.address(b, count(g.k * g.n, g.batched.1))?;
        let c = self.address(c, count(g.m * g.n, true))?;
        let (m, n, k, batch) = (int(g.m)?, int(g.n)?, int(g.k)?, int(g.batch)?);
        let stride = |each: usize, own: bool| if own { each as i64 } else { 0 };
        let strides = (stride(g.m * g.k, g.batched.0), stride(g.k * g.n, g.batched.1), (g.m * g.n) as i64);
        let blas = self.blas_lane()?;
        blas.allow_tf32(g.tf32 && !double)?;
        blas.used = true;
        let (plain, transposed) = blas.library.operations();
        let op = |t: bool| if t { transposed } else { plain };
        let (lda, ldb) = (if g.transpose_a { m } else { k }, if g.transpose_b { k } else { n });
        // The libraries are column-major: a row-major product is the product of the transposes, the other way round.
        macro_rules! call {
            ($gemm:expr, $t:ty) => {{
                let (one, zero): ($t, $t) = (1.0, 0.0);
                // SAFETY: the ranges were checked; the scalars are read before the call returns.
                unsafe {
                    $gemm(
                        blas.handle,
                        op(g.transpose_b),
                        op(g.transpose_a),
                        n,
                        m,
                        k,
                        &raw const one,
                        b,
                        ldb.max(1),
                        strides.1,
                        a,
                        lda.max(1),
                        strides.0,
                        &raw const zero,
                        c,
                        n,
                        strides.2,
                        batch,
                    )
                }
            }};
        }
        let code = if double { call!((blas.library.dgemm), f64) } else { call!((blas.library.sgemm), f32) };
        blas.library.check("gemm", code)
    }
}
