//! What is being done, watched by a thread: a job is cancelled when the time for all is over, and a process that a
//! driver holds up says so and ends.

use offload_core::{Cancel, Context, Progress};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Beyond this a job does not answer: a kernel hangs, or a driver does.
const STALLED: Duration = Duration::from_secs(60);

struct State {
    what: String,
    since: Instant,
    cancel: Cancel,
    done: bool,
}

/// The watched time.
pub struct Watch {
    deadline: Instant,
    shared: Arc<(Mutex<State>, Condvar)>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Starts a time of this length.
    pub fn new(budget: Duration) -> Watch {
        let now = Instant::now();
        let state = State { what: "starting".into(), since: now, cancel: Cancel::new(), done: false };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let watch = Watch { deadline: now + budget, shared };
        let (shared, deadline) = (Arc::clone(&watch.shared), watch.deadline);
        std::thread::spawn(move || {
            let (state, over) = &*shared;
            let mut state = lock(state);
            while !state.done {
                let tick = Duration::from_millis(500);
                state = over.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner).0;
                if Instant::now() > deadline {
                    state.cancel.cancel();
                }
                let stalled = state.since.elapsed();
                if !state.done && stalled > STALLED {
                    println!(
                        "\nSTALLED: {} has not answered for {} s; giving up",
                        state.what,
                        stalled.as_secs()
                    );
                    std::process::exit(1);
                }
            }
        });
        watch
    }

    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Something begins; its job runs in the context returned.
    pub fn begin(&self, what: impl Into<String>) -> Context {
        let mut state = lock(&self.shared.0);
        (state.what, state.since, state.cancel) = (what.into(), Instant::now(), Cancel::new());
        Context::new(state.cancel.clone(), Progress::new())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.shared.0).done = true;
        self.shared.1.notify_all();
    }
}
