//! The dispatcher's settings.

/// The settings; the defaults are the product's.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatchConfig {
    /// Jobs queued in all, faulted ones that come back not counted against anyone.
    pub max_queued: usize,
    /// Percent of `max_queued` that may be queued when a job of each class comes: bulk work is shed first.
    pub headroom_percent: [u32; 4],
    /// Callers that may wait for one computation.
    pub max_waiters_per_job: usize,
    /// Attempts before a job becomes a dead letter.
    pub max_attempts: u32,
    /// Starts that may overtake a job that waits for memory, before lanes are held for it.
    pub max_bypass: u32,
    /// Jobs that wait for memory and may be looked past, per class and scan.
    pub max_lookahead: usize,
    /// Microseconds in P3 after which a job becomes P2.
    pub age_low_us: u64,
    /// Microseconds in P2 after which a job becomes P1.
    pub age_medium_us: u64,
    /// Microseconds in P1 after which a job is due: from then on P0 gives general lanes up every second time.
    /// A job that aged into P1 is due at once.
    pub due_us: u64,
    /// Microseconds that the jobs of a lane may be expected to take in all, for it to be handed another beyond its depth.
    pub short_us: f64,
    /// Device bytes of a job that may be handed over beyond a lane's depth: it has them while it waits there.
    pub short_bytes: u64,
    /// Microseconds from submission to answer that each class promises.
    pub sla_us: [Option<u64>; 4],
    /// Breaks one rule, for the tests of the tests.
    #[doc(hidden)]
    pub sabotage: Sabotage,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        DispatchConfig {
            max_queued: 10_000,
            headroom_percent: [100, 90, 80, 70],
            max_waiters_per_job: 1_000,
            max_attempts: 3,
            max_bypass: 16,
            max_lookahead: 16,
            age_low_us: 60_000_000,
            age_medium_us: 120_000_000,
            due_us: 1_000_000,
            short_us: 2_000.0,
            short_bytes: 512 << 10,
            sla_us: [Some(10_000), Some(100_000), Some(1_000_000), None],
            sabotage: Sabotage::None,
        }
    }
}

impl DispatchConfig {
    /// Jobs that may be queued when one of this class comes.
    pub fn class_limit(&self, class: usize) -> usize {
        (self.max_queued as u128 * u128::from(self.headroom_percent[class]) / 100) as usize
    }

    /// Whether this rule is broken on purpose; constant `false` in what is shipped.
    pub(super) fn broken(&self, rule: Sabotage) -> bool {
        cfg!(debug_assertions) && self.sabotage == rule
    }
}

/// The rule that a test breaks on purpose, to see that the simulation notices.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    None,
    /// Takes the youngest job of a tenant.
    Lifo,
    /// Looks at bulk work first.
    Inversion,
    /// Charges nothing to a tenant that starts a job.
    Unfair,
    /// Lets every class onto realtime lanes.
    OpenRealtime,
    /// P0 takes every general lane.
    NoAlternation,
    /// Never holds a lane for a big job.
    NoHold,
    /// A follower's priority does not raise the job.
    NoRaise,
    /// The first waiter's leaving ends the job for all.
    FailFollowers,
    /// An aborted job can still be joined.
    JoinAborted,
    /// Equal submissions do not join.
    NoJoin,
    /// Deadlines are answered 1 ms late.
    LateDeadline,
    /// Deadlines are answered 1 ms early.
    EarlyDeadline,
    /// Frees a reservation when the job is aborted.
    EarlyRelease,
    /// Forgets to free what a failed job reserved.
    Leak,
    /// Retries without an end.
    RetryForever,
    /// A faulted job may go back where it failed.
    NoExclusion,
    /// Fills a lane one deeper than it is.
    DeepLane,
    /// Starts jobs on executors that are down.
    IgnoreDown,
    /// Starts jobs on retired lanes.
    IgnoreRetired,
    /// Admits beyond the queue's limits.
    NoShed,
    /// Runs inline past queued jobs.
    EagerInline,
    /// Admits while draining.
    IgnoreDrain,
    /// Runs an explicit GPU job on the CPU.
    SilentFallback,
    /// Leaves explicit jobs queued for a device that went down.
    KeepStranded,
    /// Admits jobs that are larger than their tenant's quota or the machine.
    AdmitOversized,
    /// Counts a failed job as running for ever.
    Lingering,
    /// Wants to be woken at once, always.
    Restless,
}
