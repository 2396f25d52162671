//! Worked examples of triangles.

use crate::reference::{by_hand, exactly, ids, inputs, numbers, rows};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Graph, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![by_hand(
        "a triangle with a tail",
        inputs(Graph::new(&[(0, 1), (1, 2), (2, 0), (2, 3)], None, None, false)),
        exactly(
            Record::new()
                .with("count", Value::Int(1))
                .with("nodes", Value::Tensor(Tensor::vector(vec![0u64, 1, 2, 3])))
                .with("triangles", Value::Tensor(Tensor::vector(vec![1u64, 1, 1, 0])))
                .with("clustering", Value::Tensor(Tensor::vector(vec![1.0, 1.0, 1.0 / 3.0, 0.0]))),
        ),
    )];
    for row in rows() {
        let figure = |name| row.figure("triangle_count", name);
        let want = Record::new()
            .with("count", Value::Int(figure("count").as_i64().unwrap_or(-1)))
            .with("nodes", row.ids())
            .with("triangles", ids(figure("triangles")))
            .with("clustering", numbers(figure("clustering")));
        cases.push(row.case(row.inputs(), want, Tolerance::new(1e-15, 0.0)));
    }
    cases
}
