//! The subtle rules of dispatch, one at a time; `tests/simulation` holds them together.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{DeviceChoice, Priority};
use offload_core::TenantId;
use offload_pipeline::dispatch::*;
use offload_pipeline::place::{Ledger, Places, Strategy};
use std::sync::Arc;

const GENERAL: Lane = Lane { executor: Executor::Cpu, realtime_only: false, depth: 1, most: 1 };

struct Bench {
    d: Dispatcher<Places>,
    now: Time,
    waiters: u64,
}

impl Bench {
    fn new(lanes: u32) -> Bench {
        Bench::with(lanes, DispatchConfig::default())
    }

    fn with(lanes: u32, config: DispatchConfig) -> Bench {
        let mut ledger = Ledger::new(1_000);
        ledger.set_device_budget(0, 1_000);
        let d = Dispatcher::new(config, Places::new(Strategy::CostBased, ledger));
        let mut bench = Bench { d, now: Time(0), waiters: 0 };
        for lane in 0..lanes {
            bench.step(Event::AddLane { lane: LaneId(lane), spec: GENERAL });
        }
        bench
    }

    fn step(&mut self, event: Event) -> Vec<Command> {
        let mut out = Vec::new();
        self.d.step(self.now, event, &mut out);
        out
    }

    fn at(&mut self, us: u64) -> Vec<Command> {
        self.now = Time(us);
        self.step(Event::Tick)
    }

    fn wish(&mut self, tenant: &str, priority: Priority) -> Submission {
        self.waiters += 1;
        Submission {
            waiter: WaiterId(self.waiters),
            tenant: TenantId::new(tenant),
            limits: Arc::new(Limits {
                max_concurrent_tasks: 10,
                max_queued_tasks: 100,
                max_host_bytes: 1_000,
                max_device_bytes: 1_000,
            }),
            priority,
            deadline: None,
            flight: None,
            demand: Demand {
                host_bytes: 1,
                staging_bytes: 0,
                device_bytes: None,
                cpu_us: 10.0,
                device_us: Vec::new(),
                choice: DeviceChoice::Auto,
                locality: None,
                resident_on: Vec::new(),
            },
            inline: false,
        }
    }

    fn submit(&mut self, tenant: &str, priority: Priority) -> Vec<Command> {
        let wish = self.wish(tenant, priority);
        self.step(Event::Submit(wish))
    }

    fn end(&mut self, job: u64, lane: u32, end: End) -> Vec<Command> {
        self.step(Event::Ended { job: JobId(job), lane: LaneId(lane), end })
    }
}

fn started(out: &[Command]) -> Vec<u64> {
    let start = |c: &Command| if let Command::Start { job, .. } = c { Some(job.0) } else { None };
    out.iter().filter_map(start).collect()
}

#[test]
fn a_job_leaves_its_queue_only_for_a_lane() {
    let mut b = Bench::new(1);
    assert_eq!(started(&b.submit("a", Priority::Low)), [1]);
    assert_eq!(started(&b.submit("a", Priority::Low)), [0u64; 0]);
    assert_eq!(started(&b.submit("b", Priority::Realtime)), [0u64; 0]);
    assert_eq!(started(&b.end(1, 0, End::Done)), [3], "the urgent one first");
    assert_eq!(started(&b.end(3, 0, End::Done)), [2]);
}

#[test]
fn an_end_told_twice_is_told_once() {
    let mut b = Bench::new(1);
    b.submit("a", Priority::Low);
    assert_eq!(b.end(1, 0, End::Done).len(), 1);
    assert_eq!(b.end(1, 0, End::Done), []);
}

#[test]
fn a_job_ages_at_the_stated_times_and_never_into_p0() {
    let mut b = Bench::new(0);
    b.submit("a", Priority::Low);
    for (us, queued) in [
        (59_999_999, [0, 0, 0, 1]),
        (60_000_000, [0, 0, 1, 0]),
        (179_999_999, [0, 0, 1, 0]),
        (180_000_000, [0, 1, 0, 0]),
        (9_000_000_000, [0, 1, 0, 0]),
    ] {
        b.at(us);
        assert_eq!(b.d.queued(), queued, "at {us} µs");
    }
    assert_eq!(b.d.next_wakeup(), None, "nothing happens by itself any more");
}

#[test]
fn a_late_tick_does_not_lengthen_the_next_age() {
    let mut b = Bench::new(0);
    b.submit("a", Priority::Low);
    b.at(180_000_000);
    assert_eq!(b.d.queued(), [0, 1, 0, 0]);
}

#[test]
fn p0_gives_up_every_second_start_while_aged_work_waits() {
    let mut b = Bench::new(1);
    b.submit("a", Priority::Realtime);
    b.submit("bulk", Priority::Low);
    b.submit("bulk", Priority::Low);
    b.at(180_000_000);
    for _ in 0..4 {
        b.submit("a", Priority::Realtime);
    }
    let mut order = Vec::new();
    let mut running = 1;
    for _ in 0..6 {
        let next = started(&b.end(running, 0, End::Done));
        running = next[0];
        order.push(running);
    }
    assert_eq!(order, [4, 2, 5, 3, 6, 7]);
}

#[test]
fn a_big_job_is_overtaken_only_so_often() {
    let config = DispatchConfig { max_bypass: 2, ..DispatchConfig::default() };
    let mut b = Bench::with(2, config);
    let mut first = b.wish("a", Priority::High);
    first.demand.host_bytes = 600;
    b.step(Event::Submit(first));
    let mut big = b.wish("big", Priority::High);
    big.demand.host_bytes = 900;
    assert_eq!(started(&b.step(Event::Submit(big))), [0u64; 0]);
    assert_eq!(started(&b.submit("c", Priority::Medium)), [3]);
    assert_eq!(started(&b.submit("c", Priority::Medium)), [0u64; 0]);
    assert_eq!(started(&b.end(3, 1, End::Done)), [4], "the second one past it");
    assert_eq!(started(&b.submit("c", Priority::Medium)), [0u64; 0]);
    assert_eq!(started(&b.end(4, 1, End::Done)), [0u64; 0], "the lane is held");
    assert_eq!(b.d.snapshot().held, Some(JobId(2)));
    assert_eq!(started(&b.end(1, 0, End::Done)), [2, 5]);
}

#[test]
fn a_tenant_at_its_own_limit_blocks_nobody() {
    let mut b = Bench::new(2);
    let mut wish = b.wish("a", Priority::Realtime);
    let one = Limits { max_concurrent_tasks: 1, ..(*wish.limits).clone() };
    wish.limits = Arc::new(one);
    let second = Submission { waiter: WaiterId(100), ..wish.clone() };
    assert_eq!(started(&b.step(Event::Submit(wish))), [1]);
    assert_eq!(started(&b.step(Event::Submit(second))), [0u64; 0]);
    for job in 3..40 {
        assert_eq!(started(&b.submit("b", Priority::Low)), [job]);
        b.end(job, 1, End::Done);
    }
    assert_eq!(started(&b.end(1, 0, End::Done)), [2]);
}

#[test]
fn a_leader_that_leaves_takes_nobody_with_it() {
    let mut b = Bench::new(1);
    b.submit("x", Priority::Low);
    let mut leader = b.wish("a", Priority::Low);
    leader.flight = Some([7; 32]);
    leader.deadline = Some(Time(50));
    let follower =
        Submission { waiter: WaiterId(9), priority: Priority::High, deadline: None, ..leader.clone() };
    b.step(Event::Submit(leader));
    assert_eq!(b.step(Event::Submit(follower)), [Command::Joined { waiter: WaiterId(9), job: JobId(2) }]);
    assert_eq!(b.d.queued(), [0, 1, 0, 0], "raised");
    assert_eq!(b.d.next_wakeup(), Some(Time(50)));
    assert_eq!(b.at(50), [Command::TimedOut { waiter: WaiterId(2), job: JobId(2) }]);
    b.end(1, 0, End::Done);
    let settled = Command::Settled { job: JobId(2), waiters: vec![WaiterId(9)], end: Settlement::Done };
    assert_eq!(b.end(2, 0, End::Done), [settled]);
}

#[test]
fn an_aborted_job_keeps_its_reservation_and_gives_up_its_key() {
    let mut b = Bench::new(2);
    let mut wish = b.wish("a", Priority::Low);
    wish.flight = Some([7; 32]);
    let again = Submission { waiter: WaiterId(9), ..wish.clone() };
    b.step(Event::Submit(wish));
    let out = b.step(Event::Cancel(WaiterId(1)));
    let answered = Command::Cancelled { waiter: WaiterId(1), job: JobId(1) };
    assert_eq!(out, [answered, Command::Abort { job: JobId(1) }]);
    assert_eq!(b.d.snapshot().tenants[0].reserved.tasks, 1);
    assert_eq!(started(&b.step(Event::Submit(again))), [2], "computed anew");
    assert_eq!(b.d.snapshot().tenants[0].reserved.tasks, 2);
    b.end(1, 0, End::Cancelled);
    b.end(2, 1, End::Done);
    assert!(b.d.is_idle() && b.d.snapshot().tenants.is_empty());
}

#[test]
fn a_fault_goes_elsewhere_and_a_third_is_the_last() {
    let mut b = Bench::new(1);
    let device = Lane { executor: Executor::Device(0), realtime_only: false, depth: 2, most: 2 };
    b.step(Event::AddLane { lane: LaneId(9), spec: device });
    let mut wish = b.wish("a", Priority::Low);
    wish.demand.device_bytes = Some(5);
    wish.demand.device_us = vec![(0, 1.0)];
    let start = |lane, attempt, fallback: Option<&str>| {
        let fallback = fallback.map(String::from);
        Command::Start { job: JobId(1), lane: LaneId(lane), attempt, class: 3, fallback }
    };
    assert_eq!(b.step(Event::Submit(wish)).last(), Some(&start(9, 1, None)));
    let failed = "device 0 failed this job before";
    assert_eq!(b.end(1, 9, End::Faulted).last(), Some(&start(0, 2, Some(failed))));
    assert_eq!(b.end(1, 0, End::Faulted).last(), Some(&start(9, 3, None)), "both failed: both may try again");
    let dead = Settlement::DeadLetter { attempts: 3 };
    let settled = Command::Settled { job: JobId(1), waiters: vec![WaiterId(1)], end: dead };
    assert_eq!(b.end(1, 9, End::Faulted), [settled]);
}

#[test]
fn who_named_a_device_is_refused_when_it_goes() {
    let mut b = Bench::new(1);
    let device = Lane { executor: Executor::Device(0), realtime_only: false, depth: 1, most: 1 };
    b.step(Event::AddLane { lane: LaneId(9), spec: device });
    let mut wish = b.wish("a", Priority::Low);
    wish.demand.device_bytes = Some(5);
    wish.demand.device_us = vec![(0, 1.0)];
    wish.demand.choice = DeviceChoice::Gpu;
    let queued = Submission { waiter: WaiterId(8), ..wish.clone() };
    let late = Submission { waiter: WaiterId(9), ..wish.clone() };
    b.step(Event::Submit(wish));
    b.step(Event::Submit(queued));
    let why = Refusal::NoExecutor(NoExecutor::NoGpu);
    let end = Settlement::Refused(why.clone());
    let settled = Command::Settled { job: JobId(2), waiters: vec![WaiterId(8)], end };
    assert_eq!(b.step(Event::ExecutorDown { executor: Executor::Device(0) }), [settled]);
    assert_eq!(b.step(Event::Submit(late)), [Command::Refused { waiter: WaiterId(9), why }]);
}

#[test]
fn inline_runs_past_nobody() {
    let mut b = Bench::new(0);
    let mut wish = b.wish("a", Priority::Medium);
    wish.inline = true;
    let behind = Submission { waiter: WaiterId(8), ..wish.clone() };
    assert_eq!(b.step(Event::Submit(wish)), [Command::RunInline { waiter: WaiterId(1), job: JobId(1) }]);
    b.submit("b", Priority::Low);
    let urgent = Submission { waiter: WaiterId(7), ..behind.clone() };
    let out = b.step(Event::Submit(urgent));
    assert!(matches!(out[..], [Command::RunInline { .. }]), "bulk work is not ahead");
    b.submit("b", Priority::Medium);
    let out = b.step(Event::Submit(behind));
    assert!(matches!(out[..], [Command::Queued { position: 1, .. }]), "{out:?}");
    assert_eq!(b.step(Event::Ended { job: JobId(1), lane: LaneId::INLINE, end: End::Done }).len(), 1);
}

#[test]
fn bulk_work_is_shed_first() {
    let config = DispatchConfig { max_queued: 10, ..DispatchConfig::default() };
    let mut b = Bench::with(0, config);
    for _ in 0..7 {
        assert!(matches!(b.submit("a", Priority::Low)[..], [Command::Queued { .. }]));
    }
    let full =
        |waiter, limit| Command::Refused { waiter: WaiterId(waiter), why: Refusal::QueueFull { limit } };
    assert_eq!(b.submit("a", Priority::Low), [full(8, 7)]);
    assert!(matches!(b.submit("a", Priority::Medium)[..], [Command::Queued { .. }]));
    assert_eq!(b.submit("a", Priority::Medium), [full(10, 8)]);
}
