//! The stages put together over threads and clocks: the one place where a job is followed from end to end.
//!
//! All decisions are the dispatcher's, under one lock that is held for microseconds; running, rendering and
//! answering happen outside of it.

mod batch;
mod clock;
mod demand;
mod errors;
mod flow;
mod lanes;
mod standing;

use crate::admit::{AdmitConfig, Gate, Prices, Request};
use crate::cache::{CacheConfig, Lookup, Missed, Results};
use crate::data::Catalog;
use crate::dispatch::{
    Command, DispatchConfig, Dispatcher, Event, Executor, JobId, LaneId, Map, Snapshot, Submission, Time,
    WaiterId,
};
use crate::place::{Ledger, Places, Strategy};
use crate::records::AuditRecord;
use crate::settle::{Answer, Observer, Outcome, Timings};
pub use batch::{BatchItem, BatchReply, BatchRequest, BatchTicket};
pub use demand::DevicePrior;
use flow::{After, Job, Waiter};
use lanes::{CpuLanes, DeviceSlot};
use offload_api::{DeviceChoice, Priority};
use offload_core::device::DeviceHost;
use offload_core::{Derived, Registry};
pub use standing::{Quote, Standing};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

/// Who gets an outcome. Called exactly once, on whatever thread settles the job; it must not block.
pub type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// Where audit records go. It must not block.
pub type AuditSink = Box<dyn Fn(AuditRecord) + Send + Sync>;

/// The CPU lanes.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// General lanes.
    pub cpu_lanes: usize,
    /// Threads of each general lane.
    pub threads_per_lane: usize,
    /// Threads of the lane kept for P0.
    pub realtime_threads: usize,
    /// Niceness of the general lanes' threads, so that P0 and the network come first.
    pub niceness: i32,
    /// Lanes that may stand in for ones that are stuck in work nobody waits for.
    pub max_spare_lanes: usize,
    /// Milliseconds after which such a lane is replaced.
    pub spare_after_ms: u64,
    /// Jobs expected to be shorter than this run on the caller's thread when nothing is queued.
    pub inline_max_us: f64,
    /// The same for P0, for which each hop to another thread is a wait for whatever runs there.
    pub inline_realtime_max_us: f64,
    /// Bytes of what operations make of resident inputs that are kept between jobs.
    pub derived_bytes: u64,
    /// Whether devices that are CPUs may be chosen where the caller names none.
    pub auto_cpu_devices: bool,
}

/// How a device is to the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// It was found, and has not answered yet.
    Starting,
    /// It takes jobs.
    Up,
    /// It failed, and is being brought back.
    Quarantined,
    /// The operator keeps it out of service.
    Draining,
}

impl DeviceState {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            DeviceState::Starting => "starting",
            DeviceState::Up => "up",
            DeviceState::Quarantined => "quarantined",
            DeviceState::Draining => "draining",
        }
    }
}

/// A device of the pipeline.
pub struct DeviceView {
    /// The device.
    pub host: Arc<dyn DeviceHost>,
    /// Whether it takes jobs.
    pub state: DeviceState,
    /// Jobs that it failed since the start.
    pub faults: u64,
    /// Jobs that it has now.
    pub jobs: usize,
}

/// The settings of every stage.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Stage 1.
    pub admit: AdmitConfig,
    /// Stage 2.
    pub cache: CacheConfig,
    /// Stage 3.
    pub dispatch: DispatchConfig,
    /// Stage 4: how a lane is chosen. The host budget is stage 1's, which refuses what can never fit.
    pub strategy: Strategy,
    /// Stage 4: what devices are expected to do.
    pub device_prior: DevicePrior,
    /// Stage 5.
    pub run: RunConfig,
    /// This node's name in the audit log.
    pub node: String,
}

/// The pipeline: give it requests, get outcomes.
pub struct Pipeline {
    config: PipelineConfig,
    gate: Gate,
    prices: Arc<Prices>,
    results: Results,
    observer: Arc<dyn Observer>,
    audit: AuditSink,
    /// Only ever longer.
    derived: Arc<Derived>,
    /// By number.
    devices: RwLock<Vec<Arc<DeviceSlot>>>,
    state: Mutex<State>,
    clock: Condvar,
    started: Instant,
    stopping: AtomicBool,
    me: Weak<Pipeline>,
}

struct State {
    dispatcher: Dispatcher<Places>,
    jobs: Map<JobId, Job>,
    waiters: Map<WaiterId, Waiter>,
    /// The submission being stepped: its payload becomes a job's when the dispatcher makes one.
    arriving: Option<Job>,
    next_waiter: u64,
    next_lane: u32,
    cpu: CpuLanes,
    commands: Vec<Command>,
    clock_wakes_at: Option<Time>,
}

/// A caller's hold on its request: dropping it without [`answered`](Ticket::answered) cancels the request.
pub struct Ticket {
    pipeline: Weak<Pipeline>,
    waiter: Option<WaiterId>,
}

impl Ticket {
    /// The outcome has arrived; there is nothing left to cancel.
    pub fn answered(mut self) {
        self.waiter = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let (Some(waiter), Some(pipeline)) = (self.waiter.take(), self.pipeline.upgrade()) {
            pipeline.drive(Event::Cancel(waiter));
        }
    }
}

impl Pipeline {
    /// Starts the lanes and the clock. Without a catalog there are no datasets.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        config: PipelineConfig,
        registry: &Registry,
        devices: Vec<Arc<dyn DeviceHost>>,
        observer: Arc<dyn Observer>,
        audit: AuditSink,
        catalog: Option<Arc<Catalog>>,
    ) -> std::io::Result<Arc<Pipeline>> {
        let prices = Arc::new(Prices::new(registry));
        let mut ledger = Ledger::new(config.admit.host_budget_bytes);
        for d in &devices {
            ledger.set_device_budget(d.descriptor().id, d.descriptor().memory_bytes);
        }
        let place = Places::new(config.strategy, ledger);
        let mut slots: Vec<_> = devices.into_iter().map(|d| Arc::new(DeviceSlot::new(d))).collect();
        slots.sort_by_key(|slot| slot.id());
        let pipeline = Arc::new_cyclic(|me| Pipeline {
            gate: Gate::new(config.admit.clone(), Arc::clone(&prices), catalog),
            prices,
            results: Results::new(config.cache.clone()),
            observer,
            audit,
            derived: Arc::new(Derived::new(config.run.derived_bytes)),
            devices: RwLock::new(slots),
            state: Mutex::new(State {
                dispatcher: Dispatcher::new(config.dispatch.clone(), place),
                jobs: Map::default(),
                waiters: Map::default(),
                arriving: None,
                next_waiter: 0,
                next_lane: 0,
                cpu: CpuLanes::default(),
                commands: Vec::new(),
                clock_wakes_at: None,
            }),
            clock: Condvar::new(),
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            me: me.clone(),
            config,
        });
        pipeline.start_lanes()?;
        clock::start(&pipeline)?;
        Ok(pipeline)
    }

    /// The stage that admits; the edge asks it about a caller before reading a body.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The stage that remembers.
    pub fn results(&self) -> &Results {
        &self.results
    }

    /// What the operations are expected to cost.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What operations made of resident inputs and is kept.
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    /// The devices and how each is.
    pub fn devices(&self) -> Vec<DeviceView> {
        let snapshot = self.snapshot();
        let view = |slot: Arc<DeviceSlot>| {
            let executor = Executor::Device(slot.id());
            let on_it = snapshot.lanes.iter().filter(|(_, lane, _)| lane.executor == executor);
            DeviceView {
                host: Arc::clone(slot.device()),
                state: slot.state(),
                faults: slot.faults(),
                jobs: on_it.map(|(.., jobs)| jobs).sum(),
            }
        };
        self.slots().into_iter().map(view).collect()
    }

    /// What the dispatcher looks like.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().dispatcher.snapshot()
    }

    /// Takes a request through the stages. `reply` gets its outcome, perhaps before this returns.
    pub fn submit(&self, request: Request, reply: Reply) -> Ticket {
        let none = Ticket { pipeline: Weak::new(), waiter: None };
        let waiter = Waiter::of(&request, &self.config.admit, reply);
        let missed = match self.gate.admit(request).and_then(|admitted| self.results.lookup(admitted)) {
            Ok(Lookup::Miss(missed)) => missed,
            Ok(Lookup::Hit(admitted, cached)) => {
                let waiter = waiter.admitted(&admitted);
                let bytes_in = admitted.plan().bytes_in;
                let answer = Answer {
                    outputs: cached.outputs.clone(),
                    gpu_time_us: 0,
                    total_time_us: micros(waiter.received.elapsed()),
                    cache_hit: true,
                    device_id: None,
                    computed_on: cached.computed_on(),
                    fallback: None,
                    explanation: waiter.explain.then(|| serde_json::json!({"chosen": "cache"})),
                    timings: Timings { decode_us: waiter.decode_us, ..Timings::default() },
                };
                self.finish(waiter, Some(true), bytes_in, String::new(), Ok(answer));
                return none;
            }
            Err(e) => {
                self.finish(waiter, None, 0, String::new(), Err(e));
                return none;
            }
        };
        let mut waiter = waiter.admitted(missed.admitted());
        waiter.looked_up = missed.flight().is_some();
        self.enqueue(missed, waiter)
    }

    fn enqueue(&self, missed: Missed, waiter: Waiter) -> Ticket {
        let flight = missed.flight();
        let admitted = missed.admitted();
        let (demand, declined) = self.demand(admitted);
        let caller = Arc::clone(&admitted.request().caller);
        let (priority, deadline) = (admitted.priority(), self.time_of(admitted.deadline()));
        let run = &self.config.run;
        let most =
            if priority == Priority::Realtime { run.inline_realtime_max_us } else { run.inline_max_us };
        let inline = matches!(demand.choice, DeviceChoice::Auto | DeviceChoice::Cpu) && demand.cpu_us <= most;
        let job = Job::of(missed, &self.results, &demand, declined);

        let mut state = self.lock();
        state.next_waiter += 1;
        let id = WaiterId(state.next_waiter);
        state.waiters.insert(id, waiter);
        state.arriving = Some(job);
        let submission = Submission {
            waiter: id,
            tenant: caller.tenant.clone(),
            limits: Arc::clone(&caller.limits),
            priority,
            deadline: Some(deadline),
            flight,
            demand,
            inline,
        };
        let after = self.step(&mut state, Event::Submit(submission));
        state.arriving = None;
        drop(state);
        self.perform(after);
        Ticket { pipeline: self.me.clone(), waiter: Some(id) }
    }

    /// Refuses new work and waits until every caller is answered, or `patience` is over; work that nobody waits
    /// for is left behind. Returns whether every caller was.
    pub fn drain(&self, patience: Duration) -> bool {
        self.drive(Event::Drain);
        let end = Instant::now() + patience;
        loop {
            let state = self.lock();
            if state.waiters.is_empty() {
                return true;
            }
            drop(state);
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Steps are panic-free by design; should one panic after all, serving on beats refusing everything.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        Time(micros(self.started.elapsed()))
    }

    fn time_of(&self, at: Instant) -> Time {
        Time(micros(at.saturating_duration_since(self.started)))
    }

    /// Takes an event through the dispatcher and does what it says.
    fn drive(&self, event: Event) {
        let mut state = self.lock();
        let after = self.step(&mut state, event);
        drop(state);
        self.perform(after);
    }

    fn perform(&self, after: Vec<After>) {
        for action in after {
            match action {
                After::Finish { waiter, cache_hit, bytes_in, hash, result } => {
                    self.finish(*waiter, cache_hit, bytes_in, hash, result);
                }
                After::RunInline(task) => {
                    let job = task.job;
                    let report = crate::run::run_inline(*task, &self.derived);
                    self.ended(job, LaneId::INLINE, report);
                }
            }
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.clock.notify_all();
    }
}

fn micros(d: Duration) -> u64 {
    d.as_micros().try_into().unwrap_or(u64::MAX)
}
