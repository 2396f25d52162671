//! The dispatcher: which job runs next, and who is answered when. It does no I/O, reads no clock and spawns no
//! thread: [`Dispatcher::step`] takes the time and one event and says what is to be done, so that starvation, aging,
//! deadlines and faults are tested under a virtual clock (`tests/simulation.rs`).
//!
//! Rules, each held by the simulation:
//!
//! 1. **Pull.** A job leaves its queue when a lane has room and the placer has reserved what it needs (short jobs may be handed
//!    over beyond a lane's depth, to be started together, as long as no earlier one wants the lane). The
//!    reservation belongs to the running job until [`Event::Ended`], also when nobody waits any more.
//! 2. **Order.** P0 before P1 before P2 before P3; within a class the tenant with the least service; within a tenant
//!    (and route: CPU, any, GPU, one device) the job that came first.
//! 3. **Aging.** P3 becomes P2 after 60 s, P2 becomes P1 after 120 s, nothing becomes P0. The time it came is kept.
//! 4. **Alternation.** A P1 job is *due* when it aged into P1 or waited 1 s there. While one is due, an executor
//!    whose last start on a general lane was P0 offers its general lanes to P1 before P0 again. So P0 takes at most
//!    every second start, P1's own fairness says whose turn it is, and aged work cannot starve.
//! 5. **Hold.** A job that waits for memory counts the starts that overtake it: those of its class and below, and all
//!    when it is due. After `max_bypass` the general lanes that compete for that memory are held for it, against its
//!    class and below, and against all when it is due. Realtime lanes are never held.
//! 6. **Own quota.** A job that waits for its own tenant's quota blocks nobody and counts nothing.
//! 7. **Single flight.** A submission joins an equal one of its tenant, and raises it. Whoever leaves, leaves alone;
//!    when the last leaves, a queued job is dropped, a running one aborted, and its key is free at once.
//! 8. **Bounds.** Queues shed by class; what can never run is refused at once.

mod config;
mod job;
mod lanes;
mod leave;
mod message;
mod placer;
mod queue;
mod scan;
mod submit;
mod timers;
mod vocabulary;

pub use config::{DispatchConfig, Sabotage};
pub use message::{Command, End, Event, NoExecutor, Refusal, Resource, Settlement, Snapshot, TenantSnapshot};
pub use placer::{JobView, LaneView, Placement, Placer, Reserved, Wait};
pub use vocabulary::{Demand, Executor, FlightKey, JobId, Lane, LaneId, Limits, Submission, Time, WaiterId};

use foldhash::fast::FixedState;
use job::{Job, State, Waiter};
use lanes::Lanes;
use offload_core::TenantId;
use queue::Queues;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use timers::Timers;

/// A map whose order is the same in every run; nothing iterates it to decide. Its hash is quick and no defence: keys are ids
/// that are given here, and tenants, whose names administrators choose.
pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// A tenant that was seen. It stays, so that what it was served is remembered; tenants are as many as tokens.
#[derive(Debug)]
struct Tenant {
    id: TenantId,
    limits: Arc<Limits>,
    queued: u32,
    running: u32,
}

/// The figures that only grow, and the answers that outlive a job.
#[derive(Debug, Default)]
struct Counts {
    sla_misses: [u64; 4],
    timeouts: u64,
    sheds: u64,
    joins: u64,
    faults: u64,
    dead_letters: u64,
}

/// Queues, lanes and waiters. See the module's rules.
#[derive(Debug)]
pub struct Dispatcher<P: Placer> {
    config: DispatchConfig,
    placer: P,
    now: Time,
    next_job: u64,
    jobs: Map<JobId, Job>,
    waiters: Map<WaiterId, Waiter>,
    tenants: Vec<Tenant>,
    tenant_index: Map<TenantId, u32>,
    flights: BTreeMap<(u32, FlightKey), JobId>,
    queues: Queues,
    timers: Timers,
    lanes: Lanes,
    /// Queued P1 jobs that P0 may no longer starve.
    due: usize,
    /// The job that lanes are held for.
    held: Option<JobId>,
    /// When a job that waits for a better lane wants to be looked at again.
    look_at: Option<Time>,
    inline: usize,
    draining: bool,
    counts: Counts,
    /// Reused between scans.
    offers: Vec<LaneView>,
}

impl<P: Placer> Dispatcher<P> {
    /// An empty dispatcher without lanes.
    pub fn new(config: DispatchConfig, placer: P) -> Self {
        Dispatcher {
            config,
            placer,
            now: Time(0),
            next_job: 1,
            jobs: Map::default(),
            waiters: Map::default(),
            tenants: Vec::new(),
            tenant_index: Map::default(),
            flights: BTreeMap::new(),
            queues: Queues::default(),
            timers: Timers::default(),
            lanes: Lanes::default(),
            due: 0,
            held: None,
            look_at: None,
            inline: 0,
            draining: false,
            counts: Counts::default(),
            offers: Vec::new(),
        }
    }

    /// Takes one event at `now`, which never goes back, and appends what is to be done to `out`.
    ///
    /// 1. Deadlines and aging up to `now`. An answer that ends at its deadline is late.
    /// 2. The event.
    /// 3. Starts, while there is room and a job for it.
    pub fn step(&mut self, now: Time, event: Event, out: &mut Vec<Command>) {
        self.now = self.now.max(now);
        self.run_timers(out);
        match event {
            Event::Submit(submission) => self.submit(submission, out),
            Event::Cancel(waiter) => self.cancel(waiter, out),
            Event::Ended { job, lane, end } => self.ended(job, lane, end, out),
            Event::AddLane { lane, spec } => self.lanes.add(lane, spec),
            Event::RetireLane(lane) => {
                self.lanes.retire(lane);
                self.settle_stranded(out);
            }
            Event::ExecutorDown { executor } => {
                self.lanes.set_down(executor, true);
                self.settle_stranded(out);
            }
            Event::ExecutorUp { executor } => self.lanes.set_down(executor, false),
            Event::Drain => self.draining = true,
            Event::Tick => {}
        }
        self.start_all(out);
    }

    /// When [`Event::Tick`] is wanted at the latest.
    pub fn next_wakeup(&self) -> Option<Time> {
        if self.config.broken(Sabotage::Restless) {
            return Some(self.now);
        }
        let timer = self.timers.next();
        // Waiting for a better lane is pointless when no job is queued any more.
        let look = self.look_at.filter(|_| self.queues.total() > 0);
        timer.into_iter().chain(look).min()
    }

    /// Nothing is queued, running or waited for: after [`Event::Drain`], time to stop.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// What the dispatcher looks like.
    pub fn snapshot(&self) -> Snapshot {
        let tenants = self.tenants.iter().map(|t| TenantSnapshot {
            tenant: t.id.clone(),
            queued: t.queued,
            running: t.running,
            reserved: self.placer.reserved(&t.id),
        });
        Snapshot {
            now: self.now,
            queued: std::array::from_fn(|class| self.queues.len(class)),
            oldest_us: std::array::from_fn(|class| self.queues.oldest(class).map(|at| self.now - at)),
            lanes: self.lanes.iter().map(|s| (s.id, s.spec, s.jobs.len())).collect(),
            inline: self.inline,
            tenants: tenants
                .filter(|t| t.queued > 0 || t.running > 0 || t.reserved != Reserved::default())
                .collect(),
            waiters: self.waiters.len(),
            sla_misses: self.counts.sla_misses,
            timeouts: self.counts.timeouts,
            sheds: self.counts.sheds,
            joins: self.counts.joins,
            faults: self.counts.faults,
            dead_letters: self.counts.dead_letters,
            held: self.held,
            draining: self.draining,
        }
    }

    /// What a caller waits for; nothing once it is answered.
    pub fn job_of(&self, waiter: WaiterId) -> Option<JobId> {
        self.waiters.get(&waiter).map(|w| w.job)
    }

    /// Jobs queued in the class of a queued job and above, itself left out.
    pub fn ahead_of(&self, job: JobId) -> usize {
        match self.jobs.get(&job) {
            Some(job) if job.state == State::Queued => {
                (0..=job.class).map(|class| self.queues.len(class)).sum::<usize>().saturating_sub(1)
            }
            _ => 0,
        }
    }

    /// Jobs queued per class, after aging and raising; cheaper than a snapshot.
    pub fn queued(&self) -> [usize; 4] {
        std::array::from_fn(|class| self.queues.len(class))
    }

    /// The placer.
    pub fn placer(&self) -> &P {
        &self.placer
    }

    /// The placer, for what it learns: budgets of devices that come.
    pub fn placer_mut(&mut self) -> &mut P {
        &mut self.placer
    }

    /// Puts a job that is in `jobs` into the queue of its class, with its timer.
    fn enqueue(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.state = State::Queued;
        job.age(self.now, &self.config);
        self.queues.insert(job.tenant, job.class, job.route, job.enqueued, id);
        if let Some(at) = job.next_aging(&self.config) {
            self.timers.set_aging(at, id);
        }
        self.due += usize::from(job.due);
        self.tenants[job.tenant as usize].queued += 1;
    }

    /// Takes a queued job out of its queue, with its timer.
    fn dequeue(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        self.queues.remove(job.tenant, job.class, job.route, job.enqueued, id);
        if let Some(at) = job.next_aging(&self.config) {
            self.timers.unset_aging(at, id);
        }
        self.due -= usize::from(job.due);
        self.tenants[job.tenant as usize].queued -= 1;
        if self.held == Some(id) {
            self.held = None;
        }
    }
}
