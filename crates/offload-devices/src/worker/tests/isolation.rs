//! Tenants with a worker of their own.

use super::made::job;
use super::{numbers, settings};
use crate::discover;
use crate::worker::IsolatingHost;
use offload_api::{Tensor, Value};
use offload_core::device::{DeviceError, DeviceHost, DeviceReport, Isolation, JobLane, LanePriority};
use offload_core::{Cancel, Context, Failure, Progress, TenantId};

fn isolating(faults: &str, places: usize) -> (IsolatingHost, Box<dyn JobLane>) {
    let device = discover::open("test:0", &discover::Options::default()).unwrap();
    let descriptor = device.descriptor().clone();
    let host = IsolatingHost::new("test:0".into(), descriptor, settings(""), settings(faults), places);
    host.health().unwrap();
    let lane = host.open(LanePriority::Normal).unwrap();
    (host, lane)
}

fn run(lane: &mut dyn JobLane, tenant: &str, isolation: Isolation) -> DeviceReport {
    let a = Value::Tensor(Tensor::vector(vec![1.5, 2.0]));
    let mut job = job("double", tenant, &[("a", a)]);
    job.isolation = isolation;
    lane.run(job)
}

fn right(report: DeviceReport) {
    assert_eq!(numbers(&report.result.unwrap(), "result"), [3.0, 4.0]);
}

#[test]
fn a_tenants_own_worker_serves_it_alone_and_dies_alone() {
    // What the tenants' own workers do, loses their device at the third download.
    let (host, mut lane) = isolating("lost/download@3", 2);
    let pid = |tenant: &str| host.pid_of(&TenantId::new(tenant));
    right(run(lane.as_mut(), "s", Isolation::Shared));
    assert_eq!(pid("s"), None);
    right(run(lane.as_mut(), "a", Isolation::Process));
    right(run(lane.as_mut(), "b", Isolation::Process));
    let (a, b) = (pid("a").unwrap(), pid("b").unwrap());
    assert_ne!(a, b);
    right(run(lane.as_mut(), "a", Isolation::Process));
    assert_eq!(pid("a"), Some(a), "it stays");
    // The worker of a is lost: for the device that is a failed call, which it outlives.
    let report = run(lane.as_mut(), "a", Isolation::Process);
    let Err(Failure::Fault(e @ DeviceError::Call(_))) = report.result else { panic!("{:?}", report.result) };
    assert!(!e.is_sticky() && e.to_string().contains("own worker"), "{e}");
    right(run(lane.as_mut(), "s", Isolation::Shared));
    right(run(lane.as_mut(), "b", Isolation::Process));
    assert_eq!(pid("b"), Some(b));
    // It has a new one for its next job.
    right(run(lane.as_mut(), "a", Isolation::Process));
    assert!(pid("a").is_some_and(|pid| pid != a));
    assert_eq!(host.restarts(), 0);
}

#[test]
fn a_place_goes_to_who_comes_and_its_process_ends() {
    let (host, mut lane) = isolating("", 1);
    let mut realtime = host.open(LanePriority::High).unwrap();
    right(run(lane.as_mut(), "a", Isolation::Process));
    right(run(realtime.as_mut(), "a", Isolation::Process));
    let a = host.pid_of(&TenantId::new("a")).unwrap();
    right(run(lane.as_mut(), "b", Isolation::Process));
    assert_eq!(host.pid_of(&TenantId::new("a")), None);
    super::until("the process of a has ended", || !std::path::Path::new(&format!("/proc/{a}")).exists());
    // The lane that led there starts another.
    right(run(realtime.as_mut(), "a", Isolation::Process));
    // While the only place is at work, nobody else gets it.
    let cancel = Cancel::new();
    let asked = cancel.clone();
    let busy = std::thread::spawn(move || {
        let mut job = job("spin", "a", &[]);
        job.context = Context::new(asked, Progress::new());
        job.isolation = Isolation::Process;
        realtime.run(job)
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    let report = run(lane.as_mut(), "b", Isolation::Process);
    let Err(Failure::Fault(DeviceError::NoPlace(why))) = report.result else { panic!("{:?}", report.result) };
    assert!(why.contains("all at work"), "{why}");
    cancel.cancel();
    assert!(matches!(busy.join().unwrap().result, Err(Failure::Cancelled)));
    right(run(lane.as_mut(), "b", Isolation::Process));
}
