//! Workers that are killed, and drivers that fail, under load: every request is answered once, and right.

use super::{devices, kill, metric, multiply, tells, until, with_test_devices, workers};
use crate::service::Service;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Workers that are killed.
const KILLS: usize = 200;
/// Faults that are injected.
const FAULTS: f64 = 1000.0;

/// Tells the clients to stop, also when what they run beside fails: its failure is told once they have.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends work from several clients until `meanwhile` ends; how many answers there were, and how many from a device.
fn under_load(service: &Service, meanwhile: impl FnOnce()) -> (usize, usize) {
    let (stop, answered, on_device) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (stop, answered, on_device) = (&stop, &answered, &on_device);
        let clients: Vec<_> = (0..3)
            .map(|client| {
                scope.spawn(move || {
                    let mut seed = client * 1_000_000;
                    while !stop.load(Ordering::Relaxed) {
                        seed += 1;
                        let answer = multiply(service, 100, seed, "auto");
                        tells(&answer);
                        answered.fetch_add(1, Ordering::Relaxed);
                        on_device.fetch_add(usize::from(answer["device_id"].is_u64()), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let stops = Stop(stop);
        meanwhile();
        drop(stops);
        clients.into_iter().for_each(|c| c.join().expect("every answer is right"));
    });
    (answered.into_inner(), on_device.into_inner())
}

#[test]
fn two_hundred_killed_workers_cost_no_answer() {
    let mut service = with_test_devices(2, &[]);
    let start = Instant::now();
    let (answered, on_device) = under_load(&service, || {
        for _ in 0..KILLS {
            let mut alive = Vec::new();
            until("a worker is there", || {
                alive = workers(&service);
                !alive.is_empty()
            });
            // Long enough for a job or two there.
            std::thread::sleep(Duration::from_millis(40));
            kill(alive[0]);
            service.ask("GET", "/health/ready").expect(200);
            let gone = |pid: u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
            until("it is gone", || gone(alive[0]));
        }
    });
    until("the devices are back", || devices(&service).iter().all(|d| d["status"] == "up"));
    let restarts: u64 = devices(&service).iter().map(|d| d["restarts"].as_u64().expect("a number")).sum();
    println!(
        "{KILLS} workers killed, {restarts} started again, {answered} right answers, {on_device} from a device, in {:?}",
        start.elapsed()
    );
    assert!(service.is_running(), "it is the same process all along");
    assert!(on_device >= 5 && on_device < answered, "{on_device} of {answered}");
    // A worker that is killed while it starts is noticed by its start and by its end, and started once.
    assert!(restarts >= KILLS as u64 / 2, "{restarts}");
    assert_eq!(metric(&service, "heliosdb_gpu_device_restart_total"), restarts as f64);
    assert_eq!(metric(&service, "heliosdb_gpu_running_jobs"), 0.0);
}

#[test]
fn a_thousand_faults_in_the_midst_of_jobs_cost_no_answer() {
    let faults = "call/upload@4, call/download@7, lost/download@61, panic/gemm@71, abort/set@401";
    let mut service =
        with_test_devices(3, &[("DEVICES__TEST_DEVICE_FAULTS", faults), ("DISPATCH__MAX_ATTEMPTS", "4")]);
    let start = Instant::now();
    let seen = || metric(&service, "heliosdb_gpu_device_fault_total");
    let (answered, on_device) = under_load(&service, || {
        let end = Instant::now() + Duration::from_secs(150);
        while seen() < FAULTS {
            assert!(Instant::now() < end, "{} faults so far", seen());
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    println!(
        "{} faults, {answered} right answers, {on_device} from a device, in {:?}",
        seen(),
        start.elapsed()
    );
    service.ask("GET", "/health/ready").expect(200);
    assert!(service.is_running());
    assert!(on_device > 100, "{on_device}");
}

#[test]
fn what_a_device_says_of_a_job_that_it_failed_is_logged_once() {
    let more = [("DEVICES__TEST_DEVICE_FAULTS", "call/upload@1"), ("LOG__FORMAT", "json")];
    let service = with_test_devices(1, &more);
    let answer = multiply(&service, 160, 1, "auto");
    assert_eq!(answer["fallback"]["reason"], "device 0 failed this job before", "{answer}");
    until("the log has it", || service.log().contains("the device failed a job"));
    let log = service.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("upload: injected")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    let line: serde_json::Value = serde_json::from_str(lines[0]).expect("a line of JSON");
    assert_eq!(
        (&line["level"], &line["device"], &line["tenant"]),
        (&"WARN".into(), &0.into(), &"dev".into())
    );
    assert!(line["job"].is_u64(), "{line}");
}

#[test]
fn a_hung_job_is_ended_by_the_watchdog_and_answered_by_the_cpu() {
    let more = [("DEVICES__TEST_DEVICE_FAULTS", "hang/download@1"), ("DEVICES__WATCHDOG_MS", "300")];
    let service = with_test_devices(1, &more);
    let start = Instant::now();
    let answer = multiply(&service, 160, 1, "auto");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(answer["fallback"]["reason"], "device 0 failed this job before", "{answer}");
    until("the device is back", || devices(&service)[0]["status"] == "up");
    assert_eq!(devices(&service)[0]["restarts"], 1);
    assert_eq!(devices(&service)[0]["faults"], 1);
    assert!(service.log().contains("devices.watchdog_ms"), "the log says why");
}
