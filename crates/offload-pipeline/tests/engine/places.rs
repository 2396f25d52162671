//! Devices that are fine and have no place for a tenant.

use super::{device_job, pipeline};
use offload_api::{DeviceChoice, ErrorCode};
use offload_core::TenantId;
use offload_core::device::{
    Descriptor, DeviceError, DeviceHost, DeviceJob, DeviceReport, GpuTimings, Health, InProcess, Isolation,
    JobLane, LanePriority,
};
use offload_devices::test_device::{Faults, TestDevice};
use std::sync::Arc;

/// A device all of whose places are taken.
struct Full {
    device: InProcess,
    /// Whether it says so before it is asked to run something.
    says: bool,
}

struct FullLane(u32);

fn why(device: u32) -> String {
    format!("the places of device {device} are all at work")
}

impl DeviceHost for Full {
    fn descriptor(&self) -> &Descriptor {
        self.device.descriptor()
    }
    fn open(&self, _: LanePriority) -> Result<Box<dyn JobLane>, DeviceError> {
        Ok(Box::new(FullLane(self.descriptor().id)))
    }
    fn health(&self) -> Result<Health, DeviceError> {
        self.device.health()
    }
    fn declines(&self, _: &TenantId, _: Isolation, _: u64) -> Option<String> {
        self.says.then(|| why(self.descriptor().id))
    }
}

impl JobLane for FullLane {
    fn run(&mut self, _: DeviceJob) -> DeviceReport {
        let result = Err(DeviceError::NoPlace(why(self.0)).into());
        DeviceReport { result, timings: GpuTimings::default() }
    }
}

fn device(id: u32) -> InProcess {
    InProcess::new(Arc::new(TestDevice::new(id, 1 << 20, Faults::none())))
}

fn full(id: u32, says: bool) -> Arc<dyn DeviceHost> {
    Arc::new(Full { device: device(id), says })
}

#[test]
fn without_a_place_the_processor_answers_with_the_devices_reason_and_nothing_counts_as_a_fault() {
    for says in [true, false] {
        let p = pipeline(vec![full(0, says)]);
        let answer = device_job(&p, DeviceChoice::Auto).result.unwrap();
        assert_eq!((answer.device_id, answer.fallback), (None, Some(why(0))));
        for choice in [DeviceChoice::Gpu, DeviceChoice::Id(0)] {
            let error = device_job(&p, choice).result.unwrap_err();
            assert_eq!(error.error, ErrorCode::NoGpuAvailable, "{error:?}");
        }
        assert_eq!(p.devices()[0].faults, 0);
    }
}

#[test]
fn more_full_devices_than_attempts_are_no_dead_letter_where_they_say_so() {
    let p = pipeline((0..5).map(|id| full(id, true)).collect());
    let answer = device_job(&p, DeviceChoice::Auto).result.unwrap();
    assert_eq!((answer.device_id, answer.fallback), (None, Some(why(0))));
}

#[test]
fn a_device_that_has_a_place_gets_the_job() {
    let mut all: Vec<_> = (0..5).map(|id| full(id, true)).collect();
    all.push(Arc::new(device(5)));
    let p = pipeline(all);
    for choice in [DeviceChoice::Auto, DeviceChoice::Gpu] {
        let answer = device_job(&p, choice).result.unwrap();
        assert_eq!((answer.device_id, answer.fallback), (Some(5), None));
    }
}
