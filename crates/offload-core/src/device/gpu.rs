//! What an operation's device path sees: typed buffers within the job's reservation.

use super::resident::{Epoch, Kept, Lookup, Name};
use super::scrub::hand_back;
use super::{
    At, Blas, Descriptor, DeviceError, DeviceLane, DeviceReport, Gemm, Handle, KernelSource, Launch, Mark,
    ModuleId, Recording, Residents, Solver,
};
use crate::{Context, Failure, Origin, TenantId};
use bytemuck::Pod;
use offload_api::{Element, Record, Tensor};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::time::Duration;

mod rounds;

use rounds::Commands;
pub use rounds::{MOST_COMMANDS, PLAIN_ROUNDS, Rounds};

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

    /// The memory behind it.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// The place of its element `index`, for library calls.
    pub fn at(&self, index: usize) -> At {
        At { handle: self.handle, offset_bytes: (index * size_of::<T>()) as u64 }
    }
}

/// Where a device job's time went, by the device's own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuTimings {
    /// Host to device.
    pub upload: Duration,
    /// Kernels and library calls.
    pub compute: Duration,
    /// Device to host.
    pub download: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Upload,
    Compute,
    Download,
}

/// A device as one job sees it. Every byte is counted against the job's reservation before it is taken, zeroed
/// before use, zeroed again and given back when the job ends, however it ends.
pub struct Gpu<'a> {
    lane: &'a mut dyn DeviceLane,
    descriptor: &'a Descriptor,
    residents: &'a Residents,
    /// The state of `residents` that this job may speak of.
    epoch: Epoch,
    tenant: TenantId,
    context: Context,
    reserved_bytes: u64,
    used_bytes: u64,
    taken: Vec<Handle>,
    pinned: Vec<Name>,
    /// What the round that is being made has asked for, where one is.
    round: Option<Commands>,
    /// Whether the lane records.
    is_recording: bool,
    recordings: Vec<Recording>,
    /// Commands of recordings that were started since the last wait.
    under_way: usize,
    phase: Option<(Phase, Mark)>,
    spans: Vec<(Phase, Mark, Mark)>,
    timings: GpuTimings,
}

impl<'a> Gpu<'a> {
    /// The device behind `lane` for a job of `tenant` that reserved `reserved_bytes`.
    pub fn new(
        lane: &'a mut dyn DeviceLane,
        descriptor: &'a Descriptor,
        residents: &'a Residents,
        tenant: TenantId,
        context: Context,
        reserved_bytes: u64,
    ) -> Self {
        Gpu {
            lane,
            descriptor,
            residents,
            epoch: residents.epoch(),
            tenant,
            context,
            reserved_bytes,
            used_bytes: 0,
            taken: Vec::new(),
            pinned: Vec::new(),
            round: None,
            is_recording: false,
            recordings: Vec::new(),
            under_way: 0,
            phase: None,
            spans: Vec::new(),
            timings: GpuTimings::default(),
        }
    }

    /// The job's surroundings: between launches, ask `context().check()`.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The device, to size launches by.
    pub fn device(&self) -> &Descriptor {
        self.descriptor
    }

    /// Bytes of the reservation that are not taken.
    pub fn free_bytes(&self) -> u64 {
        self.reserved_bytes - self.used_bytes
    }

    fn take(&mut self, bytes: u64) -> Result<Handle, Failure> {
        let free_bytes = self.free_bytes();
        if bytes > free_bytes {
            return Err(DeviceError::OutOfMemory { needed_bytes: bytes, free_bytes }.into());
        }
        let handle = self.alloc(bytes)?;
        self.used_bytes += bytes;
        self.taken.push(handle);
        Ok(handle)
    }

    /// Memory of the device; when it has none, idle resident inputs go and it is asked once more.
    fn alloc(&mut self, bytes: u64) -> Result<Handle, DeviceError> {
        self.not_in_a_round("take memory")?;
        match self.lane.alloc(&self.tenant, bytes as usize) {
            Err(DeviceError::OutOfMemory { .. }) => {
                let (idle, freed_bytes) = self.residents.evict_all(self.epoch);
                self.release(&idle, freed_bytes)?;
                self.lane.alloc(&self.tenant, bytes as usize)
            }
            other => other,
        }
    }

    /// Gives back what was resident, and then its room.
    fn release(&mut self, handles: &[Handle], room_bytes: u64) -> Result<(), DeviceError> {
        if handles.is_empty() {
            return Ok(());
        }
        let released = hand_back(self.lane, handles);
        self.residents.unused(self.epoch, room_bytes);
        released
    }

    /// Zeroed device memory for `len` elements.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] when it would go beyond the reservation, or the driver refuses.
    pub fn zeros<T: Pod>(&mut self, len: usize) -> Result<Buffer<T>, Failure> {
        let handle = self.take((len as u64).saturating_mul(size_of::<T>() as u64))?;
        // A lane hands out memory that reads zero; that is not all that stands between two tenants.
        self.enter(Phase::Compute)?;
        self.lane.set(handle, 0)?;
        Ok(Buffer { handle, len, element: PhantomData })
    }

    /// Device memory with these elements.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn upload<T: Pod>(&mut self, elements: &[T]) -> Result<Buffer<T>, Failure> {
        let handle = self.take(size_of_val(elements) as u64)?;
        self.enter(Phase::Upload)?;
        // All of it is overwritten, so there is nothing to zero.
        self.lane.upload(handle, 0, bytemuck::cast_slice(elements))?;
        Ok(Buffer { handle, len: elements.len(), element: PhantomData })
    }

    /// The elements of an input, which must not be written. An input with an identity (a column of a dataset) is
    /// kept on the device for later jobs and found there by them.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros); [`Failure::Rejected`] when the tensor is of another type.
    pub fn input<T: Element>(&mut self, name: &'static str, tensor: &Tensor) -> Result<Buffer<T>, Failure> {
        self.not_in_a_round("bring inputs")?;
        let elements = || {
            tensor.as_slice::<T>().ok_or_else(|| {
                crate::Rejection::new(name, format!("{name} is of {}, not of {}", tensor.dtype(), T::DTYPE))
            })
        };
        let Some(key) = tensor.resident().filter(|_| tensor.dtype() == T::DTYPE) else {
            return self.upload(elements()?);
        };
        // Elements may have to be brought from another process, so they are read only where they are needed.
        match self.kept(key.into(), tensor.bytes(), || tensor.data().as_bytes())? {
            Some(handle) => Ok(Buffer { handle, len: tensor.data().len(), element: PhantomData }),
            None => self.upload(elements()?),
        }
    }

    /// What is made of inputs (the rows of a graph), which must not be written. Where all of them have an identity it
    /// is kept on the device for later jobs under its origin and the name of the part, and found there by them
    /// without being made. A part of one name and origin has one element type.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros), and those of `make`.
    pub fn derived<T: Pod, E: AsRef<[T]>>(
        &mut self,
        origin: Option<&Origin>,
        part: &'static str,
        make: impl FnOnce() -> Result<E, Failure>,
    ) -> Result<Buffer<T>, Failure> {
        self.not_in_a_round("bring inputs")?;
        let Some(origin) = origin else { return self.upload(make()?.as_ref()) };
        let name = Name { origin: origin.clone(), part };
        if let Some((handle, bytes)) = self.residents.find(self.epoch, &self.tenant, &name) {
            debug_assert!((bytes as usize).is_multiple_of(size_of::<T>()), "{part} is of another type");
            self.pinned.push(name);
            return Ok(Buffer { handle, len: bytes as usize / size_of::<T>(), element: PhantomData });
        }
        let made = make()?;
        let content: &[u8] = bytemuck::cast_slice(made.as_ref());
        match self.kept(name, content.len() as u64, || content)? {
            Some(handle) => Ok(Buffer { handle, len: made.as_ref().len(), element: PhantomData }),
            None => self.upload(made.as_ref()),
        }
    }

    /// Memory with this content that stays for later jobs; `None` when there is no room for it.
    fn kept<'c>(
        &mut self,
        name: Name,
        bytes: u64,
        content: impl FnOnce() -> &'c [u8],
    ) -> Result<Option<Handle>, Failure> {
        let handle = match self.residents.lookup(self.epoch, &self.tenant, &name, bytes) {
            Lookup::NoRoom => return Ok(None),
            Lookup::Present(handle) => handle,
            Lookup::Room { freed, surplus_bytes } => {
                let brought = self.release(&freed, surplus_bytes).and_then(|()| self.bring(bytes, content()));
                let handle = brought.inspect_err(|_| self.residents.unused(self.epoch, bytes))?;
                match self.residents.keep(self.epoch, &self.tenant, &name, handle, bytes) {
                    Kept::Mine => handle,
                    Kept::Other(there) => {
                        self.pinned.push(name);
                        self.release(&[handle], bytes)?;
                        return Ok(Some(there));
                    }
                    Kept::Not => {
                        self.taken.push(handle);
                        return Ok(Some(handle));
                    }
                }
            }
        };
        self.pinned.push(name);
        Ok(Some(handle))
    }

    fn bring(&mut self, bytes: u64, content: &[u8]) -> Result<Handle, DeviceError> {
        let handle = self.alloc(bytes)?;
        // Other lanes may read it as soon as it is kept, so it has to be there first.
        let there = self
            .enter(Phase::Upload)
            .and_then(|()| self.lane.upload(handle, 0, content))
            .and_then(|()| self.lane.synchronize());
        there.map(|()| handle).inspect_err(|_| self.taken.push(handle))
    }

    /// The elements, once everything that was started has run.
    ///
    /// # Errors
    /// When the driver refuses, or something that was started failed.
    pub fn download<T: Pod>(&mut self, buffer: &Buffer<T>) -> Result<Vec<T>, Failure> {
        self.download_range(buffer, 0, buffer.len)
    }

    /// `len` elements from `start` on, once everything that was started has run.
    ///
    /// # Errors
    /// When the driver refuses, or something that was started failed, or the range is not in the buffer.
    pub fn download_range<T: Pod>(
        &mut self,
        buffer: &Buffer<T>,
        start: usize,
        len: usize,
    ) -> Result<Vec<T>, Failure> {
        if start.checked_add(len).is_none_or(|end| end > buffer.len) {
            return Err(DeviceError::Call(format!("{len} elements at {start} of {}", buffer.len)).into());
        }
        self.enter(Phase::Download)?;
        let mut elements = vec![T::zeroed(); len];
        self.lane.download(buffer.handle, start * size_of::<T>(), bytemuck::cast_slice_mut(&mut elements))?;
        self.under_way = 0;
        Ok(elements)
    }

    /// Copies `len` elements within the device.
    ///
    /// # Errors
    /// When the driver refuses, or a range is not in its buffer.
    pub fn copy<T: Pod>(
        &mut self,
        from: (&Buffer<T>, usize),
        to: (&Buffer<T>, usize),
        len: usize,
    ) -> Result<(), Failure> {
        for (buffer, start) in [from, to] {
            if start.checked_add(len).is_none_or(|end| end > buffer.len) {
                return Err(DeviceError::Call(format!("{len} elements at {start} of {}", buffer.len)).into());
            }
        }
        self.enter(Phase::Compute)?;
        let (from, to, bytes) = (from.0.at(from.1), to.0.at(to.1), len * size_of::<T>());
        if let Some(round) = &mut self.round {
            round.copy(from, to, bytes);
        }
        Ok(self.lane.copy(from, to, bytes)?)
    }

    /// Fills a buffer with zero bytes.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn clear<T: Pod>(&mut self, buffer: &Buffer<T>) -> Result<(), Failure> {
        self.enter(Phase::Compute)?;
        if let Some(round) = &mut self.round {
            round.clear(buffer.handle);
        }
        Ok(self.lane.set(buffer.handle, 0)?)
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
        self.enter(Phase::Compute)?;
        if let Some(round) = &mut self.round {
            round.launch(launch);
        }
        Ok(self.lane.launch(launch)?)
    }

    /// `c = op(a) · op(b)`, by the vendor's library where there is one.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] when the lane has none; or the job was cancelled.
    pub fn gemm<T: Element>(
        &mut self,
        gemm: &Gemm,
        a: &Buffer<T>,
        b: &Buffer<T>,
        c: &Buffer<T>,
    ) -> Result<(), Failure> {
        self.gemm_at::<T>(gemm, a.at(0), b.at(0), c.at(0))
    }

    /// [`gemm`](Self::gemm) on parts of buffers.
    ///
    /// # Errors
    /// As [`gemm`](Self::gemm).
    pub fn gemm_at<T: Element>(&mut self, gemm: &Gemm, a: At, b: At, c: At) -> Result<(), Failure> {
        self.context.check()?;
        self.not_in_a_round("call a library")?;
        self.enter(Phase::Compute)?;
        let blas: &mut dyn Blas = self
            .lane
            .blas()
            .ok_or_else(|| DeviceError::Unsupported("the device has no matrix products".into()))?;
        Ok(blas.gemm(gemm, size_of::<T>() == 8, a, b, c)?)
    }

    /// The vendor's factorisations, where they are loaded.
    ///
    /// # Errors
    /// When the job was cancelled.
    pub fn solver(&mut self) -> Result<Option<&mut dyn Solver>, Failure> {
        self.context.check()?;
        self.not_in_a_round("call a library")?;
        self.enter(Phase::Compute)?;
        Ok(self.lane.solver())
    }

    /// Waits until everything has run.
    ///
    /// # Errors
    /// When something that was started failed.
    pub fn synchronize(&mut self) -> Result<(), Failure> {
        self.not_in_a_round("wait")?;
        self.under_way = 0;
        Ok(self.lane.synchronize()?)
    }

    /// Rounds make the same launches each time, which the rest is no part of.
    fn not_in_a_round(&self, what: &str) -> Result<(), DeviceError> {
        match self.round {
            None => Ok(()),
            Some(_) => Err(DeviceError::Call(format!("a round of launches cannot {what}"))),
        }
    }

    fn enter(&mut self, phase: Phase) -> Result<(), DeviceError> {
        if self.phase.is_some_and(|(p, _)| p == phase) {
            return Ok(());
        }
        self.not_in_a_round("move data between host and device")?;
        let now = self.lane.mark()?;
        if let Some((p, since)) = self.phase.replace((phase, now)) {
            self.spans.push((p, since, now));
        }
        // Marks are reused, so they are read before the lane can have come round.
        if self.spans.len() + 2 >= super::MARKS {
            self.lane.synchronize()?;
            self.read_spans()?;
        }
        Ok(())
    }

    fn read_spans(&mut self) -> Result<(), DeviceError> {
        for (phase, from, to) in std::mem::take(&mut self.spans) {
            let took = self.lane.between(from, to)?;
            match phase {
                Phase::Upload => self.timings.upload += took,
                Phase::Compute => self.timings.compute += took,
                Phase::Download => self.timings.download += took,
            }
        }
        Ok(())
    }

    /// Which state of the resident inputs the job began with.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Ends the job: what it took is zeroed and given back, and the time is read. A device that cannot do that is
    /// reported, and its memory is not handed out again.
    pub fn end(mut self, result: Result<Record<Tensor>, Failure>) -> DeviceReport {
        let ended = self.scrub();
        let result = match (result, ended) {
            // An answer is right only if everything up to the last call went well.
            (Ok(_), Err(e)) => Err(e.into()),
            // Whatever the job says of itself, the device has to be taken out of service.
            (Err(_), Err(e)) if e.is_sticky() => Err(e.into()),
            (result, _) => result,
        };
        DeviceReport { result, timings: self.timings }
    }

    fn scrub(&mut self) -> Result<(), DeviceError> {
        if std::mem::take(&mut self.is_recording) {
            // A round panicked: what it started was noted and has not run, and from here on things run again.
            let _ = self.lane.end_recording(false);
        }
        let (taken, pinned) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.pinned));
        let marked = match self.phase.take() {
            Some((phase, since)) => self.lane.mark().map(|now| self.spans.push((phase, since, now))),
            None => Ok(()),
        };
        let scrubbed = self.lane.scrub().and(hand_back(self.lane, &taken));
        for recording in self.recordings.drain(..) {
            self.lane.forget(recording);
        }
        // Another lane may take an input away once it is not pinned, so what reads it must have ended. Where that is
        // not known it stays, until the device is restarted.
        if !scrubbed.as_ref().is_err_and(DeviceError::is_sticky) {
            for name in &pinned {
                self.residents.unpin(self.epoch, &self.tenant, name);
            }
        }
        scrubbed.and(marked).and_then(|()| self.read_spans())
    }
}

impl Drop for Gpu<'_> {
    fn drop(&mut self) {
        // After `end` nothing is left; this is for a job that panicked. Its lane is given up by whoever caught that. A
        // driver that panics here too must not end the process.
        if !self.taken.is_empty()
            || !self.pinned.is_empty()
            || !self.recordings.is_empty()
            || self.is_recording
        {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.scrub()));
        }
    }
}
