//! Every operation's worked examples on every executor, and rules that every operation keeps.

use offload_api::{ENVELOPE_WORDS, Kind, nearest};
use offload_core::device::{Device, DeviceError, DeviceHost, DeviceJob, InProcess, Isolation, LanePriority};
use offload_core::{Context, DeviceNeed, Failure, Registered, TenantId};
use offload_devices::test_device::{Faults, TestDevice};
use std::sync::Arc;

fn registered() -> Vec<&'static Registered> {
    offload_ops::registry().iter().collect()
}

#[test]
fn every_case_holds_on_the_cpu() {
    let mut cases = 0;
    for r in registered() {
        for case in r.operation.cases() {
            let planned = r.operation.plan(case.inputs.specs());
            let result = planned
                .map_err(Failure::from)
                .and_then(|_| r.operation.cpu(case.inputs.clone(), &Context::default()));
            case.check(&result).unwrap_or_else(|e| panic!("{}: {}: {e}", r.full_name, case.name));
            cases += 1;
        }
    }
    println!("{cases} cases on the cpu");
    assert!(cases >= 20 * registered().len());
}

#[test]
fn every_case_with_a_device_path_holds_on_the_test_device() {
    let device = Arc::new(TestDevice::new(0, 1 << 30, Faults::none()));
    let host = InProcess::new(Arc::clone(&device) as Arc<dyn Device>);
    let mut lane = host.open(LanePriority::Normal).unwrap();
    let mut ran = 0;
    let mut failures = Vec::new();
    for r in registered() {
        for case in r.operation.cases() {
            let Ok(plan) = r.operation.plan(case.inputs.specs()) else { continue };
            let DeviceNeed::Bytes(bytes) = plan.device else { continue };
            let report = lane.run(DeviceJob {
                operation: r,
                inputs: case.inputs.clone(),
                tenant: TenantId::new("t"),
                reserved_bytes: bytes,
                context: Context::default(),
                isolation: Isolation::Shared,
            });
            let result = report.result;
            if matches!(result, Err(Failure::Fault(DeviceError::Unsupported(_)))) {
                // The test device has no compiler; what needs one is checked on a device that has.
                continue;
            }
            if let Err(e) = case.check(&result) {
                failures.push(format!("{}: {}: {e}", r.full_name, case.name));
            }
            assert_eq!(device.used_and_peak_bytes().0, 0, "{} leaves device memory taken", case.name);
            ran += 1;
        }
    }
    println!("{ran} cases on the test device");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(ran > 0);
}

#[test]
fn outputs_have_the_planned_shapes_and_stay_within_the_planned_bytes() {
    for r in registered() {
        for case in r.operation.cases() {
            let Ok(plan) = r.operation.plan(case.inputs.specs()) else { continue };
            let Ok(outputs) = r.operation.cpu(case.inputs.clone(), &Context::default()) else { continue };
            let about = format!("{}: {}", r.full_name, case.name);
            assert_eq!(
                plan.bytes_in,
                case.inputs.iter().map(|(_, v)| tensor_bytes(v)).sum::<u64>(),
                "{about}"
            );
            let out: u64 = outputs.iter().map(|(_, v)| tensor_bytes(v)).sum();
            assert!(out <= plan.bytes_out, "{about}: {out} bytes of {}", plan.bytes_out);
            for planned in &plan.outputs {
                let got = outputs.get(planned.name).unwrap_or_else(|| panic!("{about}: no {}", planned.name));
                if let (Some(spec), offload_api::Value::Tensor(t)) = (&planned.spec, got) {
                    assert_eq!(&t.spec(), spec, "{about}: {}", planned.name);
                }
            }
            assert_eq!(plan.outputs.len(), outputs.len(), "{about}");
        }
    }
}

fn tensor_bytes(value: &offload_api::Value) -> u64 {
    match value {
        offload_api::Value::Tensor(t) | offload_api::Value::Gapped(t) => t.bytes(),
        offload_api::Value::Matches(m) => m.bytes(),
        offload_api::Value::Bytes(b) => b.len() as u64,
        _ => 0,
    }
}

#[test]
fn names_are_terms_that_shadow_nothing() {
    for r in registered() {
        let snake = |n: &str| n.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        assert!(snake(r.about.family) && snake(r.about.name), "{}", r.full_name);
        assert!(!["batch", "async"].contains(&r.about.name), "{} is a word of the routes", r.full_name);
        for name in r.schema.fields.iter().chain(&r.about.outputs).map(|f| f.name) {
            assert!(snake(name), "{}: {name}", r.full_name);
            assert!(!ENVELOPE_WORDS.contains(&name), "{}: {name} shadows the envelope", r.full_name);
        }
        for field in &r.schema.fields {
            if let Kind::Choice(words) = &field.kind {
                assert!(!words.is_empty());
            }
            assert!(
                !matches!(field.kind, Kind::Matches(_)),
                "{}: {} cannot be sent",
                r.full_name,
                field.name
            );
            assert!(!field.doc.trim().is_empty(), "{}: {} has no meaning", r.full_name, field.name);
        }
        assert!(!r.about.doc.trim().is_empty() && !r.about.summary.is_empty(), "{}", r.full_name);
    }
    assert_eq!(nearest("multiplly", registered().iter().map(|r| r.about.name)), Some("multiply"));
}
