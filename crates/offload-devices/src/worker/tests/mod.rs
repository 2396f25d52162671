//! Workers as real processes: this test binary starts itself.

mod isolation;
mod made;
mod messages;
mod processes;
mod slices;
mod tenants;

use super::{Launch, ServeOptions, WorkerHost, WorkerSettings, serve};
use crate::discover;
use made::{job, numbers};
use offload_api::{Tensor, Value};
use offload_core::device::{DeviceHost, DeviceReport, JobLane, LanePriority};
use std::time::{Duration, Instant};

/// This binary, told to run the test that becomes a worker.
fn launch() -> Launch {
    Launch {
        program: std::env::current_exe().unwrap(),
        arguments: ["--exact", "--nocapture", "worker::tests::a_worker_serves_its_device", "--"]
            .map(Into::into)
            .into(),
        environment: Vec::new(),
    }
}

fn settings(faults: &str) -> WorkerSettings {
    // Little memory, which is quickly zeroed before the first job.
    let open = discover::Options {
        test_faults: faults.into(),
        test_memory_bytes: 32 << 20,
        ..discover::Options::default()
    };
    WorkerSettings {
        launch: launch(),
        options: ServeOptions { open, keep_bytes: 1 << 20, ..ServeOptions::default() },
        watchdog: Some(Duration::from_millis(1500)),
        cancel_grace: Duration::from_millis(1000),
        start_timeout: Duration::from_secs(30),
        answer_timeout: Duration::from_secs(5),
    }
}

fn host_of(settings: WorkerSettings) -> WorkerHost {
    let device = discover::open("test:0", &discover::Options::default()).unwrap();
    WorkerHost::new("test:0".into(), device.descriptor().clone(), settings)
}

/// A started worker and a lane of it.
fn worker(faults: &str) -> (WorkerHost, Box<dyn JobLane>) {
    let host = host_of(settings(faults));
    host.health().unwrap();
    let lane = host.open(LanePriority::Normal).unwrap();
    (host, lane)
}

fn run(lane: &mut dyn JobLane, operation: &str, inputs: &[(&'static str, Value)]) -> DeviceReport {
    lane.run(job(operation, "t", inputs))
}

fn doubled(lane: &mut dyn JobLane, n: usize) -> Result<Vec<f64>, offload_core::Failure> {
    let a: Vec<f64> = (0..n).map(|i| i as f64).collect();
    let report = run(lane, "double", &[("a", Value::Tensor(Tensor::vector(a)))]);
    report.result.map(|r| numbers(&r, "result"))
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_worker_serves_its_device() {
    let words: Vec<String> = std::env::args().collect();
    let word = |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1));
    if let Some(selector) = word("--device") {
        let options: ServeOptions = serde_json::from_str(word("--options").unwrap()).unwrap();
        serve(made::registry(), selector, &options).unwrap();
        return;
    }
    let (host, mut lane) = worker("");
    assert_eq!(host.health().unwrap().memory_used_bytes, 0);
    assert_eq!(doubled(lane.as_mut(), 4).unwrap(), [0.0, 2.0, 4.0, 6.0]);
    assert_ne!(host.pid().unwrap(), std::process::id());
    let fds = std::fs::read_dir(format!("/proc/{}/fd", host.pid().unwrap())).unwrap();
    let inherited: Vec<String> = fds
        .filter_map(|f| std::fs::read_link(f.unwrap().path()).ok())
        .map(|f| f.display().to_string())
        .filter(|f| !f.starts_with("socket:") && !f.starts_with("/memfd:") && !f.contains("/dev/null"))
        .filter(|f| !f.starts_with("pipe:"))
        .collect();
    assert_eq!(inherited, Vec::<String>::new(), "only what is the worker's own");
}
