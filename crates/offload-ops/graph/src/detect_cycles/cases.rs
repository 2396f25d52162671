//! Worked examples of cycles.

use crate::reference::{Row, by_hand, exactly, ids, inputs, property, rows};
use offload_api::graph::{DIRECTED, DST, SRC};
use offload_api::{Record, Value};
use offload_core::{Case, Graph, Tolerance};
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let lists = |json: Json| Value::Json(Arc::new(json));
    let mut cases = vec![by_hand(
        "who waits for whom",
        inputs(Graph::new(&[(1, 2), (2, 3), (3, 1), (3, 4), (5, 5)], None, None, true)),
        exactly(
            Record::new()
                .with("acyclic", Value::Bool(false))
                .with("cycles", lists(json!([[1, 2, 3], [5]])))
                .with("topological_order", Value::nothing()),
        ),
    )];
    for row in rows() {
        let mut case = row.case(row.inputs(), Record::new(), Tolerance::EXACT);
        let of = row.clone();
        case.expect = property(move |inputs, outputs| check(&of, inputs, outputs));
        cases.push(case);
    }
    let two = || inputs(Graph::new(&[(1, 2), (2, 1), (3, 4), (4, 3)], None, None, true));
    let both = |edges: &[(u64, u64)]| inputs(Graph::new(edges, None, None, false));
    let listed = |json: Json, acyclic: bool| {
        exactly(Record::new().with("acyclic", Value::Bool(acyclic)).with("cycles", lists(json)))
    };
    cases.extend([
        by_hand("one of two", two().with("max_cycles", Value::Int(1)), listed(json!([[1, 2]]), false)),
        by_hand("none of two", two().with("max_cycles", Value::Int(0)), listed(json!([]), false)),
        by_hand(
            "a triangle with a tail",
            both(&[(9, 8), (8, 7), (7, 6), (6, 8)]),
            listed(json!([[6, 7, 8]]), false),
        ),
        by_hand("an edge there and back", both(&[(1, 2), (2, 1)]), listed(json!([[1, 2]]), false)),
        by_hand("a loop without direction", both(&[(1, 2), (2, 2)]), listed(json!([[2]]), false)),
        by_hand("a tree", both(&[(1, 2), (1, 3), (3, 4)]), listed(json!([]), true)),
    ]);
    cases
}

/// What is listed are cycles, as many as there are knots, each as short as it can be.
fn check(row: &Row, inputs: &Record, outputs: &Record) -> Result<(), String> {
    let figure = |name| row.figure("detect_cycles", name);
    let want = figure("acyclic").as_bool().ok_or("no figure")?;
    if outputs.get("acyclic") != Some(&Value::Bool(want)) {
        return Err(format!("acyclic is {:?}", outputs.get("acyclic")));
    }
    let order = figure("order");
    let want = if order.is_null() { Value::nothing() } else { ids(order) };
    if outputs.get("topological_order") != Some(&want) {
        return Err(format!(
            "topological_order is {:?}, expected {want:?}",
            outputs.get("topological_order")
        ));
    }
    let Some(Value::Json(cycles)) = outputs.get("cycles") else { return Err("no cycles".into()) };
    let cycles: Vec<Vec<u64>> = serde_json::from_value((**cycles).clone()).map_err(|e| e.to_string())?;
    let knots: Vec<u64> = serde_json::from_value(figure("knots").clone()).map_err(|e| e.to_string())?;
    if cycles.len() != knots.len().min(10) {
        return Err(format!("{} cycles of {} knots", cycles.len(), knots.len()));
    }
    let column = |name| match inputs.get(name) {
        Some(Value::Tensor(t)) => t.as_slice::<u64>().unwrap_or_default().to_vec(),
        _ => Vec::new(),
    };
    let (src, dst) = (column(SRC), column(DST));
    let directed = inputs.get(DIRECTED) == Some(&Value::Bool(true));
    for (i, cycle) in cycles.iter().enumerate() {
        if directed && cycle.first() != knots.get(i) {
            return Err(format!("cycle {i} does not begin with {:?}", knots.get(i)));
        }
        if directed && figure("lengths")[i].as_u64() != Some(cycle.len() as u64) {
            return Err(format!("cycle {i} has {} nodes, expected {}", cycle.len(), figure("lengths")[i]));
        }
        let steps = cycle.iter().zip(cycle.iter().cycle().skip(1));
        let mut left: Vec<(u64, u64)> = src.iter().copied().zip(dst.iter().copied()).collect();
        for (&u, &v) in steps {
            // No edge is used twice.
            let edge = left.iter().position(|&e| e == (u, v) || (!directed && e == (v, u)));
            left.swap_remove(edge.ok_or_else(|| format!("cycle {i} has no edge from {u} to {v}"))?);
        }
    }
    Ok(())
}
