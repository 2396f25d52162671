//! Worked examples of PageRank. Both sides stop at changes of some units of rounding, so the scores agree to 1e-12.

use crate::reference::{by_hand, exactly, ids, inputs, numbers, rows, weighted};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Graph, Tolerance};

const NEAR: Tolerance = Tolerance::new(1e-12, 0.0);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in rows().iter().filter(|row| row.has("pagerank")) {
        let figure = |name| row.figure("pagerank", name);
        let exact =
            || row.inputs().with("tolerance", Value::Float(1e-14)).with("iterations", Value::Int(5000));
        let scores = |name| Record::new().with("nodes", row.ids()).with("scores", numbers(figure(name)));
        cases.push(row.case(exact(), scores("scores"), NEAR));
        let mut plain =
            row.case(exact().with("ignore_weights", Value::Bool(true)), scores("unweighted"), NEAR);
        plain.name.push_str(", weights ignored");
        cases.push(plain);
        let jump = figure("jump");
        let personal =
            exact().with("personalization", ids(&jump[0])).with("personalization_weights", numbers(&jump[1]));
        let mut personal = row.case(personal, scores("personal"), NEAR);
        personal.name.push_str(", personal");
        cases.push(personal);
    }
    let pair = || inputs(Graph::new(&[(1, 2)], None, None, true));
    let vector = |v: Vec<f64>| Value::Tensor(Tensor::vector(v));
    let named = |id: u64| pair().with("personalization", Value::Tensor(Tensor::vector(vec![id])));
    cases.extend([
        by_hand(
            "one step that does not end it",
            pair().with("iterations", Value::Int(1)).with("damping", Value::Float(0.5)),
            // From halves: a half jumps, and node 1 sends its half on; node 2 has no edge and jumps.
            exactly(
                Record::new()
                    .with("scores", vector(vec![0.375, 0.625]))
                    .with("iterations", Value::Int(1))
                    .with("residual", Value::Float(0.25))
                    .with("converged", Value::Bool(false)),
            ),
        ),
        star("a node that thousands point to, after one step", 4200, 1),
        star("a node that thousands point to", 4200, 1000),
        star("a node that a hundred point to, after one step", 100, 1),
        by_hand(
            "no nodes at all",
            inputs(Graph::new(&[], None, None, true)),
            exactly(Record::new().with("scores", vector(vec![])).with("converged", Value::Bool(true))),
        ),
        by_hand(
            "a negative weight",
            weighted(&[(0, 1, -1.0)], true),
            Expect::Unprocessable("negative_weight"),
        ),
        by_hand(
            "an infinite weight",
            weighted(&[(0, 1, f64::INFINITY)], true),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand("a jump to nowhere", named(7), Expect::Rejected("personalization")),
        by_hand(
            "jumps that weigh nothing",
            named(1).with("personalization_weights", vector(vec![0.0])),
            Expect::Rejected("personalization_weights"),
        ),
        by_hand(
            "more weights than jumps",
            named(1).with("personalization_weights", vector(vec![1.0, 2.0])),
            Expect::Rejected("personalization_weights"),
        ),
        by_hand(
            "weights without jumps",
            pair().with("personalization_weights", vector(vec![1.0])),
            Expect::Rejected("personalization_weights"),
        ),
    ]);
    cases
}

/// So many nodes that point to the last, which points nowhere. With `l` the score of one of them, `h` that of the last and
/// `d` the damping, a step makes `l' = (d h + 1 - d) / n` and `h' = l' + d (1 - h)`; where it ends, `l = 1 / (n + d (n - 1))`.
fn star(name: &str, leaves: u64, steps: i64) -> Case {
    let edges: Vec<(u64, u64)> = (0..leaves).map(|v| (v, leaves)).collect();
    let (n, d) = ((leaves + 1) as f64, 0.85);
    let (leaf, last) = if steps == 1 {
        let leaf = (d / n + 1.0 - d) / n;
        (leaf, leaf + d * (1.0 - 1.0 / n))
    } else {
        let leaf = 1.0 / (n + d * (n - 1.0));
        (leaf, 1.0 - (n - 1.0) * leaf)
    };
    let mut scores = vec![leaf; leaves as usize];
    scores.push(last);
    let inputs = inputs(Graph::new(&edges, None, None, true))
        .with("tolerance", Value::Float(1e-18))
        .with("iterations", Value::Int(steps));
    let want = Record::new().with("scores", Value::Tensor(Tensor::vector(scores)));
    by_hand(name, inputs, Expect::Outputs(want, NEAR))
}
