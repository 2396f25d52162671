//! Worked examples of several shortest paths.

use crate::reference::{by_hand, exactly, id, inputs, numbers, rows, weighted};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Graph, Tolerance};
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let lists = |json: Json| Value::Json(Arc::new(json));
    let ask =
        |inputs: Record, k: i64| inputs.with("start", id(0)).with("end", id(3)).with("k", Value::Int(k));
    let four = || weighted(&[(0, 1, 1.0), (0, 2, 4.0), (1, 3, 2.0), (2, 3, 1.0)], true);
    let paths = |json: Json, distances: Vec<f64>| {
        exactly(
            Record::new()
                .with("paths", lists(json))
                .with("distances", Value::Tensor(Tensor::vector(distances))),
        )
    };
    cases.push(by_hand("two ways", ask(four(), 5), paths(json!([[0, 1, 3], [0, 2, 3]]), vec![3.0, 5.0])));
    for row in rows().iter().filter(|row| row.has("k_shortest")) {
        let inputs = row
            .inputs()
            .with("start", row.node("start"))
            .with("end", row.node("end"))
            .with("k", Value::Int(6));
        let want = Record::new().with("distances", numbers(row.figure("k_shortest", "distances")));
        cases.push(row.case(inputs, want, Tolerance::EXACT));
    }
    cases.extend([
        by_hand(
            "the lightest of several edges",
            ask(weighted(&[(0, 3, 2.0), (0, 3, 1.0), (3, 3, 0.0)], true), 3),
            paths(json!([[0, 3]]), vec![1.0]),
        ),
        by_hand("no way", ask(weighted(&[(0, 1, 2.0), (3, 1, 1.0)], true), 3), paths(json!([]), vec![])),
        by_hand("from a node to itself", ask(four(), 3).with("end", id(0)), paths(json!([[0]]), vec![0.0])),
        by_hand("a negative weight", ask(weighted(&[(0, 3, -1.0)], true), 1), Expect::Rejected("graph")),
        by_hand(
            "a weight that is no number",
            ask(weighted(&[(0, 3, f64::NAN)], true), 1),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand(
            "an end that is not there",
            ask(inputs(Graph::new(&[(0, 1)], None, None, true)), 1),
            Expect::Rejected("end"),
        ),
    ]);
    cases
}
