//! What an operation's device path sees: typed buffers within the job's reservation.

use super::{Argument, Blas, DeviceError, DeviceLane, Gemm, Handle, KernelSource, Launch, ModuleId};
use crate::{Context, Failure, TenantId};
use offload_api::Element;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// Device memory for `len` elements, alive until the job ends.
#[derive(Debug)]
pub struct Buffer<T> {
    handle: Handle,
    len: usize,
    element: PhantomData<T>,
}

impl<T> Buffer<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// As an argument of a kernel.
    pub fn argument(&self) -> Argument {
        Argument::Buffer(self.handle)
    }
}

/// Where a device job's time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuTimings {
    /// Host to device.
    pub upload: Duration,
    /// Kernels and library calls, until they had ended.
    pub compute: Duration,
    /// Device to host.
    pub download: Duration,
}

/// A device as one job sees it. Every byte is counted against the job's reservation before it is taken, zeroed
/// before use, zeroed again and given back when the job ends, however it ends.
pub struct Gpu<'a> {
    lane: &'a mut dyn DeviceLane,
    tenant: TenantId,
    context: Context,
    reserved_bytes: u64,
    used_bytes: u64,
    taken: Vec<Handle>,
    timings: GpuTimings,
}

impl<'a> Gpu<'a> {
    /// The device behind `lane` for a job of `tenant` that reserved `reserved_bytes`.
    pub fn new(
        lane: &'a mut dyn DeviceLane,
        tenant: TenantId,
        context: Context,
        reserved_bytes: u64,
    ) -> Self {
        Gpu {
            lane,
            tenant,
            context,
            reserved_bytes,
            used_bytes: 0,
            taken: Vec::new(),
            timings: GpuTimings::default(),
        }
    }

    /// The job's surroundings: between launches, ask `context().check()`.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Where the time went so far.
    pub fn timings(&self) -> GpuTimings {
        self.timings
    }

    /// Zeroed device memory for `len` elements.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] when it would go beyond the reservation, or the driver refuses.
    pub fn zeros<T: Element>(&mut self, len: usize) -> Result<Buffer<T>, Failure> {
        let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
        let free_bytes = self.reserved_bytes - self.used_bytes;
        if bytes > free_bytes {
            return Err(DeviceError::OutOfMemory { needed_bytes: bytes, free_bytes }.into());
        }
        let handle = self.lane.alloc(&self.tenant, bytes as usize)?;
        self.used_bytes += bytes;
        self.taken.push(handle);
        self.lane.set(handle, 0)?;
        Ok(Buffer { handle, len, element: PhantomData })
    }

    /// Device memory with these elements.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn upload<T: Element>(&mut self, elements: &[T]) -> Result<Buffer<T>, Failure> {
        let buffer = self.zeros(elements.len())?;
        let start = Instant::now();
        self.lane.upload(buffer.handle, 0, bytemuck::cast_slice(elements))?;
        self.timings.upload += start.elapsed();
        Ok(buffer)
    }

    /// The elements, once everything that was started has run.
    ///
    /// # Errors
    /// When the driver refuses, or something that was started failed.
    pub fn download<T: Element>(&mut self, buffer: &Buffer<T>) -> Result<Vec<T>, Failure> {
        let start = Instant::now();
        self.lane.synchronize()?;
        self.timings.compute += start.elapsed();
        let start = Instant::now();
        let mut elements = vec![T::zeroed(); buffer.len];
        self.lane.download(buffer.handle, 0, bytemuck::cast_slice_mut(&mut elements))?;
        self.timings.download += start.elapsed();
        Ok(elements)
    }

    /// Compiles a kernel text, or finds it compiled.
    ///
    /// # Errors
    /// [`DeviceError::Compile`] with the compiler's log.
    pub fn compile(&mut self, source: &KernelSource) -> Result<ModuleId, Failure> {
        Ok(self.lane.compile(source)?)
    }

    /// Starts a kernel.
    ///
    /// # Errors
    /// When the driver refuses, or the job was cancelled.
    pub fn launch(&mut self, launch: &Launch<'_>) -> Result<(), Failure> {
        self.context.check()?;
        Ok(self.lane.launch(launch)?)
    }

    /// `c = op(a) · op(b)` by the vendor's library.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] when there is none, or it refuses; or the job was cancelled.
    pub fn gemm<T: Element>(
        &mut self,
        gemm: &Gemm,
        a: &Buffer<T>,
        b: &Buffer<T>,
        c: &Buffer<T>,
    ) -> Result<(), Failure> {
        self.context.check()?;
        let double = size_of::<T>() == 8;
        let blas: &mut dyn Blas = self
            .lane
            .blas()
            .ok_or_else(|| DeviceError::Unsupported("no dense linear algebra library is loaded".into()))?;
        let start = Instant::now();
        blas.gemm(gemm, double, a.handle, b.handle, c.handle)?;
        self.timings.compute += start.elapsed();
        Ok(())
    }
}

impl Drop for Gpu<'_> {
    fn drop(&mut self) {
        for handle in self.taken.drain(..) {
            // A device that cannot zero any more is lost, and the next call says so; memory of a lost device is
            // never handed out again.
            let _ = self.lane.set(handle, 0);
            self.lane.free(handle);
        }
    }
}
