//! What goes into the dispatcher and what comes out of it.

use super::{Executor, JobId, Lane, LaneId, Submission, Time, WaiterId};

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A caller wants a job.
    Submit(Submission),
    /// A caller no longer waits. A waiter that was answered already is ignored.
    Cancel(WaiterId),
    /// A lane is done with a job. Told twice, or for a job that is not there, it is ignored.
    Ended {
        /// The job.
        job: JobId,
        /// Where it ran; [`LaneId::INLINE`] for an inline job.
        lane: LaneId,
        /// How it ended.
        end: End,
    },
    /// A lane takes jobs from now on. An id that is there already is ignored.
    AddLane {
        /// Its id.
        lane: LaneId,
        /// What it is.
        spec: Lane,
    },
    /// A lane takes no new job, and is gone when its last ends.
    RetireLane(LaneId),
    /// The lanes of an executor take nothing until it is up; its running jobs come back as [`End::Faulted`].
    ExecutorDown {
        /// Which.
        executor: Executor,
    },
    /// The lanes of an executor take jobs again.
    ExecutorUp {
        /// Which.
        executor: Executor,
    },
    /// New submissions are refused from now on; what is queued and running goes on.
    Drain,
    /// Time has passed: the moment that `next_wakeup` named.
    Tick,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a result.
    Done,
    /// Without, and would again.
    Failed,
    /// It was told to stop.
    Cancelled,
    /// The executor failed; the job goes back to its queue.
    Faulted,
}

/// How a job ended for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// With a result.
    Done,
    /// Without.
    Failed,
    /// It was stopped.
    Cancelled,
    /// Its executors failed this often; no more attempts.
    DeadLetter {
        /// How often it was tried.
        attempts: u32,
    },
    /// It was admitted, and then what it needs went away.
    Refused(Refusal),
}

/// What a limit limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The tenant's `max_concurrent_tasks`.
    TenantTasks,
    /// The tenant's `max_host_bytes`.
    TenantHostBytes,
    /// The tenant's `max_device_bytes`.
    TenantDeviceBytes,
    /// Host bytes of the process.
    HostBytes,
    /// Bytes of a device (the largest that the job may use).
    DeviceBytes,
}

/// Why no executor can take a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoExecutor {
    /// The device named is not there.
    NoSuchDevice,
    /// A GPU was asked for by name and none that can run this is up.
    NoGpu,
    /// A GPU was asked for, and the operation has no device path for these inputs.
    NoDevicePath,
}

/// Why a submission was not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The queue is full for its class.
    QueueFull {
        /// Jobs that may be queued when one of this class comes.
        limit: usize,
    },
    /// The tenant's `max_queued_tasks` is used up.
    TenantQueueFull {
        /// That limit.
        limit: u32,
    },
    /// So many callers wait for this one computation.
    TooManyWaiters {
        /// `max_waiters_per_job`.
        limit: usize,
    },
    /// It could not run even if nothing else did.
    OverQuota {
        /// Which limit.
        what: Resource,
        /// What the job needs.
        needed: u64,
        /// What there is in all.
        limit: u64,
    },
    /// What it asks to run on is not there.
    NoExecutor(NoExecutor),
    /// The service is shutting down.
    Draining,
    /// The deadline was over before the job came here.
    DeadlinePassed,
}

/// What the engine has to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A new job was queued. It may start in the same step.
    Queued {
        /// Who waits.
        waiter: WaiterId,
        /// For what.
        job: JobId,
        /// Jobs in its class and above, before it.
        position: usize,
    },
    /// The caller waits for a job that was there already.
    Joined {
        /// Who waits.
        waiter: WaiterId,
        /// For what.
        job: JobId,
    },
    /// Run it on the caller's thread; ends with [`LaneId::INLINE`].
    RunInline {
        /// Who waits.
        waiter: WaiterId,
        /// For what.
        job: JobId,
    },
    /// Not admitted. The waiter is answered.
    Refused {
        /// Who.
        waiter: WaiterId,
        /// Why.
        why: Refusal,
    },
    /// Hand a job to a lane.
    Start {
        /// The job.
        job: JobId,
        /// Where.
        lane: LaneId,
        /// 1 for its first run.
        attempt: u32,
        /// The class that it starts from, after aging and raising.
        class: usize,
        /// Why it runs on the CPU although a device would be faster.
        fallback: Option<String>,
    },
    /// Nobody waits for a running job any more. It keeps its reservation until it has ended.
    Abort {
        /// The job.
        job: JobId,
    },
    /// A faulted job waits for another attempt.
    Requeued {
        /// The job.
        job: JobId,
        /// Attempts made.
        attempts: u32,
    },
    /// A job left the queue without running: forget its payload.
    Dropped {
        /// The job.
        job: JobId,
    },
    /// A job ended; all its waiters are answered. An aborted job settles with no waiters.
    Settled {
        /// The job.
        job: JobId,
        /// Who still waited, in the order they came.
        waiters: Vec<WaiterId>,
        /// How it ended.
        end: Settlement,
    },
    /// The deadline of one waiter passed. The waiter is answered.
    TimedOut {
        /// Who.
        waiter: WaiterId,
        /// What it waited for.
        job: JobId,
    },
    /// One waiter cancelled. The waiter is answered.
    Cancelled {
        /// Who.
        waiter: WaiterId,
        /// What it waited for.
        job: JobId,
    },
    /// An answer took longer than its class promises.
    SlaMissed {
        /// The class that the waiter asked for.
        class: usize,
        /// From submission to answer.
        took_us: u64,
    },
}

/// What the dispatcher looks like, for metrics and the operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When it was taken: the time of the last step.
    pub now: Time,
    /// Jobs queued per class, after aging and raising.
    pub queued: [usize; 4],
    /// How long the oldest job of each class has been here, in microseconds.
    pub oldest_us: [Option<u64>; 4],
    /// Jobs per lane.
    pub lanes: Vec<(LaneId, Lane, usize)>,
    /// Inline jobs that run.
    pub inline: usize,
    /// Per tenant, those with nothing left out.
    pub tenants: Vec<TenantSnapshot>,
    /// Callers that wait.
    pub waiters: usize,
    /// Answers later than their class promises, per class.
    pub sla_misses: [u64; 4],
    /// Waiters whose deadline passed.
    pub timeouts: u64,
    /// Submissions refused because a queue was full.
    pub sheds: u64,
    /// Submissions that joined another.
    pub joins: u64,
    /// Attempts that ended in a fault.
    pub faults: u64,
    /// Jobs given up after their last attempt.
    pub dead_letters: u64,
    /// The job that lanes are held for.
    pub held: Option<JobId>,
    /// New submissions are refused.
    pub draining: bool,
}

/// One tenant's part of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSnapshot {
    /// Who.
    pub tenant: offload_core::TenantId,
    /// Jobs queued.
    pub queued: u32,
    /// Jobs running, aborted ones included.
    pub running: u32,
    /// What they have reserved.
    pub reserved: super::Reserved,
}
