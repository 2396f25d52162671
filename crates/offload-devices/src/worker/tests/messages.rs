//! What goes over the boundary comes out as it went in.

use super::made::{answers, failure, job, numbers, same};
use super::{doubled, run, worker};
use offload_api::{Record, ResidentKey, Tensor, Value};
use offload_core::device::{DeviceHost, InProcess, JobLane, LanePriority};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn values_of_every_kind_go_and_come_unchanged() {
    let (_host, mut lane) = worker("");
    let back = run(lane.as_mut(), "answers", &[]).result.unwrap();
    assert!(same(&back, &answers()), "{back:?}");
    let inputs: Vec<_> = answers().iter().map(|(n, v)| (n, v.clone())).collect();
    let back = run(lane.as_mut(), "echo", &inputs).result.unwrap();
    assert!(same(&back, &answers()), "{back:?}");
    let other = Record::new().with("int", Value::Int(i64::MAX));
    assert!(!same(&back, &other), "the comparison notices");
}

#[test]
fn failures_of_every_kind_come_unchanged() {
    let (host, mut lane) = worker("");
    for kind in ["rejected", "unprocessable", "cancelled", "oom", "compile", "unsupported", "call"] {
        let got = run(lane.as_mut(), "fail", &[("kind", Value::Text(kind.into()))]).result;
        assert_eq!(got, Err(failure(kind)));
    }
    assert!(host.pid().is_some(), "none of these ends a worker");
    let got = run(lane.as_mut(), "fail", &[("kind", Value::Text("lost".into()))]).result;
    assert_eq!(got, Err(failure("lost")));
    assert!(host.pid().is_none(), "this one does");
}

/// Memory that counts how often it is asked for its bytes.
struct Counted(Vec<u64>, AtomicUsize);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.1.fetch_add(1, Ordering::Relaxed);
        bytemuck::cast_slice(&self.0)
    }
}

#[test]
fn an_input_with_an_identity_is_sent_once_and_again_after_a_restart() {
    let (host, mut lane) = worker("");
    let numbers_of: Vec<f64> = (0..1000).map(f64::from).collect();
    let memory = Arc::new(Counted(numbers_of.iter().map(|x| x.to_bits()).collect(), AtomicUsize::new(0)));
    let spec = offload_api::TensorSpec::new(offload_api::DType::F64, [1000]);
    let tensor =
        Tensor::late(spec, memory.clone(), 0..8000).unwrap().with_resident(ResidentKey(1 << 100 | 7));
    let sent = |lane: &mut dyn JobLane, operation: &str, tenant: &str| {
        let before = memory.1.load(Ordering::Relaxed);
        let result =
            lane.run(job(operation, tenant, &[("a", Value::Tensor(tensor.clone()))])).result.unwrap();
        if operation == "double" {
            assert_eq!(numbers(&result, "result")[999], 1998.0);
        }
        memory.1.load(Ordering::Relaxed) - before
    };
    assert_eq!(sent(lane.as_mut(), "ignore", "t"), 0, "nobody read it");
    assert_eq!(sent(lane.as_mut(), "double", "t"), 1);
    assert_eq!(sent(lane.as_mut(), "double", "t"), 0, "it is there");
    assert_eq!(sent(lane.as_mut(), "double", "u"), 1, "not for another tenant");
    // Read on the host as well: right, whatever is on the device.
    assert_eq!(sent(lane.as_mut(), "echo", "t"), 1);
    host.live().unwrap().kill("for the test");
    host.health().unwrap();
    let mut lane = host.open(LanePriority::Normal).unwrap();
    assert_eq!(sent(lane.as_mut(), "double", "t"), 1);
    assert_eq!(sent(lane.as_mut(), "double", "t"), 0);
    assert_eq!(host.restarts(), 1);
}

#[test]
fn memory_grows_with_the_jobs_and_is_given_back_after_a_large_one() {
    let (host, mut lane) = worker("");
    let shared = |host: &super::WorkerHost| -> u64 {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", host.pid().unwrap())).unwrap();
        let regions = maps.lines().filter(|l| l.contains("offload-staging"));
        let size = |l: &str| {
            let (from, to) = l.split(' ').next()?.split_once('-')?;
            Some(u64::from_str_radix(to, 16).ok()? - u64::from_str_radix(from, 16).ok()?)
        };
        regions.filter_map(size).sum()
    };
    for n in [1, 100, 10_000, 60_000, 10] {
        assert_eq!(doubled(lane.as_mut(), n).unwrap()[n - 1], 2.0 * (n - 1) as f64);
    }
    let small = shared(&host);
    assert!(small < 3 << 20, "{small}");
    assert_eq!(doubled(lane.as_mut(), 500_000).unwrap()[499_999], 999_998.0);
    super::until("the large regions are gone", || shared(&host) < 1 << 20);
    assert_eq!(doubled(lane.as_mut(), 3).unwrap(), [0.0, 2.0, 4.0]);
}

#[test]
fn a_job_costs_little_more_than_in_this_process() {
    let (_host, mut far) = worker("");
    let device = crate::discover::open("test:0", &Default::default()).unwrap();
    let mut near = InProcess::new(device).open(LanePriority::Normal).unwrap();
    let median = |lane: &mut dyn JobLane, n: usize| {
        let a = Value::Tensor(Tensor::vector(vec![1.0f64; n]));
        let mut took: Vec<Duration> = (0..400)
            .map(|_| {
                let job = job("double", "t", &[("a", a.clone())]);
                let start = Instant::now();
                lane.run(job).result.unwrap();
                start.elapsed()
            })
            .collect();
        took.sort();
        took[took.len() / 2]
    };
    for n in [1, 1000, 32_768] {
        let (mut more, mut lines) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let (n_near, n_far) = (median(near.as_mut(), n), median(far.as_mut(), n));
            more.push(n_far.saturating_sub(n_near));
            lines.push(format!("{n_near:?} {n_far:?}"));
        }
        more.sort();
        println!("{n} numbers: {:?} more in a worker (in process, worker: {})", more[2], lines.join(", "));
        // The promise is 150 µs; other work on the machine may take as much again and more.
        assert!(more[0] < Duration::from_millis(2), "{more:?}");
    }
}
