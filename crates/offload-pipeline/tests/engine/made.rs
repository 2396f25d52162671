//! Operations, callers and settings made for the engine's tests.

use offload_api::{Field, Options, Priority, Record, Style, Tensor, TensorSpec, Value};
use offload_core::device::Gpu;
use offload_core::{
    About, AnyOperation, Case, Context, DeviceNeed, Failure, Operation, Plan, PlannedOutput, Registered,
    Registry, Rejection, Slot, TenantId, float, real,
};
use offload_pipeline::admit::{AdmitConfig, Caller, Request};
use offload_pipeline::cache::CacheConfig;
use offload_pipeline::dispatch::DispatchConfig;
use offload_pipeline::engine::{DevicePrior, PipelineConfig, Reply, RunConfig};
use offload_pipeline::place::Strategy;
use offload_pipeline::records::Quota;
use offload_pipeline::settle::Outcome;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::{Duration, Instant};

/// How often `Count` ran.
pub static RUNS: AtomicUsize = AtomicUsize::new(0);

/// Which operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Made {
    Sleep,
    Stubborn,
    Count,
    Panic,
    Double,
    Root,
}

offload_core::inputs! {
    /// How long to take.
    pub struct Inputs<T> (dtype: F64) {
        /// Milliseconds.
        ms: f64 = float(0.0, 1e5),
        /// Numbers to double.
        a: Option<T> = real(1, 1),
    }
}

macro_rules! operation {
    ($type:ident, $name:literal, $device:expr, |$inputs:ident, $ctx:ident| $cpu:expr) => {
        struct $type;
        impl Operation for $type {
            type Inputs<T: Slot> = Inputs<T>;
            type Output = Record;
            fn about() -> About {
                About {
                    family: "made",
                    name: $name,
                    version: 1,
                    summary: "made for a test",
                    doc: "made for a test",
                    default_priority: Priority::Medium,
                    work_unit: "nothing",
                    outputs: Vec::<Field>::new(),
                }
            }
            fn plan(_: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
                Ok(Plan {
                    // Enough that no job runs inline or escapes the cache by its price.
                    work: 1e7,
                    bytes_in: 16,
                    bytes_out: 16,
                    host_bytes: 1000,
                    device: $device,
                    outputs: vec![PlannedOutput { name: "result", spec: None }],
                })
            }
            fn cpu($inputs: Inputs<Tensor>, $ctx: &Context) -> Result<Record, Failure> {
                $cpu
            }
            fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record, Failure> {
                let a = match &inputs.a {
                    Some(a) => gpu.input::<f64>("a", a)?,
                    None => gpu.upload(&[])?,
                };
                let doubled: Vec<f64> = gpu.download(&a)?.iter().map(|x| x * 2.0).collect();
                Ok(Record::new().with("result", Value::Tensor(Tensor::vector(doubled))))
            }
            fn cases() -> Vec<Case> {
                Vec::new()
            }
        }
    };
}

fn numbers(inputs: &Inputs<Tensor>) -> &[f64] {
    inputs.a.as_ref().and_then(|a| a.as_slice()).unwrap_or(&[])
}

fn one() -> Result<Record, Failure> {
    Ok(Record::new().with("result", Value::Float(1.0)))
}

fn burn(ms: f64, ctx: Option<&Context>) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_secs_f64(ms / 1e3);
    while Instant::now() < end {
        if let Some(ctx) = ctx {
            ctx.check()?;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

const NO_DEVICE: DeviceNeed = DeviceNeed::CpuOnly("made for the cpu");

operation!(Sleep, "sleep", NO_DEVICE, |inputs, ctx| {
    burn(inputs.ms, Some(ctx))?;
    one()
});
operation!(Stubborn, "stubborn", NO_DEVICE, |inputs, _ctx| {
    burn(inputs.ms, None)?;
    one()
});
operation!(Count, "count", NO_DEVICE, |inputs, ctx| {
    RUNS.fetch_add(1, Ordering::SeqCst);
    burn(inputs.ms, Some(ctx))?;
    one()
});
operation!(Panic, "panic", NO_DEVICE, |_inputs, _ctx| panic!("a secret of the operation"));
operation!(Double, "double", DeviceNeed::Bytes(1 << 12), |inputs, _ctx| {
    let doubled: Vec<f64> = numbers(&inputs).iter().map(|x| x * 2.0).collect();
    Ok(Record::new().with("result", Value::Tensor(Tensor::vector(doubled))))
});

/// Rows of each run of `Root` on a device.
pub static ROWS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

offload_core::inputs! {
    /// Numbers to take roots of.
    pub struct Numbers<T> (dtype: F64) {
        /// Milliseconds that it takes on a device.
        ms: f64 = float(0.0, 1e5),
        /// The numbers, `[n]` or `[rows, n]`.
        a: T = real(1, 2),
    }
}

/// Square roots; takes stacks.
struct Root;

impl Operation for Root {
    type Inputs<T: Slot> = Numbers<T>;
    type Output = Record;
    fn about() -> About {
        About { name: "root", ..<Double as Operation>::about() }
    }
    fn plan(inputs: &Numbers<TensorSpec>) -> Result<Plan, Rejection> {
        let bytes = inputs.a.bytes();
        Ok(Plan {
            work: 1e7,
            bytes_in: bytes,
            bytes_out: bytes,
            host_bytes: bytes,
            device: DeviceNeed::Bytes(bytes),
            outputs: vec![PlannedOutput { name: "result", spec: Some(inputs.a.clone()) }],
        })
    }
    fn cpu(inputs: Numbers<Tensor>, _: &Context) -> Result<Record, Failure> {
        let a = inputs.a.as_slice::<f64>().unwrap();
        if a.iter().any(|x| *x < 0.0) {
            return Err(Rejection::new("a", "a root of a negative number").into());
        }
        let roots = a.iter().map(|x| x.sqrt()).collect();
        Ok(Record::new()
            .with("result", Value::Tensor(Tensor::new(inputs.a.shape().to_vec(), roots).unwrap())))
    }
    fn gpu(inputs: Numbers<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record, Failure> {
        let rows = if inputs.a.shape().len() == 2 { inputs.a.shape()[0] } else { 1 };
        ROWS.lock().unwrap().push(rows);
        burn(inputs.ms, None)?;
        gpu.input::<f64>("a", &inputs.a)?;
        <Root as Operation>::cpu(inputs, &Context::default())
    }
    fn stacks() -> bool {
        true
    }
    fn cases() -> Vec<Case> {
        Vec::new()
    }
}

pub fn operations() -> &'static [&'static dyn AnyOperation] {
    &[&Sleep, &Stubborn, &Count, &Panic, &Double, &Root]
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::new(operations().iter().copied()));

fn find(made: Made) -> &'static Registered {
    let name = match made {
        Made::Sleep => "sleep",
        Made::Stubborn => "stubborn",
        Made::Count => "count",
        Made::Panic => "panic",
        Made::Double => "double",
        Made::Root => "root",
    };
    REGISTRY.find("made", name).unwrap()
}

pub fn caller(tenant: &str) -> Arc<Caller> {
    Arc::new(Caller::new(
        TenantId::new(tenant),
        "u".into(),
        "k".into(),
        vec!["gpu:made".into()],
        Quota { max_priority: Priority::Realtime, ..Quota::default() },
    ))
}

pub fn request(caller: &Arc<Caller>, made: Made, ms: f64) -> Request {
    Request {
        id: "r".into(),
        caller: Arc::clone(caller),
        operation: find(made),
        options: Options::default(),
        style: Style::Envelope,
        inputs: Record::new().with("ms", Value::Float(ms)),
        received: Instant::now(),
        decode: Duration::ZERO,
    }
}

pub fn config() -> PipelineConfig {
    PipelineConfig {
        admit: AdmitConfig { default_timeout_ms: 10_000, host_budget_bytes: 1 << 30 },
        cache: CacheConfig {
            max_bytes: 1 << 20,
            ttl_seconds: 60,
            ttl_seconds_by_type: HashMap::new(),
            auto_min_us: 1_000_000_000,
        },
        dispatch: DispatchConfig::default(),
        strategy: Strategy::CostBased,
        device_prior: DevicePrior::default(),
        run: RunConfig {
            cpu_lanes: 2,
            threads_per_lane: 1,
            realtime_threads: 1,
            niceness: 0,
            max_spare_lanes: 4,
            spare_after_ms: 20,
            inline_max_us: 50.0,
            inline_realtime_max_us: 50.0,
            derived_bytes: 1 << 20,
            auto_cpu_devices: true,
        },
        node: "test".into(),
    }
}

/// Collects outcomes.
#[derive(Clone, Default)]
pub struct Outcomes(Arc<(Mutex<Vec<Outcome>>, Condvar)>);

impl Outcomes {
    pub fn reply(&self) -> Reply {
        let shared = Arc::clone(&self.0);
        Box::new(move |outcome| {
            shared.0.lock().unwrap().push(outcome);
            shared.1.notify_all();
        })
    }

    /// The outcomes, once there are `n`; exactly `n`, as each request has one.
    pub fn wait(&self, n: usize) -> Vec<Outcome> {
        let all = self.0.0.lock().unwrap();
        let (all, timeout) =
            self.0.1.wait_timeout_while(all, Duration::from_secs(20), |a| a.len() < n).unwrap();
        assert!(!timeout.timed_out(), "{} of {n} outcomes", all.len());
        assert_eq!(all.len(), n);
        all.clone()
    }
}
