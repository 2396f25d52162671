//! A lane at the service's end: hands a job over, watches it, takes its outputs.

use super::channel::{Channel, ReceiveError};
use super::encode::{Copied, Packing, Piece, unpack};
use super::header::Header;
use super::process::Process;
use super::protocol::{ToService, ToWorker};
use super::region::Region;
use super::staging::Staging;
use offload_core::device::{DeviceError, DeviceJob, DeviceReport, GpuTimings, JobLane};
use offload_core::{Context, Failure};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often a running job's wish to stop, progress and time are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// When a job is taken for hung.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// After this time; never when absent.
    pub(super) job: Option<Duration>,
    /// So long after it was asked to stop.
    pub(super) cancelled: Duration,
}

pub(super) struct WorkerLane {
    process: Arc<Process>,
    channel: Channel,
    header: Header,
    inputs: Staging,
    outputs: Option<Region>,
    keep_bytes: usize,
    patience: Patience,
}

impl WorkerLane {
    pub(super) fn new(
        process: Arc<Process>,
        channel: Channel,
        header: Header,
        keep_bytes: usize,
        patience: Patience,
    ) -> WorkerLane {
        let inputs = Staging::new(keep_bytes);
        WorkerLane { process, channel, header, inputs, outputs: None, keep_bytes, patience }
    }

    fn attempt(&mut self, job: DeviceJob) -> Result<DeviceReport, DeviceError> {
        if self.process.is_dead() {
            return Err(self.process.lost("the worker is gone"));
        }
        self.header.reset();
        let DeviceJob { operation, inputs, tenant, reserved_bytes, context, .. } = job;
        let packing = Packing::of(inputs, true);
        let fresh = self
            .inputs
            .put(&tenant, &packing.pieces, packing.total)
            .map_err(|e| DeviceError::Call(format!("no memory for the inputs: {e}")))?;
        let Packing { values, pieces, .. } = packing;
        let run = ToWorker::Run {
            operation: operation.full_name.clone(),
            tenant: tenant.as_str().to_owned(),
            reserved_bytes,
            inputs: values,
        };
        let region = self.inputs.region().filter(|_| fresh);
        let fds: Vec<_> = region.iter().map(|r| r.as_fd()).collect();
        self.send(&run, &fds)?;
        let mut watch = Watch::new(self.patience);
        loop {
            let (message, fds) = self.await_message(&context, &mut watch)?;
            match message {
                ToService::Missing { at } => {
                    let piece = pieces.iter().find(|p| p.at == at && p.late);
                    let brought = piece.zip(self.inputs.region()).and_then(|(p, r)| r.write(at, p.bytes()));
                    if brought.is_none() {
                        return Err(self.nonsense("it asks for what no input is"));
                    }
                    self.send(&ToWorker::<&str>::Brought, &[])?;
                }
                ToService::Done { outputs, timings } => {
                    if let Some(file) = fds.into_iter().next() {
                        let region = Region::open(file).map_err(|e| self.nonsense(&e.to_string()))?;
                        self.outputs = Some(region);
                    }
                    let outputs = unpack(outputs, operation, &Copied::of(self.outputs.as_ref()))
                        .map_err(|e| self.nonsense(&e))?;
                    self.process.seen().add(&tenant, pieces.iter().filter_map(Piece::identity));
                    return Ok(DeviceReport { result: Ok(outputs), timings });
                }
                ToService::Failed { failure, timings } => {
                    let failure = Failure::from(failure);
                    if let Failure::Fault(e) = &failure
                        && e.is_sticky()
                    {
                        // Nothing runs there any more, for any lane.
                        self.process.kill(&e.to_string());
                    }
                    return Ok(DeviceReport { result: Err(failure), timings });
                }
            }
        }
    }

    fn send(&self, message: &ToWorker<&str>, fds: &[BorrowedFd<'_>]) -> Result<(), DeviceError> {
        self.channel
            .send(message, fds)
            .map_err(|e| self.process.lost(&format!("the worker does not listen: {e}")))
    }

    fn nonsense(&self, what: &str) -> DeviceError {
        self.process.lost(&format!("the worker speaks no sense: {what}"))
    }

    /// The worker's next word. Meanwhile the job's cells are carried over, and a job that is taken for hung costs the
    /// worker its life.
    fn await_message(
        &mut self,
        context: &Context,
        watch: &mut Watch,
    ) -> Result<(ToService<String>, Vec<OwnedFd>), DeviceError> {
        loop {
            match self.channel.receive(Some(Instant::now() + LOOK)) {
                Ok(received) => return Ok(received),
                Err(ReceiveError::TimedOut) => {
                    let progress = self.header.progress().load(Ordering::Relaxed);
                    context.progress().set(f64::from(progress) / 1e6);
                    if context.cancel().is_cancelled() {
                        self.header.cancel().store(true, Ordering::Relaxed);
                    }
                    if let Some(why) = watch.hung(context) {
                        return Err(DeviceError::Lost(self.process.kill(&why)));
                    }
                }
                Err(ReceiveError::Closed) => {
                    return Err(self.process.lost("the worker closed its connection"));
                }
                Err(ReceiveError::Garbage(what)) => return Err(self.nonsense(&what)),
            }
        }
    }

    /// Gives memory back after a large job.
    fn trim(&mut self) {
        let inputs_gone = self.inputs.trim();
        let outputs_gone = self.outputs.as_ref().is_some_and(|r| r.len() > self.keep_bytes);
        if outputs_gone {
            self.outputs = None;
        }
        if inputs_gone || outputs_gone {
            // Where the worker is gone, its memory is too.
            let _ = self.channel.send(&ToWorker::<&str>::Read { inputs_gone }, &[]);
        }
    }
}

impl JobLane for WorkerLane {
    fn run(&mut self, job: DeviceJob) -> DeviceReport {
        let report = self.attempt(job);
        self.trim();
        report.unwrap_or_else(|e| DeviceReport { result: Err(e.into()), timings: GpuTimings::default() })
    }
}

/// The time of one job.
struct Watch {
    patience: Patience,
    started: Instant,
    cancelled: Option<Instant>,
}

impl Watch {
    fn new(patience: Patience) -> Watch {
        Watch { patience, started: Instant::now(), cancelled: None }
    }

    /// Why the job is taken for hung, when it is.
    fn hung(&mut self, context: &Context) -> Option<String> {
        if context.cancel().is_cancelled() {
            let since = *self.cancelled.get_or_insert_with(Instant::now);
            let grace = self.patience.cancelled;
            if since.elapsed() > grace {
                return Some(format!(
                    "a job did not stop within {} ms of its cancellation",
                    grace.as_millis()
                ));
            }
        }
        let limit = self.patience.job?;
        let over = self.started.elapsed() > limit;
        over.then(|| format!("a job ran longer than {} ms (devices.watchdog_ms)", limit.as_millis()))
    }
}
