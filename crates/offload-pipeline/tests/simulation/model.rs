//! What the oracle knows: built from events and commands alone, in the plainest data there is.

use offload_api::DeviceChoice;
use offload_core::TenantId;
use offload_pipeline::dispatch::{Demand, Executor, FlightKey, JobId, Lane, LaneId, Limits, Time, WaiterId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    Running { lane: LaneId, executor: Executor, aborted: bool },
}

#[derive(Clone, Debug)]
pub(crate) struct ModelJob {
    pub tenant: TenantId,
    pub demand: Demand,
    pub key: Option<FlightKey>,
    pub enqueued: Time,
    pub class: usize,
    pub entered: Time,
    pub due: bool,
    pub raised: bool,
    pub waiters: Vec<WaiterId>,
    pub phase: Phase,
    pub attempts: u32,
    pub failed_on: BTreeSet<Executor>,
    pub overtaken: u32,
    /// Starts of lower classes past it while it waited for memory.
    pub bypassed: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelWaiter {
    pub job: JobId,
    pub class: usize,
    pub submitted: Time,
    pub deadline: Option<Time>,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelLane {
    pub spec: Lane,
    pub retired: bool,
}

/// The budgets and bounds as they should be, whatever the code under test was told.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub host_budget: u64,
    pub device_budget: u64,
    pub config: offload_pipeline::dispatch::DispatchConfig,
    pub cost_based: bool,
    pub fair: bool,
    pub memory: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub jobs: BTreeMap<JobId, ModelJob>,
    pub waiters: BTreeMap<WaiterId, ModelWaiter>,
    pub lanes: BTreeMap<LaneId, ModelLane>,
    pub down: BTreeSet<Executor>,
    pub limits: BTreeMap<TenantId, Arc<Limits>>,
    pub draining: bool,
}

/// Jobs of one tenant and class that wait for the same lanes.
pub(crate) fn route(d: &Demand) -> (u8, u32) {
    match d.choice {
        DeviceChoice::Cpu => (0, 0),
        DeviceChoice::Auto if d.device_bytes.is_none() || d.device_us.is_empty() => (0, 0),
        DeviceChoice::Auto => (1, 0),
        DeviceChoice::Gpu => (2, 0),
        DeviceChoice::Id(id) => (3, id),
    }
}

pub(crate) fn may_use(d: &Demand, executor: Executor) -> bool {
    match (executor, &d.choice) {
        (Executor::Cpu, choice) => matches!(choice, DeviceChoice::Auto | DeviceChoice::Cpu),
        (_, DeviceChoice::Cpu) => false,
        (Executor::Device(x), DeviceChoice::Id(id)) if x != *id => false,
        (Executor::Device(x), _) => d.device_bytes.is_some() && d.device_us.iter().any(|p| p.0 == x),
    }
}

/// Host bytes that the job holds while it runs there.
pub(crate) fn host_on(d: &Demand, executor: Executor) -> u64 {
    if executor == Executor::Cpu { d.host_bytes } else { d.host_bytes + d.staging_bytes }
}

impl Model {
    pub(crate) fn queued(&self) -> impl Iterator<Item = (&JobId, &ModelJob)> {
        self.jobs.iter().filter(|(_, j)| j.phase == Phase::Queued)
    }

    pub(crate) fn queued_in(&self, class: usize) -> usize {
        self.queued().filter(|(_, j)| j.class == class).count()
    }

    pub(crate) fn jobs_on(&self, lane: LaneId) -> usize {
        self.jobs.values().filter(|j| matches!(j.phase, Phase::Running { lane: l, .. } if l == lane)).count()
    }

    /// What the jobs of a lane are expected to take in all.
    pub(crate) fn expected_us_on(&self, lane: LaneId) -> f64 {
        let expected = |j: &ModelJob| match j.phase {
            Phase::Running { lane: l, executor, .. } if l == lane => Some(j.demand.expected_us(executor)),
            _ => None,
        };
        self.jobs.values().filter_map(expected).sum()
    }

    /// Tasks, host bytes and device bytes of the running jobs that `keep` accepts.
    pub(crate) fn used(&self, keep: impl Fn(&ModelJob, Executor) -> bool) -> (u32, u64, u64) {
        let mut sum = (0, 0, 0);
        for job in self.jobs.values() {
            if let Phase::Running { executor, .. } = job.phase
                && keep(job, executor)
            {
                sum.0 += 1;
                sum.1 += host_on(&job.demand, executor);
                if executor != Executor::Cpu {
                    sum.2 += job.demand.device_bytes.unwrap_or(0);
                }
            }
        }
        sum
    }

    /// Whether a lane takes jobs of that class, room aside.
    pub(crate) fn open(&self, lane: &ModelLane, class: usize) -> bool {
        !lane.retired && !self.down.contains(&lane.spec.executor) && (class == 0 || !lane.spec.realtime_only)
    }

    pub(crate) fn reachable(&self, d: &Demand, class: usize) -> bool {
        may_use(d, Executor::Cpu)
            || self.lanes.values().any(|l| may_use(d, l.spec.executor) && self.open(l, class))
    }

    /// Whether the tenant's own limits let the job start there now.
    pub(crate) fn quota_fits(&self, job: &ModelJob, executor: Executor) -> bool {
        let Some(limits) = self.limits.get(&job.tenant) else { return false };
        let (tasks, host, device) = self.used(|j, _| j.tenant == job.tenant);
        let on_device = executor != Executor::Cpu;
        let device_bytes = if on_device { job.demand.device_bytes.unwrap_or(0) } else { 0 };
        tasks < limits.max_concurrent_tasks
            && host + host_on(&job.demand, executor) <= limits.max_host_bytes
            && device + device_bytes <= limits.max_device_bytes
    }

    /// Whether memory lets the job start there now.
    pub(crate) fn memory_fits(&self, job: &ModelJob, executor: Executor, facts: &Facts) -> bool {
        let host = self.used(|_, _| true).1;
        let device = match executor {
            Executor::Cpu => true,
            here => {
                let used = self.used(|_, e| e == here).2;
                used + job.demand.device_bytes.unwrap_or(0) <= facts.device_budget
            }
        };
        device && host + host_on(&job.demand, executor) <= facts.host_budget
    }

    /// Whether the job is the oldest of its tenant, class and route.
    pub(crate) fn is_first(&self, id: JobId, job: &ModelJob) -> bool {
        self.queued().all(|(other, o)| {
            o.tenant != job.tenant
                || o.class != job.class
                || route(&o.demand) != route(&job.demand)
                || (o.enqueued, *other) >= (job.enqueued, id)
        })
    }

    /// Classes and due flags as they must be at `now`, from the rule itself.
    pub(crate) fn age(&mut self, now: Time) {
        for job in self.jobs.values_mut().filter(|j| j.phase == Phase::Queued) {
            if job.class == 3 && now - job.entered >= 60_000_000 {
                (job.class, job.entered) = (2, job.entered + 60_000_000);
            }
            if job.class == 2 && now - job.entered >= 120_000_000 {
                (job.class, job.entered, job.due) = (1, job.entered + 120_000_000, true);
            }
            if job.class == 1 && now - job.entered >= 1_000_000 {
                job.due = true;
            }
        }
    }
}
