//! Worked examples of components.

use crate::reference::{by_hand, exactly, ids, inputs, rows};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Graph, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = rows()
        .iter()
        .map(|row| {
            let figure = |name| row.figure("connected_components", name);
            let want = Record::new()
                .with("nodes", row.ids())
                .with("labels", ids(figure("labels")))
                .with("count", Value::Int(figure("count").as_i64().unwrap_or(-1)));
            row.case(row.inputs(), want, Tolerance::EXACT)
        })
        .collect();
    // Every third node in a row, backwards: three components by the remainder.
    let edges: Vec<(u64, u64)> = (0..200).rev().map(|i| (i + 3, i)).collect();
    let thirds = Record::new()
        .with("labels", Value::Tensor(Tensor::vector((0..203u64).map(|v| v % 3).collect())))
        .with("count", Value::Int(3));
    cases.push(by_hand("three rows", inputs(Graph::new(&edges, None, None, true)), exactly(thirds)));
    let none = Record::new()
        .with("nodes", Value::Tensor(Tensor::vector(Vec::<u64>::new())))
        .with("count", Value::Int(0));
    cases.push(by_hand("no nodes at all", inputs(Graph::new(&[], None, None, true)), exactly(none)));
    cases
}
