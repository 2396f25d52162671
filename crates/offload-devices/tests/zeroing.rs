//! What one tenant's job leaves on a device, no other ever reads: not by an answer, and not by a lane that skips every
//! precaution.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, ResidentKey, Tensor};
use offload_core::device::{
    Descriptor, Device, DeviceError, DeviceLane, Gpu, Handle, LanePriority, Residents,
};
use offload_core::{Context, Failure, TenantId};
use offload_devices::test_device::{Fault, Faults, TestDevice};

use std::panic::{AssertUnwindSafe, catch_unwind};

const MEMORY: u64 = 1 << 20;
const SECRET: f64 = 4242.4242;

fn secrets(n: usize) -> Vec<f64> {
    vec![SECRET; n]
}

fn gpu<'a>(lane: &'a mut dyn DeviceLane, d: &'a Descriptor, r: &'a Residents, tenant: &str) -> Gpu<'a> {
    Gpu::new(lane, d, r, TenantId::new(tenant), Context::default(), MEMORY)
}

/// All that another tenant gets of the device, in pieces of these bytes, read as it is.
fn all_that_is_had(device: &TestDevice, tenant: &str, piece: usize) -> Vec<u8> {
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    let (mut all, mut handles) = (Vec::new(), Vec::<Handle>::new());
    loop {
        match lane.alloc(&TenantId::new(tenant), piece) {
            Ok(handle) => {
                let mut bytes = vec![0xff; piece];
                lane.download(handle, 0, &mut bytes).unwrap();
                all.extend(bytes);
                handles.push(handle);
            }
            Err(DeviceError::OutOfMemory { .. }) => break,
            Err(e) => panic!("{e}"),
        }
    }
    for handle in handles {
        lane.free(handle);
    }
    all
}

/// A job of tenant `a` that ends in one of the ways a job can end.
fn job(device: &TestDevice, residents: &Residents, ending: &str) {
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    let mut gpu = gpu(lane.as_mut(), device.descriptor(), residents, "a");
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let one = gpu.upload(&secrets(5_000)).unwrap();
        let two = gpu.zeros::<f64>(777).unwrap();
        gpu.copy((&one, 0), (&two, 0), 777).unwrap();
        let kept = Tensor::vector(secrets(3_000)).with_resident(ResidentKey(1));
        gpu.input::<f64>("a", &kept).unwrap();
        match ending {
            "well" => Ok(Record::new()),
            "cancelled" => Err(Failure::Cancelled),
            "out of memory" => Err(gpu.zeros::<f64>(MEMORY as usize).unwrap_err()),
            _ => panic!("the operation's own bug"),
        }
    }));
    match ended {
        Ok(result) => _ = gpu.end(result),
        Err(_) => drop(gpu),
    }
    residents.evict_tenant(&TenantId::new("a"), lane.as_mut()).unwrap();
}

fn what_b_finds(faults: Faults, ending: &str) -> (TestDevice, Vec<u8>) {
    let device = TestDevice::new(0, MEMORY, faults);
    let residents = Residents::new(64 << 10);
    job(&device, &residents, ending);
    assert_eq!((device.used_and_peak_bytes().0, residents.used_bytes()), (0, 0), "{ending}");
    assert!(device.used_and_peak_bytes().1 >= 8 * (5_000 + 777 + 3_000), "{ending}: the job took no memory");
    let found = all_that_is_had(&device, "b", 4_000);
    (device, found)
}

#[test]
fn another_tenant_finds_zeros_however_the_job_ended() {
    for ending in ["well", "cancelled", "out of memory", "panicked"] {
        let (_, found) = what_b_finds(Faults::none(), ending);
        assert!(found.len() > 1_000_000, "{ending}: {} bytes looked at", found.len());
        let other = found.iter().filter(|b| **b != 0).count();
        assert_eq!(other, 0, "{ending}: {other} bytes are not zero");
    }
}

#[test]
fn a_driver_that_does_not_zero_is_found_out() {
    for call in ["set", "chunk"] {
        let (_, found) = what_b_finds(Faults::on(call, Fault::Ignored), "well");
        assert!(found.iter().any(|b| *b != 0), "{call}: this test sees nothing");
        let secret = SECRET.to_le_bytes();
        let leaks = found.windows(8).filter(|w| *w == secret).count();
        assert_eq!(leaks > 0, call == "set", "{call}: {leaks} of the other's numbers");
    }
}

#[test]
fn memory_that_cannot_be_zeroed_is_handed_to_nobody() {
    for (call, fault) in [("set", Fault::Call), ("synchronize", Fault::Call), ("set", Fault::Lost)] {
        let faults = Faults::none();
        let device = TestDevice::new(0, MEMORY, faults.clone());
        let residents = Residents::new(0);
        let mut lane = device.open_lane(LanePriority::Normal).unwrap();
        let mut gpu = gpu(lane.as_mut(), device.descriptor(), &residents, "a");
        gpu.upload(&secrets(5_000)).unwrap();
        faults.replace(move |_, name| (name == call).then_some(fault));
        let report = gpu.end(Ok(Record::new()));
        let lost = matches!(report.result, Err(Failure::Fault(DeviceError::Lost(_))));
        assert!(lost, "{call}, {fault:?}: {:?}", report.result);
        assert_eq!((device.retired_bytes(), device.used_and_peak_bytes().0), (40_000, 40_000));
        assert_eq!(device.used_by(&TenantId::new("a")), 0, "it is no longer the tenant's");
        faults.replace(|_, _| None);
        if fault != Fault::Lost {
            let found = all_that_is_had(&device, "b", 512);
            assert_eq!(
                found.len() as u64,
                MEMORY - 40_448,
                "{call}, {fault:?}: all but that, in whole units"
            );
            assert!(found.iter().all(|b| *b == 0), "{call}, {fault:?}");
        }
        device.restart();
        assert_eq!((device.used_and_peak_bytes().0, device.retired_bytes()), (0, 0));
        assert_eq!(all_that_is_had(&device, "b", 512), vec![0; MEMORY as usize]);
    }
}

#[test]
fn one_failed_wait_costs_the_answer_and_no_memory() {
    let faults = Faults::none();
    let device = TestDevice::new(0, MEMORY, faults.clone());
    let residents = Residents::new(0);
    let mut lane = device.open_lane(LanePriority::Normal).unwrap();
    let mut gpu = gpu(lane.as_mut(), device.descriptor(), &residents, "a");
    gpu.upload(&secrets(5_000)).unwrap();
    let mut first = true;
    faults
        .replace(move |_, name| (name == "synchronize" && std::mem::take(&mut first)).then_some(Fault::Call));
    let result = gpu.end(Ok(Record::new())).result;
    assert!(matches!(result, Err(Failure::Fault(DeviceError::Call(_)))), "{result:?}");
    assert_eq!((device.used_and_peak_bytes().0, device.retired_bytes()), (0, 0));
    assert!(all_that_is_had(&device, "b", 4_000).iter().all(|b| *b == 0));
}
