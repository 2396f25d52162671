//! Every operation's worked examples on the CPU: they hold, there are enough of them, and a wrong answer is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Data, Matches, Record, Tensor, Value};
use offload_core::{Context, Expect, Failure};
use offload_ops_vector::operations;

#[test]
fn every_example_holds() {
    for op in operations() {
        let cases = op.cases();
        let name = op.about().name;
        assert!(cases.len() >= 20, "{name} has {} examples", cases.len());
        for case in cases {
            let result = op
                .plan(case.inputs.specs())
                .map_err(Failure::from)
                .and_then(|_| op.cpu(case.inputs.clone(), &Context::default()));
            case.check(&result).unwrap_or_else(|e| panic!("{name}: {}: {e}", case.name));
        }
    }
}

#[test]
fn a_wrong_answer_is_noticed() {
    for op in operations().iter().filter(|op| op.about().name != "build_hnsw") {
        let (mut spoilt, mut noticed) = (0, 0);
        for case in op.cases() {
            if !matches!(case.expect, Expect::Outputs(..) | Expect::Property(_)) {
                continue;
            }
            let Ok(mut outputs) = op.cpu(case.inputs.clone(), &Context::default()) else { continue };
            let Some(wrong) = spoil(&mut outputs) else { continue };
            outputs.set(wrong.0, wrong.1);
            spoilt += 1;
            noticed += u32::from(case.check(&Ok(outputs)).is_err());
        }
        assert!(spoilt >= 10 && noticed == spoilt, "{}: {noticed} of {spoilt} noticed", op.about().name);
    }
}

/// The first output that can be told from a wrong one, wrong.
fn spoil(outputs: &mut Record<Tensor>) -> Option<(&'static str, Value)> {
    for name in ["score", "distortion", "results", "matches"] {
        match outputs.get(name) {
            Some(Value::Tensor(t)) => {
                let mut values = t.as_slice::<f64>()?.to_vec();
                let last = values.iter_mut().rev().find(|x| x.is_finite())?;
                *last += 1e-2 * last.abs().max(1.0);
                return Some((name, Value::Tensor(Tensor::new(t.shape(), values)?)));
            }
            Some(Value::Matches(m)) => {
                // The best answers of two places, or of a place and nothing, change places.
                let mut indices = m.indices().as_slice::<i64>()?.to_vec();
                let Data::F64(scores) = m.scores().data() else { return None };
                let first = indices.first_mut().filter(|i| **i >= 0)?;
                *first += 1;
                return Some((
                    name,
                    Value::Matches(Matches::new(m.indices().shape(), indices, scores.to_vec(), m.layout())?),
                ));
            }
            _ => {}
        }
    }
    None
}
