//! A device in use: its lane, opened again after a fault where that can be done.

use offload_api::Record;
use offload_core::device::{
    Descriptor, Device, DeviceError, DeviceHost, DeviceJob, DeviceLane, DeviceReport, GpuTimings, InProcess,
    Isolation, JobLane, LanePriority,
};
use offload_core::{Context, Failure, Registered, TenantId};
use offload_devices::discover::{Options, open};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How often a device that was lost is opened again.
const REOPENINGS: u32 = 3;

/// Bytes of this machine for what is made of inputs that have an identity: rows of graphs.
const DERIVED_BYTES: u64 = 4 << 30;

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
    InProcess::with_residents(Arc::clone(device), resident_bytes)
        .with_derived(DERIVED_BYTES)
        .open(LanePriority::Normal)
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
        let job =
            DeviceJob { operation, inputs, tenant, reserved_bytes, context, isolation: Isolation::Shared };
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

#[cfg(test)]
mod tests {
    use super::*;
    use offload_api::{Tensor, Value};
    use offload_devices::test_device::{Fault, Faults, TestDevice};

    fn multiply(session: &mut Session) -> Result<Record, Failure> {
        let a = || Value::Tensor(Tensor::new([1, 1], vec![3.0f64]).unwrap());
        let operation = offload_ops::registry().find("matrix", "multiply").unwrap();
        session.run(operation, Record::new().with("a", a()).with("b", a()), 64, Context::default()).result
    }

    fn failing(fault: Fault) -> Session {
        let device: Arc<dyn Device> = Arc::new(TestDevice::new(0, 1 << 20, Faults::on("gemm", fault)));
        let lane = lane(&device, 0).unwrap();
        let (selector, options) = ("test:0".to_owned(), Options::default());
        Session { selector, options, resident_bytes: 0, device, lane, reopened: 0 }
    }

    #[test]
    fn a_device_that_is_lost_or_panics_is_opened_again() {
        for fault in [Fault::Lost, Fault::Panic] {
            let mut session = failing(fault);
            let failure = multiply(&mut session).unwrap_err();
            session.recover(&failure).unwrap();
            assert_eq!(session.reopened, 1);
            assert!(multiply(&mut session).is_ok());
        }
    }

    #[test]
    fn a_device_that_goes_on_is_left_alone_and_one_that_is_lost_for_good_is_given_up() {
        let mut session = failing(Fault::Call);
        let failure = multiply(&mut session).unwrap_err();
        session.recover(&failure).unwrap();
        assert_eq!(session.reopened, 0);
        let lost = Failure::Fault(DeviceError::Lost("gone".into()));
        for _ in 0..REOPENINGS {
            session.recover(&lost).unwrap();
        }
        assert!(session.recover(&lost).unwrap_err().contains("lost 4 times"));
    }
}
