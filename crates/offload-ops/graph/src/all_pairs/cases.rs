//! Worked examples of all distances.

use crate::reference::{by_hand, exactly, gapped, inputs, rows, weighted};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Graph, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = rows()
        .iter()
        .map(|row| {
            let want = Record::new()
                .with("nodes", row.ids())
                .with("distances", gapped(row.figure("all_pairs", "distances")));
            let mut inputs = row.inputs();
            if row.name() == "ids at the end of 64 bits" {
                // Its edges name more nodes than it lists.
                inputs.take(offload_api::graph::NODES);
            }
            row.case(inputs, want, Tolerance::EXACT)
        })
        .collect();
    let empty = Tensor::new([0, 0], Vec::<f64>::new()).map_or_else(Value::nothing, Value::Gapped);
    let many = Graph::new(&[], None, Some((0..8193).collect()), true);
    cases.extend([
        by_hand(
            "no nodes at all",
            inputs(Graph::new(&[], None, None, true)),
            exactly(Record::new().with("distances", empty)),
        ),
        by_hand(
            "a negative cycle",
            weighted(&[(0, 1, 1.0), (1, 2, -3.0), (2, 1, 2.0)], true),
            Expect::Unprocessable("negative_cycle"),
        ),
        by_hand(
            "a weight that is no number",
            weighted(&[(0, 1, f64::NAN)], true),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand(
            "an edge to a node that is not listed",
            inputs(Graph::new(&[(1, 2)], None, Some(vec![1]), true)),
            Expect::Rejected("graph"),
        ),
        by_hand("too many nodes", inputs(many), Expect::Rejected("graph")),
    ]);
    cases
}
