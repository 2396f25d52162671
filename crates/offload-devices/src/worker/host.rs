//! A device whose driver runs in a worker process: starts the worker, and starts it again when it is lost.

use super::lane::{Patience, WorkerLane};
use super::process::Process;
use super::serve::ServeOptions;
use super::spawn::Launch;
use crate::discover::VISIBLE_DEVICES;
use offload_api::ResidentKey;
use offload_core::TenantId;
use offload_core::device::{Descriptor, DeviceError, DeviceHost, Health, JobLane, LanePriority};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a device's worker is run.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// How it is started.
    pub launch: Launch,
    /// What it is told.
    pub options: ServeOptions,
    /// How long a job may run before its worker is taken for hung and killed; no limit when absent.
    pub watchdog: Option<Duration>,
    /// How long a job may go on after it was asked to stop before its worker is killed.
    pub cancel_grace: Duration,
    /// How long the worker may take to open its device.
    pub start_timeout: Duration,
    /// How long it may take to say how its device is, or to open a lane.
    pub answer_timeout: Duration,
}

/// A device in a worker process.
///
/// The worker is started by the first [`health`](DeviceHost::health), and again by each one after it was lost.
/// [`open`](DeviceHost::open) never waits for a start.
pub struct WorkerHost {
    selector: String,
    descriptor: Descriptor,
    settings: WorkerSettings,
    current: Mutex<Option<Arc<Process>>>,
    starts: AtomicU64,
    /// What a worker said last that it has.
    opened_bytes: Mutex<Option<u64>>,
}

impl WorkerHost {
    /// The device of this name, as a probe found it, numbered by the service.
    pub fn new(selector: String, descriptor: Descriptor, settings: WorkerSettings) -> WorkerHost {
        let (current, starts, opened_bytes) = (Mutex::new(None), AtomicU64::new(0), Mutex::new(None));
        WorkerHost { selector, descriptor, settings, current, starts, opened_bytes }
    }

    /// The worker's process number, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.live().map(|p| p.pid())
    }

    /// Its name to the driver.
    pub(super) fn selector(&self) -> &str {
        &self.selector
    }

    /// Bytes of memory that jobs may use there, as its worker said when it opened the device last.
    pub(super) fn opened_bytes(&self) -> Option<u64> {
        *self.opened_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of its memory in use, while there is a worker to tell.
    pub(super) fn used_bytes(&self) -> Option<u64> {
        // Whoever looks does not wait for a start.
        let current = self.current.try_lock().ok()?.as_ref().map(Arc::clone);
        let health = current.filter(|p| !p.is_dead())?.health(self.settings.answer_timeout);
        health.ok().map(|h| h.memory_used_bytes)
    }

    /// Whether no process of it is left.
    pub(super) fn has_ended(&self) -> bool {
        self.last().is_none_or(|p| p.has_ended())
    }

    /// Waits until no process of it is left, until then; whether that came.
    pub(super) fn await_end(&self, until: Instant) -> bool {
        self.last().is_none_or(|p| p.await_end_until(until))
    }

    fn last(&self) -> Option<Arc<Process>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn live(&self) -> Option<Arc<Process>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|p| !p.is_dead()).map(Arc::clone)
    }

    /// Ends the worker; the next use starts another.
    pub(super) fn end(&self, why: &str) {
        if let Some(process) = self.live() {
            process.kill(why);
        }
    }

    /// The worker, started where there is none.
    fn start(&self) -> Result<Arc<Process>, DeviceError> {
        // Held while it starts, so that it is started once.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = current.as_ref().filter(|p| !p.is_dead()) {
            return Ok(Arc::clone(process));
        }
        *current = None;
        let options = serde_json::to_string(&self.settings.options)
            .map_err(|e| DeviceError::Call(format!("the worker's options: {e}")))?;
        let mut command = self.settings.launch.command();
        if let Some(visible) = &self.settings.options.open.visible {
            command.env(VISIBLE_DEVICES, visible);
        }
        command.args(["--device", &self.selector, "--options", &options]);
        self.starts.fetch_add(1, Ordering::Relaxed);
        let (process, found) = Process::start(command, &self.selector, self.settings.start_timeout)?;
        // A slice has a longer name than its card.
        let name = |d: &Descriptor| d.uuid.as_ref().unwrap_or(&d.name).clone();
        let (now, before) = (name(&found), name(&self.descriptor));
        if now != before {
            process.kill("another device has taken its place");
            let why = format!("{} is now {now}, it was {before}", self.selector);
            return Err(DeviceError::Unsupported(why));
        }
        *self.opened_bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.memory_bytes);
        let (pid, software) = (process.pid(), found.software.join(", "));
        tracing::info!(
            device = self.selector,
            slice = found.uuid,
            pid,
            name = found.name,
            software,
            "the worker serves"
        );
        Ok(Arc::clone(current.insert(process)))
    }
}

impl DeviceHost for WorkerHost {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn open(&self, priority: LanePriority) -> Result<Box<dyn JobLane>, DeviceError> {
        let process = self.live().ok_or_else(|| DeviceError::Call("its worker is not there yet".into()))?;
        let (channel, header) = process.open_lane(priority, self.settings.answer_timeout)?;
        let patience = Patience { job: self.settings.watchdog, cancelled: self.settings.cancel_grace };
        Ok(Box::new(WorkerLane::new(process, channel, header, self.settings.options.keep_bytes, patience)))
    }

    fn health(&self) -> Result<Health, DeviceError> {
        self.start()?.health(self.settings.answer_timeout)
    }

    fn holds(&self, tenant: &TenantId, key: ResidentKey) -> bool {
        self.live().is_some_and(|process| process.seen().has(tenant, key))
    }

    fn restarts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed).saturating_sub(1)
    }
}

impl Drop for WorkerHost {
    fn drop(&mut self) {
        self.end("the service no longer uses the device");
    }
}
