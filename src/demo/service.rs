//! The pipeline as the service runs it, and calls into it that wait for their answer.

use offload_api::{
    ApiError, DeviceChoice, ErrorCode, Options, OutputRef, Record, Source, Style, Tensor, Value,
};
use offload_core::{Registered, Registry, TenantId};
use offload_pipeline::admit::{AdmitConfig, Caller, Request};
use offload_pipeline::cache::CacheConfig;
use offload_pipeline::dispatch::DispatchConfig;
use offload_pipeline::engine::{BatchRequest, DevicePrior, Pipeline, PipelineConfig, RunConfig};
use offload_pipeline::place::Strategy;
use offload_pipeline::records::Quota;
use offload_pipeline::settle::{Answer, Outcome};
use std::collections::HashMap;
use std::sync::mpsc;
use std::sync::{Arc, atomic};
use std::time::{Duration, Instant};

const FAMILY: &str = "matrix";
const GIB: u64 = 1 << 30;

/// The values of one call.
pub(super) type Inputs<const N: usize> = [(&'static str, Value<Source>); N];

/// Why a call has no answer; boxed, because it is much larger than most answers.
pub(super) type Failed = Box<ApiError>;

/// An operation of a batch and its values.
pub(super) type Item = (&'static str, Record<Source>);

/// The service within this process.
pub(super) struct Service {
    pipeline: Arc<Pipeline>,
    registry: Registry,
    caller: Arc<Caller>,
    calls: atomic::AtomicU64,
}

/// An answer and the operation that gave it.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// The operation.
    pub(super) operation: &'static str,
    answer: Answer,
}

impl Service {
    /// Starts the pipeline with as many threads as the machine has.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start() -> std::io::Result<Service> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let config = PipelineConfig {
            admit: AdmitConfig { default_timeout_ms: 30_000, host_budget_bytes: 2 * GIB },
            cache: CacheConfig {
                max_bytes: GIB / 4,
                ttl_seconds: 3600,
                ttl_seconds_by_type: HashMap::new(),
                auto_min_us: 1000,
            },
            dispatch: DispatchConfig::default(),
            strategy: Strategy::CostBased,
            device_prior: DevicePrior::default(),
            run: RunConfig {
                auto_cpu_devices: false,
                cpu_lanes: 1,
                threads_per_lane: threads,
                realtime_threads: 1,
                niceness: 0,
                max_spare_lanes: 1,
                spare_after_ms: 50,
                inline_max_us: 50.0,
                inline_realtime_max_us: 50.0,
                derived_bytes: 1 << 20,
            },
            node: "demo".into(),
        };
        let registry = offload_ops::registry();
        let pipeline = Pipeline::start(config, &registry, Vec::new(), Arc::new(()), Box::new(|_| {}), None)?;
        let caller = Caller::new(
            TenantId::new("demo"),
            "demo".into(),
            "demo".into(),
            vec![format!("gpu:{FAMILY}")],
            Quota::default(),
        );
        Ok(Service { pipeline, registry, caller: Arc::new(caller), calls: atomic::AtomicU64::new(1) })
    }

    /// Runs an operation without looking into the cache.
    ///
    /// # Errors
    /// What the service says.
    pub(super) fn call<const N: usize>(
        &self,
        operation: &'static str,
        inputs: Inputs<N>,
    ) -> Result<Answered, Failed> {
        self.submit(operation, record(inputs), false)
    }

    /// Runs an operation, or answers from the cache.
    ///
    /// # Errors
    /// What the service says.
    pub(super) fn call_cached<const N: usize>(
        &self,
        operation: &'static str,
        inputs: Inputs<N>,
    ) -> Result<Answered, Failed> {
        self.submit(operation, record(inputs), true)
    }

    fn submit(
        &self,
        operation: &'static str,
        inputs: Record<Source>,
        cache: bool,
    ) -> Result<Answered, Failed> {
        let request = Request {
            id: self.next_id(),
            caller: Arc::clone(&self.caller),
            operation: self.find(operation)?,
            options: options(cache),
            style: Style::Envelope,
            inputs,
            received: Instant::now(),
            decode: Duration::ZERO,
        };
        let (send, receive) = mpsc::channel();
        let ticket = self.pipeline.submit(request, Box::new(move |outcome| drop(send.send(outcome))));
        let outcome: Outcome = receive.recv().map_err(|_| unanswered())?;
        ticket.answered();
        Ok(Answered { operation, answer: outcome.result? })
    }

    /// Runs the items of a batch.
    ///
    /// # Errors
    /// What the service says about the first item that failed.
    pub(super) fn batch(&self, items: Vec<Item>) -> Result<Vec<Answered>, Failed> {
        let operations: Vec<_> = items.iter().map(|(operation, _)| *operation).collect();
        let found = |(operation, inputs)| Ok(Ok((self.find(operation)?, inputs)));
        let items = items.into_iter().map(found).collect::<Result<_, Failed>>()?;
        let request = BatchRequest {
            id: self.next_id(),
            caller: Arc::clone(&self.caller),
            options: options(false),
            items,
            received: Instant::now(),
            decode: Duration::ZERO,
        };
        let (send, receive) = mpsc::channel();
        let ticket = self.pipeline.submit_batch(request, Box::new(move |all| drop(send.send(all))));
        let outcomes: Vec<Outcome> = receive.recv().map_err(|_| unanswered())?;
        ticket.answered();
        let answered =
            |(operation, outcome): (_, Outcome)| Ok(Answered { operation, answer: outcome.result? });
        operations.into_iter().zip(outcomes).map(answered).collect()
    }

    fn find(&self, operation: &str) -> Result<&'static Registered, Failed> {
        self.registry.find(FAMILY, operation).ok_or_else(|| {
            ApiError::new(ErrorCode::UnknownOperation, format!("there is no operation {FAMILY}/{operation}"))
                .into()
        })
    }

    fn next_id(&self) -> String {
        format!("demo-{}", self.calls.fetch_add(1, atomic::Ordering::Relaxed))
    }
}

impl Answered {
    /// The tensor of that name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn tensor(&self, name: &str) -> Result<&Tensor, Failed> {
        match self.answer.outputs.get(name) {
            Some(Value::Tensor(tensor)) => Ok(tensor),
            _ => Err(surprise(format!("{} gave no tensor {name}", self.operation))),
        }
    }

    /// The numbers of the tensor of that name, row by row.
    ///
    /// # Errors
    /// When there is none, or it is of another type.
    pub(super) fn numbers(&self, name: &str) -> Result<&[f64], Failed> {
        let wrong = || surprise(format!("{name} of {} is not of type f64", self.operation));
        self.tensor(name)?.as_slice().ok_or_else(wrong)
    }

    /// Microseconds from the request to the answer.
    pub(super) fn micros(&self) -> u64 {
        self.answer.total_time_us
    }

    /// Whether the answer came from the cache.
    pub(super) fn cache_hit(&self) -> bool {
        self.answer.cache_hit
    }

    /// Where it ran, and why there.
    pub(super) fn place(&self) -> (&str, &str) {
        if self.cache_hit() {
            return ("cache", "the same call was answered before");
        }
        let why = self.answer.explanation.as_ref().and_then(|e| e["why"].as_str());
        (&self.answer.computed_on, why.unwrap_or("no reason given"))
    }
}

/// A record of these values.
pub(super) fn record<const N: usize>(inputs: Inputs<N>) -> Record<Source> {
    inputs.into_iter().fold(Record::new(), |record, (name, value)| record.with(name, value))
}

/// A tensor that travels with the request.
pub(super) fn inline(tensor: &Tensor) -> Value<Source> {
    Value::Tensor(Source::Inline(tensor.clone()))
}

/// An output of an earlier item of the same batch: `{"$result": …}` on the wire.
pub(super) fn result_of(index: usize, output: &str) -> Value<Source> {
    Value::Tensor(Source::Output(OutputRef { index, output: output.into() }))
}

/// What went otherwise than the service promises.
pub(super) fn surprise(message: impl Into<String>) -> Failed {
    ApiError::new(ErrorCode::Internal, message).into()
}

fn unanswered() -> Failed {
    surprise("the pipeline ended without an answer")
}

fn options(cache: bool) -> Options {
    Options { cache: Some(cache), device: DeviceChoice::Auto, explain: true, ..Options::default() }
}
