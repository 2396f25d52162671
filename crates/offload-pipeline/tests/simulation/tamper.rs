//! Ways to break a rule on purpose, to see that the oracle notices.

use offload_core::TenantId;
use offload_pipeline::dispatch::{
    Command, DispatchConfig, JobId, JobView, LaneView, Limits, Placement, Placer, Refusal, Reserved,
    Sabotage, Time,
};
use offload_pipeline::place::Places;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tamper {
    None,
    /// A rule inside the dispatcher.
    Rule(Sabotage),
    /// Aging is off.
    NoAging,
    /// The promise of P2 is forgotten.
    NoSla,
    /// Answers at deadlines are lost.
    LoseTimeOut,
    /// Answers come twice.
    RepeatTimeOut,
    /// A job's end is lost.
    LoseSettled,
    /// A job's end comes twice.
    RepeatSettled,
    /// Payloads are not forgotten.
    LoseDropped,
    /// Failed jobs are told to have succeeded.
    Embellish,
    /// The ledger thinks there is twice the host memory.
    HostBudget,
    /// The ledger thinks there is twice the device memory.
    DeviceBudget,
    /// The placer does not look at the tenant's limits.
    Quota,
    /// The placer never takes a free lane.
    Idle,
    /// Nobody wakes the dispatcher.
    Oversleep,
    /// Positions are counted from one.
    Position,
    /// Refusals name another reason.
    WrongRefusal,
}

impl Tamper {
    pub(crate) fn config(self, mut config: DispatchConfig) -> DispatchConfig {
        match self {
            Tamper::Rule(rule) => config.sabotage = rule,
            Tamper::NoAging => (config.age_low_us, config.age_medium_us) = (u64::MAX, u64::MAX),
            Tamper::NoSla => config.sla_us[2] = None,
            _ => {}
        }
        config
    }

    pub(crate) fn budget_scale(self) -> (u64, u64) {
        match self {
            Tamper::HostBudget => (2, 1),
            Tamper::DeviceBudget => (1, 2),
            _ => (1, 1),
        }
    }

    pub(crate) fn commands(self, out: &mut Vec<Command>) {
        match self {
            // Where its job goes too, the job that goes with somebody waiting is what shows first.
            Tamper::LoseTimeOut if matches!(out[..], [Command::TimedOut { .. }]) => out.clear(),
            Tamper::LoseSettled => out.retain(|c| !matches!(c, Command::Settled { .. })),
            Tamper::LoseDropped => out.retain(|c| !matches!(c, Command::Dropped { .. })),
            Tamper::RepeatTimeOut => repeat(out, |c| matches!(c, Command::TimedOut { .. })),
            Tamper::RepeatSettled => repeat(out, |c| matches!(c, Command::Settled { .. })),
            Tamper::Embellish => {
                for command in out {
                    if let Command::Settled { end, .. } = command {
                        *end = offload_pipeline::dispatch::Settlement::Done;
                    }
                }
            }
            Tamper::Position => {
                for command in out {
                    if let Command::Queued { position, .. } = command {
                        *position += 1;
                    }
                }
            }
            Tamper::WrongRefusal => {
                for command in out {
                    if let Command::Refused { why, .. } = command {
                        *why = Refusal::QueueFull { limit: 0 };
                    }
                }
            }
            _ => {}
        }
    }
}

fn repeat(out: &mut Vec<Command>, which: impl Fn(&Command) -> bool) {
    if let Some(at) = out.iter().position(which) {
        let again = out[at].clone();
        out.insert(at + 1, again);
    }
}

/// The product's placer, or one that does not look.
#[derive(Debug)]
pub(crate) struct Loose {
    inner: Places,
    /// Has no jobs and the true budgets: what can never run is refused whatever is broken.
    strict: Places,
    tamper: Tamper,
}

impl Loose {
    pub(crate) fn new(inner: Places, strict: Places, tamper: Tamper) -> Self {
        Loose { inner, strict, tamper }
    }
}

const ANY: Limits = Limits {
    max_concurrent_tasks: u32::MAX,
    max_queued_tasks: u32::MAX,
    max_host_bytes: u64::MAX,
    max_device_bytes: u64::MAX,
};

impl Placer for Loose {
    fn admit(&self, job: &JobView<'_>) -> Result<(), Refusal> {
        self.strict.admit(job)
    }

    fn place(&mut self, job: &JobView<'_>, lanes: &[LaneView], now: Time) -> Placement {
        match self.tamper {
            Tamper::Quota => self.inner.place(&JobView { limits: &ANY, ..*job }, lanes, now),
            Tamper::Idle => Placement::Wait(offload_pipeline::dispatch::Wait::Unsuitable),
            _ => self.inner.place(job, lanes, now),
        }
    }

    fn release(&mut self, job: JobId) {
        self.inner.release(job);
    }

    fn reserved(&self, tenant: &TenantId) -> Reserved {
        self.inner.reserved(tenant)
    }
}
