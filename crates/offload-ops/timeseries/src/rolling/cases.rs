//! Worked examples of windows: pandas where it keeps its digits, rational arithmetic where it does not.

use crate::reference::{by_hand, case, exactly, many, rows, series, tensor};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};
use serde_json::json;
use std::sync::Arc;

/// Sums are kept in two words, and differences of near values are exact.
const NEAR: Tolerance = Tolerance::new(1e-300, 1e-12);

pub(super) fn cases() -> Vec<Case> {
    let gapped = |v: &[f64]| Value::Gapped(Tensor::vector(v.to_vec()));
    let of = |data: Value, window| Record::new().with("data", data).with("window", Value::Int(window));
    let asked = |r: Record, words: serde_json::Value| r.with("statistics", Value::Json(Arc::new(words)));
    let ramp = || of(series(&[1.0, 2.0, 4.0, 8.0]), 2);
    let nan = f64::NAN;
    let mut cases = vec![
        by_hand(
            "means and medians of pairs",
            asked(ramp(), json!(["mean", "median", "max"])),
            exactly(
                Record::new()
                    .with("mean", gapped(&[nan, 1.5, 3.0, 6.0]))
                    .with("median", gapped(&[nan, 1.5, 3.0, 6.0]))
                    .with("max", gapped(&[nan, 2.0, 4.0, 8.0])),
            ),
        ),
        by_hand(
            "the mean where nothing is said",
            of(series(&[1.0, 3.0]), 1),
            exactly(Record::new().with("mean", gapped(&[1.0, 3.0]))),
        ),
        by_hand("no values", of(series(&[]), 3), exactly(Record::new().with("mean", gapped(&[])))),
        by_hand(
            "two series do not see each other",
            asked(of(many(&[1.0, 2.0, 3.0, 10.0, 20.0, 30.0], 3), 2), json!(["sum", "min"])),
            exactly(
                Record::new()
                    .with(
                        "sum",
                        Value::Gapped(crate::series::filled(
                            vec![2, 3],
                            vec![nan, 3.0, 5.0, nan, 30.0, 50.0],
                        )),
                    )
                    .with(
                        "min",
                        Value::Gapped(crate::series::filled(
                            vec![2, 3],
                            vec![nan, 1.0, 2.0, nan, 10.0, 20.0],
                        )),
                    ),
            ),
        ),
        by_hand(
            "the variance of one value",
            asked(of(series(&[1.0, 2.0]), 1), json!(["var", "std"])),
            exactly(Record::new().with("var", gapped(&[nan, nan])).with("std", gapped(&[nan, nan]))),
        ),
        by_hand(
            "values of 32 bits",
            asked(of(Value::Tensor(Tensor::vector(vec![0.5f32, 1.5, 2.5])), 3), json!(["mean", "var"])),
            exactly(
                Record::new().with("mean", gapped(&[nan, nan, 1.5])).with("var", gapped(&[nan, nan, 1.0])),
            ),
        ),
        by_hand("not a number", of(series(&[1.0, nan]), 2), Expect::Unprocessable("not_finite")),
        by_hand(
            "an infinite value",
            of(series(&[f64::NEG_INFINITY]), 2),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand("a value beyond the range", of(series(&[1e101]), 2), Expect::Unprocessable("out_of_range")),
        by_hand(
            "a statistic that there is not",
            asked(ramp(), json!(["mode"])),
            Expect::Rejected("statistics"),
        ),
        by_hand("no statistics", asked(ramp(), json!([])), Expect::Rejected("statistics")),
        by_hand("a statistic twice", asked(ramp(), json!(["sum", "sum"])), Expect::Rejected("statistics")),
        by_hand(
            "more values asked for than a window has",
            ramp().with("min_periods", Value::Int(3)),
            Expect::Rejected("min_periods"),
        ),
        by_hand(
            "a cube",
            of(Value::Tensor(crate::series::filled(vec![1, 1, 1], vec![1.0])), 1),
            Expect::Rejected("data"),
        ),
    ];
    for row in rows(include_str!("../../data/rolling.json")) {
        let mut inputs = asked(
            of(Value::Tensor(tensor(&row["data"])), row["window"].as_i64().unwrap_or_default()),
            json!(["mean", "std", "var", "min", "max", "sum", "median"]),
        );
        if let Some(fewest) = row["min_periods"].as_i64() {
            inputs.set("min_periods", Value::Int(fewest));
        }
        inputs.set("ddof", Value::Int(row["ddof"].as_i64().unwrap_or(1)));
        let mut want = Record::new();
        for name in ["mean", "std", "var", "min", "max", "sum", "median"] {
            want.set(name, Value::Gapped(tensor(&row["want"][name])));
        }
        cases.push(case(&row, inputs, want, NEAR));
    }
    cases
}
