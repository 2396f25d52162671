//! Placement: scores the lanes that a job may use, and reserves what it needs there. It runs nothing.
//!
//! `device: auto` falls back to the CPU, with the reason; a job whose caller named a device is only ever offered
//! that, so it waits or is refused.

mod ledger;
mod strategy;

pub use ledger::{Ledger, Shortage};
pub use strategy::{Candidate, Strategy};

use crate::dispatch::{
    Demand, Executor, JobId, JobView, LaneView, Placement, Placer, Refusal, Reserved, Resource, Time, Wait,
};
use offload_api::DeviceChoice;
use offload_core::TenantId;
use std::collections::HashMap;

/// Localities that are remembered; beyond that all are forgotten, which costs one upload each.
const MAX_LOCALITIES: usize = 65_536;

/// The product's placer: one strategy over one ledger.
#[derive(Debug)]
pub struct Places {
    strategy: Strategy,
    ledger: Ledger,
    last: Option<Executor>,
    localities: HashMap<u64, Executor>,
    candidates: Vec<Candidate>,
}

impl Places {
    /// Places by that strategy within that ledger.
    pub fn new(strategy: Strategy, ledger: Ledger) -> Self {
        Places { strategy, ledger, last: None, localities: HashMap::new(), candidates: Vec::new() }
    }

    /// What is reserved.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is reserved, to change budgets.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The devices that could ever hold the job, or the limit that all of them are under.
    fn ever_on_device(&self, limits: &crate::dispatch::Limits, demand: &Demand) -> Result<(), Refusal> {
        let Some(needed) = demand.device_bytes else { return Ok(()) };
        if needed > limits.max_device_bytes {
            let limit = limits.max_device_bytes;
            return Err(Refusal::OverQuota { what: Resource::TenantDeviceBytes, needed, limit });
        }
        let usable = demand.device_us.iter().map(|(d, _)| *d).filter(|d| demand.allows(Executor::Device(*d)));
        let limit = usable.map(|d| self.ledger.device_budget(d)).max().unwrap_or(0);
        if needed > limit {
            return Err(Refusal::OverQuota { what: Resource::DeviceBytes, needed, limit });
        }
        Ok(())
    }

    /// Whether a device could ever hold the job; its lanes are no candidates otherwise, not even to wait for.
    fn could_hold(&self, job: &JobView<'_>, executor: Executor) -> bool {
        match executor {
            Executor::Cpu => true,
            Executor::Device(d) => {
                let needed = job.demand.device_bytes.unwrap_or(u64::MAX);
                let host = job.demand.host_bytes_on(executor);
                needed <= job.limits.max_device_bytes
                    && needed <= self.ledger.device_budget(d)
                    && host <= job.limits.max_host_bytes
                    && host <= self.ledger.host_budget()
            }
        }
    }

    fn fill(&mut self, job: &JobView<'_>, lanes: &[LaneView]) {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let affine = job.demand.locality.and_then(|key| self.localities.get(&key).copied());
        candidates.extend(lanes.iter().filter(|lane| self.could_hold(job, lane.executor)).map(|lane| {
            Candidate {
                lane: lane.lane,
                executor: lane.executor,
                jobs: lane.jobs,
                backlog_us: lane.backlog_us,
                expected_us: job.demand.expected_us(lane.executor),
                resident: matches!(lane.executor, Executor::Device(d) if job.demand.resident_on.contains(&d)),
                affine: affine == Some(lane.executor),
            }
        }));
        self.strategy.order(&mut candidates, self.last);
        self.candidates = candidates;
    }

    fn note(&mut self, demand: &Demand, executor: Executor) {
        self.last = Some(executor);
        if let Some(key) = demand.locality {
            if self.localities.len() >= MAX_LOCALITIES {
                self.localities.clear();
            }
            self.localities.insert(key, executor);
        }
    }

    /// Why a job that a device would run faster runs on the CPU; `None` when none would.
    fn fallback(&self, job: &JobView<'_>, lanes: &[LaneView], short: Option<Shortage>) -> Option<String> {
        if job.demand.choice != DeviceChoice::Auto {
            return None;
        }
        let needed = job.demand.device_bytes?;
        let (device, us) = job.demand.device_us.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
        if us >= job.demand.cpu_us {
            return None;
        }
        let executor = Executor::Device(device);
        if job.excluded.contains(&executor) {
            return Some(match job.excluded {
                [_] => format!("device {device} failed this job before"),
                _ => "devices failed this job before".into(),
            });
        }
        let (host, host_limit) =
            (job.demand.host_bytes_on(executor), job.limits.max_host_bytes.min(self.ledger.host_budget()));
        if host > host_limit {
            return Some(format!("needs {host} host bytes to go to a device, the limit is {host_limit}"));
        }
        if needed > job.limits.max_device_bytes {
            let limit = job.limits.max_device_bytes;
            return Some(format!("needs {needed} device bytes, the tenant's max_device_bytes is {limit}"));
        }
        let budget = self.ledger.device_budget(device);
        if budget > 0 && needed > budget {
            return Some(format!("needs {needed} device bytes, device {device} has {budget}"));
        }
        if !lanes.iter().any(|lane| lane.executor == executor) {
            // Out of service, or held for a job that waits for its memory.
            return Some(format!("device {device} takes no jobs"));
        }
        if let Some(short) = short {
            let free = short.limit.saturating_sub(short.used);
            return Some(match short.what {
                Resource::TenantDeviceBytes => {
                    format!("needs {needed} device bytes, the tenant has {free} left of {}", short.limit)
                }
                Resource::TenantHostBytes | Resource::HostBytes => {
                    let of = short.limit;
                    format!("needs {host} host bytes to go to a device, {free} of {of} are free")
                }
                _ => format!("needs {needed} device bytes, {free} of {} are free", short.limit),
            });
        }
        Some(format!("device {device} is busy"))
    }
}

fn refused(s: Shortage) -> Wait {
    match s.what {
        Resource::TenantTasks | Resource::TenantHostBytes | Resource::TenantDeviceBytes => Wait::TenantQuota,
        Resource::HostBytes => Wait::HostBudget,
        Resource::DeviceBytes => Wait::DeviceBudget,
    }
}

impl Placer for Places {
    fn admit(&self, job: &JobView<'_>) -> Result<(), Refusal> {
        let (limits, demand) = (job.limits, job.demand);
        let over = |what, needed: u64, limit: u64| match needed > limit {
            true => Err(Refusal::OverQuota { what, needed, limit }),
            false => Ok(()),
        };
        over(Resource::TenantTasks, 1, u64::from(limits.max_concurrent_tasks))?;
        // Where the CPU is a way out, it is the CPU that must have room.
        let host = if demand.is_explicit() {
            demand.host_bytes.saturating_add(demand.staging_bytes)
        } else {
            demand.host_bytes
        };
        over(Resource::TenantHostBytes, host, limits.max_host_bytes)?;
        over(Resource::HostBytes, host, self.ledger.host_budget())?;
        // Where the CPU is a way out, a device that is too small is no reason to refuse.
        if demand.is_explicit() { self.ever_on_device(limits, demand) } else { Ok(()) }
    }

    fn place(&mut self, job: &JobView<'_>, lanes: &[LaneView], now: Time) -> Placement {
        if let Err(short) = self.ledger.check_host(job.tenant, job.limits, job.demand.host_bytes) {
            return match self.admit(job) {
                Err(why) => Placement::Never(why),
                Ok(()) => Placement::Wait(refused(short)),
            };
        }
        self.fill(job, lanes);
        let room = |c: &Candidate| lanes.iter().any(|l| l.lane == c.lane && l.room);
        let mut short = None;
        let mut better = f64::INFINITY;
        for i in 0..self.candidates.len() {
            let c = self.candidates[i];
            if !room(&c) {
                better = better.min(c.completion_us());
                continue;
            }
            let device = match c.executor {
                Executor::Cpu => None,
                Executor::Device(d) => Some((d, job.demand.device_bytes.unwrap_or(0))),
            };
            let host = job.demand.host_bytes_on(c.executor);
            if let Some(device) = device
                && let Err(s) = self
                    .ledger
                    .check_device(job.tenant, job.limits, device)
                    .and_then(|()| self.ledger.check_host(job.tenant, job.limits, host))
            {
                // A quota that is used up blocks the tenant alone, so it is the reason only if it is the only one.
                if short.is_none_or(|old: Shortage| refused(old) == Wait::TenantQuota) {
                    short = Some(s);
                }
                continue;
            }
            // As with renting skis: waiting for a better lane pays until it has cost as much as the worse one.
            let patience_us = c.completion_us();
            if self.strategy.may_wait()
                && !job.due
                && better < patience_us
                && (job.waited_us as f64) < patience_us
            {
                let until = now + (patience_us - job.waited_us as f64).min(1e12) as u64;
                return Placement::Wait(Wait::DeviceBusy { until });
            }
            let reserved = self.ledger.reserve(job.job, job.tenant, job.limits, host, device);
            debug_assert!(reserved.is_ok(), "checked above");
            let fallback = match c.executor {
                Executor::Cpu => self.fallback(job, lanes, short),
                Executor::Device(_) => None,
            };
            self.note(job.demand, c.executor);
            return Placement::Lane(c.lane, fallback);
        }
        match (short, self.admit(job)) {
            (_, Err(why)) => Placement::Never(why),
            (Some(short), Ok(())) => Placement::Wait(refused(short)),
            (None, Ok(())) => Placement::Wait(Wait::Unsuitable),
        }
    }

    fn release(&mut self, job: JobId) {
        self.ledger.release(job);
    }

    fn reserved(&self, tenant: &TenantId) -> Reserved {
        self.ledger.reserved(tenant)
    }
}

#[cfg(test)]
mod tests;
