//! A stream of a card.

use super::blas::BlasLane;
use super::device::Shared;
use super::driver::{Address, Opaque};
use super::memory::{set, synchronize};
use super::recording::Recordings;
use super::solver::SolverLane;
use crate::kernels;
use offload_core::TenantId;
use offload_core::device::{
    Argument, At, Blas, DeviceError, DeviceLane, Handle, KernelSource, LanePriority, Launch, MARKS, Mark,
    ModuleId, Recording, Solver,
};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

/// Does not wait for the default stream, of which nothing is known.
const NON_BLOCKING: u32 = 1;

pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Opaque,
    marks: Vec<Opaque>,
    marked: usize,
    modules: HashMap<KernelSource, ModuleId>,
    sources: HashMap<ModuleId, KernelSource>,
    functions: HashMap<(ModuleId, &'static str), Opaque>,
    /// Whose job runs, for what the libraries take.
    tenant: Option<TenantId>,
    blas: Option<BlasLane>,
    solver: Option<SolverLane>,
    /// Workspaces of library calls, given back once they have been zeroed.
    workspaces: Vec<Handle>,
    pub(super) recordings: Recordings,
    /// Whether to look at all memory before it is handed out.
    verify: bool,
}

/// Set, memory that is handed out is read back first, and said to be unclean where it does not read zero; slow.
const VERIFY: &str = "HELIOSDB_GPU_VERIFY_ZERO";

// SAFETY: the stream, events and functions belong to a context that any thread may enter; the lane enters it at the
// start of each call and is used by one thread at a time.
unsafe impl Send for Lane {}

impl Lane {
    pub(super) fn open(shared: Arc<Shared>, priority: LanePriority) -> Result<Lane, DeviceError> {
        let driver = &shared.driver;
        driver.enter(shared.context)?;
        let (mut least, mut greatest) = (0, 0);
        // SAFETY: both outlive the call.
        driver.check("stream priorities", unsafe {
            (driver.calls.stream_priorities)(&raw mut least, &raw mut greatest)
        })?;
        let priority = if priority == LanePriority::High { greatest } else { least };
        let mut stream: Opaque = std::ptr::null_mut();
        // SAFETY: `stream` outlives the call.
        driver.check("stream", unsafe {
            (driver.calls.stream_create)(&raw mut stream, NON_BLOCKING, priority)
        })?;
        Ok(Lane {
            shared,
            stream,
            marks: Vec::new(),
            marked: 0,
            modules: HashMap::new(),
            sources: HashMap::new(),
            functions: HashMap::new(),
            tenant: None,
            blas: None,
            solver: None,
            workspaces: Vec::new(),
            recordings: Recordings::new(),
            verify: std::env::var_os(VERIFY).is_some(),
        })
    }

    /// Makes the context current for what runs at once, which nothing does while the lane records.
    pub(super) fn enter(&self) -> Result<(), DeviceError> {
        if self.recordings.is_on() {
            return Err(DeviceError::Call(
                "the lane records launches, copies and fills, and nothing else".into(),
            ));
        }
        self.enter_to_record()
    }

    /// Makes the context current for what may be recorded.
    fn enter_to_record(&self) -> Result<(), DeviceError> {
        self.shared.driver.enter(self.shared.context)
    }

    fn verify_zero(&mut self, handle: Handle, bytes: usize) -> Result<(), DeviceError> {
        let mut content = vec![0u8; bytes];
        self.download(handle, 0, &mut content)?;
        let unclean = content.iter().filter(|b| **b != 0).count();
        if unclean > 0 {
            let first = content.iter().position(|b| *b != 0).unwrap_or(0);
            let last = content.iter().rposition(|b| *b != 0).unwrap_or(0);
            let (at, _) = self.shared.memory().place(handle)?;
            eprintln!("UNCLEAN: {unclean} of {bytes} bytes at {at:#x} do not read zero, {first} to {last}");
        }
        Ok(())
    }

    /// The address of `bytes` bytes at `at`, when they lie within its memory.
    pub(super) fn address(&self, at: At, bytes: u64) -> Result<Address, DeviceError> {
        let (base, size) = self.shared.memory().place(at.handle)?;
        match at.offset_bytes.checked_add(bytes) {
            Some(end) if end <= size => Ok(base + at.offset_bytes),
            _ => {
                Err(DeviceError::Call(format!("{bytes} bytes at {} are outside of {size}", at.offset_bytes)))
            }
        }
    }

    /// Memory for a library call of the running job, until the next wait.
    pub(super) fn workspace(&mut self, bytes: u64) -> Result<Address, DeviceError> {
        let tenant = self.tenant.clone().unwrap_or_else(|| TenantId::new("service"));
        let handle = self.shared.memory().take(&self.shared.driver, self.stream, &tenant, bytes)?;
        self.workspaces.push(handle);
        self.address(handle.into(), bytes)
    }

    /// Zeroes the workspaces, waits, and gives them back.
    fn settle(&mut self) -> Result<(), DeviceError> {
        let workspaces = std::mem::take(&mut self.workspaces);
        let mut zeroed = Ok(());
        for handle in &workspaces {
            zeroed = zeroed.and_then(|()| self.set(*handle, 0));
        }
        let done = zeroed.and_then(|()| synchronize(&self.shared.driver, self.stream));
        let mut memory = self.shared.memory();
        for handle in workspaces {
            match done {
                Ok(()) => memory.give_back(handle),
                Err(_) => memory.retire(handle),
            }
        }
        done
    }
}

impl DeviceLane for Lane {
    fn alloc(&mut self, tenant: &TenantId, bytes: usize) -> Result<Handle, DeviceError> {
        self.enter()?;
        self.tenant = Some(tenant.clone());
        let handle = self.shared.memory().take(&self.shared.driver, self.stream, tenant, bytes as u64)?;
        if self.verify {
            self.verify_zero(handle, bytes)?;
        }
        Ok(handle)
    }

    fn free(&mut self, handle: Handle) {
        self.shared.memory().give_back(handle);
    }

    fn retire(&mut self, handle: Handle) {
        self.shared.memory().retire(handle);
    }

    fn upload(&mut self, to: Handle, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.enter()?;
        let at = self.address(At { handle: to, offset_bytes: offset as u64 }, bytes.len() as u64)?;
        let driver = &self.shared.driver;
        // SAFETY: the target was checked; pageable sources are read before the call returns, and pinned ones stay
        // mapped until the lane has waited (the trait's contract).
        driver.check("upload", unsafe {
            (driver.calls.upload)(at, bytes.as_ptr().cast(), bytes.len(), self.stream)
        })
    }

    fn download(&mut self, from: Handle, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.enter()?;
        if !bytes.is_empty() {
            let at = self.address(At { handle: from, offset_bytes: offset as u64 }, bytes.len() as u64)?;
            let driver = &self.shared.driver;
            // SAFETY: the source was checked; the target is borrowed until the wait below.
            driver.check("download", unsafe {
                (driver.calls.download)(bytes.as_mut_ptr().cast(), at, bytes.len(), self.stream)
            })?;
        }
        synchronize(&self.shared.driver, self.stream)
    }

    fn set(&mut self, to: Handle, byte: u8) -> Result<(), DeviceError> {
        self.enter_to_record()?;
        let (at, bytes) = self.shared.memory().place(to)?;
        self.recordings.names(to, at);
        set(&self.shared.driver, self.stream, at, byte, bytes)
    }

    fn copy(&mut self, from: At, to: At, bytes: usize) -> Result<(), DeviceError> {
        if bytes == 0 {
            return Ok(());
        }
        self.enter_to_record()?;
        let (source, target) = (self.address(from, bytes as u64)?, self.address(to, bytes as u64)?);
        self.recordings.names(from.handle, source - from.offset_bytes);
        self.recordings.names(to.handle, target - to.offset_bytes);
        let driver = &self.shared.driver;
        // SAFETY: both ranges were checked.
        driver.check("copy", unsafe { (driver.calls.copy)(target, source, bytes, self.stream) })
    }

    fn compile(&mut self, source: &KernelSource) -> Result<ModuleId, DeviceError> {
        if let Some(id) = self.modules.get(source) {
            return Ok(*id);
        }
        self.enter()?;
        let id = self.shared.module(source)?;
        self.modules.insert(*source, id);
        self.sources.insert(id, *source);
        Ok(id)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError> {
        self.enter_to_record()?;
        let source = self.sources.get(&launch.module);
        let source = source.ok_or_else(|| DeviceError::Call(format!("{}: no such module", launch.entry)))?;
        kernels::check_arguments(source, launch)?;
        let function = match self.functions.get(&(launch.module, launch.entry)) {
            Some(function) => *function,
            None => {
                let function = self.shared.function(launch.module, launch.entry)?;
                self.functions.insert((launch.module, launch.entry), function);
                function
            }
        };
        let mut values = Vec::with_capacity(launch.arguments.len());
        for argument in launch.arguments {
            values.push(match *argument {
                Argument::Buffer(handle) => {
                    let at = self.shared.memory().place(handle)?.0;
                    self.recordings.names(handle, at);
                    at
                }
                Argument::I32(v) => u64::from(v.cast_unsigned()),
                Argument::U32(v) => u64::from(v),
                Argument::I64(v) => v.cast_unsigned(),
                Argument::U64(v) => v,
                Argument::F32(v) => u64::from(v.to_bits()),
                Argument::F64(v) => v.to_bits(),
            });
        }
        // Little-endian hosts only: a shorter value lies at the beginning of its eight bytes.
        let mut pointers: Vec<*mut c_void> =
            values.iter_mut().map(|v| std::ptr::from_mut(v).cast()).collect();
        let [x, y, z] = launch.groups;
        let driver = &self.shared.driver;
        // SAFETY: the arguments were held against the entry's declaration, and outlive the call, which copies them.
        driver.check(launch.entry, unsafe {
            (driver.calls.launch)(
                function,
                x,
                y,
                z,
                launch.block,
                1,
                1,
                0,
                self.stream,
                pointers.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        })
    }

    fn begin_recording(&mut self) -> Result<bool, DeviceError> {
        self.begin()
    }

    fn end_recording(&mut self, keep: bool) -> Result<Option<Recording>, DeviceError> {
        self.end(keep)
    }

    fn replay(&mut self, recording: Recording) -> Result<(), DeviceError> {
        self.start(recording)
    }

    fn forget(&mut self, recording: Recording) {
        self.drop_recording(recording);
    }

    fn synchronize(&mut self) -> Result<(), DeviceError> {
        self.enter()?;
        self.settle()
    }

    fn scrub(&mut self) -> Result<(), DeviceError> {
        self.enter()?;
        match self.blas.as_mut().and_then(BlasLane::take_used_workspace) {
            Some(handle) => self.set(handle, 0),
            None => Ok(()),
        }
    }

    fn mark(&mut self) -> Result<Mark, DeviceError> {
        self.enter()?;
        let driver = &self.shared.driver;
        let slot = self.marked % MARKS;
        if slot == self.marks.len() {
            let mut event: Opaque = std::ptr::null_mut();
            // SAFETY: `event` outlives the call.
            driver.check("event", unsafe { (driver.calls.event_create)(&raw mut event, 0) })?;
            self.marks.push(event);
        }
        // SAFETY: event and stream are the lane's own.
        driver.check("record", unsafe { (driver.calls.event_record)(self.marks[slot], self.stream) })?;
        self.marked += 1;
        Ok(Mark(slot as u64))
    }

    fn between(&mut self, from: Mark, to: Mark) -> Result<Duration, DeviceError> {
        self.enter()?;
        let event = |m: Mark| self.marks.get(m.0 as usize).copied();
        let (Some(from), Some(to)) = (event(from), event(to)) else {
            return Err(DeviceError::Call("no such mark".into()));
        };
        let mut ms = 0f32;
        let driver = &self.shared.driver;
        // SAFETY: both events are the lane's own, and were recorded.
        driver.check("elapsed", unsafe { (driver.calls.event_elapsed)(&raw mut ms, from, to) })?;
        Ok(Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3))
    }

    fn blas(&mut self) -> Option<&mut dyn Blas> {
        if self.recordings.is_on() {
            return None;
        }
        self.open_blas();
        // Without a library, or with one that does not open, the portable kernels serve.
        (self.blas.is_some() || self.shared.kernels.is_ok()).then_some(self as &mut dyn Blas)
    }

    fn solver(&mut self) -> Option<&mut dyn Solver> {
        if self.recordings.is_on() {
            return None;
        }
        if self.solver.is_none() {
            let library = self.shared.solver?;
            // Transposes and batched factorisations are the BLAS's.
            self.open_blas();
            self.blas.as_ref()?;
            match library.open(self) {
                Ok(solver) => self.solver = Some(solver),
                Err(e) => {
                    eprintln!("{} does not open: {e}", library.software());
                    return None;
                }
            }
        }
        Some(self)
    }
}

impl Lane {
    fn open_blas(&mut self) {
        if self.blas.is_none()
            && let Some(library) = self.shared.blas
            && self.enter().is_ok()
        {
            match BlasLane::open(library, self) {
                Ok(blas) => self.blas = Some(blas),
                Err(e) => eprintln!("{} does not open: {e}", library.software()),
            }
        }
    }
    pub(super) fn has_blas(&self) -> bool {
        self.blas.is_some()
    }
    pub(super) fn blas_lane(&mut self) -> Result<&mut BlasLane, DeviceError> {
        self.blas.as_mut().ok_or_else(|| DeviceError::Unsupported("no BLAS is open".into()))
    }
    pub(super) fn solver_lane(&self) -> Result<SolverLane, DeviceError> {
        self.solver.ok_or_else(|| DeviceError::Unsupported("no solver is open".into()))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // A lost device refuses all of this, and the process that held it ends soon.
        if self.enter_to_record().is_err() {
            return;
        }
        self.drop_recordings();
        let _ = self.settle();
        if let Some(blas) = self.blas.take() {
            blas.close(self);
        }
        if let Some(solver) = self.solver.take() {
            solver.close();
        }
        let calls = &self.shared.driver.calls;
        for event in self.marks.drain(..) {
            // SAFETY: the event is the lane's own and not used any more.
            unsafe { (calls.event_destroy)(event) };
        }
        // SAFETY: as above.
        unsafe { (calls.stream_destroy)(self.stream) };
    }
}
