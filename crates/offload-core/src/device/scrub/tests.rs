//! In which order a job's memory goes back, seen from a lane that notes every call.

use super::*;
use crate::device::{
    At, Backend, Blas, Descriptor, Gpu, KernelSource, Launch, Mark, ModuleId, Residents, Solver,
};
use crate::{Context, Failure, TenantId};
use offload_api::{Record, ResidentKey, Tensor};
use std::time::Duration;

/// Notes calls, and fails the waits it is told to.
struct Notes<'a> {
    calls: Vec<String>,
    taken: u64,
    waits: u32,
    failing: std::ops::Range<u32>,
    residents: &'a Residents,
}

impl<'a> Notes<'a> {
    fn new(residents: &'a Residents, failing: std::ops::Range<u32>) -> Notes<'a> {
        Notes { calls: Vec::new(), taken: 0, waits: 0, failing, residents }
    }
}

impl DeviceLane for Notes<'_> {
    fn alloc(&mut self, _: &TenantId, _: usize) -> Result<Handle, DeviceError> {
        self.taken += 1;
        Ok(Handle(self.taken))
    }
    fn free(&mut self, handle: Handle) {
        self.calls.push(format!("free {}", handle.0));
    }
    fn retire(&mut self, handle: Handle) {
        self.calls.push(format!("retire {}", handle.0));
    }
    fn upload(&mut self, _: Handle, _: usize, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }
    fn download(&mut self, _: Handle, _: usize, _: &mut [u8]) -> Result<(), DeviceError> {
        Ok(())
    }
    fn set(&mut self, to: Handle, byte: u8) -> Result<(), DeviceError> {
        self.calls.push(format!("set {} to {byte}", to.0));
        Ok(())
    }
    fn copy(&mut self, _: At, _: At, _: usize) -> Result<(), DeviceError> {
        Ok(())
    }
    fn compile(&mut self, _: &KernelSource) -> Result<ModuleId, DeviceError> {
        Ok(ModuleId(0))
    }
    fn launch(&mut self, _: &Launch<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
    fn synchronize(&mut self) -> Result<(), DeviceError> {
        let idle = self.residents.evict_all(self.residents.epoch()).0;
        self.calls.push(format!("wait, {} idle", idle.len()));
        self.waits += 1;
        match self.failing.contains(&self.waits) {
            true => Err(DeviceError::Call(format!("wait {}", self.waits))),
            false => Ok(()),
        }
    }
    fn mark(&mut self) -> Result<Mark, DeviceError> {
        Ok(Mark(0))
    }
    fn between(&mut self, _: Mark, _: Mark) -> Result<Duration, DeviceError> {
        Ok(Duration::ZERO)
    }
    fn blas(&mut self) -> Option<&mut dyn Blas> {
        None
    }
    fn solver(&mut self) -> Option<&mut dyn Solver> {
        None
    }
}

/// A job that takes an input to be kept and one temporary; the calls of its end, and what it answered.
fn job(residents: &Residents, failing: std::ops::Range<u32>) -> (Vec<String>, Result<(), Failure>) {
    let mut lane = Notes::new(residents, failing);
    let descriptor = Descriptor::new(0, "notes", Backend::Test, 1 << 20);
    let tenant = TenantId::new("a");
    let mut gpu = Gpu::new(&mut lane, &descriptor, residents, tenant, Context::default(), 1 << 20);
    let input = Tensor::vector(vec![1.0_f64; 4]).with_resident(ResidentKey(9));
    gpu.input::<f64>("a", &input).expect("room");
    gpu.upload(&[1_u8; 8]).expect("room");
    let report = gpu.end(Ok(Record::new()));
    (lane.calls, report.result.map(drop))
}

#[test]
fn memory_is_zeroed_then_waited_for_then_freed_and_inputs_are_pinned_until_then() {
    let residents = Residents::new(1 << 10);
    let (calls, result) = job(&residents, 0..0);
    assert!(result.is_ok());
    // The first wait is the upload's of what is kept.
    assert_eq!(calls, ["wait, 0 idle", "set 2 to 0", "wait, 0 idle", "free 2"]);
    assert_eq!(residents.evict_all(residents.epoch()).0, [Handle(1)], "idle once the job has ended");
}

#[test]
fn after_one_failed_wait_it_is_zeroed_again_and_freed() {
    let residents = Residents::new(1 << 10);
    let (calls, result) = job(&residents, 2..3);
    assert!(matches!(result, Err(Failure::Fault(DeviceError::Call(_)))), "{result:?}");
    assert_eq!(calls[1..], ["set 2 to 0", "wait, 0 idle", "set 2 to 0", "wait, 0 idle", "free 2"]);
    assert_eq!(residents.evict_all(residents.epoch()).0, [Handle(1)]);
}

#[test]
fn what_cannot_be_waited_for_is_retired_and_what_it_may_read_stays() {
    let residents = Residents::new(1 << 10);
    let (calls, result) = job(&residents, 2..4);
    assert!(matches!(result, Err(Failure::Fault(DeviceError::Lost(_)))), "{result:?}");
    assert_eq!(calls.last().map(String::as_str), Some("retire 2"));
    assert_eq!(residents.evict_all(residents.epoch()).0, [], "its kernel may still read the input");
}
