//! Every operation's worked examples on the CPU: they hold, there are enough of them, and a wrong digit is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Context, Expect};
use offload_ops_matrix::operations;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_example_holds_on_at_least_twenty_shapes_of_each_type() {
    let mut failures = Vec::new();
    for operation in operations() {
        let about = operation.about();
        let mut shapes: BTreeMap<&str, BTreeSet<Vec<Vec<usize>>>> = BTreeMap::new();
        for case in operation.cases() {
            if let Err(r) = operation.plan(case.inputs.specs())
                && !matches!(case.expect, Expect::Rejected(_))
            {
                failures.push(format!("{}: {}: the plan refuses it: {r}", about.name, case.name));
            }
            let got = match operation.plan(case.inputs.specs()) {
                Err(r) => Err(r.into()),
                Ok(_) => operation.cpu(case.inputs.clone(), &Context::default()),
            };
            if let Err(e) = case.check(&got) {
                failures.push(format!("{}: {}: {e}", about.name, case.name));
            }
            if got.is_ok() {
                let tensors = || {
                    case.inputs
                        .iter()
                        .filter_map(|(_, v)| if let Value::Tensor(t) = v { Some(t) } else { None })
                };
                let dtype = tensors().next().unwrap().dtype().name();
                shapes.entry(dtype).or_default().insert(tensors().map(|t| t.shape().to_vec()).collect());
            }
        }
        for (dtype, shapes) in &shapes {
            println!("matrix.{} {dtype}: {} shapes", about.name, shapes.len());
        }
        assert!(["f32", "f64"].iter().all(|d| shapes[d].len() >= 20), "{}: {shapes:?}", about.name);
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_wrong_digit_in_any_output_fails_the_example() {
    let mut missed = Vec::new();
    let mut tried = 0;
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
                let Value::Tensor(t) = value else { continue };
                // Outputs that a case does not name are free, and there is no digit in nothing. An overflow shows in
                // log_abs.
                if t.data().is_empty()
                    || named.as_ref().is_some_and(|n| !n.contains(&output))
                    || (name == "determinant" && output == "result" && named.is_none() && magnitude(t) > 1e36)
                {
                    continue;
                }
                let wrong = right.clone().with(output, Value::Tensor(spoiled(output, t)));
                tried += 1;
                if case.check(&Ok(wrong)).is_ok() {
                    missed.push(format!("{name}: {}: {output}", case.name));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} of {tried} wrong answers pass:\n{}", missed.len(), missed.join("\n"));
    println!("{tried} wrong answers are all noticed");
}

fn wide(t: &Tensor) -> Vec<f64> {
    match t.as_slice::<f32>() {
        Some(x) => x.iter().map(|&x| f64::from(x)).collect(),
        None => t.as_slice::<f64>().unwrap().to_vec(),
    }
}

fn magnitude(t: &Tensor) -> f64 {
    wide(t).iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// The largest entry, off in its third (f32) or seventh (f64) digit; an estimated condition, off by more than an
/// estimate may be.
fn spoiled(output: &str, t: &Tensor) -> Tensor {
    let mut x = wide(t);
    let at = (0..x.len()).max_by(|&i, &j| x[i].abs().total_cmp(&x[j].abs())).unwrap();
    let off = if t.dtype() == DType::F32 { 1e-2 } else { 1e-6 };
    x[at] = match x[at] {
        // Of one matrix below the truth; of a stack, where only some are known each, above what any has.
        r if output == "rcond" && r > 0.05 && t.shape().is_empty() => r * 0.2,
        _ if output == "rcond" => 4.0,
        0.0 => off,
        f64::MIN => 0.0,
        v => v * (1.0 + off),
    };
    let t = match t.dtype() {
        DType::F32 => Tensor::new(t.shape(), x.iter().map(|&x| x as f32).collect()),
        _ => Tensor::new(t.shape(), x),
    };
    t.unwrap()
}

#[test]
fn plans_name_the_outputs_and_their_shapes() {
    for operation in operations() {
        for case in operation.cases() {
            let Ok(got) = operation.cpu(case.inputs.clone(), &Context::default()) else { continue };
            let plan = operation.plan(case.inputs.specs()).unwrap();
            assert!(plan.bytes_out >= got.bytes(), "{}", case.name);
            assert_eq!(plan.outputs.len(), got.len(), "{}", case.name);
            for (planned, (name, value)) in plan.outputs.iter().zip(Record::iter(&got)) {
                let Value::Tensor(t) = value else { panic!("{name} is no tensor") };
                assert_eq!(planned.name, name);
                assert!(planned.spec.as_ref().is_none_or(|s| *s == t.spec()), "{}: {name}", case.name);
            }
        }
    }
}
