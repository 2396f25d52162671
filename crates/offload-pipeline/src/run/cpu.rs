//! CPU lanes: a thread each, with a rayon pool of its own, so that a job's parallel loops stay within its lane.

use super::message::{Report, ReportTo, Task, catching};
use crate::dispatch::LaneId;
use offload_core::{Context, Derived};
use rustix::process::Pid;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A thread that runs jobs on the CPU. Dropping it lets its running job end and then ends the thread.
pub struct CpuLane {
    tasks: Sender<Task>,
    threads: Arc<Mutex<Vec<Pid>>>,
}

impl CpuLane {
    /// Starts a lane of `threads` threads at this niceness (0 normal, 19 least).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        lane: LaneId,
        threads: usize,
        niceness: i32,
        derived: Arc<Derived>,
        report: ReportTo,
    ) -> std::io::Result<CpuLane> {
        let (tasks, inbox) = channel::<Task>();
        let ids: Arc<Mutex<Vec<Pid>>> = Arc::default();
        let seen = Arc::clone(&ids);
        std::thread::Builder::new().name(format!("cpu-lane-{}", lane.0)).spawn(move || {
            let started = move |_| {
                let id = rustix::thread::gettid();
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(id);
                set_niceness(id, niceness);
            };
            started(0);
            // The lane's own thread is a worker of its pool, so handing a job over costs one hop, not two.
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .use_current_thread()
                .thread_name(move |i| format!("cpu-lane-{}-{i}", lane.0))
                .start_handler(started)
                .build();
            if let Err(e) = &pool {
                tracing::error!(lane = lane.0, error = %e, "no thread pool: jobs of this lane run on one thread");
            }
            while let Ok(task) = inbox.recv() {
                let job = task.job;
                let run = || run(task, &derived);
                let outcome = match &pool {
                    Ok(pool) => pool.install(run),
                    Err(_) => run(),
                };
                report(job, lane, outcome);
            }
        })?;
        Ok(CpuLane { tasks, threads: ids })
    }

    /// Hands a job over.
    pub fn send(&self, task: Task) -> Result<(), Task> {
        self.tasks.send(task).map_err(|e| e.0)
    }

    /// Makes the lane's threads yield to everybody else: nobody waits for what it is doing.
    pub fn yield_to_others(&self) {
        for id in self.threads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            set_niceness(*id, 19);
        }
    }
}

fn set_niceness(thread: Pid, niceness: i32) {
    // On Linux a thread id works where a process id is asked for, and concerns that thread alone. A refusal
    // costs some latency under load and nothing else.
    if niceness != 0
        && let Err(e) = rustix::process::setpriority_process(Some(thread), niceness)
    {
        tracing::debug!(error = %e, "the niceness of a thread stays as it was");
    }
}

fn run(task: Task, derived: &Arc<Derived>) -> Report {
    let start = Instant::now();
    let ctx = Context::new(task.cancel, task.progress).with_derived(Arc::clone(derived), task.tenant);
    let result = catching(|| {
        ctx.check()?;
        task.operation.operation.cpu(task.inputs, &ctx)
    });
    Report { result, busy: start.elapsed(), gpu: None }
}

/// Runs a job on the calling thread: the fast path for work that is shorter than a hop to a lane.
pub fn run_inline(task: Task, derived: &Arc<Derived>) -> Report {
    run(task, derived)
}
