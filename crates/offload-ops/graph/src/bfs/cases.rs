//! Worked examples of breadth-first search.

use crate::reference::{by_hand, exactly, id, ids, inputs, integers, rows};
use offload_api::{Element, Record, Tensor, Value};
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
    cases.extend([
        fan("levels too wide for one group, along directions", true),
        fan("levels too wide for one group, both ways", false),
        repeated(),
    ]);
    let pair = inputs(Graph::new(&[(1, 2)], None, None, true));
    cases.push(by_hand("a start that is not there", pair.with("start", id(0)), Expect::Rejected("start")));
    cases
}

fn vector<T: Element>(v: Vec<T>) -> Value {
    Value::Tensor(Tensor::vector(v))
}

/// From 0 to 1 … 1100, from each of those to one of seven, and from all of these to one.
fn fan(name: &str, directed: bool) -> Case {
    const WIDE: u64 = 1100;
    let mut edges: Vec<(u64, u64)> = (1..=WIDE).map(|i| (0, i)).collect();
    edges.extend((1..=WIDE).map(|i| (i, 2000 + i % 7)));
    edges.extend((0..7).map(|k| (2000 + k, 3000)));
    let mut nodes: Vec<u64> = (0..=WIDE).chain(2000..2007).collect();
    nodes.push(3000);
    let level = |v: u64| match v {
        0 => 0,
        1..=WIDE => 1,
        3000 => 3,
        _ => 2,
    };
    let parent = |v: u64| match v {
        0..=WIDE => 0,
        2000 => 7,
        3000 => 2000,
        _ => v - 2000,
    };
    let want = Record::new()
        .with("nodes", vector(nodes.clone()))
        .with("levels", vector(nodes.iter().map(|v| level(*v)).collect::<Vec<i64>>()))
        .with("parents", vector(nodes.iter().map(|v| parent(*v)).collect::<Vec<u64>>()))
        .with("order", vector(nodes));
    by_hand(name, inputs(Graph::new(&edges, None, None, directed)).with("start", id(0)), exactly(want))
}

/// Nine thousand edges that lead to nine nodes, each on to a tenth.
fn repeated() -> Case {
    let mut edges: Vec<(u64, u64)> = (0..9000).map(|i| (5, 10 + i % 9)).collect();
    edges.extend((0..9).map(|k| (10 + k, 30)));
    let inner = || 10..19u64;
    let want = Record::new()
        .with("nodes", vector([vec![5], inner().collect(), vec![30]].concat()))
        .with("levels", vector([vec![0], vec![1; 9], vec![2i64]].concat()))
        .with("parents", vector([vec![5], vec![5; 9], vec![10u64]].concat()))
        .with("order", vector([vec![5], inner().collect(), vec![30]].concat()));
    let inputs = inputs(Graph::new(&edges, None, None, true)).with("start", id(5));
    by_hand("thousands of edges between a few nodes", inputs, exactly(want))
}
