//! One work on one device: runs it until the figure is good, by the device's clock and by ours.

use super::ceilings::Ceilings;
use super::works::{Arithmetic, Goal, Work};
use crate::cli::device::inputs::{json as inputs_json, key, record, specs, tensor};
use crate::cli::device::{Session, Watch};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::device::{DeviceError, DeviceReport};
use offload_core::{Cancel, Context, DeviceNeed, Failure, Progress, Registered};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Runs after the warm-up: until this many, or this long.
const MOST_RUNS: usize = 20;
const ENOUGH: Duration = Duration::from_millis(300);
/// Fewer runs say nothing of a spread; only what is very slow stops at these.
const LEAST_RUNS: usize = 5;
const SLOW_RUNS: usize = 2;
const SLOW: Duration = Duration::from_secs(1);
/// What the CPU may take; beyond it, its time is not measured.
const CPU: Duration = Duration::from_secs(2);

/// Tensors that several works share, made once.
#[derive(Default)]
pub struct Made(HashMap<u128, Tensor>);

impl Made {
    /// The inputs of a work, each under an identity, so that a device keeps them between runs. What it does not need
    /// is forgotten: a corpus takes gigabytes.
    fn inputs(&mut self, work: &Work) -> Result<Record, String> {
        let mut kept = HashMap::new();
        let record = record(&work.inputs, |kind, spec, seed| {
            let id = key(kind, spec, seed);
            let made = match self.0.remove(&id.0) {
                Some(there) => there,
                None => tensor(kind, spec, seed)?.with_resident(id),
            };
            kept.insert(id.0, made.clone());
            Ok(made)
        });
        self.0 = kept;
        record
    }
}

/// What a work is, before it is measured.
pub fn pending(work: &Work) -> Json {
    let goal = match work.goal {
        None => Json::Null,
        Some(Goal::Milliseconds(ms)) => json!({"compute_ms_at_most": ms}),
        Some(Goal::OfPeer(peer, share)) => json!({"peer": peer, "speed_at_least": share}),
    };
    json!({
        "name": work.name, "operation": work.operation, "inputs": inputs_json(&work.inputs),
        "arithmetic": work.arithmetic.name(), "flops": work.flops, "answer": work.answer, "goal": goal,
        "status": "not run",
    })
}

/// Runs of one kind, in milliseconds.
struct Samples(Vec<f64>);

impl Samples {
    fn of(times: impl Iterator<Item = Duration>) -> Samples {
        let mut ms: Vec<f64> = times.map(|t| t.as_secs_f64() * 1e3).collect();
        ms.sort_by(f64::total_cmp);
        Samples(ms)
    }

    fn at(&self, quantile: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * quantile).ceil() as usize).copied().unwrap_or(f64::NAN)
    }

    fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => self.0[middle],
            _ => f64::midpoint(self.0[middle - 1], self.0[middle]),
        }
    }

    fn json(&self) -> Json {
        json!({"median": self.median(), "min": self.at(0.0), "p95": self.at(0.95)})
    }
}

/// What measuring a work gave.
pub struct Measured {
    /// The work with its figures.
    pub json: Json,
    /// One line of it.
    pub line: String,
    /// What the device failed with.
    pub failure: Option<Failure>,
}

/// Measures a work; whatever happens is said in what it returns.
pub fn work(
    work: &Work,
    session: &mut Session,
    made: &mut Made,
    ceilings: &Ceilings,
    watch: &Watch,
) -> Measured {
    let mut json = pending(work);
    let mut ended = |status: &str, why: String, failure| {
        (json["status"], json["reason"]) = (status.into(), why.as_str().into());
        Measured { json: json.clone(), line: format!("{status}: {why}"), failure }
    };
    let registry = offload_ops::registry();
    let operation = work.operation.split_once('.').and_then(|(family, name)| registry.find(family, name));
    let Some(operation) = operation else { return ended("failed", "no such operation".into(), None) };
    let plan = match operation.operation.plan(specs(&work.inputs)) {
        Ok(plan) => plan,
        Err(e) => return ended("failed", e.to_string(), None),
    };
    let bytes = match plan.device {
        DeviceNeed::Bytes(bytes) => bytes,
        DeviceNeed::CpuOnly(why) => return ended("cpu only", why.into(), None),
    };
    let descriptor = session.descriptor();
    if work.arithmetic == Arithmetic::F64 && !descriptor.f64 {
        return ended("unsupported", "the device has no f64".into(), None);
    }
    if bytes > descriptor.memory_bytes {
        let why = format!("{bytes} bytes needed, the device has {}", descriptor.memory_bytes);
        return ended("unsupported", why, None);
    }
    let _ = watch.begin(format!("inputs of {}", work.name));
    let inputs = match made.inputs(work) {
        Ok(inputs) => inputs,
        Err(why) => return ended("failed", why, None),
    };
    let runs = match runs(work, operation, &inputs, bytes, session, watch) {
        Ok(runs) => runs,
        Err(failure) => {
            let status = match &failure {
                Failure::Fault(DeviceError::Unsupported(_)) => "unsupported",
                Failure::Cancelled => "no time",
                _ => "failed",
            };
            return ended(status, failure.to_string(), Some(failure));
        }
    };
    let _ = watch.begin(format!("{} on the cpu", work.name));
    let cpu = cpu(operation, &inputs, work.answer, watch);
    let moved = work.bytes.unwrap_or_else(|| plan.bytes_in.saturating_add(plan.bytes_out));
    let line = figures(&mut json, work, &runs, ceilings, moved, &cpu);
    Measured { json, line, failure: None }
}

/// The runs of a work.
struct Runs {
    /// The first one: inputs travel, kernels are compiled.
    first: (DeviceReport, Duration),
    rest: Vec<(DeviceReport, Duration)>,
    norm: Option<f64>,
}

fn runs(
    work: &Work,
    operation: &'static Registered,
    inputs: &Record,
    bytes: u64,
    session: &mut Session,
    watch: &Watch,
) -> Result<Runs, Failure> {
    let mut once = |nth: usize| {
        let context = watch.begin(format!("run {nth} of {}", work.name));
        let (inputs, start) = (inputs.clone(), Instant::now());
        let report = session.run(operation, inputs, bytes, context);
        let wall = start.elapsed();
        match report.result {
            Ok(_) => Ok((report, wall)),
            Err(failure) => Err(failure),
        }
    };
    let mut first = once(0)?;
    let norm = first.0.result.as_ref().ok().and_then(|r| norm(r, work.answer));
    first.0.result = Ok(Record::new());
    // The second run warms up what the first one, with its copies and compilers, did not.
    let (_, took) = once(1)?;
    let least = if took > SLOW { SLOW_RUNS } else { LEAST_RUNS };
    let (start, mut rest) = (Instant::now(), Vec::new());
    while rest.len() < MOST_RUNS && (rest.len() < least || start.elapsed() < ENOUGH) {
        // Outputs of earlier runs are not kept: they may be gigabytes.
        let (mut report, wall) = once(rest.len() + 2)?;
        report.result = Ok(Record::new());
        rest.push((report, wall));
    }
    Ok(Runs { first, rest, norm })
}

fn figures(json: &mut Json, work: &Work, runs: &Runs, ceilings: &Ceilings, moved: u64, cpu: &Cpu) -> String {
    let all = |of: fn(&DeviceReport) -> Duration| Samples::of(runs.rest.iter().map(|(r, _)| of(r)));
    let compute = all(|r| r.timings.compute);
    let device = all(|r| r.timings.upload + r.timings.compute + r.timings.download);
    let download = all(|r| r.timings.download);
    let wall = Samples::of(runs.rest.iter().map(|(_, wall)| *wall));
    let seconds = compute.median() / 1e3;
    let share = |amount: f64, limit: f64| if limit > 0.0 { amount / seconds / limit } else { 0.0 };
    let of_flops = share(work.flops, ceilings.flops(work.arithmetic));
    let of_copy = share(moved as f64, ceilings.copy);
    let met = match work.goal {
        Some(Goal::Milliseconds(ms)) => Json::Bool(compute.median() <= ms),
        _ => Json::Null,
    };
    let ms = |t: Duration| t.as_secs_f64() * 1e3;
    let (first, first_wall) = (&runs.first.0.timings, runs.first.1);
    json["status"] = "measured".into();
    json["bytes"] = moved.into();
    json["norm"] = runs.norm.into();
    json["runs"] = runs.rest.len().into();
    json["compute_ms"] = compute.json();
    json["device_ms"] = device.json();
    json["download_ms"] = download.json();
    json["upload_ms"] = all(|r| r.timings.upload).json();
    json["wall_ms"] = wall.json();
    json["first_run_ms"] = json!({
        "upload": ms(first.upload), "compute": ms(first.compute), "download": ms(first.download),
        "wall": ms(first_wall),
    });
    json["tflop_s"] = (work.flops / seconds / 1e12).into();
    json["gb_s"] = (moved as f64 / seconds / 1e9).into();
    json["share_of_gemm"] = of_flops.into();
    json["share_of_copy"] = of_copy.into();
    json["goal_met"] = met.clone();
    json["cpu"] = cpu.json(runs.norm);
    let goal = match (work.goal, met.as_bool()) {
        (Some(Goal::Milliseconds(ms)), Some(met)) => {
            format!(", goal {ms} ms {}", if met { "met" } else { "NOT met" })
        }
        _ => String::new(),
    };
    format!(
        "compute {:.3} ms ({:.3}–{:.3}), wall {:.3}, {:.0} % of product, {:.0} % of copy, cpu {}{goal}",
        compute.median(),
        compute.at(0.0),
        compute.at(0.95),
        wall.median(),
        of_flops * 100.0,
        of_copy * 100.0,
        cpu.text(runs.norm)
    )
}

/// What the CPU took.
enum Cpu {
    Took(Duration, Option<f64>),
    Not(String),
}

/// How far the norms of two answers may be apart: `f32` over a few thousand terms.
const SAME_NORM: f64 = 1e-3;

impl Cpu {
    fn agrees(ours: Option<f64>, theirs: Option<f64>) -> Option<bool> {
        let (ours, theirs) = (ours?, theirs?);
        Some((ours - theirs).abs() <= SAME_NORM * theirs.abs())
    }

    fn json(&self, norm: Option<f64>) -> Json {
        match self {
            Cpu::Took(took, theirs) => {
                json!({"ms": took.as_secs_f64() * 1e3, "norm": theirs, "agrees": Cpu::agrees(norm, *theirs)})
            }
            Cpu::Not(why) => json!({"ms": null, "reason": why}),
        }
    }

    fn text(&self, norm: Option<f64>) -> String {
        match self {
            Cpu::Took(took, theirs) => {
                let differs = Cpu::agrees(norm, *theirs) == Some(false);
                format!("{:.1} ms{}", took.as_secs_f64() * 1e3, if differs { ", ANSWERS DIFFER" } else { "" })
            }
            Cpu::Not(why) => why.clone(),
        }
    }
}

/// One run on the CPU, given up after [`CPU`] or when the time for all is over.
fn cpu(operation: &'static Registered, inputs: &Record, answer: &str, watch: &Watch) -> Cpu {
    let limit = CPU.min(watch.left());
    let cancel = Cancel::new();
    let context = Context::new(cancel.clone(), Progress::new());
    let (ended, end) = mpsc::channel::<()>();
    let timer = std::thread::spawn(move || {
        if end.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            cancel.cancel();
        }
    });
    let (inputs, start) = (inputs.clone(), Instant::now());
    let result = operation.operation.cpu(inputs, &context);
    let took = start.elapsed();
    drop(ended);
    // The timer ends with the channel.
    let _ = timer.join();
    match result {
        Ok(outputs) => Cpu::Took(took, norm(&outputs, answer)),
        Err(Failure::Cancelled) => Cpu::Not(format!("> {:.1} s", limit.as_secs_f64())),
        Err(e) => Cpu::Not(e.to_string()),
    }
}

/// The root of the sum of squares of an output: of ranked answers, of their scores; of what may be missing, of what is
/// there.
fn norm(outputs: &Record, name: &str) -> Option<f64> {
    let t = match outputs.get(name)? {
        Value::Tensor(t) | Value::Gapped(t) => t,
        Value::Matches(m) => m.scores(),
        Value::Int(i) => return Some((*i as f64).abs()),
        Value::Float(x) => return Some(x.abs()),
        Value::Bytes(b) => return Some(squares(b.iter().map(|&x| f64::from(x))).sqrt()),
        _ => return None,
    };
    let sum: f64 = match t.dtype() {
        DType::F32 => {
            t.as_slice::<f32>()?.chunks(1024).map(|c| squares(c.iter().map(|&x| f64::from(x)))).sum()
        }
        DType::F64 => t
            .as_slice::<f64>()?
            .chunks(1024)
            .map(|c| squares(c.iter().copied().filter(|x| x.is_finite())))
            .sum(),
        DType::I64 => t.as_slice::<i64>()?.chunks(1024).map(|c| squares(c.iter().map(|&x| x as f64))).sum(),
        DType::U64 => t.as_slice::<u64>()?.chunks(1024).map(|c| squares(c.iter().map(|&x| x as f64))).sum(),
        _ => return None,
    };
    Some(sum.sqrt())
}

fn squares(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_samples_in_order() {
        let ms = |all: &[u64]| Samples::of(all.iter().map(|&x| Duration::from_millis(x)));
        let s = ms(&[40, 10, 30, 20]);
        assert_eq!((s.median(), s.at(0.0), s.at(0.95)), (25.0, 10.0, 40.0));
        assert_eq!(ms(&[3, 1, 2]).median(), 2.0);
        assert!(ms(&[]).median().is_nan());
    }

    #[test]
    fn a_norm_is_of_all_elements() {
        let of = |t| norm(&Record::new().with("x", Value::Tensor(t)), "x");
        assert_eq!(of(Tensor::vector(vec![3.0f32, 4.0])), Some(5.0));
        assert_eq!(of(Tensor::vector(vec![1.0f64; 2500])), Some(50.0));
        assert_eq!(of(Tensor::vector(vec![1u8])), None);
    }
}
