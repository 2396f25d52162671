//! What kinds of schedules there are.

use crate::rng::Rng;
use offload_pipeline::dispatch::DispatchConfig;
use offload_pipeline::place::Strategy;

/// What a schedule stresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything at once.
    Mixed,
    /// CPU only, ample limits: the shares of tenants are comparable.
    Fair,
    /// P0 without end against work that ages.
    Flood,
    /// CPU only, jobs as large as half of the memory.
    Memory,
    /// Few lanes, long jobs, low classes.
    Aging,
    /// Few keys, many followers, cancels and deadlines.
    Flight,
    /// Executors that fail, go down and come back.
    Faults,
    /// Small queues.
    Shed,
}

pub(crate) const KINDS: [Kind; 8] =
    [Kind::Mixed, Kind::Fair, Kind::Flood, Kind::Memory, Kind::Aging, Kind::Flight, Kind::Faults, Kind::Shed];

/// The figures of one schedule.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub kind: Kind,
    pub tenants: u64,
    pub submissions: u64,
    pub gap_us: u64,
    pub job_us: u64,
    pub class_weights: [u64; 4],
    pub devices: u32,
    pub cpu_lanes: u64,
    pub realtime_lane: bool,
    pub explicit: u64,
    pub keyed: u64,
    pub cancels: u64,
    pub deadlines: u64,
    pub faults: u64,
    pub churn: u64,
    pub inline: u64,
    pub big: u64,
    pub tight: bool,
    pub host_budget: u64,
    pub device_budget: u64,
    pub strategy: Strategy,
    pub config: DispatchConfig,
}

const STRATEGIES: [Strategy; 4] =
    [Strategy::CostBased, Strategy::LeastLoaded, Strategy::LocalityAware, Strategy::RoundRobin];

impl Profile {
    pub(crate) fn new(kind: Kind, rng: &mut Rng) -> Profile {
        let config = DispatchConfig {
            short_us: 1_500.0,
            short_bytes: 300,
            max_lookahead: 64,
            max_bypass: 4,
            ..DispatchConfig::default()
        };
        let mut p = Profile {
            kind,
            tenants: rng.within(1, 6),
            submissions: rng.within(20, 80),
            gap_us: 10u64.pow(rng.within(3, 7) as u32),
            job_us: 10u64.pow(rng.within(3, 7) as u32),
            class_weights: [1, 2, 3, 4],
            devices: rng.below(3) as u32,
            cpu_lanes: rng.within(1, 3),
            realtime_lane: rng.percent(50),
            explicit: 20,
            keyed: 30,
            cancels: 10,
            deadlines: 20,
            faults: 5,
            churn: 5,
            inline: 20,
            big: 10,
            tight: true,
            host_budget: 4_000,
            device_budget: 2_000,
            strategy: STRATEGIES[rng.below(4) as usize],
            config,
        };
        match kind {
            Kind::Mixed => {}
            Kind::Fair => {
                (p.devices, p.faults, p.churn, p.big, p.tight) = (0, 0, 0, 0, false);
                (p.host_budget, p.gap_us, p.cancels, p.inline) = (1 << 40, p.job_us / 4, 3, 0);
                (p.tenants, p.submissions, p.keyed) = (rng.within(2, 5), 100, 5);
            }
            Kind::Flood => {
                (p.class_weights, p.job_us, p.gap_us) = ([8, 1, 1, 1], 5_000_000, 1_500_000);
                (p.submissions, p.deadlines, p.churn, p.faults) = (200, 3, 0, 0);
                (p.tight, p.big, p.devices, p.keyed) = (false, 0, rng.below(2) as u32, 3);
            }
            Kind::Memory => {
                (p.devices, p.faults, p.churn, p.big, p.tight) = (0, 0, 0, 25, false);
                (p.gap_us, p.cancels, p.deadlines, p.inline) = (p.job_us / 3, 2, 2, 0);
                (p.submissions, p.keyed, p.cpu_lanes) = (150, 0, 4);
            }
            Kind::Aging => {
                (p.class_weights, p.job_us, p.gap_us) = ([0, 1, 4, 4], 20_000_000, 5_000_000);
                (p.cpu_lanes, p.deadlines) = (1, 5);
            }
            Kind::Flight => {
                (p.keyed, p.cancels, p.deadlines, p.tenants) = (95, 25, 40, 2);
                p.gap_us = p.job_us / 4;
            }
            Kind::Faults => {
                (p.faults, p.churn, p.devices, p.explicit) = (40, 15, 2, 40);
            }
            Kind::Shed => {
                p.gap_us = p.job_us / 10;
                p.config.max_queued = rng.within(2, 30) as usize;
                p.config.max_waiters_per_job = 3;
                p.keyed = 50;
            }
        }
        p.gap_us = p.gap_us.max(1);
        p
    }
}
