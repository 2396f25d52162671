//! A device in use: its lane, opened again after a fault where that can be done.

use offload_api::Record;
use offload_core::device::{
    Descriptor, Device, DeviceError, DeviceHost, DeviceJob, DeviceLane, DeviceReport, GpuTimings, InProcess,
    JobLane, LanePriority,
};
use offload_core::{Context, Failure, Registered, TenantId};
use offload_devices::discover::{Options, open};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How often a device that was lost is opened again.
const REOPENINGS: u32 = 3;

/// A device, its host and one lane.
pub struct Session {
    selector: String,
    options: Options,
    resident_bytes: u64,
    device: Arc<dyn Device>,
    lane: Box<dyn JobLane>,
    reopened: u32,
}

/// Runs what a driver may make panic.
///
/// # Errors
/// What the panic said.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
    })
}

fn device(selector: &str, options: &Options) -> Result<Arc<dyn Device>, DeviceError> {
    caught(|| open(selector, options))
        .unwrap_or_else(|why| Err(DeviceError::Lost(format!("panicked: {why}"))))
}

fn lane(device: &Arc<dyn Device>, resident_bytes: u64) -> Result<Box<dyn JobLane>, DeviceError> {
    InProcess::with_residents(Arc::clone(device), resident_bytes).open(LanePriority::Normal)
}

impl Session {
    /// Opens a device; jobs may keep this many bytes of inputs there.
    ///
    /// # Errors
    /// The driver's reason.
    pub fn new(selector: &str, options: &Options, resident_bytes: u64) -> Result<Session, DeviceError> {
        let device = device(selector, options)?;
        let lane = lane(&device, resident_bytes)?;
        let (selector, options) = (selector.to_owned(), options.clone());
        Ok(Session { selector, options, resident_bytes, device, lane, reopened: 0 })
    }

    /// What is known of the device.
    pub fn descriptor(&self) -> &Descriptor {
        self.device.descriptor()
    }

    /// Bytes of the device that are handed out.
    pub fn used_bytes(&self) -> u64 {
        self.device.used_bytes()
    }

    /// A lane for calls without an operation.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn raw_lane(&self) -> Result<Box<dyn DeviceLane>, DeviceError> {
        self.device.open_lane(LanePriority::Normal)
    }

    /// Runs an operation.
    pub fn run(
        &mut self,
        operation: &'static Registered,
        inputs: Record,
        reserved_bytes: u64,
        context: Context,
    ) -> DeviceReport {
        let tenant = TenantId::new("check");
        let job = DeviceJob { operation, inputs, tenant, reserved_bytes, context };
        // A lane in which a job panicked is given up; `recover` opens another.
        caught(|| self.lane.run(job)).unwrap_or_else(|why| DeviceReport {
            result: Err(DeviceError::Lost(format!("panicked: {why}")).into()),
            timings: GpuTimings::default(),
        })
    }

    /// After a job: opens the device again when it was lost.
    ///
    /// # Errors
    /// Why it stays lost.
    pub fn recover(&mut self, failure: &Failure) -> Result<(), String> {
        let Failure::Fault(fault) = failure else { return Ok(()) };
        if !fault.is_sticky() {
            return Ok(());
        }
        if self.reopened == REOPENINGS {
            return Err(format!("lost {} times, the last time: {fault}", REOPENINGS + 1));
        }
        self.reopened += 1;
        let again = || {
            let device = device(&self.selector, &self.options)?;
            let lane = lane(&device, self.resident_bytes)?;
            Ok::<_, DeviceError>((device, lane))
        };
        (self.device, self.lane) = again().map_err(|e| format!("{fault}; opened again: {e}"))?;
        Ok(())
    }
}
