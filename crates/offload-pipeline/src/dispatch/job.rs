//! A job, its waiters, and how it ages.

use super::{Demand, DispatchConfig, Executor, FlightKey, JobId, LaneId, Time, WaiterId};
use offload_api::DeviceChoice;

/// The kinds of lanes that jobs ask for. Jobs of a tenant and class are first-in-first-out per route, so that a
/// job that needs a busy device does not stop one that needs the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Route {
    Cpu,
    Auto,
    Gpu,
    Device(u32),
}

impl Route {
    pub(super) fn of(demand: &Demand) -> Route {
        match demand.choice {
            DeviceChoice::Cpu => Route::Cpu,
            DeviceChoice::Auto if demand.device_bytes.is_none() || demand.device_us.is_empty() => Route::Cpu,
            DeviceChoice::Auto => Route::Auto,
            DeviceChoice::Gpu => Route::Gpu,
            DeviceChoice::Id(id) => Route::Device(id),
        }
    }

    /// Whether a lane of that executor may be for a job of this route.
    pub(super) fn meets(self, executor: Executor) -> bool {
        match (self, executor) {
            (Route::Cpu | Route::Auto, Executor::Cpu) | (Route::Auto | Route::Gpu, Executor::Device(_)) => {
                true
            }
            (Route::Device(id), Executor::Device(d)) => id == d,
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    Running {
        lane: LaneId,
        executor: Executor,
    },
    /// Running, and nobody waits.
    Aborted {
        lane: LaneId,
        executor: Executor,
    },
}

#[derive(Debug)]
pub(super) struct Job {
    /// Index of its tenant.
    pub(super) tenant: u32,
    /// When it came; kept through aging, raising and faults, so that it stays ahead of younger ones.
    pub(super) enqueued: Time,
    /// The class it counts in now.
    pub(super) class: usize,
    /// When it came into that class.
    pub(super) entered: Time,
    /// A P1 job that P0 may no longer starve.
    pub(super) due: bool,
    pub(super) route: Route,
    pub(super) flight: Option<FlightKey>,
    pub(super) demand: Demand,
    pub(super) waiters: Vec<WaiterId>,
    pub(super) attempts: u32,
    /// Executors that failed it.
    pub(super) excluded: Vec<Executor>,
    /// Starts that overtook it while it waited for memory.
    pub(super) bypassed: u32,
    /// Since when it passes over lanes for a better one.
    pub(super) choosy_since: Option<Time>,
    pub(super) state: State,
}

impl Job {
    /// When its class, or its being due, changes next.
    pub(super) fn next_aging(&self, config: &DispatchConfig) -> Option<Time> {
        match self.class {
            1 if !self.due => Some(self.entered + config.due_us),
            2 => Some(self.entered + config.age_medium_us),
            3 => Some(self.entered + config.age_low_us),
            _ => None,
        }
    }

    /// Ages it up to `now`. The time in a class counts from the moment it was due there, not from the step that
    /// noticed, so that late ticks do not add up; and the time it ran before a fault counts as waiting.
    pub(super) fn age(&mut self, now: Time, config: &DispatchConfig) {
        while let Some(at) = self.next_aging(config).filter(|at| *at <= now) {
            if self.class == 1 {
                self.due = true;
            } else {
                self.class -= 1;
                self.entered = at;
                self.due = self.class == 1;
            }
        }
    }

    /// Raises it to a follower's class. It does not sink back when that follower leaves: the work was promised in
    /// that class, and moving jobs down would let a caller's cancel undo another's aging.
    pub(super) fn raise(&mut self, class: usize, now: Time) -> bool {
        let raised = class < self.class;
        if raised {
            self.class = class;
            self.entered = now;
            self.due = false;
        }
        raised
    }
}

/// One caller.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) job: JobId,
    pub(super) submitted: Time,
    /// The class it asked for, whose promise it has.
    pub(super) class: usize,
    pub(super) deadline: Option<Time>,
}
