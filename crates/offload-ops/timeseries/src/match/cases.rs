//! Worked examples of matches: STUMPY's profiles, and windows of which the distances are known by hand.

use crate::reference::{by_hand, case, rows, series, tensor};
use crate::series::{filled, vector};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let of = |data: &[f64]| Record::new().with("data", series(data));
    let search = |data: &[f64], query: &[f64]| of(data).with("query", series(query));
    let itself = |data: &[f64], window: i64| of(data).with("window", Value::Int(window));
    let near = |outputs| Expect::Outputs(outputs, Tolerance::new(1e-7, 1e-9));
    let found = |indices: &[i64], distances: &[f64]| {
        near(
            Record::new()
                .with("indices", vector(indices.to_vec()))
                .with("distances", vector(distances.to_vec())),
        )
    };
    let saw = [0.0, 1.0, 5.0, 0.0, 2.0, 1.0, 0.0, 2.0, 10.0, 0.0, 7.0, 7.0, 7.0, 7.0];
    let gap = |m: f64, correlation: f64| (2.0 * m * (1.0 - correlation)).sqrt();
    let mut cases = vec![
        by_hand(
            "the same form twice, once twice as large",
            // 0 1 5 0 stands at 0, and doubled at 6.
            search(&saw, &[0.0, 1.0, 5.0, 0.0]).with("k", Value::Int(2)),
            found(&[0, 6], &[0.0, 0.0]),
        ),
        by_hand(
            "level and scale do not count",
            search(&[3.0, 1.0, 2.0, 4.0, 4.0], &[-200.0, -100.0, 100.0]).with("k", Value::Int(1)),
            // 1 2 4 is the query's form.
            found(&[1], &[0.0]),
        ),
        by_hand(
            "the mirror image is the farthest",
            search(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]),
            found(&[0], &[gap(3.0, -1.0)]),
        ),
        by_hand(
            "a constant query",
            search(&[1.0, 1.0, 1.0, 2.0, 5.0], &[4.0, 4.0])
                .with("exclusion", Value::Int(0))
                .with("k", Value::Int(4)),
            found(&[0, 1, 2, 3], &[0.0, 0.0, 2f64.sqrt(), 2f64.sqrt()]),
        ),
        by_hand(
            "a constant window",
            search(&[7.0, 7.0, 7.0], &[1.0, 2.0, 4.0]).with("profile", Value::Bool(true)),
            near(
                Record::new()
                    .with("indices", vector(vec![0i64]))
                    .with("profile", Value::Gapped(Tensor::vector(vec![3f64.sqrt()]))),
            ),
        ),
        by_hand(
            "answers keep apart",
            search(&[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0], &[0.0, 1.0]).with("exclusion", Value::Int(2)),
            found(&[0, 4], &[0.0, 0.0]),
        ),
        by_hand(
            "a motif of itself",
            itself(&saw[..10], 4).with("k", Value::Int(1)),
            near(
                Record::new()
                    .with("motifs", Value::Tensor(filled(vec![1, 2], vec![0i64, 6])))
                    .with("motif_distances", vector(vec![0.0])),
            ),
        ),
        by_hand(
            "one window has no other",
            itself(&[1.0, 2.0, 4.0], 3).with("profile", Value::Bool(true)),
            near(
                Record::new()
                    .with("motifs", Value::Tensor(filled(vec![0, 2], Vec::<i64>::new())))
                    .with("discords", vector(Vec::<i64>::new()))
                    .with("profile", Value::Gapped(Tensor::vector(vec![f64::NAN])))
                    .with("neighbours", vector(vec![-1i64])),
            ),
        ),
        by_hand(
            "all the same is like itself",
            itself(&[0.1; 9], 3).with("k", Value::Int(1)),
            near(
                Record::new()
                    .with("motifs", Value::Tensor(filled(vec![1, 2], vec![0i64, 2])))
                    .with("motif_distances", vector(vec![0.0]))
                    .with("discord_distances", vector(vec![0.0])),
            ),
        ),
        by_hand(
            "not a number",
            search(&[1.0, f64::NAN, 2.0], &[1.0, 2.0]),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand(
            "a query that is not a number",
            search(&[1.0, 2.0], &[1.0, f64::NAN]),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand(
            "beyond the range",
            search(&[1.0, 2e100], &[1.0, 2.0]),
            Expect::Unprocessable("out_of_range"),
        ),
        by_hand("a query longer than the series", search(&[1.0], &[1.0, 2.0]), Expect::Rejected("query")),
        by_hand("a query of one value", search(&[1.0, 2.0], &[1.0]), Expect::Rejected("query")),
        by_hand("no values", search(&[], &[1.0, 2.0]), Expect::Rejected("query")),
        by_hand("a window longer than the series", itself(&[1.0, 2.0], 3), Expect::Rejected("window")),
        by_hand("neither query nor window", of(&[1.0, 2.0]), Expect::Rejected("query")),
        by_hand(
            "both",
            search(&saw, &[1.0, 2.0, 3.0]).with("window", Value::Int(3)),
            Expect::Rejected("window"),
        ),
    ];
    for row in rows(include_str!("../../data/match.json")) {
        let mut inputs = Record::new()
            .with("data", Value::Tensor(tensor(&row["data"])))
            .with("profile", Value::Bool(true));
        if row["query"].is_null() {
            inputs.set("window", Value::Int(row["window"].as_i64().unwrap_or_default()));
        } else {
            inputs.set("query", Value::Tensor(tensor(&row["query"])));
        }
        let want = Record::new().with("profile", Value::Gapped(tensor(&row["profile"])));
        // A distance near zero is the root of a rounding: √(2m · 1e-14) for the longest.
        cases.push(case(&row, inputs, want, Tolerance::new(2e-6, 1e-9)));
    }
    cases
}
