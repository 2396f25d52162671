//! Worked examples of shortest paths.

use crate::reference::{Row, by_hand, exactly, id, ids, inputs, number, numbers, property, rows, weighted};
use offload_api::graph::{DST, SRC, WEIGHT};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Graph, Tolerance};

const OP: &str = "shortest_path";

pub(super) fn cases() -> Vec<Case> {
    let word = |w: &str| Value::Text(w.into());
    let mut cases = Vec::new();
    for row in rows() {
        cases.push(to_end(&row, "auto"));
        cases.push(to_all(&row, "auto"));
        let weights = row.inputs().get(WEIGHT).is_some();
        let algorithms: &[&str] = if row.figure(OP, "negative") == true {
            &["bellman_ford"]
        } else if weights {
            &["dijkstra", "bellman_ford", "delta_stepping"]
        } else {
            &["dijkstra"]
        };
        for algorithm in algorithms {
            cases.push(to_end(&row, algorithm));
            cases.push(to_all(&row, algorithm));
        }
        if row.figure(OP, "negative") == false {
            cases.push(to_end(&row, "a_star"));
        }
    }
    let square = [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (3, 0, 1.0)];
    let turning = |w| weighted(&[(0, 1, 1.0), (1, 2, -3.0), (2, 1, w), (2, 3, 1.0)], true);
    let from_0 = |inputs: Record| inputs.with("start", id(0));
    let listed = |h: Vec<f64>| {
        let edges = [(0, 1), (1, 2), (0, 2)];
        inputs(Graph::new(&edges, Some(vec![1.0, 1.0, 3.0]), Some(vec![2, 1, 0]), true))
            .with("start", id(0))
            .with("end", id(2))
            .with("algorithm", word("a_star"))
            .with("heuristic", Value::Tensor(Tensor::vector(h)))
    };
    cases.extend([
        by_hand(
            "a cycle that makes every path shorter",
            from_0(turning(2.0)).with("end", id(3)),
            Expect::Unprocessable("negative_cycle"),
        ),
        by_hand(
            "a negative edge without direction",
            from_0(weighted(&[(0, 1, -1.0)], false)),
            Expect::Unprocessable("negative_cycle"),
        ),
        by_hand(
            "a negative cycle that cannot be reached",
            from_0(weighted(&[(0, 1, 1.0), (2, 3, -1.0), (3, 2, 0.0)], true)),
            exactly(Record::new().with("nodes", Value::Tensor(Tensor::vector(vec![0u64, 1])))),
        ),
        by_hand(
            "a cycle of weight zero",
            from_0(turning(3.0)).with("end", id(3)),
            exactly(Record::new().with("distance", Value::Tensor(Tensor::scalar(-1.0)))),
        ),
        by_hand(
            "a start that is not there",
            weighted(&square, true).with("start", id(9)),
            Expect::Rejected("start"),
        ),
        by_hand(
            "an end that is not there",
            from_0(weighted(&square, true)).with("end", id(9)),
            Expect::Rejected("end"),
        ),
        by_hand(
            "negative weights for dijkstra",
            from_0(turning(9.0)).with("algorithm", word("dijkstra")),
            Expect::Rejected("algorithm"),
        ),
        by_hand(
            "a weight that is not finite",
            from_0(weighted(&[(0, 1, f64::NAN)], true)),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand(
            "a_star without an end",
            from_0(weighted(&square, true)).with("algorithm", word("a_star")),
            Expect::Rejected("end"),
        ),
        by_hand(
            "bounds for another algorithm",
            listed(vec![0.0; 3]).with("algorithm", word("dijkstra")),
            Expect::Rejected("heuristic"),
        ),
        by_hand("too few bounds", listed(vec![0.0; 2]), Expect::Rejected("heuristic")),
        by_hand("a bound below zero", listed(vec![0.0, -1.0, 0.0]), Expect::Rejected("heuristic")),
        by_hand(
            "bounds that are not consistent",
            listed(vec![0.0, 1.0, 0.0]),
            exactly(Record::new().with("distance", Value::Tensor(Tensor::scalar(2.0)))),
        ),
        by_hand(
            "no nodes at all",
            from_0(inputs(Graph::new(&[], None, None, true))),
            Expect::Rejected("start"),
        ),
    ]);
    cases
}

fn to_end(row: &Row, algorithm: &str) -> Case {
    let inputs = row
        .inputs()
        .with("start", row.node("start"))
        .with("end", row.node("end"))
        .with("algorithm", Value::Text(algorithm.into()));
    let distance = number(row.figure(OP, "distance"));
    let path = row.figure(OP, "path");
    let mut case = if algorithm == "a_star" || (path.is_null() && !distance.is_nothing()) {
        // Which of several is not said.
        let mut case = row.case(inputs, Record::new(), Tolerance::EXACT);
        case.expect = property(move |inputs, outputs| leads(inputs, outputs, &distance));
        case
    } else {
        let path = if path.is_null() { Value::nothing() } else { ids(path) };
        row.case(inputs, Record::new().with("path", path).with("distance", distance), Tolerance::EXACT)
    };
    case.name = format!("{}, {algorithm}", case.name);
    case
}

fn to_all(row: &Row, algorithm: &str) -> Case {
    let inputs =
        row.inputs().with("start", row.node("start")).with("algorithm", Value::Text(algorithm.into()));
    let mut want = Record::new()
        .with("nodes", ids(row.figure(OP, "nodes")))
        .with("distances", numbers(row.figure(OP, "distances")));
    let parents = row.figure(OP, "parents");
    if !parents.is_null() {
        want.set("parents", ids(parents));
    }
    let mut case = row.case(inputs, want, Tolerance::EXACT);
    case.name = format!("{}, {algorithm}, to all", case.name);
    case
}

/// The path is made of edges, and they sum to the distance.
fn leads(inputs: &Record, outputs: &Record, distance: &Value) -> Result<(), String> {
    if outputs.get("distance") != Some(distance) {
        return Err(format!("distance is {:?}, expected {distance:?}", outputs.get("distance")));
    }
    if distance.is_nothing() {
        let nothing = outputs.get("path").is_some_and(Value::is_nothing);
        return if nothing { Ok(()) } else { Err("there is a path without a distance".into()) };
    }
    let column = |record: &Record, name: &str| match record.get(name) {
        Some(Value::Tensor(t)) => t.as_slice::<u64>().unwrap_or_default().to_vec(),
        _ => Vec::new(),
    };
    let (src, dst, path) = (column(inputs, SRC), column(inputs, DST), column(outputs, "path"));
    let directed = inputs.get(offload_api::graph::DIRECTED) == Some(&Value::Bool(true));
    let weight = |i: usize| match inputs.get(WEIGHT) {
        Some(Value::Tensor(t)) => t.as_slice::<f64>().map_or(1.0, |w| w[i]),
        _ => 1.0,
    };
    let mut sum = 0.0;
    for pair in path.windows(2) {
        sum += (0..src.len())
            .filter(|&i| {
                (src[i], dst[i]) == (pair[0], pair[1])
                    || (!directed && (dst[i], src[i]) == (pair[0], pair[1]))
            })
            .map(weight)
            .fold(f64::INFINITY, f64::min);
    }
    let ends = |name| match inputs.get(name) {
        Some(Value::Tensor(t)) => t.as_slice::<u64>().and_then(|id| id.first().copied()),
        _ => None,
    };
    if path.first().copied() != ends("start") || path.last().copied() != ends("end") {
        return Err(format!("the path {path:?} does not lead from start to end"));
    }
    if &Value::Tensor(Tensor::scalar(sum)) == distance {
        Ok(())
    } else {
        Err(format!("the path {path:?} is {sum} long"))
    }
}
