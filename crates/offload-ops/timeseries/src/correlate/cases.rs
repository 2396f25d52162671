//! Worked examples of correlations: NumPy and statsmodels, and rational arithmetic.

use crate::reference::{by_hand, case, exactly, many, rows, series, tensor};
use crate::series::{filled, vector};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let word = |w: &str| Value::Text(w.into());
    let of = |a: Value| Record::new().with("a", a);
    let plain = |a: &[f64], b: &[f64]| of(series(a)).with("b", series(b)).with("normalization", word("none"));
    let gapped = |v: &[f64]| Value::Gapped(Tensor::vector(v.to_vec()));
    let want = |lags: &[i64], values: &[f64]| {
        exactly(Record::new().with("lags", vector(lags.to_vec())).with("values", gapped(values)))
    };
    let mut cases = vec![
        by_hand(
            "three values against three",
            plain(&[1.0, 2.0, 3.0], &[0.0, 1.0, 0.5]),
            want(&[-2, -1, 0, 1, 2], &[0.5, 2.0, 3.5, 3.0, 0.0]),
        ),
        by_hand(
            "a value that comes one later",
            plain(&[0.0, 0.0, 4.0], &[0.0, 2.0, 0.0]).with("max_lag", Value::Int(1)),
            want(&[-1, 0, 1], &[0.0, 0.0, 8.0]),
        ),
        by_hand(
            "with itself",
            of(series(&[1.0, -1.0, 1.0, -1.0])),
            want(&[0, 1, 2, 3], &[1.0, -0.75, 0.5, -0.25]),
        ),
        by_hand(
            "as covariances",
            of(series(&[1.0, 3.0])).with("normalization", word("covariance")),
            want(&[0, 1], &[1.0, -0.5]),
        ),
        by_hand(
            "a lag beyond the series",
            of(series(&[1.0, 3.0])).with("max_lag", Value::Int(9)),
            want(&[0, 1], &[1.0, -0.5]),
        ),
        by_hand(
            "a constant has no coefficient",
            of(series(&[0.1; 4])).with("max_lag", Value::Int(1)),
            want(&[0, 1], &[f64::NAN, f64::NAN]),
        ),
        by_hand("one value", of(series(&[5.0])).with("normalization", word("none")), want(&[0], &[25.0])),
        by_hand("no values", of(series(&[])), want(&[], &[])),
        by_hand("no values of two", plain(&[], &[]), want(&[], &[])),
        by_hand(
            "one series for all",
            of(many(&[1.0, 0.0, 0.0, 2.0], 2))
                .with("b", series(&[3.0, 1.0]))
                .with("normalization", word("none")),
            exactly(
                Record::new()
                    .with("values", Value::Gapped(filled(vec![2, 3], vec![1.0, 3.0, 0.0, 0.0, 2.0, 6.0]))),
            ),
        ),
        by_hand(
            "one for each",
            of(many(&[1.0, 0.0, 0.0, 2.0], 2))
                .with("b", many(&[3.0, 1.0, 0.0, 4.0], 2))
                .with("normalization", word("none")),
            exactly(
                Record::new()
                    .with("values", Value::Gapped(filled(vec![2, 3], vec![1.0, 3.0, 0.0, 0.0, 8.0, 0.0]))),
            ),
        ),
        by_hand(
            "values of 32 bits",
            of(Value::Tensor(Tensor::vector(vec![1.5f32, 2.0]))).with("normalization", word("none")),
            want(&[0, 1], &[6.25, 3.0]),
        ),
        by_hand("not a number", of(series(&[f64::NAN])), Expect::Unprocessable("not_finite")),
        by_hand(
            "not a number in the other",
            plain(&[1.0, 2.0], &[1.0, f64::INFINITY]),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand("beyond the range", of(series(&[1e101])), Expect::Unprocessable("out_of_range")),
        by_hand("series of two lengths", plain(&[1.0, 2.0], &[1.0]), Expect::Rejected("b")),
        by_hand(
            "many against one",
            of(series(&[1.0, 2.0])).with("b", many(&[1.0, 2.0, 3.0, 4.0], 2)),
            Expect::Rejected("b"),
        ),
        by_hand(
            "two against three",
            of(many(&[1.0; 4], 2)).with("b", many(&[1.0; 6], 2)),
            Expect::Rejected("b"),
        ),
    ];
    for row in rows(include_str!("../../data/correlate.json")) {
        let mut inputs = of(Value::Tensor(tensor(&row["a"])));
        if !row["b"].is_null() {
            inputs.set("b", Value::Tensor(tensor(&row["b"])));
        }
        if let Some(lag) = row["max_lag"].as_i64() {
            inputs.set("max_lag", Value::Int(lag));
        }
        inputs.set("normalization", word(row["normalization"].as_str().unwrap_or_default()));
        let outputs = Record::new().with("values", Value::Gapped(tensor(&row["values"])));
        cases.push(case(&row, inputs, outputs, Tolerance::new(row["near"].as_f64().unwrap_or(0.0), 1e-12)));
    }
    cases
}
