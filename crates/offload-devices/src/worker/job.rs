//! A lane at the worker's end: takes a job, runs it, answers.

use super::channel::{Channel, ReceiveError};
use super::encode::{Packed, Packing, Source, unpack};
use super::protocol::{ToService, ToWorker};
use super::region::Region;
use super::staging::Staging;
use offload_api::{Record, ResidentKey, Tensor, TensorSpec};
use offload_core::device::{
    Device, DeviceError, DeviceJob, DeviceReport, GpuTimings, InProcess, Isolation, JobLane,
};
use offload_core::{Context, Failure, Registry, TenantId};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What every lane of a worker shares.
pub(super) struct Shared {
    pub(super) registry: &'static Registry,
    pub(super) device: Arc<dyn Device>,
    pub(super) host: InProcess,
    pub(super) keep_bytes: usize,
}

/// A lane's state between jobs.
pub(super) struct JobServer {
    shared: Arc<Shared>,
    lane: Box<dyn JobLane>,
    context: Context,
    channel: Arc<Mutex<Channel>>,
    inputs: Option<Arc<Region>>,
    outputs: Staging,
}

impl JobServer {
    pub(super) fn new(
        shared: Arc<Shared>,
        lane: Box<dyn JobLane>,
        context: Context,
        channel: Channel,
    ) -> JobServer {
        let outputs = Staging::new(shared.keep_bytes);
        let channel = Arc::new(Mutex::new(channel));
        JobServer { shared, lane, context, channel, inputs: None, outputs }
    }

    /// Runs jobs until the service closes the lane, or says something that no service says.
    pub(super) fn serve(mut self) -> Result<(), String> {
        loop {
            let received = lock(&self.channel).receive::<ToWorker<String>>(None);
            match received {
                Ok((ToWorker::Run { operation, tenant, reserved_bytes, inputs }, fds)) => {
                    if let Some(region) = fds.into_iter().next() {
                        self.map_inputs(Some(region))?;
                    }
                    let report = self.run(&operation, TenantId::new(&tenant), reserved_bytes, inputs)?;
                    self.answer(&TenantId::new(&tenant), report)?;
                }
                Ok((ToWorker::Read { inputs_gone }, _)) => {
                    self.outputs.trim();
                    if inputs_gone {
                        self.map_inputs(None)?;
                    }
                }
                Ok((ToWorker::Brought, _)) => {
                    return Err("something was brought that nobody asked for".into());
                }
                Err(ReceiveError::Closed | ReceiveError::TimedOut) => return Ok(()),
                Err(ReceiveError::Garbage(what)) => return Err(what),
            }
        }
    }

    /// Takes over the memory of the inputs. A job waits for its lane before it ends, so nothing reads the old one.
    fn map_inputs(&mut self, file: Option<OwnedFd>) -> Result<(), String> {
        if let Some(old) = self.inputs.take()
            && let Err(e) = self.shared.device.unpin(old.bytes())
        {
            tracing::warn!(error = %e, "staging memory stays pinned");
        }
        if let Some(file) = file {
            let region = Region::open(file).map_err(|e| format!("the memory of the inputs: {e}"))?;
            if let Err(e) = self.shared.device.pin(region.bytes()) {
                tracing::warn!(error = %e, bytes = region.len(), "staging memory is not pinned; uploads are slower");
            }
            self.inputs = Some(Arc::new(region));
        }
        Ok(())
    }

    fn run(
        &mut self,
        operation: &str,
        tenant: TenantId,
        reserved_bytes: u64,
        inputs: Vec<(String, Packed)>,
    ) -> Result<DeviceReport, String> {
        let found = operation.split_once('.').and_then(|(f, n)| self.shared.registry.find(f, n));
        let Some(operation) = found else { return Err(format!("no operation {operation}")) };
        let source = Mapped { region: self.inputs.clone(), channel: Arc::clone(&self.channel) };
        let inputs = unpack(inputs, operation, &source)?;
        let (lane, context) = (self.lane.as_mut(), self.context.clone());
        let run = || match context.check() {
            Ok(()) => lane.run(DeviceJob {
                operation,
                inputs,
                tenant,
                reserved_bytes,
                context,
                isolation: Isolation::Shared,
            }),
            Err(e) => DeviceReport { result: Err(e), timings: GpuTimings::default() },
        };
        Ok(catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_string())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "a panic without a text".into());
            // A driver's panic leaves its context in an unknown state, which is what a lost device is.
            let lost = Failure::Fault(DeviceError::Lost(text));
            DeviceReport { result: Err(lost), timings: GpuTimings::default() }
        }))
    }

    fn answer(&mut self, tenant: &TenantId, report: DeviceReport) -> Result<(), String> {
        let DeviceReport { result, timings } = report;
        let put = result.and_then(|outputs| self.put(tenant, outputs));
        let channel = lock(&self.channel);
        let sent = match put {
            Ok((Packing { values: outputs, .. }, fresh)) => {
                let region = self.outputs.region().filter(|_| fresh);
                let fds: Vec<_> = region.iter().map(|r| r.as_fd()).collect();
                channel.send(&ToService::Done { outputs, timings }, &fds)
            }
            Err(failure) => {
                channel.send(&ToService::<String>::Failed { failure: failure.into(), timings }, &[])
            }
        };
        sent.map_err(|e| format!("the answer does not go out: {e}"))
    }

    /// Lays the outputs out and puts them into memory; whether that is new.
    fn put(&mut self, tenant: &TenantId, outputs: Record<Tensor>) -> Result<(Packing, bool), Failure> {
        let packing = Packing::of(outputs, false);
        let put = self.outputs.put(tenant, &packing.pieces, packing.total);
        let fresh = put.map_err(|e| DeviceError::Call(format!("no memory for the outputs: {e}")))?;
        Ok((packing, fresh))
    }
}

impl Drop for JobServer {
    fn drop(&mut self) {
        // Every job waited for its lane when it ended, so nothing reads the memory any more. An error was logged.
        let _ = self.map_inputs(None);
    }
}

/// The inputs of a job, in place.
struct Mapped {
    region: Option<Arc<Region>>,
    channel: Arc<Mutex<Channel>>,
}

impl Source for Mapped {
    fn tensor(&self, spec: TensorSpec, at: usize, resident: Option<ResidentKey>) -> Option<Tensor> {
        let len = usize::try_from(spec.bytes()).ok()?;
        if len == 0 {
            let tensor = Tensor::over(spec, Arc::new(Vec::<u8>::new()), 0..0)?;
            return Some(match resident {
                Some(key) => tensor.with_resident(key),
                None => tensor,
            });
        }
        let region = Arc::clone(self.region.as_ref()?);
        if at.checked_add(len).is_none_or(|end| end > region.len()) {
            return None;
        }
        match resident {
            None => Tensor::over(spec, Arc::new(View(region)), at..at + len),
            Some(key) => {
                let channel = Arc::clone(&self.channel);
                let late = Late { region, at, len, channel, here: OnceLock::new() };
                Some(Tensor::late(spec, Arc::new(late), 0..len)?.with_resident(key))
            }
        }
    }

    fn bytes(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        super::encode::Copied::of(self.region.as_deref()).bytes(at, len)
    }
}

/// All of a region.
struct View(Arc<Region>);

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A part of a region that the service fills when it is first read.
struct Late {
    region: Arc<Region>,
    at: usize,
    len: usize,
    channel: Arc<Mutex<Channel>>,
    here: OnceLock<()>,
}

impl AsRef<[u8]> for Late {
    fn as_ref(&self) -> &[u8] {
        self.here.get_or_init(|| {
            // The lane's thread listens between jobs only, so the answer is for whoever asks here.
            let mut channel = lock(&self.channel);
            let asked = channel.send(&ToService::<String>::Missing { at: self.at }, &[]);
            let brought =
                asked.is_ok() && matches!(channel.receive(None), Ok((ToWorker::<String>::Brought, _)));
            if !brought {
                // There is no answer to give to the reader, and nobody left to give the job's answer to.
                super::serve::end_process();
            }
        });
        &self.region.bytes()[self.at..self.at + self.len]
    }
}

fn lock(channel: &Mutex<Channel>) -> MutexGuard<'_, Channel> {
    // A channel is consistent whenever nobody holds it; a panic inside cannot happen between its steps.
    channel.lock().unwrap_or_else(PoisonError::into_inner)
}
