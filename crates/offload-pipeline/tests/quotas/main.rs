//! A hundred tenants at once on a small device: no quota and no budget is exceeded at any moment, nothing is left
//! over, and whoever does not get what it asked for is told why in the words of the error table.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod made;

use offload_api::{DeviceChoice, ErrorCode, Options, Priority, Record, Style, Value};
use offload_core::device::{Device, InProcess};
use offload_core::{Registry, TenantId};
use offload_devices::test_device::{Faults, TestDevice};
use offload_pipeline::admit::{AdmitConfig, Caller, Request};
use offload_pipeline::cache::CacheConfig;
use offload_pipeline::dispatch::DispatchConfig;
use offload_pipeline::engine::{DevicePrior, Pipeline, PipelineConfig, RunConfig};
use offload_pipeline::place::Strategy;
use offload_pipeline::records::Quota;
use offload_pipeline::settle::{Observer, Outcome, Settled};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const DEVICE_BYTES: u64 = 64 * MIB;
const HOST_BYTES: u64 = 256 * MIB;
const TENANTS: u64 = 100;
const JOBS: u64 = 100;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// From `low` to `high`, as many in each octave.
    fn octaves(&mut self, low: u64, high: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (low as f64 * (high as f64 / low as f64).powf(unit)) as u64
    }
}

fn caller(n: u64) -> Arc<Caller> {
    let quota = Quota {
        max_device_memory_bytes: [2, 12, 40, 64, 4096][n as usize % 5] * MIB,
        max_host_memory_bytes: [8, 64][n as usize % 2] * MIB,
        max_concurrent_tasks: 1 + n as u32 % 4,
        max_queued_tasks: [3, 8, 1000][n as usize % 3],
        max_priority: Priority::Realtime,
        ..Quota::default()
    };
    let scopes = vec!["gpu:made".into()];
    Arc::new(Caller::new(TenantId::new(&format!("t{n}")), "u".into(), "k".into(), scopes, quota))
}

fn config() -> PipelineConfig {
    PipelineConfig {
        admit: AdmitConfig { default_timeout_ms: 600_000, host_budget_bytes: HOST_BYTES },
        cache: CacheConfig {
            max_bytes: 1 << 20,
            ttl_seconds: 60,
            ttl_seconds_by_type: HashMap::new(),
            auto_min_us: 1_000_000_000,
        },
        dispatch: DispatchConfig { max_queued: 100_000, ..DispatchConfig::default() },
        strategy: Strategy::CostBased,
        device_prior: DevicePrior::default(),
        run: RunConfig {
            cpu_lanes: 2,
            threads_per_lane: 1,
            realtime_threads: 1,
            niceness: 0,
            max_spare_lanes: 4,
            spare_after_ms: 100,
            inline_max_us: 0.0,
            inline_realtime_max_us: 0.0,
            derived_bytes: 1 << 20,
            auto_cpu_devices: true,
        },
        node: "test".into(),
    }
}

/// What a job asked for.
#[derive(Clone, Debug)]
struct Asked {
    bytes: u64,
    host: u64,
    choice: DeviceChoice,
    hopeless: bool,
    timeout_ms: Option<u64>,
    cancelled: bool,
}

fn asked(rng: &mut Rng) -> Asked {
    let some = |rng: &mut Rng, percent| rng.below(100) < percent;
    Asked {
        bytes: if some(rng, 5) { rng.octaves(24 * MIB, 200 * MIB) } else { rng.octaves(4 << 10, 24 * MIB) },
        host: rng.octaves(1 << 10, 100 * MIB),
        choice: [DeviceChoice::Auto, DeviceChoice::Auto, DeviceChoice::Gpu, DeviceChoice::Cpu]
            [rng.below(4) as usize]
            .clone(),
        hopeless: some(rng, 3),
        timeout_ms: some(rng, 3).then(|| rng.below(30) + 1),
        cancelled: some(rng, 3),
    }
}

fn request(caller: &Arc<Caller>, asked: &Asked, mark: u64, rng: &mut Rng) -> Request {
    let int = |n: u64| Value::Int(n as i64);
    let inputs = Record::new()
        .with("bytes", int(asked.bytes))
        .with("pieces", int(1 + rng.below(6)))
        .with("host", int(asked.host))
        .with("mark", int(mark))
        .with("hopeless", Value::Bool(asked.hopeless));
    let priority = [Priority::Low, Priority::Medium, Priority::High, Priority::Realtime];
    Request {
        id: "r".into(),
        caller: Arc::clone(caller),
        operation: made::fill(),
        options: Options {
            device: asked.choice.clone(),
            cache: Some(false),
            priority: Some(priority[rng.below(4) as usize]),
            timeout_ms: asked.timeout_ms,
            ..Options::default()
        },
        style: Style::Envelope,
        inputs,
        received: Instant::now(),
        decode: Duration::ZERO,
    }
}

/// Which of the answers that the contract allows this one is.
fn judge(asked: &Asked, quota: &Quota, outcome: &Outcome) -> Result<&'static str, String> {
    let (device, device_quota) = (asked.bytes, quota.max_device_memory_bytes);
    let over_device_quota = device > device_quota;
    let explicit = asked.choice == DeviceChoice::Gpu;
    let answer = match &outcome.result {
        Ok(answer) => answer,
        Err(e) => {
            let told = |key: &str| e.details.get("raised_by").and_then(|v| v.as_str()) == Some(key);
            return match e.error {
                // The queue is looked at before a device is, what can never be before both.
                ErrorCode::QuotaExceeded if asked.host > quota.max_host_memory_bytes => {
                    let right = told("tenant quota max_host_memory_bytes") && !e.retryable;
                    if right { Ok("403, host") } else { Err(format!("{e:?}")) }
                }
                ErrorCode::QuotaExceeded if explicit && over_device_quota => {
                    let right = told("tenant quota max_device_memory_bytes") && !e.retryable;
                    if right { Ok("403, device") } else { Err(format!("{e:?}")) }
                }
                ErrorCode::OutOfMemory if explicit && device > DEVICE_BYTES => Ok("507"),
                // What is free can be in pieces that are too small, beside another job.
                ErrorCode::NoGpuAvailable if explicit && e.retry_after_ms.is_some() && e.retryable => {
                    Ok("503")
                }
                ErrorCode::QuotaBusy => {
                    let limit = e.details.get("limit").and_then(serde_json::Value::as_u64);
                    let right = limit == Some(quota.max_queued_tasks.into())
                        && told("tenant quota max_queued_tasks")
                        && e.retry_after_ms.is_some()
                        && e.retryable
                        && e.error.status() == 429;
                    if right { Ok("429") } else { Err(format!("{e:?}")) }
                }
                ErrorCode::Timeout if asked.timeout_ms.is_some() => Ok("408"),
                ErrorCode::Conflict if asked.cancelled => Ok("cancelled"),
                ErrorCode::Unprocessable if asked.hopeless => Ok("422"),
                _ => Err(format!("{e:?}")),
            };
        }
    };
    if asked.hopeless || asked.host > quota.max_host_memory_bytes {
        return Err("it cannot have been answered".into());
    }
    if answer.outputs.get("result") != Some(&Value::Int(asked.bytes as i64)) {
        return Err(format!("the answer is {:?}", answer.outputs));
    }
    match (answer.device_id, &answer.fallback, &asked.choice) {
        (Some(0), None, DeviceChoice::Auto | DeviceChoice::Gpu) => {
            let possible = !over_device_quota && device <= DEVICE_BYTES;
            if possible { Ok("device") } else { Err("it cannot have been on the device".into()) }
        }
        (None, None, DeviceChoice::Cpu) => Ok("cpu"),
        (None, Some(reason), DeviceChoice::Auto) => {
            let (right, name) = if over_device_quota {
                (reason.contains("the tenant's max_device_bytes is"), "fallback, quota")
            } else if device > DEVICE_BYTES {
                (reason.contains("device 0 has"), "fallback, device")
            } else {
                (
                    reason.contains("the tenant has")
                        || reason.contains("are free")
                        || reason == "device 0 is busy"
                        || reason == "device 0 failed this job before",
                    if reason.ends_with("before") { "fallback, in pieces" } else { "fallback, busy" },
                )
            };
            if right { Ok(name) } else { Err(format!("fell back because {reason}")) }
        }
        other => Err(format!("{other:?}")),
    }
}

#[derive(Default)]
struct Faulted(AtomicU64);

impl Observer for Faulted {
    fn settled(&self, _: &Settled<'_>) {}
    fn sla_missed(&self, _: usize) {}
    fn fell_back(&self, _: &str) {}
    fn device_faulted(&self, _: u32) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_hundred_tenants_stay_within_their_quotas_and_leave_nothing() {
    let device = Arc::new(TestDevice::new(0, DEVICE_BYTES, Faults::none()));
    let host = Arc::new(InProcess::new(Arc::clone(&device) as Arc<dyn Device>));
    let registry = Registry::new(made::operations().iter().copied());
    let faulted = Arc::new(Faulted::default());
    let observer = Arc::clone(&faulted) as Arc<dyn Observer>;
    let p = Pipeline::start(config(), &registry, vec![host], observer, Box::new(|_| ()), None).unwrap();

    let callers: Vec<Arc<Caller>> = (0..TENANTS).map(caller).collect();
    let quotas: HashMap<TenantId, Quota> =
        callers.iter().map(|c| (c.tenant.clone(), c.quota.clone())).collect();
    let broken: Arc<Mutex<Vec<String>>> = Arc::default();
    let looks = Arc::new(AtomicU64::new(0));
    // At every allocation: what the tenant has on the device, what it has reserved, and what it may have.
    let (pipeline, notes, counted) = (Arc::downgrade(&p), Arc::clone(&broken), Arc::clone(&looks));
    device.watch(move |tenant, used_by, used| {
        let Some(p) = pipeline.upgrade() else { return };
        let snapshot = p.snapshot();
        counted.fetch_add(1, Ordering::Relaxed);
        let note = |text: String| notes.lock().unwrap().push(text);
        let (mut device_bytes, mut host_bytes, mut mine) = (0, 0, 0);
        for t in &snapshot.tenants {
            let (has, may) = (&t.reserved, &quotas[&t.tenant]);
            device_bytes += has.device_bytes;
            host_bytes += has.host_bytes;
            if t.tenant == *tenant {
                mine = has.device_bytes;
            }
            if has.device_bytes > may.max_device_memory_bytes
                || has.host_bytes > may.max_host_memory_bytes
                || has.tasks > may.max_concurrent_tasks
                || t.queued > may.max_queued_tasks
            {
                note(format!("{} has {has:?} and {} queued of {may:?}", t.tenant, t.queued));
            }
        }
        if used_by > mine {
            note(format!("{tenant} has {used_by} bytes on the device and {mine} reserved"));
        }
        if used > device_bytes || device_bytes > DEVICE_BYTES || host_bytes > HOST_BYTES {
            note(format!("{used} bytes used, {device_bytes} reserved there, {host_bytes} on the host"));
        }
    });

    let answers: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    std::thread::scope(|scope| {
        for (n, caller) in callers.iter().enumerate() {
            let (p, answers) = (&p, &answers);
            scope.spawn(move || {
                let mut rng = Rng(n as u64);
                let (send, outcomes) = channel::<(usize, Outcome)>();
                let mut sent = Vec::new();
                let mut judged = 0;
                while judged < JOBS as usize {
                    // As many at once as come together, more than some of the tenants may queue.
                    let burst = (1 + rng.below(12) as usize).min(JOBS as usize - sent.len());
                    let mut tickets = Vec::new();
                    for _ in 0..burst {
                        let (asked, index) = (asked(&mut rng), sent.len());
                        let mark = (n as u64) << 32 | index as u64;
                        let request = request(caller, &asked, mark, &mut rng);
                        let send = send.clone();
                        // A test that failed has nobody who listens.
                        let reply = move |outcome| drop(send.send((index, outcome)));
                        tickets.push((asked.cancelled, p.submit(request, Box::new(reply))));
                        sent.push(Some(asked));
                    }
                    for (cancelled, ticket) in tickets {
                        if cancelled { drop(ticket) } else { ticket.answered() }
                    }
                    for _ in 0..burst {
                        let (index, outcome) = outcomes.recv_timeout(Duration::from_secs(120)).unwrap();
                        let asked = sent[index].take().expect("one outcome for each request");
                        let kind = judge(&asked, &caller.quota, &outcome).unwrap_or_else(|e| {
                            panic!("tenant {n}, job {index}: {asked:?} of {:?}: {e}", caller.quota)
                        });
                        *answers.lock().unwrap().entry(kind).or_default() += 1;
                        judged += 1;
                    }
                }
                assert!(outcomes.try_recv().is_err(), "an outcome too many");
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    let (looks, faults) = (looks.load(Ordering::Relaxed), faulted.0.load(Ordering::Relaxed));
    println!("{answers:?}; {looks} looks at allocations; {faults} faults");
    let end = Instant::now() + Duration::from_secs(20);
    while !p.snapshot().tenants.is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let broken = broken.lock().unwrap();
    assert!(broken.is_empty(), "{} broken rules, the first: {}", broken.len(), broken[0]);
    assert_eq!(answers.values().sum::<u64>(), TENANTS * JOBS);
    for kind in ["device", "cpu", "fallback, quota", "fallback, device", "fallback, busy", "403, host"]
        .iter()
        .chain(&["403, device", "507", "429", "408", "422", "cancelled"])
    {
        assert!(answers.contains_key(kind), "no test: nobody was answered {kind}");
    }
    let count = |kind| answers.get(kind).copied().unwrap_or(0);
    let in_pieces = count("503") + count("fallback, in pieces");
    assert!(200 * in_pieces <= count("device"), "{in_pieces} jobs did not get what was free");
    assert!(looks > 1_000, "no test: {looks} allocations");
    let (used, peak) = device.used_and_peak_bytes();
    println!("at most {} of 64 MiB were used at once", peak / MIB);
    assert!(peak > DEVICE_BYTES / 2 && peak <= DEVICE_BYTES, "{peak}");
    assert_eq!((used, device.retired_bytes()), (0, 0), "device memory is left over");
    assert_eq!(p.snapshot().tenants, [], "reservations are left over");
}
