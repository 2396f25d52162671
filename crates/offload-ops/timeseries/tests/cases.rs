//! The worked examples of every operation: they hold within their plans, there are enough of them, and a wrong answer is
//! noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Buf, Data, Record, Tensor, Value};
use offload_core::{AnyOperation, Cancel, Case, Context, Expect, Failure, Progress};

fn operations() -> impl Iterator<Item = &'static dyn AnyOperation> {
    offload_ops_timeseries::operations().iter().copied()
}

fn is_code(operation: &dyn AnyOperation) -> bool {
    ["compress", "decompress"].contains(&operation.about().name)
}

/// Bytes of all tensors, and of what is bytes.
fn bytes(r: &Record) -> u64 {
    r.iter()
        .map(|(_, v)| match v {
            Value::Tensor(t) | Value::Gapped(t) => t.bytes(),
            Value::Bytes(b) => b.len() as u64,
            _ => 0,
        })
        .sum()
}

#[test]
fn every_example_holds_within_its_plan() {
    let mut failures = Vec::new();
    for operation in operations() {
        let about = operation.about();
        let cases = operation.cases();
        for case in &cases {
            let at = format!("{}: {}", about.name, case.name);
            let planned = operation.plan(case.inputs.specs());
            let got = match &planned {
                Err(r) => Err(r.clone().into()),
                Ok(_) => operation.cpu(case.inputs.clone(), &Context::default()),
            };
            if let Err(e) = case.check(&got) {
                failures.push(format!("{at}: {e}"));
            }
            let (Ok(plan), Ok(got)) = (planned, got) else { continue };
            assert!(plan.bytes_out >= bytes(&got), "{at}");
            assert_eq!(plan.bytes_in, bytes(&case.inputs), "{at}");
            let names: Vec<&str> = got.iter().map(|(n, _)| n).collect();
            assert!(plan.outputs.iter().map(|o| o.name).eq(names.iter().copied()), "{at}: {names:?}");
            for name in names {
                assert!(about.outputs.iter().any(|f| f.name == name), "{at}: {name} is not documented");
            }
        }
        println!("timeseries.{}: {} cases", about.name, cases.len());
        assert!(cases.len() >= if is_code(operation) { 40 } else { 20 }, "{}", about.name);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// The last element of a tensor is another: by a bit, or by one and a half of it where it may be off a little.
fn spoiled_tensor(t: &Tensor, by_a_bit: bool) -> Option<Tensor> {
    let last = t.data().len().checked_sub(1)?;
    let flip = |bits: u64, i: usize| if i == last { bits ^ 1 } else { bits };
    let far = |x: f64| if x.is_finite() { x + 1.0 + 0.5 * x.abs() } else { 0.0 };
    match t.data() {
        Data::F64(v) => {
            let of = |(i, x): (usize, &f64)| match by_a_bit {
                true => f64::from_bits(flip(x.to_bits(), i)),
                false if i == last => far(*x),
                false => *x,
            };
            Tensor::new(t.shape(), v.iter().enumerate().map(of).collect::<Vec<f64>>())
        }
        Data::U64(v) => {
            Tensor::new(t.shape(), v.iter().enumerate().map(|(i, x)| flip(*x, i)).collect::<Vec<_>>())
        }
        Data::I64(v) => Tensor::new(
            t.shape(),
            v.iter().enumerate().map(|(i, x)| flip(*x as u64, i) as i64).collect::<Vec<_>>(),
        ),
        _ => None,
    }
}

/// Another value, where there is one that the case has to notice.
fn spoiled(case: &Case, value: &Value) -> Option<Value> {
    let by_a_bit = matches!(case.expect, Expect::Property(_));
    Some(match value {
        Value::Tensor(t) => Value::Tensor(spoiled_tensor(t, by_a_bit)?),
        Value::Gapped(t) => Value::Gapped(spoiled_tensor(t, by_a_bit)?),
        Value::Bytes(b) => {
            let mut bytes = b.to_vec();
            *bytes.last_mut()? ^= 1;
            Value::Bytes(Buf::from(bytes))
        }
        Value::Int(i) => Value::Int(i + 1),
        Value::Bool(b) => Value::Bool(!b),
        Value::Float(f) => Value::Float(f + 1.0),
        Value::Json(_) if !by_a_bit => Value::Json(std::sync::Arc::new(serde_json::json!([[999]]))),
        v if v.is_nothing() => Value::Tensor(Tensor::vector(vec![0i64])),
        _ => return None,
    })
}

#[test]
fn a_wrong_answer_fails_the_example() {
    let (mut missed, mut tried, mut of_codes) = (Vec::new(), 0, 0);
    for operation in operations() {
        let name = operation.about().name;
        for case in operation.cases() {
            let named: Option<Vec<&str>> = match &case.expect {
                Expect::Outputs(want, _) => Some(want.iter().map(|(n, _)| n).collect()),
                Expect::Property(_) if case.name.ends_with("byte by byte") => Some(vec!["compressed"]),
                Expect::Property(_) => None,
                _ => continue,
            };
            let right = operation.cpu(case.inputs.clone(), &Context::default()).unwrap();
            for (output, value) in right.iter() {
                if named.as_ref().is_some_and(|n| !n.contains(&output)) {
                    continue;
                }
                let Some(wrong) = spoiled(&case, value) else { continue };
                tried += 1;
                of_codes += usize::from(is_code(operation));
                if case.check(&Ok(right.clone().with(output, wrong))).is_ok() {
                    missed.push(format!("{name}: {}: {output}", case.name));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} of {tried} wrong answers pass:\n{}", missed.len(), missed.join("\n"));
    println!("{tried} wrong answers are all noticed, {of_codes} of them of codes");
    assert!(of_codes > 150, "{of_codes}");
}

#[test]
fn a_cancelled_job_has_no_result() {
    for operation in operations() {
        let cancel = Cancel::new();
        cancel.cancel();
        let case = operation.cases().into_iter().next().unwrap();
        let got = operation.cpu(case.inputs, &Context::new(cancel, Progress::new()));
        assert_eq!(got, Err(Failure::Cancelled), "{}", operation.about().name);
    }
}
