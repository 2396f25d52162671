//! Devices in worker processes, as a client and an operator meet them.

mod cases;
mod drivers;
mod faults;
mod operator;

use crate::service::Service;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// Longer than any of these waits takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// What makes devices worth more than any processor: jobs of callers who name none go there, however fast this machine is.
pub(crate) const WORTH_MORE: [(&str, &str); 6] = [
    ("DEVICES__AUTO_CPU_DEVICES", "true"),
    ("PLACE__DEVICE_OVERHEAD_US", "0"),
    ("PLACE__DEVICE_WORK_PER_US", "1000000000"),
    ("PLACE__DEVICE_BYTES_PER_US", "1000000000"),
    ("RUN__INLINE_MAX_US", "0"),
    ("RUN__INLINE_REALTIME_MAX_US", "0"),
];

/// A service with this many test devices in service, chosen where callers name none.
pub(crate) fn with_test_devices(count: usize, more: &[(&str, &str)]) -> Service {
    let number = count.to_string();
    let mut settings = WORTH_MORE.to_vec();
    settings.push(("DEVICES__TEST_DEVICES", number.as_str()));
    settings.extend(more);
    let service = Service::start(&settings);
    until("the devices are up", || statuses(&service) == vec!["up"; count]);
    service
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn devices(service: &Service) -> Vec<Json> {
    service.ask("GET", "/api/v1/devices").expect(200)["devices"].as_array().expect("a list").clone()
}

fn statuses(service: &Service) -> Vec<String> {
    devices(service).iter().map(|d| d["status"].as_str().expect("a status").to_string()).collect()
}

/// The drivers that are not used, with their reasons, once all have been asked.
fn absent(service: &Service) -> Vec<(String, String)> {
    let mut listed = Json::Null;
    until("the search has ended", || {
        listed = service.ask("GET", "/api/v1/devices").expect(200);
        listed["searching"] == false
    });
    let text = |a: &Json, name: &str| a[name].as_str().expect("a text").to_string();
    let absent = listed["absent"].as_array().expect("a list");
    absent.iter().map(|a| (text(a, "what"), text(a, "reason"))).collect()
}

/// The workers of the service, by number.
fn workers(service: &Service) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        // After the name, which is in brackets, come the state and the parent.
        let stat = read("stat");
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        if parent == Some(service.pid()) && read("cmdline").contains("--device") {
            found.push(pid);
        }
    }
    found
}

fn kill(pid: u32) {
    let _ = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status();
}

/// A product that nobody asked for before, and what it is.
fn product(n: usize, seed: usize) -> (Json, Vec<Vec<f64>>) {
    let matrix = |salt: usize| -> Vec<Vec<f64>> {
        (0..n).map(|i| (0..n).map(|j| ((i * 7 + j * 3 + salt * 5) % 11) as f64).collect()).collect()
    };
    let (a, b) = (matrix(seed), matrix(seed + 1));
    // Rows of one are equal every eleven, and columns of the other, so few of its numbers differ.
    let few = n.min(11);
    let of = |i: usize, j: usize| (0..n).map(|k| a[i][k] * b[k][j]).sum();
    let differing: Vec<Vec<f64>> = (0..few).map(|i| (0..few).map(|j| of(i, j)).collect()).collect();
    let result = (0..n).map(|i| (0..n).map(|j| differing[i % 11][j % 11]).collect()).collect();
    (json!({"a": a, "b": b, "dtype": "f64"}), result)
}

/// Asks for a product and checks the answer; gives the answer without its result.
fn multiply(service: &Service, n: usize, seed: usize, device: &str) -> Json {
    multiply_as(service, &service.key, n, seed, device)
}

/// The same with another key.
fn multiply_as(service: &Service, key: &str, n: usize, seed: usize, device: &str) -> Json {
    let (inputs, wanted) = product(n, seed);
    let body =
        json!({"inputs": inputs, "device": device, "cache": false, "explain": true, "timeout_ms": 60_000});
    let mut answer = service.post_as(key, "/api/v1/workloads/matrix/multiply", &body).expect(200);
    let result: Vec<Vec<f64>> = serde_json::from_value(answer["result"].take()).expect("a matrix");
    assert!(result == wanted, "a wrong product on {}", answer["device_id"]);
    answer
}

/// An answer says where it comes from, and if a device would have been faster, why not from there.
fn tells(answer: &Json) {
    let expected = |name: &dyn Fn(&str) -> bool| {
        let candidates = answer["explanation"]["candidates"].as_array().expect("candidates");
        let of = candidates.iter().filter(|c| c["device"].as_str().is_some_and(name));
        of.filter_map(|c| c["expected_us"].as_f64()).fold(f64::INFINITY, f64::min)
    };
    let told = answer["device_id"].is_u64() || answer["fallback"]["reason"].is_string();
    let chosen = expected(&|d| d == "cpu") <= expected(&|d| d != "cpu");
    assert!(told || chosen, "a silent fallback: {answer}");
}

fn metric(service: &Service, name: &str) -> f64 {
    let text = service.ask("GET", "/metrics").text();
    let lines = text.lines().filter(|l| l.starts_with(name) && !l.starts_with('#'));
    lines.filter_map(|l| l.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
