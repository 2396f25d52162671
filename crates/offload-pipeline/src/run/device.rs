//! Device lanes: threads that each own a stream of a device, and the watch over a device that failed.

use super::message::{Report, ReportTo, RunFailure, Task, catching};
use crate::dispatch::LaneId;
use offload_core::device::{DeviceError, DeviceHost, DeviceJob, JobLane, LanePriority};
use offload_core::{Context, Failure};
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
    while let Ok(task) = inbox.recv() {
        let job = task.job;
        let start = Instant::now();
        let mut timings = None;
        let result = catching(|| {
            let ctx = Context::new(task.cancel, task.progress);
            ctx.check()?;
            let report = lane.run(DeviceJob {
                operation: task.operation,
                inputs: task.inputs,
                tenant: task.tenant,
                reserved_bytes: task.device_bytes,
                context: ctx,
            });
            timings = Some(report.timings);
            report.result
        })
        // A driver's panic leaves its context in an unknown state, which is what a lost device is.
        .map_err(|e| match e {
            RunFailure::Panicked(text) => RunFailure::Failed(Failure::Fault(DeviceError::Lost(text))),
            other => other,
        });
        report(job, id, Report { result, busy: start.elapsed(), gpu: timings });
    }
}
