//! Worked examples of breadth-first search.

use crate::reference::{by_hand, id, ids, inputs, integers, rows};
use offload_api::Record;
use offload_core::{Case, Expect, Graph, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let figure = |row: &crate::reference::Row, name: &str| row.figure("bfs", name);
    let mut cases: Vec<Case> = rows()
        .iter()
        .map(|row| {
            let want = Record::new()
                .with("nodes", row.ids())
                .with("levels", integers(figure(row, "levels")))
                .with("parents", ids(figure(row, "parents")))
                .with("order", ids(figure(row, "order")));
            row.case(row.inputs().with("start", row.node("start")), want, Tolerance::EXACT)
        })
        .collect();
    let pair = inputs(Graph::new(&[(1, 2)], None, None, true));
    cases.push(by_hand("a start that is not there", pair.with("start", id(0)), Expect::Rejected("start")));
    cases
}
