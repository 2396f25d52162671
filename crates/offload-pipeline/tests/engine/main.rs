//! The engine with operations made for the purpose: ones that never stop, panic, fail, or count their runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod made;
mod places;

use made::{Made, Outcomes, caller, config, request};
use offload_api::{DeviceChoice, ErrorCode, Priority, ResidentKey, Tensor, Value};
use offload_core::device::{Device, DeviceHost, InProcess};
use offload_core::{Registry, TenantId};
use offload_devices::test_device::{Fault, Faults, TestDevice};
use offload_pipeline::engine::{DeviceState, Pipeline};
use offload_pipeline::settle::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn pipeline(devices: Vec<Arc<dyn DeviceHost>>) -> Arc<Pipeline> {
    let registry = Registry::new(made::operations().iter().copied());
    Pipeline::start(config(), &registry, devices, Arc::new(()), Box::new(|_| ()), None).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn reserved(p: &Pipeline) -> u64 {
    p.snapshot().tenants.iter().map(|t| t.reserved.host_bytes).sum()
}

#[test]
fn a_timeout_is_answered_at_once_and_the_quota_stays_charged_while_the_core_burns() {
    let p = pipeline(vec![]);
    let outcomes = Outcomes::default();
    let mut r = request(&caller("a"), Made::Stubborn, 400.0);
    r.options.timeout_ms = Some(30);
    let start = Instant::now();
    let ticket = p.submit(r, outcomes.reply());
    let outcome = outcomes.wait(1).remove(0);
    assert!(start.elapsed() < Duration::from_millis(200), "answered after {:?}", start.elapsed());
    let error = outcome.result.unwrap_err();
    assert_eq!(error.error, ErrorCode::Timeout);
    assert_eq!(error.message, "Workload exceeded 30ms timeout");
    assert!(reserved(&p) > 0, "the job still runs, so its memory is still charged");
    ticket.answered();
    until("the quota comes back", || reserved(&p) == 0);
    assert!(start.elapsed() >= Duration::from_millis(400), "it came back before the core was free");
}

#[test]
fn stuck_lanes_are_replaced_so_that_others_are_not_delayed() {
    let p = pipeline(vec![]);
    let outcomes = Outcomes::default();
    for _ in 0..2 {
        let mut r = request(&caller("a"), Made::Stubborn, 1_500.0);
        r.options.timeout_ms = Some(20);
        r.options.cache = Some(false);
        p.submit(r, outcomes.reply()).answered();
    }
    outcomes.wait(2);
    let after = Outcomes::default();
    let start = Instant::now();
    p.submit(request(&caller("b"), Made::Sleep, 1.0), after.reply()).answered();
    assert!(after.wait(1).remove(0).result.is_ok());
    assert!(start.elapsed() < Duration::from_millis(500), "delayed by {:?}", start.elapsed());
}

#[test]
fn realtime_work_has_a_bound_of_its_own_for_running_on_its_callers_thread() {
    let mut config = config();
    config.run.inline_realtime_max_us = 20_000.0;
    let registry = Registry::new(made::operations().iter().copied());
    let p = Pipeline::start(config, &registry, vec![], Arc::new(()), Box::new(|_| ()), None).unwrap();
    for (priority, inline) in [(Priority::Realtime, true), (Priority::High, false)] {
        let outcomes = Outcomes::default();
        let mut r = request(&caller("a"), Made::Sleep, 30.0);
        r.options.priority = Some(priority);
        let start = Instant::now();
        p.submit(r, outcomes.reply()).answered();
        // Whoever submits comes back at once, or with the answer.
        assert_eq!(start.elapsed() >= Duration::from_millis(30), inline, "{priority:?}");
        assert!(outcomes.wait(1).remove(0).result.is_ok());
    }
}

#[test]
fn equal_requests_are_computed_once_and_a_leader_that_leaves_fails_nobody() {
    let p = pipeline(vec![]);
    made::RUNS.store(0, std::sync::atomic::Ordering::SeqCst);
    let (first, rest) = (Outcomes::default(), Outcomes::default());
    let mut r = request(&caller("a"), Made::Count, 150.0);
    r.options.priority = Some(Priority::Low);
    r.options.cache = Some(true);
    let leader = p.submit(r, first.reply());
    for i in 0..99 {
        let mut r = request(&caller("a"), Made::Count, 150.0);
        r.options.cache = Some(true);
        r.options.priority = Some(if i == 0 { Priority::High } else { Priority::Medium });
        p.submit(r, rest.reply()).answered();
    }
    drop(leader);
    assert_eq!(first.wait(1).remove(0).result.unwrap_err().error, ErrorCode::Conflict);
    assert!(rest.wait(99).iter().all(|o| o.result.is_ok()));
    assert_eq!(made::RUNS.load(std::sync::atomic::Ordering::SeqCst), 1);
    let again = Outcomes::default();
    let mut r = request(&caller("a"), Made::Count, 150.0);
    r.options.cache = Some(true);
    p.submit(r, again.reply()).answered();
    assert!(again.wait(1).remove(0).result.unwrap().cache_hit);
    let other = Outcomes::default();
    let mut r = request(&caller("b"), Made::Count, 150.0);
    r.options.cache = Some(true);
    p.submit(r, other.reply()).answered();
    assert!(!other.wait(1).remove(0).result.unwrap().cache_hit, "a hit across tenants");
}

#[test]
fn a_panic_is_an_internal_error_and_the_lane_lives_on() {
    let p = pipeline(vec![]);
    for made in [Made::Panic, Made::Sleep, Made::Panic, Made::Sleep] {
        let outcomes = Outcomes::default();
        p.submit(request(&caller("a"), made, 1.0), outcomes.reply()).answered();
        match outcomes.wait(1).remove(0).result {
            Ok(_) => assert!(matches!(made, Made::Sleep)),
            Err(e) => {
                assert!(matches!(made, Made::Panic));
                assert_eq!(e.error, ErrorCode::Internal);
                assert!(!e.message.contains("secret"), "the cause is for the log");
            }
        }
    }
    assert_eq!(reserved(&p), 0);
}

fn host(device: &Arc<TestDevice>) -> Arc<dyn DeviceHost> {
    Arc::new(InProcess::new(Arc::clone(device) as Arc<dyn offload_core::device::Device>))
}

fn device_job(p: &Pipeline, choice: DeviceChoice) -> Outcome {
    device_job_on(p, choice, Tensor::vector(vec![1.0, 2.5]))
}

fn device_job_on(p: &Pipeline, choice: DeviceChoice, a: Tensor) -> Outcome {
    let outcomes = Outcomes::default();
    let mut r = request(&caller("a"), Made::Double, 0.0);
    r.inputs.set("a", Value::Tensor(offload_api::Source::Inline(a)));
    r.options.device = choice;
    r.options.cache = Some(false);
    p.submit(r, outcomes.reply()).answered();
    outcomes.wait(1).remove(0)
}

fn right(outcome: &Outcome) {
    let answer = outcome.result.as_ref().unwrap_or_else(|e| panic!("{e:?}"));
    let Some(Value::Tensor(t)) = answer.outputs.get("result") else { panic!("no result") };
    assert_eq!(t.as_slice::<f64>(), Some(&[2.0, 5.0][..]));
}

#[test]
fn a_job_runs_on_a_device_and_every_kind_of_fault_ends_in_one_right_answer() {
    let device = Arc::new(TestDevice::new(0, 1 << 20, Faults::none()));
    let p = pipeline(vec![host(&device)]);
    let outcome = device_job(&p, DeviceChoice::Gpu);
    right(&outcome);
    assert_eq!(outcome.result.unwrap().device_id, Some(0));
    for fault in [Fault::OutOfMemory, Fault::Call, Fault::Lost, Fault::Panic] {
        for call in ["alloc", "upload", "synchronize", "download"] {
            // A pipeline of its own: what the CPU was seen to take would make it the first choice, and no fallback.
            let faults = Faults::on(call, fault);
            let p = pipeline(vec![host(&Arc::new(TestDevice::new(0, 1 << 20, faults)))]);
            let outcome = device_job(&p, DeviceChoice::Auto);
            right(&outcome);
            let answer = outcome.result.unwrap();
            assert_eq!(answer.device_id, None, "{fault:?} in {call}");
            assert!(answer.fallback.is_some(), "{fault:?} in {call}: a silent fallback");
        }
    }
    right(&device_job(&p, DeviceChoice::Gpu));
    assert_eq!(device.used_and_peak_bytes().0, 0);
    assert_eq!(p.snapshot().tenants.iter().map(|t| t.reserved.device_bytes).sum::<u64>(), 0);
}

#[test]
fn equal_small_jobs_that_wait_for_a_device_are_started_together() {
    let device = Arc::new(TestDevice::new(0, 1 << 20, Faults::none()));
    let p = pipeline(vec![host(&device)]);
    let submit = |tenant: &str, ms: f64, a: Vec<f64>| {
        let outcomes = Outcomes::default();
        let mut r = request(&caller(tenant), Made::Root, ms);
        r.inputs.set("a", Value::Tensor(offload_api::Source::Inline(Tensor::vector(a))));
        r.options.device = DeviceChoice::Gpu;
        r.options.cache = Some(false);
        p.submit(r, outcomes.reply()).answered();
        outcomes
    };
    // While the first runs, the others come: five of one tenant, of which one has no answer; one of another tenant, and
    // one of another length.
    let mut all = vec![(submit("a", 100.0, vec![1.0, 4.0]), Some(vec![1.0, 2.0]))];
    until("the first runs", || made::ROWS.lock().unwrap().len() == 1);
    for n in 1..=4 {
        let root = f64::from(n);
        all.push((submit("a", 0.0, vec![root * root, 25.0]), Some(vec![root, 5.0])));
    }
    all.push((submit("b", 0.0, vec![9.0, 16.0]), Some(vec![3.0, 4.0])));
    all.push((submit("a", 0.0, vec![36.0]), Some(vec![6.0])));
    for (outcomes, expected) in all.drain(..) {
        let answer = outcomes.wait(1).remove(0).result.unwrap();
        let Some(Value::Tensor(t)) = answer.outputs.get("result") else { panic!("no result") };
        assert_eq!((t.as_slice::<f64>().map(<[f64]>::to_vec), answer.device_id), (expected, Some(0)));
    }
    assert_eq!(*made::ROWS.lock().unwrap(), [1, 4, 1, 1]);
    // One without an answer fails alone, after all of them were tried as one.
    made::ROWS.lock().unwrap().clear();
    let first = submit("a", 100.0, vec![0.0, 0.0]);
    until("the first runs", || made::ROWS.lock().unwrap().len() == 1);
    let others = [4.0, -1.0, 16.0].map(|x| submit("a", 0.0, vec![x, 1.0]));
    assert!(first.wait(1).remove(0).result.is_ok());
    let ok = others.map(|o| o.wait(1).remove(0).result.map_err(|e| e.error));
    assert!(ok[0].is_ok() && ok[2].is_ok(), "{ok:?}");
    assert!(ok[1].as_ref().is_err_and(|code| *code == ErrorCode::InvalidRequest), "{ok:?}");
    assert_eq!(*made::ROWS.lock().unwrap(), [1, 3, 1, 1, 1]);
    assert_eq!(device.used_and_peak_bytes().0, 0);
    assert_eq!(p.snapshot().tenants.iter().map(|t| t.reserved.device_bytes).sum::<u64>(), 0);
}

#[test]
fn a_lost_device_is_quarantined_and_explicit_jobs_are_told() {
    let faults = Faults::none();
    let device = Arc::new(TestDevice::new(0, 1 << 20, faults.clone()));
    let p = pipeline(vec![host(&device)]);
    faults.replace(|_, name| (name == "upload").then_some(Fault::Lost));
    let error = device_job(&p, DeviceChoice::Gpu).result.unwrap_err();
    assert!(matches!(error.error, ErrorCode::NoGpuAvailable | ErrorCode::Internal), "{error:?}");
    until("the device is out", || p.devices().iter().all(|d| d.state == DeviceState::Quarantined));
    let error = device_job(&p, DeviceChoice::Gpu).result.unwrap_err();
    assert_eq!((error.error, error.retry_after_ms), (ErrorCode::NoGpuAvailable, Some(5000)));
    assert_eq!(error.message, "All GPUs busy, try again later");
    faults.replace(|_, _| None);
    device.restart();
    until("the device is back", || p.devices().iter().all(|d| d.state == DeviceState::Up));
    assert_eq!(device_job(&p, DeviceChoice::Gpu).result.unwrap().device_id, Some(0));
}

#[test]
fn inputs_stay_on_the_device_between_jobs_and_never_past_a_restart() {
    let (faults, uploads) = (Faults::none(), Arc::new(AtomicUsize::new(0)));
    let count = |faults: &Faults| {
        let uploads = Arc::clone(&uploads);
        faults.replace(move |_, name| {
            uploads.fetch_add(usize::from(name == "upload"), Ordering::SeqCst);
            None
        });
    };
    let device = Arc::new(TestDevice::new(0, 1 << 20, faults.clone()));
    let host = Arc::new(InProcess::with_residents(Arc::clone(&device) as Arc<dyn Device>, 1 << 10));
    let p = pipeline(vec![Arc::clone(&host) as Arc<dyn DeviceHost>]);
    let (key, tenant) = (ResidentKey(5), TenantId::new("a"));
    let job = || device_job_on(&p, DeviceChoice::Gpu, Tensor::vector(vec![1.0, 2.5]).with_resident(key));
    let kept = || (host.residents().holds(&tenant, key), host.residents().used_bytes());
    let uploaded = || uploads.swap(0, Ordering::SeqCst);
    count(&faults);
    right(&job());
    right(&job());
    assert_eq!((uploaded(), kept(), device.used_and_peak_bytes().0), (1, (true, 16), 16));

    // A loss that a job noticed.
    faults.replace(|_, name| (name == "download").then_some(Fault::Lost));
    assert!(job().result.is_err());
    assert_eq!(kept(), (false, 0), "the device's memory is gone");
    until("the device is out", || p.devices().iter().all(|d| d.state != DeviceState::Up));
    count(&faults);
    device.restart();
    until("the device is back", || p.devices().iter().all(|d| d.state == DeviceState::Up));
    right(&job());
    assert_eq!((uploaded(), kept(), device.used_and_peak_bytes().0), (1, (true, 16), 16));

    // One that nobody noticed.
    device.restart();
    let outcome = job();
    right(&outcome);
    assert_eq!(outcome.result.unwrap().device_id, Some(0));
    assert_eq!((uploaded(), kept(), device.used_and_peak_bytes().0), (1, (true, 16), 16));
}

#[test]
fn a_job_goes_where_its_inputs_are() {
    let devices: Vec<_> = (0..2).map(|id| Arc::new(TestDevice::new(id, 1 << 24, Faults::none()))).collect();
    let keeping = |d: &Arc<TestDevice>| InProcess::with_residents(Arc::clone(d) as Arc<dyn Device>, 1 << 20);
    // The second first: they are in the order of their numbers nevertheless.
    let p = pipeline(devices.iter().rev().map(|d| Arc::new(keeping(d)) as Arc<dyn DeviceHost>).collect());
    assert_eq!(p.devices().iter().map(|d| d.host.descriptor().id).collect::<Vec<_>>(), [0, 1]);
    let ran = |choice, key| {
        let a = Tensor::vector(vec![0.5; 4_000]).with_resident(ResidentKey(key));
        device_job_on(&p, choice, a).result.unwrap().device_id
    };
    for (key, home) in [(1, 1), (2, 0), (3, 1)] {
        assert_eq!(ran(DeviceChoice::Id(home), key), Some(home));
    }
    for _ in 0..3 {
        for (key, home) in [(1, 1), (2, 0), (3, 1)] {
            assert_eq!(ran(DeviceChoice::Gpu, key), Some(home), "the input {key} is on {home}");
        }
    }
    devices[1].restart();
    assert_eq!(ran(DeviceChoice::Id(1), 9), Some(1), "a job notices");
    let held = |key| p.devices()[1].host.holds(&TenantId::new("a"), ResidentKey(key));
    assert_eq!([1, 3, 9].map(held), [false, false, true], "what was there before is gone");
}

#[test]
fn a_device_comes_late_is_drained_and_resumed() {
    let p = pipeline(vec![]);
    let error = device_job(&p, DeviceChoice::Gpu).result.unwrap_err();
    assert_eq!(error.error, ErrorCode::NoGpuAvailable);
    let device = host(&Arc::new(TestDevice::new(0, 1 << 20, Faults::none())));
    p.add_device(Arc::clone(&device));
    p.add_device(device);
    assert_eq!(p.devices().len(), 1, "its number is taken");
    assert_eq!(device_job(&p, DeviceChoice::Gpu).result.unwrap().device_id, Some(0));
    assert!(p.drain_device(0) && p.drain_device(0) && !p.drain_device(1));
    assert_eq!(p.devices()[0].state, DeviceState::Draining);
    let error = device_job(&p, DeviceChoice::Id(0)).result.unwrap_err();
    assert_eq!(error.error, ErrorCode::NoGpuAvailable);
    let answer = device_job(&p, DeviceChoice::Auto).result.unwrap();
    assert_eq!((answer.device_id, answer.fallback.as_deref()), (None, Some("device 0 takes no jobs")));
    assert!(p.resume_device(0) && p.resume_device(0) && !p.resume_device(1));
    assert_eq!(device_job(&p, DeviceChoice::Id(0)).result.unwrap().device_id, Some(0));
}

#[test]
fn a_drained_device_that_fails_stays_out_after_its_recovery() {
    let faults = Faults::none();
    let device = Arc::new(TestDevice::new(0, 1 << 20, faults.clone()));
    let p = pipeline(vec![host(&device)]);
    faults.replace(|_, name| (name == "upload").then_some(Fault::Lost));
    assert!(device_job(&p, DeviceChoice::Gpu).result.is_err());
    assert_eq!(p.devices()[0].faults, 1);
    assert!(p.drain_device(0));
    faults.replace(|_, _| None);
    device.restart();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(p.devices()[0].state, DeviceState::Draining);
    assert!(device_job(&p, DeviceChoice::Gpu).result.is_err());
    assert!(p.resume_device(0));
    until("the device is back", || p.devices()[0].state == DeviceState::Up);
    assert_eq!(device_job(&p, DeviceChoice::Gpu).result.unwrap().device_id, Some(0));
}

#[test]
fn what_is_a_cpu_is_only_used_when_it_is_named() {
    let mut config = made::config();
    config.run.auto_cpu_devices = false;
    let device = host(&Arc::new(TestDevice::new(0, 1 << 20, Faults::none())));
    let registry = offload_core::Registry::new(made::operations().iter().copied());
    let none = Box::new(|_| {});
    let p = Pipeline::start(config, &registry, vec![device], Arc::new(()), none, None).unwrap();
    let answer = device_job(&p, DeviceChoice::Auto).result.unwrap();
    assert_eq!((answer.device_id, answer.fallback), (None, None));
    assert_eq!(device_job(&p, DeviceChoice::Gpu).result.unwrap().device_id, Some(0));
    assert_eq!(device_job(&p, DeviceChoice::Id(0)).result.unwrap().device_id, Some(0));
}

#[test]
fn draining_refuses_new_work_and_waits_for_what_was_accepted() {
    let p = pipeline(vec![]);
    let outcomes = Outcomes::default();
    p.submit(request(&caller("a"), Made::Sleep, 150.0), outcomes.reply()).answered();
    assert!(p.drain(Duration::from_secs(5)));
    assert!(outcomes.wait(1).remove(0).result.is_ok());
    let late = Outcomes::default();
    p.submit(request(&caller("a"), Made::Sleep, 1.0), late.reply()).answered();
    assert_eq!(late.wait(1).remove(0).result.unwrap_err().error, ErrorCode::Overloaded);
}
