//! The worked examples of the codec: they hold, and a wrong answer is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Buf, Data, Tensor, Value};
use offload_core::{AnyOperation, Cancel, Context, Expect, Failure, Progress};
use offload_ops_timeseries::{Compress, Decompress};

const BOTH: [&dyn AnyOperation; 2] = [&Compress, &Decompress];

#[test]
fn every_example_holds() {
    for op in BOTH {
        let cases = op.cases();
        assert!(cases.len() >= 40, "{}", cases.len());
        for case in cases {
            let got = match op.plan(case.inputs.specs()) {
                Err(r) => Err(r.into()),
                Ok(_) => op.cpu(case.inputs.clone(), &Context::default()),
            };
            case.check(&got).unwrap_or_else(|e| panic!("{}: {}: {e}", op.about().name, case.name));
        }
    }
}

/// One bit of the last element is another.
fn spoiled(value: &Value) -> Option<Value> {
    let last = |n: usize| n.checked_sub(1);
    Some(match value {
        Value::Bytes(b) => {
            let mut bytes = b.to_vec();
            *bytes.last_mut()? ^= 1;
            Value::Bytes(Buf::from(bytes))
        }
        Value::Tensor(t) => {
            let at = last(t.data().len())?;
            let flip = |bits: u64, i: usize| if i == at { bits ^ 1 } else { bits };
            Value::Tensor(match t.data() {
                Data::F64(v) => {
                    let v = v.iter().enumerate().map(|(i, x)| f64::from_bits(flip(x.to_bits(), i))).collect();
                    Tensor::new(t.shape(), v)?
                }
                Data::I64(v) => Tensor::new(
                    t.shape(),
                    v.iter().enumerate().map(|(i, x)| flip(*x as u64, i) as i64).collect(),
                )?,
                _ => return None,
            })
        }
        Value::Float(f) => Value::Float(f + 1.0),
        Value::Int(i) => Value::Int(i + 1),
        v if v.is_nothing() => Value::Tensor(Tensor::vector(vec![0i64])),
        _ => return None,
    })
}

#[test]
fn a_wrong_answer_fails_the_example() {
    let mut tried = 0;
    for op in BOTH {
        for case in op.cases() {
            if !matches!(case.expect, Expect::Property(_)) || case.name.ends_with("byte by byte") {
                continue;
            }
            let right = op.cpu(case.inputs.clone(), &Context::default()).unwrap();
            for (name, value) in right.iter() {
                let Some(wrong) = spoiled(value) else { continue };
                tried += 1;
                let got = Ok(right.clone().with(name, wrong));
                assert!(case.check(&got).is_err(), "{}: {}: {name}", op.about().name, case.name);
            }
        }
    }
    println!("{tried} wrong answers are noticed");
    assert!(tried > 150, "{tried}");
}

#[test]
fn a_cancelled_job_has_no_result() {
    for op in BOTH {
        let cancel = Cancel::new();
        cancel.cancel();
        let case = op.cases().into_iter().next().unwrap();
        let got = op.cpu(case.inputs, &Context::new(cancel, Progress::new()));
        assert_eq!(got, Err(Failure::Cancelled), "{}", op.about().name);
    }
}
