//! The subtle rules of placement.

use super::*;
use crate::dispatch::{LaneId, Limits};

const GPU: Executor = Executor::Device(0);

fn limits() -> Limits {
    Limits { max_concurrent_tasks: 4, max_queued_tasks: 9, max_host_bytes: 100, max_device_bytes: 100 }
}

fn demand() -> Demand {
    Demand {
        host_bytes: 10,
        staging_bytes: 0,
        device_bytes: Some(50),
        cpu_us: 1_000.0,
        device_us: vec![(0, 100.0)],
        choice: DeviceChoice::Auto,
        locality: None,
        resident_on: Vec::new(),
    }
}

fn lane(lane: u32, executor: Executor, room: bool, backlog_us: f64) -> LaneView {
    LaneView { lane: LaneId(lane), executor, room, jobs: usize::from(!room), backlog_us }
}

fn places() -> Places {
    let mut ledger = Ledger::new(200);
    ledger.set_device_budget(0, 80);
    Places::new(Strategy::CostBased, ledger)
}

fn place(
    p: &mut Places,
    id: u64,
    demand: &Demand,
    lanes: &[LaneView],
    waited_us: u64,
    due: bool,
) -> Placement {
    let (tenant, limits) = (TenantId::new("a"), limits());
    let job =
        JobView { job: JobId(id), tenant: &tenant, limits: &limits, demand, excluded: &[], waited_us, due };
    p.place(&job, lanes, Time(0))
}

fn on(lane: u32, fallback: Option<&str>) -> Placement {
    Placement::Lane(LaneId(lane), fallback.map(String::from))
}

#[test]
fn auto_falls_back_with_the_reason_and_only_when_the_device_was_better() {
    let cpu = lane(1, Executor::Cpu, true, 0.0);
    let gpu = lane(2, GPU, true, 0.0);
    assert_eq!(place(&mut places(), 1, &demand(), &[cpu, gpu], 0, false), on(2, None));
    let down = place(&mut places(), 1, &demand(), &[cpu], 0, false);
    assert_eq!(down, on(1, Some("device 0 takes no jobs")));
    let slow = Demand { cpu_us: 50.0, ..demand() };
    assert_eq!(place(&mut places(), 1, &slow, &[cpu, gpu], 0, false), on(1, None), "its own choice");
    let huge = Demand { device_bytes: Some(90), ..demand() };
    let reason = "needs 90 device bytes, device 0 has 80";
    assert_eq!(place(&mut places(), 1, &huge, &[cpu, gpu], 0, false), on(1, Some(reason)));
    let mut p = places();
    assert_eq!(place(&mut p, 1, &demand(), &[cpu, gpu], 0, false), on(2, None));
    let reason = "needs 50 device bytes, 30 of 80 are free";
    assert_eq!(place(&mut p, 2, &demand(), &[cpu, gpu], 0, false), on(1, Some(reason)));
}

#[test]
fn a_better_lane_is_waited_for_as_long_as_that_can_pay() {
    let lanes = [lane(1, Executor::Cpu, true, 0.0), lane(2, GPU, false, 300.0)];
    let waiting = place(&mut places(), 1, &demand(), &lanes, 0, false);
    assert_eq!(waiting, Placement::Wait(Wait::DeviceBusy { until: Time(1_000) }));
    let busy = Some("device 0 is busy");
    assert_eq!(place(&mut places(), 1, &demand(), &lanes, 1_000, false), on(1, busy), "long enough");
    assert_eq!(
        place(&mut places(), 1, &demand(), &lanes, 0, true),
        on(1, busy),
        "a due job takes what is free"
    );
}

#[test]
fn explicit_gpu_waits_for_memory_and_is_refused_what_never_fits() {
    let gpu = [lane(2, GPU, true, 0.0)];
    let explicit = Demand { choice: DeviceChoice::Gpu, ..demand() };
    let mut p = places();
    assert_eq!(place(&mut p, 1, &explicit, &gpu, 0, false), on(2, None));
    assert_eq!(place(&mut p, 2, &explicit, &gpu, 0, false), Placement::Wait(Wait::DeviceBudget));
    p.release(JobId(1));
    assert_eq!(place(&mut p, 2, &explicit, &gpu, 0, false), on(2, None));
    let huge = Demand { device_bytes: Some(90), ..explicit };
    let never = Refusal::OverQuota { what: Resource::DeviceBytes, needed: 90, limit: 80 };
    assert_eq!(place(&mut p, 3, &huge, &gpu, 0, false), Placement::Never(never));
}

#[test]
fn bytes_on_the_way_to_a_device_count_where_they_travel() {
    let (cpu, gpu) = (lane(1, Executor::Cpu, true, 0.0), lane(2, GPU, true, 0.0));
    let staged = Demand { staging_bytes: 60, device_bytes: Some(1), ..demand() };
    let mut p = places();
    assert_eq!(place(&mut p, 1, &staged, &[cpu, gpu], 0, false), on(2, None));
    assert_eq!(p.ledger().host_used(), 70, "the job's own and those on the way");
    let reason = "needs 70 host bytes to go to a device, 30 of 100 are free";
    assert_eq!(place(&mut p, 2, &staged, &[cpu, gpu], 0, false), on(1, Some(reason)));
    assert_eq!(p.ledger().host_used(), 80, "on the CPU nothing travels");
    let explicit = Demand { choice: DeviceChoice::Gpu, ..staged };
    assert_eq!(place(&mut p, 3, &explicit, &[gpu], 0, false), Placement::Wait(Wait::TenantQuota));
    p.release(JobId(1));
    assert_eq!(place(&mut p, 3, &explicit, &[gpu], 0, false), on(2, None));
    let huge = Demand { staging_bytes: 91, ..explicit };
    let never = Refusal::OverQuota { what: Resource::TenantHostBytes, needed: 101, limit: 100 };
    assert_eq!(place(&mut p, 4, &huge, &[gpu], 0, false), Placement::Never(never));
    let reason = "needs 101 host bytes to go to a device, the limit is 100";
    let huge = Demand { choice: DeviceChoice::Auto, ..huge };
    p.release(JobId(2));
    assert_eq!(place(&mut p, 4, &huge, &[cpu, gpu], 0, false), on(1, Some(reason)));
}

#[test]
fn locality_is_remembered() {
    let mut p = Places::new(Strategy::LocalityAware, Ledger::new(200));
    p.ledger_mut().set_device_budget(0, 80);
    let near = Demand { locality: Some(7), device_bytes: Some(1), ..demand() };
    assert_eq!(place(&mut p, 1, &near, &[lane(2, GPU, true, 0.0)], 0, false), on(2, None));
    let lanes = [lane(1, Executor::Cpu, true, 0.0), lane(2, GPU, true, 5_000.0)];
    assert_eq!(place(&mut p, 2, &near, &lanes, 0, false), on(2, None));
}
