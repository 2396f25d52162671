//! Each invariant is seen to fail when its rule is broken on purpose, and it is that invariant that fails.

use crate::profile::{KINDS, Kind};
use crate::tamper::Tamper;
use crate::world;
use offload_pipeline::dispatch::Sabotage;

/// The first violation among the schedules of that kind.
#[track_caller]
fn breaks(kind: Kind, tamper: Tamper, invariant: &str) {
    assert!(KINDS.contains(&kind));
    let first = (0..400).find_map(|seed| world::play(kind, seed, tamper).err().map(|v| (seed, v)));
    let (seed, v) = first.expect("nothing noticed that the rule was broken");
    assert_eq!(v.invariant, invariant, "seed {seed}: {}", v.detail);
}

macro_rules! breaks {
    ($($name:ident: $kind:ident, $tamper:expr => $invariant:literal;)*) => {
        $(
            #[test]
            fn $name() {
                breaks(Kind::$kind, $tamper, $invariant);
            }
        )*
    };
}

breaks! {
    lifo_breaks_fifo: Aging, Tamper::Rule(Sabotage::Lifo) => "fifo";
    inversion_breaks_order: Fair, Tamper::Rule(Sabotage::Inversion) => "order";
    free_service_breaks_fairness: Fair, Tamper::Rule(Sabotage::Unfair) => "fairness";
    open_lanes_break_realtime: Mixed, Tamper::Rule(Sabotage::OpenRealtime) => "realtime_lane";
    p0_alone_breaks_alternation: Flood, Tamper::Rule(Sabotage::NoAlternation) => "alternation";
    no_hold_breaks_bypass: Memory, Tamper::Rule(Sabotage::NoHold) => "bypass";
    no_raise_breaks_raise: Flight, Tamper::Rule(Sabotage::NoRaise) => "raise";
    a_leader_that_fails_all_breaks_followers: Flight, Tamper::Rule(Sabotage::FailFollowers) => "followers";
    joining_the_aborted_breaks_single_flight: Flight, Tamper::Rule(Sabotage::JoinAborted) => "single_flight";
    not_joining_breaks_single_flight: Flight, Tamper::Rule(Sabotage::NoJoin) => "single_flight";
    late_answers_break_deadlines: Flight, Tamper::Rule(Sabotage::LateDeadline) => "deadline";
    early_answers_break_deadlines: Flight, Tamper::Rule(Sabotage::EarlyDeadline) => "deadline";
    early_release_breaks_reservations: Flight, Tamper::Rule(Sabotage::EarlyRelease) => "reservations";
    a_leak_breaks_reservations: Mixed, Tamper::Rule(Sabotage::Leak) => "reservations";
    endless_retries_break_attempts: Faults, Tamper::Rule(Sabotage::RetryForever) => "attempts";
    going_back_breaks_exclusion: Faults, Tamper::Rule(Sabotage::NoExclusion) => "exclusion";
    deep_lanes_break_lanes: Aging, Tamper::Rule(Sabotage::DeepLane) => "lane";
    dead_executors_break_lanes: Faults, Tamper::Rule(Sabotage::IgnoreDown) => "lane";
    retired_lanes_break_lanes: Faults, Tamper::Rule(Sabotage::IgnoreRetired) => "lane";
    endless_queues_break_shedding: Shed, Tamper::Rule(Sabotage::NoShed) => "shed";
    eager_inline_breaks_inline: Mixed, Tamper::Rule(Sabotage::EagerInline) => "inline";
    ignoring_a_drain_breaks_drain: Shed, Tamper::Rule(Sabotage::IgnoreDrain) => "drain";
    silent_fallback_breaks_the_choice: Mixed, Tamper::Rule(Sabotage::SilentFallback) => "device_choice";
    stranded_jobs_are_seen: Faults, Tamper::Rule(Sabotage::KeepStranded) => "stranded";
    admitting_the_oversized_breaks_quotas: Aging, Tamper::Rule(Sabotage::AdmitOversized) => "over_quota";
    counting_the_ended_breaks_release: Mixed, Tamper::Rule(Sabotage::Lingering) => "released";
    a_restless_dispatcher_breaks_liveness: Fair, Tamper::Rule(Sabotage::Restless) => "liveness";
    no_aging_breaks_aging: Aging, Tamper::NoAging => "aging";
    a_forgotten_promise_breaks_sla: Aging, Tamper::NoSla => "sla";
    lost_answers_break_one_outcome: Flight, Tamper::LoseTimeOut => "deadline";
    repeated_answers_break_one_outcome: Flight, Tamper::RepeatTimeOut => "one_outcome";
    lost_ends_break_one_end: Fair, Tamper::LoseSettled => "one_end";
    repeated_ends_break_one_end: Mixed, Tamper::RepeatSettled => "one_end";
    lost_drops_are_seen: Flight, Tamper::LoseDropped => "abandoned";
    embellished_ends_break_settlement: Mixed, Tamper::Embellish => "settlement";
    twice_the_memory_breaks_the_host_budget: Memory, Tamper::HostBudget => "host_budget";
    twice_the_memory_breaks_the_device_budget: Mixed, Tamper::DeviceBudget => "device_budget";
    a_blind_placer_breaks_quotas: Aging, Tamper::Quota => "tenant_quota";
    an_idle_placer_breaks_idle_lane: Fair, Tamper::Idle => "idle_lane";
    oversleeping_breaks_wakeup: Flight, Tamper::Oversleep => "wakeup";
    wrong_positions_are_seen: Fair, Tamper::Position => "position";
    wrong_refusals_are_seen: Mixed, Tamper::WrongRefusal => "refusal";
}
