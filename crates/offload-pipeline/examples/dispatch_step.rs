//! What one step of the dispatcher costs with 10,000 jobs queued, of 4 priorities and 100 tenants.

use offload_api::{DeviceChoice, Priority};
use offload_core::TenantId;
use offload_pipeline::dispatch::{
    Command, Demand, DispatchConfig, Dispatcher, End, Event, Executor, Lane, LaneId, Limits, Submission,
    Time, WaiterId,
};
use offload_pipeline::place::{Ledger, Places, Strategy};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

const QUEUED: u64 = 10_000;
const STEPS: usize = 200_000;

fn submission(n: u64, now: Time, tenants: &[TenantId], limits: &Arc<Limits>) -> Submission {
    let device = n.is_multiple_of(2);
    Submission {
        waiter: WaiterId(n),
        tenant: tenants[(n % 100) as usize].clone(),
        limits: limits.clone(),
        priority: Priority::ALL[(n / 100 % 4) as usize],
        deadline: Some(now + 60_000_000 + n % 1_000),
        flight: Some([n.to_le_bytes(), [0; 8], [0; 8], [0; 8]].concat().try_into().unwrap_or([0; 32])),
        demand: Demand {
            host_bytes: 1_000 + n % 7_000,
            staging_bytes: 0,
            device_bytes: device.then_some(5_000),
            cpu_us: (100 + n % 900) as f64,
            device_us: if device { vec![(0, 80.0), (1, 90.0)] } else { Vec::new() },
            choice: if n.is_multiple_of(5) { DeviceChoice::Cpu } else { DeviceChoice::Auto },
            locality: None,
            resident_on: Vec::new(),
        },
        inline: false,
    }
}

/// Resident bytes of this process; 0 where that cannot be read.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

fn main() {
    let tenants: Vec<TenantId> = (0..100).map(|i| TenantId::new(&format!("tenant-{i}"))).collect();
    let limits = Arc::new(Limits {
        max_concurrent_tasks: 4,
        max_queued_tasks: 1_000,
        max_host_bytes: 1 << 20,
        max_device_bytes: 1 << 20,
    });
    let mut ledger = Ledger::new(1 << 30);
    ledger.set_device_budget(0, 1 << 20);
    ledger.set_device_budget(1, 1 << 20);
    let config = DispatchConfig {
        max_queued: 2 * QUEUED as usize,
        headroom_percent: [100; 4],
        ..DispatchConfig::default()
    };
    let mut dispatcher = Dispatcher::new(config, Places::new(Strategy::CostBased, ledger));
    let (mut out, mut now, mut n) = (Vec::new(), Time(0), 0);
    let before = resident_bytes();
    while n < QUEUED {
        n += 1;
        dispatcher.step(now, Event::Submit(submission(n, now, &tenants, &limits)), &mut out);
    }
    out.clear();
    let per_job = (resident_bytes() - before) / QUEUED;
    for id in 0..10 {
        let executor = if id < 6 { Executor::Cpu } else { Executor::Device((id - 6) / 2) };
        let (depth, most) = if id < 6 { (1, 1) } else { (2, 32) };
        let spec = Lane { executor, realtime_only: id % 6 == 5, depth, most };
        dispatcher.step(now, Event::AddLane { lane: LaneId(id), spec }, &mut out);
    }

    let mut running = VecDeque::new();
    let (mut ended, mut submitted) = (Vec::with_capacity(STEPS), Vec::with_capacity(STEPS));
    while ended.len() < STEPS {
        running.extend(out.drain(..).filter_map(|c| match c {
            Command::Start { job, lane, .. } => Some((job, lane)),
            _ => None,
        }));
        now = now + 10;
        if let Some((job, lane)) = running.pop_front() {
            let began = Instant::now();
            dispatcher.step(now, Event::Ended { job, lane, end: End::Done }, &mut out);
            ended.push(began.elapsed().as_nanos() as u64);
        }
        n += 1;
        let event = Event::Submit(submission(n, now, &tenants, &limits));
        let began = Instant::now();
        dispatcher.step(now, event, &mut out);
        submitted.push(began.elapsed().as_nanos() as u64);
    }
    let mut both = [ended.clone(), submitted.clone()].concat();
    for (name, list) in [("end + start", &mut ended), ("submit", &mut submitted), ("all", &mut both)] {
        list.sort_unstable();
        let at = |part: usize| list[(list.len() - 1) * part / 1_000] as f64 / 1_000.0;
        println!("{name:12} median {:.2} µs, p99 {:.2} µs, p99.9 {:.2} µs", at(500), at(990), at(999));
    }
    println!("{:?} queued, {per_job} bytes resident per job queued", dispatcher.queued());
}
