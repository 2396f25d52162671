//! Every operation's worked examples across the boundary, on test devices and on OpenCL, and what that costs.

use crate::service::BINARY;
use offload_api::{Tensor, Value};
use offload_core::device::{
    Descriptor, DeviceError, DeviceHost, DeviceJob, InProcess, Isolation, JobLane, LanePriority,
};
use offload_core::{Context, DeviceNeed, Failure, Registered, TenantId};
use offload_devices::discover::{Options, list, open};
use offload_devices::worker::{Launch, ServeOptions, WorkerHost, WorkerSettings};
use std::time::{Duration, Instant};

/// One in so many worked examples crosses the boundary on OpenCL, of each operation the first.
const EVERY: usize = 10;

fn options() -> Options {
    Options { allow_cpu_opencl: true, test_memory_bytes: 1 << 30, ..Options::default() }
}

/// A device in a worker of the real binary.
fn far(selector: &str, descriptor: Descriptor) -> WorkerHost {
    let settings = WorkerSettings {
        launch: Launch { program: BINARY.into(), arguments: vec!["worker".into()], environment: Vec::new() },
        options: ServeOptions { open: options(), ..ServeOptions::default() },
        watchdog: None,
        cancel_grace: Duration::from_secs(5),
        start_timeout: Duration::from_secs(60),
        answer_timeout: Duration::from_secs(10),
    };
    let host = WorkerHost::new(selector.into(), descriptor, settings);
    host.health().expect("the worker starts");
    host
}

/// The devices of this machine that stand for real ones; an OpenCL device is asked for in a process of its own, as
/// each test is one.
fn selectors() -> Vec<(String, Descriptor)> {
    let test = open("test:0", &options()).expect("a test device").descriptor().clone();
    let mut found = vec![("test:0".to_string(), test)];
    match list(offload_core::device::Backend::OpenCl, &options()) {
        Ok(devices) => found.extend(devices.into_iter().map(|d| (format!("opencl:{}", d.id), d))),
        Err(why) => println!("skipped opencl: {why}"),
    }
    found
}

fn job(operation: &'static Registered, inputs: offload_api::Record, reserved_bytes: u64) -> DeviceJob {
    let tenant = TenantId::new("t");
    DeviceJob {
        operation,
        inputs,
        tenant,
        reserved_bytes,
        context: Context::default(),
        isolation: Isolation::Shared,
    }
}

#[test]
fn every_case_with_a_device_path_holds_in_a_worker() {
    for (selector, descriptor) in selectors() {
        let host = far(&selector, descriptor);
        let mut lane = host.open(LanePriority::Normal).expect("a lane");
        let (mut ran, mut unsupported) = (0, 0);
        for r in offload_ops::registry().iter() {
            // All of them run on OpenCL with the proof of the kernels; here it is the way there and back that counts.
            let every = if selector.starts_with("opencl") { EVERY } else { 1 };
            for case in r.operation.cases().into_iter().step_by(every) {
                let Ok(plan) = r.operation.plan(case.inputs.specs()) else { continue };
                let DeviceNeed::Bytes(bytes) = plan.device else { continue };
                let result = lane.run(job(r, case.inputs.clone(), bytes)).result;
                if matches!(result, Err(Failure::Fault(DeviceError::Unsupported(_)))) {
                    unsupported += 1;
                    continue;
                }
                case.check(&result)
                    .unwrap_or_else(|e| panic!("{selector}: {}: {}: {e}", r.full_name, case.name));
                ran += 1;
            }
        }
        println!("{selector}: {ran} cases hold in a worker, {unsupported} are unsupported");
        assert!(ran > 20, "{selector}");
        assert_eq!(host.restarts(), 0);
    }
}

#[test]
fn a_worker_costs_little() {
    let multiply = offload_ops::registry().find("matrix", "multiply").expect("an operation");
    let square = |n: usize| {
        let t =
            Tensor::new([n, n], (0..n * n).map(|i| (i % 7) as f64).collect::<Vec<f64>>()).expect("a matrix");
        offload_api::Record::new().with("a", Value::Tensor(t.clone())).with("b", Value::Tensor(t))
    };
    let median = |lane: &mut dyn JobLane, n: usize| {
        let inputs = square(n);
        let plan = multiply.operation.plan(inputs.specs()).expect("a plan");
        let DeviceNeed::Bytes(bytes) = plan.device else { panic!("no device path") };
        let mut took: Vec<Duration> = (0..200)
            .map(|_| {
                let job = job(multiply, inputs.clone(), bytes);
                let start = Instant::now();
                lane.run(job).result.expect("a product");
                start.elapsed()
            })
            .collect();
        took.sort();
        took[took.len() / 2]
    };
    for (selector, descriptor) in selectors() {
        let near = InProcess::new(open(&selector, &options()).expect("the device"));
        let far = far(&selector, descriptor);
        let mut near = near.open(LanePriority::Normal).expect("a lane");
        let mut far = far.open(LanePriority::Normal).expect("a lane");
        for n in [2, 16, 64] {
            let pairs: Vec<(Duration, Duration)> =
                (0..5).map(|_| (median(near.as_mut(), n), median(far.as_mut(), n))).collect();
            let mut more: Vec<i64> =
                pairs.iter().map(|(a, b)| b.as_micros() as i64 - a.as_micros() as i64).collect();
            more.sort_unstable();
            println!("{selector}: {n} x {n}: {} µs more in a worker; pairs {pairs:?}", more[2]);
            // The promise is 150 µs; other work on the machine may take as much again and more.
            assert!(more[0] < 2000, "{more:?}");
        }
    }
}
