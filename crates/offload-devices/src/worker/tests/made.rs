//! Operations made for these tests.

use crate::discover::VISIBLE_DEVICES;
use offload_api::{Data, Layout, Matches, Priority, Record, Schema, Tensor, TensorSpec, Value};
use offload_core::device::{DeviceError, DeviceJob, Gpu, Isolation, KernelText};
use offload_core::{
    About, AnyOperation, Case, Context, Failure, Origin, Plan, Registered, Registry, Rejection, TenantId,
};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// An operation of this name; what it does stands in `gpu`.
struct Made(&'static str);

const NAMES: [&str; 10] =
    ["echo", "answers", "double", "derive", "ignore", "alone", "fail", "spin", "stuck", "crash"];

pub fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
        Registry::new(NAMES.map(|name| &*Box::leak(Box::new(Made(name))) as &'static dyn AnyOperation))
    });
    &REGISTRY
}

pub fn find(name: &str) -> &'static Registered {
    registry().find("made", name).unwrap()
}

pub fn job(operation: &str, tenant: &str, inputs: &[(&'static str, Value)]) -> DeviceJob {
    DeviceJob {
        operation: find(operation),
        inputs: inputs.iter().cloned().fold(Record::new(), |r, (name, value)| r.with(name, value)),
        tenant: TenantId::new(tenant),
        reserved_bytes: 24 << 20,
        context: Context::default(),
        isolation: Isolation::Shared,
    }
}

pub fn numbers(record: &Record<Tensor>, name: &str) -> Vec<f64> {
    match record.get(name) {
        Some(Value::Tensor(t)) => t.as_slice::<f64>().unwrap().to_vec(),
        other => panic!("{name} is {other:?}"),
    }
}

/// One value of every kind, awkward ones first.
pub fn answers() -> Record<Tensor> {
    let matches = |layout| Matches::new(&[2, 1], vec![3, -1], vec![0.5f32, f32::NAN], layout).unwrap();
    Record::new()
        .with("none", Value::Tensor(Tensor::new::<f32>([0, 3], vec![]).unwrap()))
        .with("scalar", Value::Tensor(Tensor::scalar(-0.0f64)))
        .with("small", Value::Tensor(Tensor::vector(vec![1u8, 2, 3])))
        .with("wide", Value::Tensor(Tensor::vector(vec![u64::MAX, 0])))
        .with("whole", Value::Tensor(Tensor::vector(vec![i64::MIN, 1])))
        .with("words", Value::Tensor(Tensor::vector(vec![i32::MIN, 1])))
        .with("single", Value::Tensor(Tensor::vector(vec![f32::MIN_POSITIVE, f32::INFINITY])))
        .with("gapped", Value::Gapped(Tensor::vector(vec![1.5f64, f64::NAN])))
        .with("int", Value::Int(i64::MIN))
        .with("infinite", Value::Float(f64::NEG_INFINITY))
        .with("tiny", Value::Float(5e-324))
        .with("bool", Value::Bool(true))
        .with("text", Value::Text("ein \"Text\"\0 λ".into()))
        .with("json", Value::Json(serde_json::json!({"b": [1, null, 0.1], "a": u64::MAX}).into()))
        .with("flat", Value::Matches(matches(Layout::Flat)))
        .with("per_query", Value::Matches(matches(Layout::PerQuery)))
        .with("bytes", Value::Bytes((0..=255).collect::<Vec<u8>>().into()))
}

/// Every way to fail.
pub fn failure(kind: &str) -> Failure {
    let text = || "a \"reason\" with λ".to_string();
    match kind {
        "rejected" => Rejection::new("a", text()).into(),
        "unprocessable" => Failure::unprocessable("singular", text(), serde_json::json!({"pivot": 1e-300})),
        "cancelled" => Failure::Cancelled,
        "oom" => DeviceError::OutOfMemory { needed_bytes: u64::MAX, free_bytes: 1 }.into(),
        "compile" => DeviceError::Compile("log\n".repeat(10_000)).into(),
        "unsupported" => DeviceError::Unsupported(text()).into(),
        "call" => DeviceError::Call(text()).into(),
        _ => DeviceError::Lost(text()).into(),
    }
}

impl AnyOperation for Made {
    fn about(&self) -> About {
        About {
            family: "made",
            name: self.0,
            version: 1,
            summary: "made for a test",
            doc: "made for a test",
            default_priority: Priority::Medium,
            work_unit: "nothing",
            outputs: Vec::new(),
        }
    }

    fn stacks(&self) -> bool {
        false
    }

    fn schema(&self) -> Schema {
        Schema { fields: Vec::new(), default_dtype: None }
    }

    fn plan(&self, _: Record<TensorSpec>) -> Result<Plan, Rejection> {
        Err(Rejection::new("", "made for a device"))
    }

    fn cpu(&self, _: Record<Tensor>, _: &Context) -> Result<Record<Tensor>, Failure> {
        Err(Rejection::new("", "made for a device").into())
    }

    fn gpu(&self, mut inputs: Record<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        match self.0 {
            "echo" => Ok(inputs),
            "answers" => Ok(answers()),
            "double" => {
                let Some(Value::Tensor(a)) = inputs.take("a") else { return Err(failure("rejected")) };
                let on_device = gpu.input::<f64>("a", &a)?;
                let doubled: Vec<f64> = gpu.download(&on_device)?.iter().map(|x| x * 2.0).collect();
                Ok(Record::new().with("result", Value::Tensor(Tensor::vector(doubled))))
            }
            // Makes something of its input, on the host and on the device, and says how often this process did.
            "derive" => {
                static MADE: AtomicU32 = AtomicU32::new(0);
                let Some(Value::Tensor(a)) = inputs.take("a") else { return Err(failure("rejected")) };
                let origin = Origin::of([Some(&a)]);
                let made = gpu.context().derived(origin.as_ref(), || {
                    MADE.fetch_add(1, Ordering::Relaxed);
                    let halves: Vec<f64> = a.as_slice::<f64>().unwrap().iter().map(|x| x / 2.0).collect();
                    let bytes = 8 * halves.len() as u64;
                    Ok((halves, bytes))
                })?;
                let there = gpu.derived::<f64, _>(origin.as_ref(), "halves", || Ok(made.to_vec()))?;
                let halves = gpu.download(&there)?;
                Ok(Record::new()
                    .with("result", Value::Tensor(Tensor::vector(halves)))
                    .with("made", Value::Int(MADE.load(Ordering::Relaxed).into())))
            }
            // Names its input and reads nothing of it.
            "ignore" => Ok(Record::new().with("values", Value::Int(inputs.len() as i64))),
            // Which slice this process was started for, and that nobody else is in it meanwhile.
            "alone" => {
                let slice = std::env::var(VISIBLE_DEVICES).unwrap_or_default();
                // The tests' process is the parent of all that may be there.
                let name = format!("{slice}-{:?}", rustix::process::getppid());
                let mark = std::env::temp_dir().join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
                if std::fs::File::create_new(&mark).is_err() {
                    return Err(Failure::unprocessable("two_at_once", slice, serde_json::json!({})));
                }
                std::thread::sleep(Duration::from_millis(20));
                std::fs::remove_file(&mark).unwrap();
                Ok(Record::new().with("result", Value::Text(slice)))
            }
            "fail" => match inputs.take("kind") {
                Some(Value::Text(kind)) => Err(failure(&kind)),
                _ => panic!("the kind is missing"),
            },
            "spin" => loop {
                gpu.context().block(1, 2)?;
                std::thread::sleep(Duration::from_millis(1));
            },
            "stuck" => {
                gpu.context().block(1, 2)?;
                loop {
                    std::thread::park();
                }
            }
            _ => {
                // SAFETY: none of it is safe. Nothing is ever mapped there, so the system ends this process, which is a
                // worker made for that.
                unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
                Ok(inputs)
            }
        }
    }

    fn kernels(&self) -> &'static [&'static KernelText] {
        &[]
    }

    fn cases(&self) -> Vec<Case> {
        Vec::new()
    }
}

/// Whether two records are the same to the bit, order and kinds included.
pub fn same(a: &Record<Tensor>, b: &Record<Tensor>) -> bool {
    let tensor = |x: &Tensor, y: &Tensor| x == y && x.shape() == y.shape();
    a.len() == b.len()
        && a.iter().zip(b.iter()).all(|((n, x), (m, y))| {
            n == m
                && match (x, y) {
                    (Value::Tensor(x), Value::Tensor(y)) | (Value::Gapped(x), Value::Gapped(y)) => {
                        tensor(x, y)
                    }
                    (Value::Matches(x), Value::Matches(y)) => {
                        let bits = |m: &Matches| match m.scores().data() {
                            Data::F32(s) => s.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                            _ => Vec::new(),
                        };
                        x.layout() == y.layout() && x.indices() == y.indices() && bits(x) == bits(y)
                    }
                    (Value::Float(x), Value::Float(y)) => x.to_bits() == y.to_bits(),
                    (x, y) => x == y,
                }
        })
}
