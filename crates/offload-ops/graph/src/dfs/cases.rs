//! Worked examples of depth-first search.

use crate::reference::{by_hand, id, ids, inputs, integers, rows};
use offload_api::Record;
use offload_core::{Case, Expect, Graph, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows() {
        let figure = |name| row.figure("dfs", name);
        let all = Record::new()
            .with("nodes", row.ids())
            .with("order", ids(figure("order")))
            .with("parents", ids(figure("parents")))
            .with("discovery", integers(figure("discovery")))
            .with("finish", integers(figure("finish")));
        cases.push(row.case(row.inputs(), all, Tolerance::EXACT));
        let from = Record::new().with("order", ids(figure("order_from")));
        let mut case = row.case(row.inputs().with("start", row.node("start")), from, Tolerance::EXACT);
        case.name.push_str(", from one");
        cases.push(case);
    }
    let pair = inputs(Graph::new(&[(1, 2)], None, None, true));
    cases.push(by_hand("a start that is not there", pair.with("start", id(0)), Expect::Rejected("start")));
    cases
}
