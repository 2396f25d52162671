//! Every operation's worked examples on every OpenCL device of this machine: PoCL where there is no card.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_core::device::{DeviceError, DeviceHost, DeviceJob, InProcess, LanePriority};
use offload_core::{Context, DeviceNeed, Failure, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;
use std::collections::BTreeMap;

#[test]
fn every_case_with_a_device_path_holds_on_opencl() {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let devices = match opencl::list(&options) {
        Ok(devices) => devices,
        Err(why) => return println!("skipped: {why}"),
    };
    for descriptor in devices {
        let host = InProcess::new(opencl::open(descriptor.id, &options).unwrap());
        let mut lane = host.open(LanePriority::Normal).unwrap();
        let mut failures = Vec::new();
        let (mut ran, mut unsupported) = (BTreeMap::<&str, usize>::new(), BTreeMap::<String, usize>::new());
        for r in offload_ops::registry().iter() {
            for case in r.operation.cases() {
                let Ok(plan) = r.operation.plan(case.inputs.specs()) else { continue };
                let DeviceNeed::Bytes(bytes) = plan.device else { continue };
                let report = lane.run(DeviceJob {
                    operation: r,
                    inputs: case.inputs.clone(),
                    tenant: TenantId::new("t"),
                    reserved_bytes: bytes,
                    context: Context::default(),
                });
                if let Err(Failure::Fault(DeviceError::Unsupported(why))) = &report.result {
                    *unsupported.entry(format!("{}: {why}", r.full_name)).or_default() += 1;
                    continue;
                }
                if let Err(e) = case.check(&report.result) {
                    failures.push(format!("{}: {}: {e}", r.full_name, case.name));
                }
                let left = host.health().unwrap().memory_used_bytes;
                assert_eq!(left, 0, "{}: {} leaves device memory taken", r.full_name, case.name);
                *ran.entry(&r.full_name).or_default() += 1;
            }
        }
        println!("on {}:", descriptor.name);
        for (operation, cases) in &ran {
            println!("  {cases:4} cases of {operation}");
        }
        for (why, cases) in &unsupported {
            println!("  {cases:4} cases unsupported, {why}");
        }
        assert!(failures.is_empty(), "{}: {}", descriptor.name, failures.join("\n"));
        assert!(ran.contains_key("matrix.multiply"), "nothing ran on {}", descriptor.name);
    }
}
