//! What the dispatcher asks of the stage after it, without knowing that stage.

use super::{Demand, Executor, JobId, LaneId, Limits, Refusal, Time};
use offload_core::TenantId;

/// A job, as a placer sees it.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'a> {
    /// Its id.
    pub job: JobId,
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// What the tenant may use.
    pub limits: &'a Limits,
    /// What it needs.
    pub demand: &'a Demand,
    /// Executors that failed it and are not offered again.
    pub excluded: &'a [Executor],
    /// How long it has passed over lanes because a better one was worth waiting for.
    pub waited_us: u64,
    /// It must take what is free and not wait for something better.
    pub due: bool,
}

/// A lane that a job may use, as a placer sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneView {
    /// Its id.
    pub lane: LaneId,
    /// What it belongs to.
    pub executor: Executor,
    /// It takes a job now; one without room can only be worth waiting for.
    pub room: bool,
    /// Jobs it has.
    pub jobs: usize,
    /// Microseconds until those are expected to end.
    pub backlog_us: f64,
}

/// Why a job stays in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Its tenant uses what it may. Blocks nobody else.
    TenantQuota,
    /// Host memory is used up.
    HostBudget,
    /// The memory of the devices it may use is used up.
    DeviceBudget,
    /// A lane without room is better than those with; look again at that time at the latest.
    DeviceBusy {
        /// When waiting stops to pay.
        until: Time,
    },
    /// None of the lanes offered could ever hold it.
    Unsuitable,
}

/// What a placer decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// It runs there, and everything it needs is reserved; with the reason if that is the CPU although a device
    /// would be faster.
    Lane(LaneId, Option<String>),
    /// Not now.
    Wait(Wait),
    /// Not ever, although it was admitted: the tenant's limits shrank.
    Never(Refusal),
}

/// What a tenant's running jobs have reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Jobs.
    pub tasks: u32,
    /// Host bytes.
    pub host_bytes: u64,
    /// Device bytes.
    pub device_bytes: u64,
}

/// Chooses a lane and reserves what a job needs there.
pub trait Placer {
    /// Whether the job could run if nothing else did.
    ///
    /// # Errors
    /// With the limit that it is over for ever.
    fn admit(&self, job: &JobView<'_>) -> Result<(), Refusal>;

    /// Chooses one of `lanes`, all of which the job may use, and reserves bytes and a task slot for it. When the
    /// answer is not [`Placement::Lane`], nothing is reserved.
    fn place(&mut self, job: &JobView<'_>, lanes: &[LaneView], now: Time) -> Placement;

    /// Frees what `place` reserved; called once for each [`Placement::Lane`].
    fn release(&mut self, job: JobId);

    /// What a tenant's running jobs have reserved.
    fn reserved(&self, tenant: &TenantId) -> Reserved;
}
