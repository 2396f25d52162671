//! Matrix products by cuBLAS or rocBLAS.

use super::driver::{Address, Opaque};
use super::lane::Lane;
use super::search::{Library, functions};
use offload_core::TenantId;
use offload_core::device::{At, Blas, DeviceError, DeviceLane, Gemm, Handle};
use std::ffi::c_int;

/// What cuBLAS wants on Hopper to choose freely among its kernels.
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
    }
}

functions! {
    /// What is used of cuBLAS alone.
    pub(super) struct CublasCalls {
        set_workspace: fn(Opaque, Address, usize) -> c_int;
        set_math_mode: fn(Opaque, c_int) -> c_int;
        sgeam: fn(Opaque, c_int, c_int, c_int, c_int, *const f32, Address, c_int, *const f32, Address, c_int, Address, c_int) -> c_int;
        dgeam: fn(Opaque, c_int, c_int, c_int, c_int, *const f64, Address, c_int, *const f64, Address, c_int, Address, c_int) -> c_int;
        sgetrf_batched: fn(Opaque, c_int, Address, c_int, Address, Address, c_int) -> c_int;
        dgetrf_batched: fn(Opaque, c_int, Address, c_int, Address, Address, c_int) -> c_int;
        sgetri_batched: fn(Opaque, c_int, Address, c_int, Address, Address, c_int, Address, c_int) -> c_int;
        dgetri_batched: fn(Opaque, c_int, Address, c_int, Address, Address, c_int, Address, c_int) -> c_int;
    }
}

/// A loaded BLAS.
#[derive(Clone, Copy)]
pub(super) struct BlasLibrary {
    common: Common,
    sgemm: GemmFn<f32>,
    dgemm: GemmFn<f64>,
    pub(super) cublas: Option<CublasCalls>,
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
                cublas: Some(CublasCalls::load(&library, name)?),
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
                cublas: None,
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
        if self.cublas.is_some() { (0, 1) } else { (111, 112) }
    }
}

/// An error of a vendor's library. Those that mean the device is lost are seen at the next wait.
pub(super) fn check(what: &str, code: c_int) -> Result<(), DeviceError> {
    match code {
        0 => Ok(()),
        // Both libraries: out of resources.
        3 => Err(DeviceError::OutOfMemory { needed_bytes: 0, free_bytes: 0 }),
        // cuBLAS: execution failed, internal error.
        13 | 14 => Err(DeviceError::Lost(format!("{what}: library error {code}"))),
        _ => Err(DeviceError::Call(format!("{what}: library error {code}"))),
    }
}

/// A library's handle on a lane's stream.
pub(super) struct BlasLane {
    pub(super) library: BlasLibrary,
    pub(super) handle: Opaque,
    workspace: Option<Handle>,
    used: bool,
    tf32: bool,
}

impl BlasLane {
    pub(super) fn open(library: BlasLibrary, lane: &mut Lane) -> Result<BlasLane, DeviceError> {
        let mut handle: Opaque = std::ptr::null_mut();
        // SAFETY: `handle` outlives the call; the stream is the lane's.
        unsafe {
            check("create", (library.common.create)(&raw mut handle))?;
            check("stream", (library.common.set_stream)(handle, lane.stream))?;
        }
        let mut workspace = None;
        if let Some(cublas) = library.cublas {
            // The library's workspace is ours, so that it is counted and can be zeroed.
            let kept = lane.alloc(&TenantId::new("service"), WORKSPACE_BYTES)?;
            let at = lane.address(kept.into(), WORKSPACE_BYTES as u64)?;
            // SAFETY: the memory stays the library's until the handle is destroyed.
            check("workspace", unsafe { (cublas.set_workspace)(handle, at, WORKSPACE_BYTES) })?;
            workspace = Some(kept);
        }
        Ok(BlasLane { library, handle, workspace, used: false, tf32: false })
    }

    /// The workspace, when it may hold what a job left there; the caller zeroes it.
    pub(super) fn take_used_workspace(&mut self) -> Option<Handle> {
        let used = std::mem::take(&mut self.used);
        self.workspace.filter(|_| used)
    }

    pub(super) fn close(self, lane: &mut Lane) {
        // SAFETY: the lane has waited; the handle is not used any more.
        unsafe { (self.library.common.destroy)(self.handle) };
        if let Some(workspace) = self.workspace {
            // Given back only when it reads zero.
            if lane.set(workspace, 0).and_then(|()| lane.synchronize()).is_ok() {
                lane.free(workspace);
            } else {
                lane.retire(workspace);
            }
        }
    }

    /// Lets products round factors to TF32, or not.
    fn allow_tf32(&mut self, wanted: bool) -> Result<(), DeviceError> {
        if self.tf32 != wanted
            && let Some(cublas) = self.library.cublas
        {
            const DEFAULT_MATH: c_int = 0;
            const TF32_MATH: c_int = 3;
            let mode = if wanted { TF32_MATH } else { DEFAULT_MATH };
            // SAFETY: the handle is alive.
            check("math mode", unsafe { (cublas.set_math_mode)(self.handle, mode) })?;
            self.tf32 = wanted;
        }
        Ok(())
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
        check("gemm", code)
    }
}
