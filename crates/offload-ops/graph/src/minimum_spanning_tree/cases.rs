//! Worked examples of spanning forests.

use crate::reference::{by_hand, exactly, numbers, rows, weighted};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = rows()
        .iter()
        .map(|row| {
            let figure = |name| row.figure("minimum_spanning_tree", name);
            let pairs = figure("edges").as_array().map(Vec::as_slice).unwrap_or_default();
            let ends: Vec<u64> =
                pairs.iter().flat_map(|e| [e[0].as_u64(), e[1].as_u64()]).flatten().collect();
            let edges = Tensor::new([pairs.len(), 2], ends).map_or_else(Value::nothing, Value::Tensor);
            let want = Record::new()
                .with("edges", edges)
                .with("weights", numbers(figure("weights")))
                .with("weight", Value::Float(figure("weight").as_f64().unwrap_or(f64::NAN)))
                .with("trees", Value::Int(figure("trees").as_i64().unwrap_or(-1)));
            row.case(row.inputs(), want, Tolerance::EXACT)
        })
        .collect();
    cases.extend([
        by_hand(
            "both zeros are one weight",
            weighted(&[(2, 3, 0.0), (1, 2, -0.0), (1, 3, 0.0)], false),
            exactly(Record::new().with("edges", Value::Tensor(pairs(vec![1, 2, 1, 3])))),
        ),
        by_hand(
            "a weight that is no number",
            weighted(&[(0, 1, f64::NAN)], false),
            Expect::Unprocessable("not_finite"),
        ),
    ]);
    cases
}

fn pairs(ends: Vec<u64>) -> Tensor {
    let n = ends.len() / 2;
    Tensor::new([n, 2], ends).unwrap_or_else(|| Tensor::vector(Vec::<u64>::new()))
}
