//! The worked examples of every operation but those of codes, which have tests of their own: they hold, there are enough of
//! them, and a wrong answer is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{DType, Record, Tensor, Value};
use offload_core::{AnyOperation, Cancel, Context, Expect, Failure, Progress};

fn operations() -> Vec<&'static dyn AnyOperation> {
    let all = offload_ops_timeseries::operations().iter().copied();
    all.filter(|o| !["compress", "decompress"].contains(&o.about().name)).collect()
}

#[test]
fn every_example_holds_within_its_plan() {
    let mut failures = Vec::new();
    for operation in operations() {
        let about = operation.about();
        let cases = operation.cases();
        for case in &cases {
            let planned = operation.plan(case.inputs.specs());
            let got = match &planned {
                Err(r) => Err(r.clone().into()),
                Ok(_) => operation.cpu(case.inputs.clone(), &Context::default()),
            };
            if let Err(e) = case.check(&got) {
                failures.push(format!("{}: {}: {e}", about.name, case.name));
            }
            let (Ok(plan), Ok(got)) = (planned, got) else { continue };
            let tensors = |r: &Record| -> u64 {
                r.iter()
                    .map(|(_, v)| if let Value::Tensor(t) | Value::Gapped(t) = v { t.bytes() } else { 0 })
                    .sum()
            };
            assert!(plan.bytes_out >= tensors(&got), "{}: {}", about.name, case.name);
            assert_eq!(plan.bytes_in, tensors(&case.inputs), "{}: {}", about.name, case.name);
            let names: Vec<&str> = got.iter().map(|(n, _)| n).collect();
            assert!(
                plan.outputs.iter().map(|o| o.name).eq(names.iter().copied()),
                "{}: {names:?}",
                about.name
            );
            for name in names {
                assert!(
                    about.outputs.iter().any(|f| f.name == name),
                    "{}: {name} is not documented",
                    about.name
                );
            }
        }
        println!("timeseries.{}: {} cases", about.name, cases.len());
        assert!(cases.len() >= 20, "{}", about.name);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// The last element, off by one or by a half of it.
fn spoiled(t: &Tensor) -> Option<Tensor> {
    let last = t.data().len().checked_sub(1)?;
    match t.dtype() {
        DType::F64 => {
            let mut v = t.as_slice::<f64>()?.to_vec();
            v[last] = if v[last].is_finite() { v[last] + 1.0 + 0.5 * v[last].abs() } else { 0.0 };
            Tensor::new(t.shape(), v)
        }
        DType::U64 => {
            let mut v = t.as_slice::<u64>()?.to_vec();
            v[last] ^= 1;
            Tensor::new(t.shape(), v)
        }
        _ => {
            let mut v = t.as_slice::<i64>()?.to_vec();
            v[last] += 1;
            Tensor::new(t.shape(), v)
        }
    }
}

#[test]
fn a_wrong_answer_fails_the_example() {
    let (mut missed, mut tried) = (Vec::new(), 0);
    for operation in operations() {
        let name = operation.about().name;
        for case in operation.cases() {
            let named: Option<Vec<&str>> = match &case.expect {
                Expect::Outputs(want, _) => Some(want.iter().map(|(n, _)| n).collect()),
                Expect::Property(_) => None,
                _ => continue,
            };
            let right = operation.cpu(case.inputs.clone(), &Context::default()).unwrap();
            for (output, value) in right.iter() {
                if named.as_ref().is_some_and(|n| !n.contains(&output)) || output == "algorithm" {
                    continue;
                }
                let wrong = match value {
                    Value::Tensor(t) => spoiled(t).map(Value::Tensor),
                    Value::Gapped(t) => spoiled(t).map(Value::Gapped),
                    Value::Int(i) => Some(Value::Int(i + 1)),
                    Value::Bool(b) => Some(Value::Bool(!b)),
                    Value::Float(f) => Some(Value::Float(f + 1.0)),
                    v if v.is_nothing() => Some(Value::Tensor(Tensor::scalar(0.0))),
                    Value::Json(_) => Some(Value::Json(std::sync::Arc::new(serde_json::json!([[999]])))),
                    Value::Text(_) | Value::Matches(_) | Value::Bytes(_) => None,
                };
                let Some(wrong) = wrong else { continue };
                tried += 1;
                if case.check(&Ok(right.clone().with(output, wrong))).is_ok() {
                    missed.push(format!("{name}: {}: {output}", case.name));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} of {tried} wrong answers pass:\n{}", missed.len(), missed.join("\n"));
    println!("{tried} wrong answers are all noticed");
}

#[test]
fn a_cancelled_job_has_no_result() {
    for operation in operations() {
        let cancel = Cancel::new();
        cancel.cancel();
        let ctx = Context::new(cancel, Progress::new());
        let case = operation.cases().into_iter().next().unwrap();
        let got = operation.cpu(case.inputs, &ctx);
        assert_eq!(got, Err(Failure::Cancelled), "{}", operation.about().name);
    }
}
