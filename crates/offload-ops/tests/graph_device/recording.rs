//! A device whose lanes record launches and start them again, by keeping what they were given: operations run on it as on a
//! card whose driver makes graphs.

use offload_core::TenantId;
use offload_core::device::{
    Argument, At, Blas, Descriptor, Device, DeviceError, DeviceLane, Handle, Health, KernelSource,
    LanePriority, Launch, Mark, ModuleId, Recording, Solver,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A device that records, and how many recordings were started.
pub struct Recorder {
    device: Arc<dyn Device>,
    started: Arc<AtomicUsize>,
}

impl Recorder {
    pub fn new(device: Arc<dyn Device>) -> (Recorder, Arc<AtomicUsize>) {
        let started = Arc::<AtomicUsize>::default();
        (Recorder { device, started: Arc::clone(&started) }, started)
    }
}

impl Device for Recorder {
    fn descriptor(&self) -> &Descriptor {
        self.device.descriptor()
    }
    fn open_lane(&self, priority: LanePriority) -> Result<Box<dyn DeviceLane>, DeviceError> {
        let lane = self.device.open_lane(priority)?;
        let started = Arc::clone(&self.started);
        Ok(Box::new(Lane { lane, now: None, kept: Vec::new(), started }))
    }
    fn health(&self) -> Result<Health, DeviceError> {
        self.device.health()
    }
    fn used_bytes(&self) -> u64 {
        self.device.used_bytes()
    }
}

#[derive(Clone)]
enum Command {
    Launch(ModuleId, &'static str, [u32; 3], u32, Vec<Argument>),
    Copy(At, At, usize),
    Set(Handle, u8),
}

struct Lane {
    lane: Box<dyn DeviceLane>,
    now: Option<Vec<Command>>,
    kept: Vec<Vec<Command>>,
    started: Arc<AtomicUsize>,
}

impl Lane {
    fn take(&mut self, command: Command) -> Result<(), DeviceError> {
        if let Some(now) = &mut self.now {
            now.push(command);
            return Ok(());
        }
        match command {
            Command::Launch(module, entry, groups, block, arguments) => {
                self.lane.launch(&Launch { module, entry, groups, block, arguments: &arguments })
            }
            Command::Copy(from, to, bytes) => self.lane.copy(from, to, bytes),
            Command::Set(to, byte) => self.lane.set(to, byte),
        }
    }

    fn at_once(&mut self) -> &mut dyn DeviceLane {
        assert!(self.now.is_none(), "nothing but launches, copies and fills is recorded");
        self.lane.as_mut()
    }
}

impl DeviceLane for Lane {
    fn launch(&mut self, l: &Launch<'_>) -> Result<(), DeviceError> {
        self.take(Command::Launch(l.module, l.entry, l.groups, l.block, l.arguments.to_vec()))
    }
    fn copy(&mut self, from: At, to: At, bytes: usize) -> Result<(), DeviceError> {
        self.take(Command::Copy(from, to, bytes))
    }
    fn set(&mut self, to: Handle, byte: u8) -> Result<(), DeviceError> {
        self.take(Command::Set(to, byte))
    }
    fn begin_recording(&mut self) -> Result<bool, DeviceError> {
        self.now = Some(Vec::new());
        Ok(true)
    }
    fn end_recording(&mut self, keep: bool) -> Result<Option<Recording>, DeviceError> {
        let commands = self.now.take().unwrap();
        if !keep {
            return Ok(None);
        }
        self.kept.push(commands);
        Ok(Some(Recording(self.kept.len() as u64 - 1)))
    }
    fn replay(&mut self, recording: Recording) -> Result<(), DeviceError> {
        self.started.fetch_add(1, Ordering::Relaxed);
        let commands = self.kept[recording.0 as usize].clone();
        commands.into_iter().try_for_each(|command| self.take(command))
    }
    fn forget(&mut self, recording: Recording) {
        self.kept[recording.0 as usize].clear();
    }
    fn upload(&mut self, to: Handle, offset: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        self.at_once().upload(to, offset, bytes)
    }
    fn alloc(&mut self, tenant: &TenantId, bytes: usize) -> Result<Handle, DeviceError> {
        self.at_once().alloc(tenant, bytes)
    }
    fn free(&mut self, handle: Handle) {
        self.at_once().free(handle);
    }
    fn download(&mut self, from: Handle, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError> {
        self.at_once().download(from, offset, bytes)
    }
    fn compile(&mut self, source: &KernelSource) -> Result<ModuleId, DeviceError> {
        self.lane.compile(source)
    }
    fn synchronize(&mut self) -> Result<(), DeviceError> {
        self.at_once().synchronize()
    }
    fn mark(&mut self) -> Result<Mark, DeviceError> {
        self.at_once().mark()
    }
    fn between(&mut self, from: Mark, to: Mark) -> Result<Duration, DeviceError> {
        self.at_once().between(from, to)
    }
    fn blas(&mut self) -> Option<&mut dyn Blas> {
        self.at_once().blas()
    }
    fn solver(&mut self) -> Option<&mut dyn Solver> {
        self.at_once().solver()
    }
}
