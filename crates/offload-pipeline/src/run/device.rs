//! Device lanes: threads that each own a stream of a device and start equal small jobs together, and the watch over a
//! device that failed.

use super::message::{Report, ReportTo, RunFailure, Task, catching};
use crate::dispatch::LaneId;
use offload_api::{Record, Tensor};
use offload_core::device::{DeviceError, DeviceHost, DeviceJob, GpuTimings, JobLane, LanePriority};
use offload_core::stack::{self, Stacked};
use offload_core::{Context, Failure};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Pauses between attempts to bring a failed device back.
const BACKOFF: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
];

/// The two lanes of a device. Dropping them lets running jobs end and then ends their threads.
pub struct DeviceLanes {
    lanes: Vec<(LaneId, Sender<Task>)>,
}

impl DeviceLanes {
    /// Opens a lane for P0 and one for everything else.
    ///
    /// # Errors
    /// When the device refuses, or the system gives no thread.
    pub fn open(
        device: &Arc<dyn DeviceHost>,
        realtime: LaneId,
        general: LaneId,
        report: &ReportTo,
    ) -> Result<DeviceLanes, DeviceError> {
        let mut lanes = Vec::new();
        for (id, priority) in [(realtime, LanePriority::High), (general, LanePriority::Normal)] {
            let lane = device.open(priority)?;
            let (tasks, inbox) = channel();
            let report = Arc::clone(report);
            std::thread::Builder::new()
                .name(format!("device-{}-lane-{}", device.descriptor().id, id.0))
                .spawn(move || serve(id, lane, &inbox, &report))
                .map_err(|e| DeviceError::Call(format!("no thread for a lane: {e}")))?;
            lanes.push((id, tasks));
        }
        Ok(DeviceLanes { lanes })
    }

    /// The lanes' numbers.
    pub fn ids(&self) -> impl Iterator<Item = LaneId> + '_ {
        self.lanes.iter().map(|(id, _)| *id)
    }

    /// Hands a job to one of the lanes.
    pub fn send(&self, lane: LaneId, task: Task) -> Result<(), Task> {
        match self.lanes.iter().find(|(id, _)| *id == lane) {
            Some((_, tasks)) => tasks.send(task).map_err(|e| e.0),
            None => Err(task),
        }
    }

    /// Waits until the device answers again, however long that takes; `stop` ends the wait.
    pub fn await_health(device: &dyn DeviceHost, stop: impl Fn() -> bool) -> bool {
        for attempt in 0.. {
            std::thread::sleep(BACKOFF[usize::min(attempt, BACKOFF.len() - 1)]);
            if stop() {
                return false;
            }
            // A driver that panics is as ill as one that answers with an error.
            let health = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| device.health()));
            if matches!(health, Ok(Ok(_))) {
                return true;
            }
        }
        false
    }
}

fn serve(id: LaneId, mut lane: Box<dyn JobLane>, inbox: &Receiver<Task>, report: &ReportTo) {
    let mut waiting = VecDeque::new();
    while let Some(first) = waiting.pop_front().or_else(|| inbox.recv().ok()) {
        waiting.extend(inbox.try_iter());
        let tasks = together(first, &mut waiting);
        match Stack::of(tasks) {
            Ok(stack) => stack.run(lane.as_mut(), id, report),
            Err(tasks) => tasks.into_iter().for_each(|task| alone(task, lane.as_mut(), id, report)),
        }
    }
}

/// A job with those of the waiting ones that can be started together with it: of its tenant and operation, and as small.
fn together(first: Task, waiting: &mut VecDeque<Task>) -> Vec<Task> {
    if !stack::stacks(first.operation, &first.inputs) {
        return vec![first];
    }
    let joins = |task: &Task| {
        std::ptr::eq(task.operation, first.operation)
            && task.tenant == first.tenant
            && stack::stacks(task.operation, &task.inputs)
            && stack::alike(&task.inputs, &first.inputs)
    };
    let (same, others): (VecDeque<Task>, VecDeque<Task>) = waiting.drain(..).partition(joins);
    *waiting = others;
    [first].into_iter().chain(same).collect()
}

/// Equal small jobs that run as one.
struct Stack {
    tasks: Vec<Task>,
    one: Stacked,
}

impl Stack {
    /// These as one, or themselves where that is not possible within what was reserved for them.
    fn of(tasks: Vec<Task>) -> Result<Stack, Vec<Task>> {
        // Whoever stopped waiting is answered without a run of its own.
        if tasks.len() < 2 || tasks.iter().any(|t| t.cancel.is_cancelled()) {
            return Err(tasks);
        }
        let reserved: u64 = tasks.iter().map(|t| t.device_bytes).sum();
        let inputs: Vec<_> = tasks.iter().map(|t| &t.inputs).collect();
        let one = Stacked::of(tasks[0].operation, &inputs).filter(|one| one.device_bytes <= reserved);
        match one {
            Some(one) => Ok(Stack { tasks, one }),
            None => Err(tasks),
        }
    }

    /// Runs them. What one of them did wrong is found by running each alone.
    fn run(self, lane: &mut dyn JobLane, id: LaneId, report: &ReportTo) {
        let Stack { tasks, mut one } = self;
        let start = Instant::now();
        let job = DeviceJob {
            operation: tasks[0].operation,
            inputs: std::mem::take(&mut one.inputs),
            tenant: tasks[0].tenant.clone(),
            reserved_bytes: one.device_bytes,
            context: Context::default(),
            isolation: tasks[0].isolation,
        };
        let (result, timings) = attempt(lane, job);
        match result {
            Ok(outputs) => match one.apart(&outputs) {
                Some(records) => {
                    let count = tasks.len() as u32;
                    let share = timings.map(|t| GpuTimings {
                        upload: t.upload / count,
                        compute: t.compute / count,
                        download: t.download / count,
                    });
                    let busy = start.elapsed() / count;
                    for (task, record) in tasks.into_iter().zip(records) {
                        report(task.job, id, Report { result: Ok(record), busy, gpu: share });
                    }
                }
                None => tasks.into_iter().for_each(|task| alone(task, lane, id, report)),
            },
            Err(RunFailure::Failed(Failure::Fault(e))) if e.is_sticky() => {
                // The device is gone, for each of them.
                for task in tasks {
                    let result = Err(RunFailure::Failed(Failure::Fault(e.clone())));
                    report(task.job, id, Report { result, busy: start.elapsed(), gpu: None });
                }
            }
            Err(_) => tasks.into_iter().for_each(|task| alone(task, lane, id, report)),
        }
    }
}

fn alone(task: Task, lane: &mut dyn JobLane, id: LaneId, report: &ReportTo) {
    let start = Instant::now();
    let job = DeviceJob {
        operation: task.operation,
        inputs: task.inputs,
        tenant: task.tenant,
        reserved_bytes: task.device_bytes,
        context: Context::new(task.cancel, task.progress),
        isolation: task.isolation,
    };
    let (result, gpu) = attempt(lane, job);
    report(task.job, id, Report { result, busy: start.elapsed(), gpu });
}

fn attempt(
    lane: &mut dyn JobLane,
    job: DeviceJob,
) -> (Result<Record<Tensor>, RunFailure>, Option<GpuTimings>) {
    let mut timings = None;
    let result = catching(|| {
        job.context.check()?;
        let report = lane.run(job);
        timings = Some(report.timings);
        report.result
    })
    // A driver's panic leaves its context in an unknown state, which is what a lost device is.
    .map_err(|e| match e {
        RunFailure::Panicked(text) => RunFailure::Failed(Failure::Fault(DeviceError::Lost(text))),
        other => other,
    });
    (result, timings)
}
