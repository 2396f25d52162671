//! A lane: an in-order queue over its device's memory and programs.
//!
//! Uploads are copied before the call returns, so they wait for what was started before them.

use super::Shared;
use super::code::Code;
use super::objects::{Event, Kernel, Program, Progress, Queue};
use super::store::TakeError;
use crate::kernels;
use cl3::command_queue::{CL_QUEUE_PROFILING_ENABLE, CL_QUEUE_PROPERTIES};
use offload_core::TenantId;
use offload_core::device::{
    Argument, At, Blas, DeviceError, DeviceLane, Gemm, Handle, KernelSource, LanePriority, Launch, MARKS,
    Mark, ModuleId, Solver,
};
use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `CL_QUEUE_PRIORITY_KHR` and its highest value, of `cl_khr_priority_hints`.
const QUEUE_PRIORITY_KHR: u64 = 0x1096;
const PRIORITY_HIGH_KHR: u64 = 1;

/// Commands that may be started and not yet looked at; beyond, a launch waits for the oldest.
const MOST_PENDING: usize = 1024;

/// Memory of at most so many bytes is written for the simulator instead of filled; larger ones, which are workspaces, would
/// take gigabytes of its notes.
const MOST_NOTED: usize = 1 << 18;

/// A queue of a device.
pub(super) struct Lane {
    queue: Queue,
    /// Commands whose end was not looked at yet, the oldest first.
    pending: VecDeque<(&'static str, Event)>,
    /// What went wrong with a command that has ended, until the next wait reports it.
    failed: Option<(&'static str, Code)>,
    modules: HashMap<ModuleId, (KernelSource, Arc<Program>)>,
    kernels: HashMap<(ModuleId, &'static str), Kernel>,
    marks: Vec<Point>,
    marked: usize,
    clock: Clock,
    shared: Arc<Shared>,
}

/// Whose time is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// The device's: markers say when they were reached.
    Device,
    /// The host's, on a device whose markers do not: a mark then waits for the queue.
    Host,
}

enum Point {
    Device(Event),
    Host(Instant),
}

impl Lane {
    /// A queue of this urgency, where the device knows of urgency.
    pub(super) fn open(shared: Arc<Shared>, priority: LanePriority) -> Result<Lane, DeviceError> {
        shared.alive()?;
        let offer = &shared.offer;
        let hints = offer.extensions.iter().any(|e| e == "cl_khr_priority_hints");
        let profiling = [CL_QUEUE_PROPERTIES as u64, CL_QUEUE_PROFILING_ENABLE];
        let mut properties = profiling.to_vec();
        if hints && priority == LanePriority::High {
            properties.extend([QUEUE_PRIORITY_KHR, PRIORITY_HIGH_KHR]);
        }
        properties.push(0);
        let properties = (offer.version >= 200).then_some(properties.as_slice());
        let made = shared.context.queue(offer.id, properties);
        let queue = made.map_err(|code| doubt(&shared, None, "create a queue", code))?;
        let mut lane = Lane {
            queue,
            pending: VecDeque::new(),
            failed: None,
            modules: HashMap::new(),
            kernels: HashMap::new(),
            marks: Vec::new(),
            marked: 0,
            clock: Clock::Host,
            shared,
        };
        let marker = lane.queue.marker().map_err(|code| lane.fail("marker", code))?;
        lane.synchronize()?;
        if marker.ended_at().is_ok_and(|at| at > 0) {
            lane.clock = Clock::Device;
        }
        Ok(lane)
    }

    /// A driver's code as the failure of a call of this lane.
    fn fail(&self, call: &str, code: Code) -> DeviceError {
        doubt(&self.shared, Some(&self.queue), call, code)
    }

    /// A command that was started, to be looked at when it has ended.
    fn started(&mut self, call: &'static str, event: Result<Event, Code>) -> Result<(), DeviceError> {
        let event = event.map_err(|code| self.fail(call, code))?;
        self.pending.push_back((call, event));
        if self.pending.len() >= MOST_PENDING
            && let Some((_, oldest)) = self.pending.front()
        {
            // A failed command is reported by what it is, not by the wait.
            let _ = oldest.wait();
        }
        while let Some((call, oldest)) = self.pending.front() {
            match oldest.progress() {
                Progress::Going => break,
                Progress::Ended => {}
                Progress::Failed(code) => self.failed = self.failed.or(Some((*call, code))),
            }
            self.pending.pop_front();
        }
        Ok(())
    }

    /// After a wait: whether everything that was started went well.
    fn settle(&mut self) -> Result<(), DeviceError> {
        for (call, event) in self.pending.drain(..) {
            if let Progress::Failed(code) = event.progress() {
                self.failed = self.failed.or(Some((call, code)));
            }
        }
        match self.failed.take() {
            Some((call, code)) => Err(self.fail(call, code)),
            None => Ok(()),
        }
    }

    /// Memory that the driver only now found missing.
    fn missing(&self, call: &str, code: Code, bytes: usize) -> DeviceError {
        if code.is_memory() { self.shared.store.full(bytes as u64) } else { self.fail(call, code) }
    }
}

/// A driver's code as a failure: the context may be gone, which the queue tells when it is asked once more.
fn doubt(shared: &Shared, queue: Option<&Queue>, call: &str, code: Code) -> DeviceError {
    if code.is_lost() {
        return shared.lose(call, code);
    }
    if code.is_doubtful()
        && let Some(queue) = queue
        && let Err(again) = queue.marker().and_then(|_| queue.finish())
    {
        return shared.lose(call, again);
    }
    code.call(call)
}

fn offset(at: At) -> Result<usize, DeviceError> {
    usize::try_from(at.offset_bytes).map_err(|_| DeviceError::Call(format!("offset {}", at.offset_bytes)))
}

impl DeviceLane for Lane {
    fn alloc(&mut self, _tenant: &TenantId, bytes: usize) -> Result<Handle, DeviceError> {
        self.shared.alive()?;
        let handle = self.shared.store.take(&self.shared.context, bytes).map_err(|e| match e {
            TakeError::Full(e) => e,
            TakeError::Code(code) => self.fail("alloc", code),
        })?;
        // The driver does not say what its memory holds.
        match self.set(handle, 0) {
            Ok(()) => Ok(handle),
            Err(e) => {
                self.free(handle);
                Err(e)
            }
        }
    }

    fn free(&mut self, handle: Handle) {
        // Giving back never fails, not even on a lost device: the books must balance.
        self.shared.store.give_back(handle);
    }

    fn upload(&mut self, to: Handle, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        self.shared.alive()?;
        let block = self.shared.store.find(to)?;
        block.holds(offset, bytes.len())?;
        if bytes.is_empty() {
            return Ok(());
        }
        match self.queue.write(&block.memory, offset, bytes) {
            Err(code) => Err(self.missing("upload", code, block.bytes)),
            event => self.started("upload", event),
        }
    }

    fn download(&mut self, from: Handle, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.shared.alive()?;
        let block = self.shared.store.find(from)?;
        block.holds(offset, bytes.len())?;
        if bytes.is_empty() {
            return self.synchronize();
        }
        let event = self.queue.read(&block.memory, offset, bytes);
        self.started("download", event)?;
        self.settle()
    }

    fn set(&mut self, to: Handle, byte: u8) -> Result<(), DeviceError> {
        self.shared.alive()?;
        let block = self.shared.store.find(to)?;
        if block.bytes == 0 {
            return Ok(());
        }
        // The simulator takes memory that was filled for memory that nobody wrote, and notes every byte that was.
        let filled = if self.shared.offer.checks_races && block.bytes <= MOST_NOTED {
            self.queue.write(&block.memory, 0, &vec![byte; block.bytes])
        } else {
            self.queue.fill(&block.memory, byte, block.bytes)
        };
        match filled {
            Err(code) => Err(self.missing("set", code, block.bytes)),
            event => self.started("set", event),
        }
    }

    fn copy(&mut self, from: At, to: At, bytes: usize) -> Result<(), DeviceError> {
        self.shared.alive()?;
        let (source, target) = (self.shared.store.find(from.handle)?, self.shared.store.find(to.handle)?);
        let (from, to) = (offset(from)?, offset(to)?);
        source.holds(from, bytes)?;
        target.holds(to, bytes)?;
        if bytes == 0 {
            return Ok(());
        }
        let event = self.queue.copy((&source.memory, from), (&target.memory, to), bytes);
        self.started("copy", event)
    }

    fn compile(&mut self, source: &KernelSource) -> Result<ModuleId, DeviceError> {
        self.shared.alive()?;
        let (id, program) = self.shared.programs.get(source, &self.shared)?;
        self.modules.entry(id).or_insert((*source, program));
        Ok(id)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError> {
        self.shared.alive()?;
        let call = launch.entry;
        let key = (launch.module, call);
        let module = self.modules.get(&launch.module);
        let (source, program) = module.ok_or_else(|| DeviceError::Call(format!("{call}: no such module")))?;
        kernels::check_arguments(source, launch)?;
        // Out of the map while it is used, so that a failure can ask the queue.
        let mut kernel = match self.kernels.remove(&key) {
            Some(kernel) => kernel,
            None => {
                let entry = CString::new(call).map_err(|e| DeviceError::Call(e.to_string()))?;
                program.kernel(&entry).map_err(|code| self.fail(call, code))?
            }
        };
        for (index, argument) in (0u32..).zip(launch.arguments) {
            let set = match *argument {
                Argument::Buffer(handle) => kernel.memory(index, &self.shared.store.find(handle)?.memory),
                Argument::I32(x) => kernel.number(index, x.to_ne_bytes()),
                Argument::U32(x) => kernel.number(index, x.to_ne_bytes()),
                Argument::I64(x) => kernel.number(index, x.to_ne_bytes()),
                Argument::U64(x) => kernel.number(index, x.to_ne_bytes()),
                Argument::F32(x) => kernel.number(index, x.to_ne_bytes()),
                Argument::F64(x) => kernel.number(index, x.to_ne_bytes()),
            };
            set.map_err(|code| self.fail(&format!("{call}: argument {index}"), code))?;
        }
        let [x, y, z] = launch.groups.map(|g| g as usize);
        let block = launch.block as usize;
        let event = self.queue.start(&mut kernel, [x * block, y, z], [block, 1, 1]);
        self.kernels.insert(key, kernel);
        self.started(call, event)
    }

    fn synchronize(&mut self) -> Result<(), DeviceError> {
        self.shared.alive()?;
        if let Err(code) = self.queue.finish() {
            return Err(self.fail("synchronize", code));
        }
        self.settle()
    }

    fn mark(&mut self) -> Result<Mark, DeviceError> {
        self.shared.alive()?;
        let point = match self.clock {
            Clock::Device => {
                let marker = self.queue.marker().map_err(|code| self.fail("mark", code))?;
                // What was started begins now rather than at the next wait.
                self.queue.flush().map_err(|code| self.fail("mark", code))?;
                Point::Device(marker)
            }
            Clock::Host => {
                self.queue.finish().map_err(|code| self.fail("mark", code))?;
                Point::Host(Instant::now())
            }
        };
        let slot = self.marked % MARKS;
        self.marked += 1;
        match self.marks.get_mut(slot) {
            Some(place) => *place = point,
            None => self.marks.push(point),
        }
        Ok(Mark(slot as u64))
    }

    fn between(&mut self, from: Mark, to: Mark) -> Result<Duration, DeviceError> {
        let point = |mark: Mark| self.marks.get(mark.0 as usize);
        match (point(from), point(to)) {
            (Some(Point::Device(from)), Some(Point::Device(to))) => {
                let at = |event: &Event| event.ended_at().map_err(|code| self.fail("between", code));
                Ok(Duration::from_nanos(at(to)?.saturating_sub(at(from)?)))
            }
            (Some(Point::Host(from)), Some(Point::Host(to))) => Ok(to.saturating_duration_since(*from)),
            _ => Err(DeviceError::Call("no such mark".into())),
        }
    }

    fn blas(&mut self) -> Option<&mut dyn Blas> {
        Some(self)
    }

    fn solver(&mut self) -> Option<&mut dyn Solver> {
        None
    }
}

impl Blas for Lane {
    fn gemm(&mut self, gemm: &Gemm, double: bool, a: At, b: At, c: At) -> Result<(), DeviceError> {
        kernels::gemm(self, gemm, double, a, b, c)
    }
}
