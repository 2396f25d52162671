//! Equal small jobs as one, on every OpenCL device of this machine: each must get its own worked example's answer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_core::device::{DeviceError, DeviceHost, DeviceJob, InProcess, Isolation, LanePriority};
use offload_core::stack::{Stacked, alike, stacks};
use offload_core::{Case, Context, DeviceNeed, Expect, Failure, Registered, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;

/// Stacks tried of an operation.
const TRIED: usize = 6;

fn device_bytes(r: &Registered, case: &Case) -> Option<u64> {
    match r.operation.plan(case.inputs.specs()).ok()?.device {
        DeviceNeed::Bytes(bytes) => Some(bytes),
        DeviceNeed::CpuOnly(_) => None,
    }
}

#[test]
fn jobs_of_a_stack_get_their_own_answers_on_opencl() {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let devices = match opencl::list(&options) {
        Ok(devices) => devices,
        Err(why) => return println!("skipped: {why}"),
    };
    for descriptor in devices {
        let host = InProcess::new(opencl::open(descriptor.id, &options).unwrap());
        let mut lane = host.open(LanePriority::Normal).unwrap();
        for r in offload_ops::registry().iter().filter(|r| r.stacks) {
            let cases: Vec<Case> = r
                .operation
                .cases()
                .into_iter()
                .filter(|c| matches!(c.expect, Expect::Outputs(..) | Expect::Property(_)))
                .filter(|c| stacks(r, &c.inputs) && device_bytes(r, c).is_some())
                .collect();
            let mut held = 0;
            for first in &cases {
                if held == TRIED {
                    break;
                }
                // Different numbers where the examples have them: an answer to the wrong job would be seen.
                let mut jobs: Vec<&Case> =
                    cases.iter().filter(|c| alike(&c.inputs, &first.inputs)).take(3).collect();
                jobs.push(first);
                let inputs: Vec<_> = jobs.iter().map(|c| &c.inputs).collect();
                let Some(one) = Stacked::of(r, &inputs) else { continue };
                let reserved = jobs.iter().filter_map(|c| device_bytes(r, c)).sum::<u64>();
                assert!(one.device_bytes <= reserved, "{}: {} > {reserved}", r.full_name, one.device_bytes);
                let report = lane.run(DeviceJob {
                    operation: r,
                    inputs: one.inputs.clone(),
                    tenant: TenantId::new("t"),
                    reserved_bytes: one.device_bytes,
                    context: Context::default(),
                    isolation: Isolation::Shared,
                });
                if let Err(Failure::Fault(DeviceError::Unsupported(_))) = &report.result {
                    continue;
                }
                let outputs =
                    report.result.unwrap_or_else(|e| panic!("{}: {}: {e:?}", r.full_name, first.name));
                for (case, outputs) in jobs.iter().zip(one.apart(&outputs).unwrap()) {
                    case.check(&Ok(outputs))
                        .unwrap_or_else(|e| panic!("{}: {}: {e}", r.full_name, case.name));
                }
                held += 1;
            }
            println!("{held} stacks of {} on {}", r.full_name, descriptor.name);
            assert!(held >= 2, "{} says it takes stacks, and {held} of its examples do", r.full_name);
        }
    }
}
