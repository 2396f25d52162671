//! Tasks: requests that are answered at once and worked on later, whatever happens to the connection or the process.
//!
//! A task is stored before it is promised. The runner claims queued tasks into the pipeline as there is room, the
//! settler records how they ended, and a claim that this process loses counts for nothing.

pub mod document;
mod form;
mod runner;
mod settler;
mod submit;

pub use form::Form;
pub use submit::{Promise, Submitted, submit};

use crate::config;
use crate::http::AppState;
use offload_api::{ApiError, Style};
use offload_pipeline::engine::{BatchTicket, Standing, Ticket};
use offload_pipeline::records::{Claim, Task};
use offload_pipeline::settle::Outcome;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, watch};

/// What stands in a path for a batch, and for its kind.
pub const BATCH: &str = "batch";

/// Milliseconds since 1970.
pub fn unix_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(0)
}

/// What a task's request and callback are sealed for.
pub fn purpose(task: &str) -> String {
    format!("request of {task}")
}

/// The tasks this process runs.
pub struct TaskDesk {
    node: String,
    running: Mutex<HashMap<String, Running>>,
    ends: mpsc::Sender<Ended>,
    received: Mutex<Option<mpsc::Receiver<Ended>>>,
    runner: Arc<Signal>,
    callbacks: Arc<Notify>,
    stopping: AtomicBool,
}

/// A claimed task in the pipeline.
struct Running {
    claim: Claim,
    tenant: String,
    since: Instant,
    expected_us: f64,
    hold: Hold,
    done: watch::Sender<bool>,
}

/// What keeps it in the pipeline: dropping it cancels.
enum Hold {
    Starting,
    One(Ticket),
    Batch(BatchTicket),
}

/// A task left the pipeline.
struct Ended {
    id: String,
    claim: Claim,
    attempts: u32,
    request_id: String,
    received: Instant,
    what: What,
}

enum What {
    One(Box<Outcome>, Style),
    Batch(Vec<Outcome>),
    /// It never came in.
    Refused(ApiError),
    /// It may not run again.
    GivenUp(ApiError),
}

/// Wakes a thread.
#[derive(Default)]
struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until it is raised, or the time is over, and lowers it.
    fn wait(&self, patience: Duration) -> bool {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(raised, patience, |raised| !*raised);
        let (mut raised, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut raised)
    }
}

/// How far a task is, as this process knows.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    /// Where it is in the pipeline.
    pub standing: Standing,
    /// How long it has been there.
    pub elapsed: Duration,
    /// Microseconds it was expected to take.
    pub expected_us: f64,
}

impl TaskDesk {
    /// An empty desk of this node.
    pub fn new(node: String) -> TaskDesk {
        let (ends, received) = mpsc::channel();
        TaskDesk {
            node,
            running: Mutex::default(),
            ends,
            received: Mutex::new(Some(received)),
            runner: Arc::default(),
            callbacks: Arc::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Starts the threads, after what this node left behind is queued again.
    ///
    /// # Errors
    /// When the store does not answer or the system gives no thread.
    pub fn start(state: &Arc<AppState>) -> Result<(), Box<dyn std::error::Error>> {
        let recovered = state.directory.stores().tasks().recover(&state.tasks.node)?;
        if recovered > 0 {
            tracing::warn!(tasks = recovered, "tasks that were running when the service stopped run again");
        }
        let received = state.tasks.received.lock().unwrap_or_else(PoisonError::into_inner).take();
        settler::start(state, received.ok_or("the tasks were started before")?)?;
        runner::start(state)?;
        Ok(())
    }

    /// What deliverers of callbacks wait for.
    pub fn callback_wake(&self) -> Arc<Notify> {
        Arc::clone(&self.callbacks)
    }

    /// A task was queued.
    pub fn queued(&self) {
        self.runner.raise();
    }

    /// How far a task is, when this process runs it, and a channel that tells its end.
    pub fn live(&self, id: &str) -> Option<(Live, watch::Receiver<bool>)> {
        let running = self.lock();
        let entry = running.get(id)?;
        let standing = match &entry.hold {
            Hold::Starting => Standing::Queued { ahead: 0 },
            Hold::One(ticket) => ticket.standing(),
            Hold::Batch(ticket) => ticket.standing(),
        };
        let live = Live { standing, elapsed: entry.since.elapsed(), expected_us: entry.expected_us };
        Some((live, entry.done.subscribe()))
    }

    /// A task of the tenant was cancelled: what it holds here goes.
    pub fn cancelled(&self, task: &Task) {
        let mut running = self.lock();
        let entry = running.get(&task.id).is_some_and(|r| r.tenant == task.tenant_id);
        let entry = if entry { running.remove(&task.id) } else { None };
        drop(running);
        // Cancelling calls back into the desk, so the lock is gone before.
        if let Some(entry) = entry {
            let _ = entry.done.send(true);
            drop(entry.hold);
        }
        self.callbacks.notify_one();
        self.runner.raise();
    }

    /// Takes no more tasks, and gives back those that run: whoever comes next runs them.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let holds: Vec<Hold> =
            self.lock().values_mut().map(|r| std::mem::replace(&mut r.hold, Hold::Starting)).collect();
        drop(holds);
        self.runner.raise();
    }

    /// Whether every task that ran was given back.
    pub fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    /// Tasks that run here.
    pub fn running(&self) -> usize {
        self.lock().len()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, ended: Ended) {
        // Without a settler the process is going down, and the claim with it.
        let _ = self.ends.send(ended);
    }
}

/// The longest a task's threads sleep.
fn pause(settings: &config::Tasks) -> Duration {
    Duration::from_millis((settings.lease_ms / 4).clamp(50, 500))
}
