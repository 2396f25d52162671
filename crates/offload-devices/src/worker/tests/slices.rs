//! Tenants with a slice of their own: test devices that stand for the slices which their processes are started for.

use super::made::job;
use super::settings;
use crate::discover;
use crate::worker::{IsolatingHost, Slices, WorkerSettings};
use offload_api::Value;
use offload_core::device::{
    DeviceError, DeviceHost, DeviceReport, Isolation, JobLane, LanePriority, Slice, SliceUse,
};
use offload_core::{Cancel, Context, Failure, Progress, TenantId};
use std::sync::Mutex;

const MIB: u64 = 1 << 20;

fn slice(uuid: &str, part: u32, mib: u64) -> Slice {
    Slice { uuid: format!("MIG-{uuid}"), part, memory_bytes: mib * MIB, units: 1 }
}

fn there(visible: &str, memory_bytes: u64) -> WorkerSettings {
    let mut settings = settings("");
    settings.options.open.visible = Some(visible.into());
    settings.options.open.test_memory_bytes = memory_bytes;
    if visible == "MIG-gone" {
        settings.launch.program = "/nonexistent".into();
    }
    settings
}

/// A card that is cut like this, the worker for everybody being in the first; what a second look finds; and one place for
/// a worker in a share.
fn cut_and_then(seen: &[Slice], then: &[Slice]) -> IsolatingHost {
    let device = discover::open("test:0", &discover::Options::default()).unwrap();
    let mut card = device.descriptor().clone();
    (card.uuid, card.slices) = (Some(seen[0].uuid.clone()), Some(seen.to_vec()));
    let first = || there(&seen[0].uuid, 32 * MIB);
    let then = then.to_vec();
    let host = IsolatingHost::new("test:0".into(), card, first(), first(), 1).with_slices(Slices {
        seen: seen.to_vec(),
        settings: Box::new(|s| (there(&s.uuid, s.memory_bytes), s.memory_bytes)),
        look: Box::new(move || Ok(then.clone())),
    });
    host.health().unwrap();
    host
}

fn cut(seen: &[Slice]) -> IsolatingHost {
    cut_and_then(seen, seen)
}

/// A large slice for everybody and two small ones.
fn three() -> [Slice; 3] {
    [slice("large", 1, 96), slice("a", 7, 32), slice("b", 9, 32)]
}

fn run_of(lane: &mut dyn JobLane, tenant: &str, isolation: Isolation, mib: u64) -> DeviceReport {
    let mut job = job("alone", tenant, &[]);
    (job.isolation, job.reserved_bytes) = (isolation, mib * MIB);
    lane.run(job)
}

fn run(lane: &mut dyn JobLane, tenant: &str) -> DeviceReport {
    run_of(lane, tenant, Isolation::Mig, 24)
}

/// The slice in which a job ran.
fn ran_in(report: DeviceReport) -> String {
    match report.result.unwrap().get("result") {
        Some(Value::Text(slice)) => slice.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Why it did not run.
fn fault(report: DeviceReport) -> DeviceError {
    match report.result {
        Err(Failure::Fault(e)) => e,
        other => panic!("{other:?}"),
    }
}

fn uses(host: &IsolatingHost) -> Vec<(String, SliceUse)> {
    host.slices().into_iter().map(|s| (s.slice.uuid, s.used)).collect()
}

/// A job of this tenant that runs until it is cancelled.
fn busy(host: &IsolatingHost, tenant: &'static str) -> impl FnOnce() + use<> {
    let mut lane = host.open(LanePriority::Normal).unwrap();
    let cancel = Cancel::new();
    let asked = cancel.clone();
    let running = std::thread::spawn(move || {
        let mut job = job("spin", tenant, &[]);
        (job.context, job.isolation) = (Context::new(asked, Progress::new()), Isolation::Mig);
        lane.run(job)
    });
    move || {
        cancel.cancel();
        assert!(matches!(running.join().unwrap().result, Err(Failure::Cancelled)));
    }
}

#[test]
fn tenants_have_different_slices_and_a_third_waits_for_one_to_be_idle() {
    let host = cut(&three());
    let mut lane = host.open(LanePriority::Normal).unwrap();
    let (a, b) = (ran_in(run(lane.as_mut(), "a")), ran_in(run(lane.as_mut(), "b")));
    assert_eq!([a.as_str(), b.as_str()], ["MIG-a", "MIG-b"]);
    assert_eq!(ran_in(run(lane.as_mut(), "a")), a, "it stays the tenant's");
    // Who shares, and who shares no process, is in the large one.
    assert_eq!(ran_in(run_of(lane.as_mut(), "s", Isolation::Shared, 24)), "MIG-large");
    assert_eq!(ran_in(run_of(lane.as_mut(), "p", Isolation::Process, 24)), "MIG-large");
    let used = [("large", SliceUse::Shared), ("a", SliceUse::Tenant), ("b", SliceUse::Tenant)];
    assert_eq!(uses(&host), used.map(|(uuid, used)| (format!("MIG-{uuid}"), used)));
    assert!(host.slices().iter().all(|s| s.memory_used_bytes.is_some()));

    let (stop_a, stop_b) = (busy(&host, "a"), busy(&host, "b"));
    super::until("both are at work", || host.declines(&TenantId::new("c"), Isolation::Mig, MIB).is_some());
    let why = "the 2 slices (MIG) of device 0 for tenants that hold 25165824 bytes are all at work";
    assert_eq!(fault(run(lane.as_mut(), "c")), DeviceError::NoPlace(why.into()));
    assert_eq!(host.declines(&TenantId::new("c"), Isolation::Mig, 24 * MIB).as_deref(), Some(why));
    assert_eq!(host.declines(&TenantId::new("a"), Isolation::Mig, 24 * MIB), None);
    let before = host.pid_of(&TenantId::new("b")).unwrap();
    stop_b();
    assert_eq!(ran_in(run(lane.as_mut(), "c")), b);
    assert!(!std::path::Path::new(&format!("/proc/{before}")).exists(), "who was there has gone before");
    assert_eq!(host.pid_of(&TenantId::new("b")), None);
    stop_a();
    assert_eq!(ran_in(run(lane.as_mut(), "b")), a, "that of the tenant whose last job is the longest ago");
}

#[test]
fn no_two_tenants_are_in_a_slice_at_once() {
    const TENANTS: [&str; 5] = ["a", "b", "c", "d", "e"];
    let host = cut(&three());
    let seen = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for tenant in TENANTS {
            let mut lane = host.open(LanePriority::Normal).unwrap();
            let seen = &seen;
            scope.spawn(move || {
                for _ in 0..3 {
                    let report = run(lane.as_mut(), tenant);
                    match report.result {
                        Ok(_) => seen.lock().unwrap().push((tenant, ran_in(report))),
                        Err(Failure::Fault(DeviceError::NoPlace(_))) => {}
                        Err(other) => panic!("{tenant}: {other:?}"),
                    }
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    assert!(seen.iter().all(|(_, slice)| ["MIG-a", "MIG-b"].contains(&slice.as_str())), "{seen:?}");
    assert!(["MIG-a", "MIG-b"].iter().all(|slice| seen.iter().any(|(_, s)| s == slice)), "{seen:?}");
}

#[test]
fn a_killed_workers_slice_stays_the_tenants() {
    let host = cut(&three());
    let mut lane = host.open(LanePriority::Normal).unwrap();
    let first = ran_in(run(lane.as_mut(), "a"));
    let pid = host.pid_of(&TenantId::new("a")).unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    assert_ne!(ran_in(run(lane.as_mut(), "b")), first);
    super::until("it runs again", || match run(lane.as_mut(), "a").result {
        Err(Failure::Fault(DeviceError::Call(why))) => {
            assert!(why.contains("own worker"), "{why}");
            false
        }
        result => {
            assert_eq!(ran_in(DeviceReport { result, timings: Default::default() }), first);
            true
        }
    });
    assert!(host.pid_of(&TenantId::new("a")).is_some_and(|now| now != pid));
}

#[test]
fn a_tenant_gets_the_smallest_slice_that_holds_its_first_job() {
    let host = cut(&[slice("large", 1, 96), slice("middle", 2, 64), slice("small", 3, 32)]);
    let mut lane = host.open(LanePriority::Normal).unwrap();
    assert_eq!(ran_in(run_of(lane.as_mut(), "a", Isolation::Mig, 40)), "MIG-middle");
    assert_eq!(ran_in(run_of(lane.as_mut(), "b", Isolation::Mig, 8)), "MIG-small");
    let why = "needs 41943040 device bytes, the tenant's slice of device 0 has 33554432";
    assert_eq!(
        fault(run_of(lane.as_mut(), "b", Isolation::Mig, 40)),
        DeviceError::Unsupported(why.into()),
        "it keeps the slice that it has"
    );
    let why =
        "needs 83886080 device bytes, the largest of the slices (MIG) of device 0 for tenants has 67108864";
    assert_eq!(host.declines(&TenantId::new("c"), Isolation::Mig, 80 * MIB).as_deref(), Some(why));
    assert_eq!(fault(run_of(lane.as_mut(), "c", Isolation::Mig, 80)), DeviceError::Unsupported(why.into()));
    // The only place that is large enough is idle.
    assert_eq!(ran_in(run_of(lane.as_mut(), "c", Isolation::Mig, 40)), "MIG-middle");
}

#[test]
fn slices_that_share_their_memory_are_used_one_at_a_time() {
    // Two compute instances in each of two GPU instances.
    let all = [slice("large", 1, 96), slice("beside", 1, 96), slice("a", 2, 32), slice("b", 2, 32)];
    let host = cut(&all);
    let mut lane = host.open(LanePriority::Normal).unwrap();
    let stop = busy(&host, "a");
    let declined = || host.declines(&TenantId::new("b"), Isolation::Mig, MIB);
    super::until("it is at work", || declined().is_some());
    assert!(matches!(fault(run(lane.as_mut(), "b")), DeviceError::NoPlace(_)));
    let used = [
        ("large", SliceUse::Shared),
        ("beside", SliceUse::Shut),
        ("a", SliceUse::Tenant),
        ("b", SliceUse::Shut),
    ];
    assert_eq!(uses(&host), used.map(|(uuid, used)| (format!("MIG-{uuid}"), used)));
    stop();
    assert_eq!(declined(), None);
}

#[test]
fn slices_are_looked_for_again_after_a_worker_did_not_start() {
    let before = [slice("large", 1, 96), slice("gone", 2, 24), slice("b", 3, 32)];
    let after = [slice("large", 1, 96), slice("b", 3, 32), slice("new", 2, 24)];
    let host = cut_and_then(&before, &after);
    let mut lane = host.open(LanePriority::Normal).unwrap();
    let e = fault(run(lane.as_mut(), "a"));
    assert!(matches!(&e, DeviceError::Call(why) if why.contains("does not start")), "{e}");
    assert_eq!(host.declines(&TenantId::new("a"), Isolation::Mig, 24 * MIB), None, "nobody knows");
    assert_eq!(ran_in(run(lane.as_mut(), "a")), "MIG-new");
    assert_eq!(ran_in(run(lane.as_mut(), "b")), "MIG-b");
}

#[test]
fn a_card_without_a_slice_to_give_says_so() {
    let only = cut(&[slice("large", 1, 96)]);
    let whole = {
        let device = discover::open("test:0", &discover::Options::default()).unwrap();
        IsolatingHost::new("test:0".into(), device.descriptor().clone(), settings(""), settings(""), 0)
    };
    whole.health().unwrap();
    let why = "there are no slices (MIG) of device 0 for tenants";
    for host in [only, whole] {
        let mut lane = host.open(LanePriority::Normal).unwrap();
        assert_eq!(fault(run(lane.as_mut(), "a")), DeviceError::Unsupported(why.into()));
        assert_eq!(host.declines(&TenantId::new("a"), Isolation::Mig, MIB).as_deref(), Some(why));
        assert_eq!(host.declines(&TenantId::new("a"), Isolation::Shared, MIB), None);
        assert!(run_of(lane.as_mut(), "a", Isolation::Shared, 24).result.is_ok());
    }
}

#[test]
fn a_worker_that_sees_another_slice_than_its_own_serves_nobody() {
    let mut card = discover::open("test:0", &discover::Options::default()).unwrap().descriptor().clone();
    (card.uuid, card.slices) = (Some("MIG-large".into()), Some(three().to_vec()));
    let own = there("MIG-b", 32 * MIB);
    let wrong = Slices {
        seen: three().to_vec(),
        settings: Box::new(move |s| (own.clone(), s.memory_bytes)),
        look: Box::new(|| Err("nothing is seen".into())),
    };
    let host = IsolatingHost::new("test:0".into(), card, there("MIG-large", 32 * MIB), settings(""), 0);
    let host = host.with_slices(wrong);
    host.health().unwrap();
    let mut lane = host.open(LanePriority::Normal).unwrap();
    let e = fault(run(lane.as_mut(), "a"));
    assert!(e.to_string().contains("is now MIG-b, it was MIG-a"), "{e}");
    assert_eq!(host.pid_of(&TenantId::new("a")), None);
    // Where nothing is seen, the slices are those from before.
    assert!(fault(run(lane.as_mut(), "a")).to_string().contains("is now MIG-b"));
}
