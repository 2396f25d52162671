//! Workers that die, hang and talk nonsense.

use super::super::{Probe, WorkerHost};
use super::made::job;
use super::{doubled, host_of, launch, run, settings, until, worker};
use crate::discover;
use offload_api::{ResidentKey, Tensor, Value};
use offload_core::device::{DeviceError, DeviceHost, JobLane, LanePriority};
use offload_core::{Cancel, Context, Failure, Progress, TenantId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn lost(result: Result<impl std::fmt::Debug, Failure>) -> String {
    match result {
        Err(Failure::Fault(DeviceError::Lost(why))) => why,
        other => panic!("{other:?}"),
    }
}

fn again(host: &WorkerHost) -> Box<dyn JobLane> {
    assert!(host.open(LanePriority::Normal).is_err(), "no lane of a dead worker");
    host.health().unwrap();
    let mut lane = host.open(LanePriority::Normal).unwrap();
    assert_eq!(doubled(lane.as_mut(), 2).unwrap(), [0.0, 2.0]);
    lane
}

#[test]
fn a_crash_is_a_lost_device_that_comes_back() {
    let (host, mut lane) = worker("");
    let why = lost(run(lane.as_mut(), "crash", &[]).result);
    assert_eq!(why, "the worker was ended by a segmentation fault");
    assert_eq!(lost(doubled(lane.as_mut(), 1)), why, "the old lane stays dead");
    let before = host.restarts();
    again(&host);
    assert_eq!(host.restarts(), before + 1);
}

#[test]
fn one_death_ends_the_jobs_of_all_lanes() {
    let (host, mut lane) = worker("");
    let mut other = host.open(LanePriority::High).unwrap();
    let spinning = std::thread::spawn(move || lost(run(other.as_mut(), "spin", &[]).result));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!spinning.is_finished());
    let why = lost(run(lane.as_mut(), "crash", &[]).result);
    assert_eq!(spinning.join().unwrap(), why);
    again(&host);
}

#[test]
fn a_panic_in_an_operation_is_a_lost_device() {
    let (host, mut lane) = worker("");
    assert_eq!(lost(run(lane.as_mut(), "fail", &[]).result), "the kind is missing");
    again(&host);
    let (host, mut lane) = worker("panic/upload@1");
    assert_eq!(lost(doubled(lane.as_mut(), 1)), "upload: injected panic");
    assert!(host.pid().is_none());
}

#[test]
fn a_hung_job_costs_the_worker_its_life() {
    let (host, mut lane) = worker("");
    let start = Instant::now();
    let why = lost(run(lane.as_mut(), "stuck", &[]).result);
    assert_eq!(why, "a job ran longer than 1500 ms (devices.watchdog_ms)");
    assert!((1500..5000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    again(&host);
    let (host, mut lane) = worker("hang/synchronize@1");
    assert!(lost(doubled(lane.as_mut(), 1)).contains("watchdog_ms"));
    assert!(host.pid().is_none());
}

#[test]
fn a_cancelled_job_stops_and_one_that_does_not_is_killed() {
    let (host, mut lane) = worker("");
    for (operation, killed) in [("spin", false), ("stuck", true)] {
        let (cancel, progress) = (Cancel::new(), Progress::new());
        let mut wanted = job(operation, "t", &[]);
        wanted.context = Context::new(cancel.clone(), progress.clone());
        let running = std::thread::spawn(move || (lane.run(wanted).result, lane));
        until("progress is seen", || progress.get() == 0.5);
        cancel.cancel();
        let (result, same) = running.join().unwrap();
        lane = same;
        if killed {
            assert_eq!(lost(result), "a job did not stop within 1000 ms of its cancellation");
        } else {
            assert_eq!(result, Err(Failure::Cancelled));
            assert_eq!(doubled(lane.as_mut(), 1).unwrap(), [0.0], "the next job is not cancelled");
        }
    }
    again(&host);
}

#[test]
fn a_worker_that_is_killed_again_and_again_answers_every_job_once() {
    let host = Arc::new(host_of(settings("")));
    host.health().unwrap();
    let right = Arc::new(AtomicUsize::new(0));
    let (killer, answered) = (Arc::clone(&host), Arc::clone(&right));
    let killing = std::thread::spawn(move || {
        for round in 0..20 {
            until("a worker is there", || killer.pid().is_some());
            // Most die at work, some while they start.
            let before = answered.load(Ordering::Relaxed);
            if round % 4 != 0 {
                until("it answers", || answered.load(Ordering::Relaxed) > before);
            }
            std::thread::sleep(Duration::from_millis(20));
            if let Some(pid) = killer.pid().and_then(|p| rustix::process::Pid::from_raw(p as i32)) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    });
    let mut faults = 0;
    while !killing.is_finished() {
        host.health().map_or_else(|_| (), |_| ());
        let Ok(mut lane) = host.open(LanePriority::Normal) else { continue };
        loop {
            match doubled(lane.as_mut(), 100) {
                Ok(result) => {
                    assert!(result.iter().enumerate().all(|(i, x)| *x == 2.0 * i as f64));
                    right.fetch_add(1, Ordering::Relaxed);
                }
                Err(e) => {
                    assert!(matches!(e, Failure::Fault(DeviceError::Lost(_))), "{e:?}");
                    faults += 1;
                    break;
                }
            }
            if killing.is_finished() {
                break;
            }
        }
    }
    killing.join().unwrap();
    let right = right.load(Ordering::Relaxed);
    println!("{right} right, {faults} faults, {} restarts", host.restarts());
    assert!(right >= 15 && faults > 0 && host.restarts() >= 15);
}

#[test]
fn a_worker_does_not_outlive_its_service() {
    let (host, _lane) = worker("hang/health@2");
    let pid = host.pid().unwrap();
    // It hangs in a driver's call from here on, so it cannot be asked to end.
    assert!(host.health().is_err());
    drop(host);
    until("the worker is gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn what_is_no_worker_is_said_so() {
    for (program, why) in [
        ("/nonexistent", "does not start"),
        ("/bin/true", "the worker ended with code 0"),
        ("/bin/false", "the worker ended with code 1"),
        ("/usr/bin/yes", "the worker"),
    ] {
        let mut settings = settings("");
        settings.launch.program = program.into();
        settings.start_timeout = Duration::from_secs(2);
        let host = host_of(settings);
        let e = host.health().unwrap_err().to_string();
        assert!(e.contains(why), "{program}: {e}");
        assert!(host.pid().is_none());
    }
}

#[test]
fn a_probe_that_crashes_or_hangs_is_an_absent_driver() {
    let sh = |script: &str| {
        let mut launch = launch();
        (launch.program, launch.arguments) =
            ("/bin/sh".into(), vec!["-c".into(), script.into(), "sh".into()]);
        Probe { launch, options: discover::Options::default(), timeout: Duration::from_millis(300) }
    };
    let driver = offload_core::device::Backend::Cuda;
    let ask = |script: &str| sh(script).ask(driver);
    assert_eq!(ask("kill -SEGV $$").unwrap_err(), "its driver crashed the probe (signal 11)");
    assert!(ask("exec sleep 60").unwrap_err().contains("did not end within 300 ms"));
    assert_eq!(ask("exit 3").unwrap_err(), "its probe says nothing (code 3)");
    assert_eq!(ask("echo 'noise'; echo 'devices: {\"Err\":\"no driver\"}'").unwrap_err(), "no driver");
    assert_eq!(ask("echo 'devices: {\"Ok\":[]}'"), Ok(vec![]));
}

#[test]
fn what_a_worker_was_given_is_known_until_it_dies() {
    let (host, mut lane) = worker("");
    let (key, t, u) = (ResidentKey(7), TenantId::new("t"), TenantId::new("u"));
    let a = Value::Tensor(Tensor::vector(vec![1.0f64; 9]).with_resident(key));
    assert!(!host.holds(&t, key));
    run(lane.as_mut(), "double", &[("a", a.clone())]).result.unwrap();
    assert!(host.holds(&t, key) && !host.holds(&u, key) && !host.holds(&t, ResidentKey(8)));
    lost(run(lane.as_mut(), "crash", &[]).result);
    let mut lane = again(&host);
    assert!(!host.holds(&t, key));
    run(lane.as_mut(), "double", &[("a", a)]).result.unwrap();
    assert!(host.holds(&t, key));
}

#[test]
fn what_a_worker_made_of_an_input_stays_there_until_it_dies() {
    let (host, mut lane) = worker("");
    let a = |key| Value::Tensor(Tensor::vector(vec![8.0f64; 500]).with_resident(ResidentKey(key)));
    let ask = |lane: &mut dyn JobLane, tenant: &str, input: Value| {
        let report = lane.run(job("derive", tenant, &[("a", input)]));
        let outputs = report.result.unwrap();
        assert_eq!(super::numbers(&outputs, "result"), vec![4.0; 500]);
        let Some(Value::Int(made)) = outputs.get("made") else { panic!("{outputs:?}") };
        (*made, report.timings.upload == Duration::ZERO)
    };
    assert_eq!(ask(lane.as_mut(), "t", a(1)), (1, false));
    assert_eq!(ask(lane.as_mut(), "t", a(1)), (1, true), "it is neither made nor sent again");
    let mut other = host.open(LanePriority::High).unwrap();
    assert_eq!(ask(other.as_mut(), "t", a(1)), (1, true), "the lanes of a worker share it");
    assert_eq!(ask(lane.as_mut(), "u", a(1)), (2, false), "another tenant's");
    assert_eq!(ask(lane.as_mut(), "t", a(2)), (3, false), "another input");
    assert!(host.holds(&TenantId::new("t"), ResidentKey(1)));
    lost(run(lane.as_mut(), "crash", &[]).result);
    let mut lane = again(&host);
    assert_eq!(ask(lane.as_mut(), "t", a(1)), (1, false));
}
