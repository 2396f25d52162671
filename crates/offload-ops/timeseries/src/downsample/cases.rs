//! Worked examples of downsampling: tsdownsample, where it cuts the same buckets, and rational arithmetic.

use crate::reference::{by_hand, case, exactly, many, rows, series, tensor};
use crate::series::{filled, vector};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

/// So many that a device takes them.
const SERIES: usize = 70;

/// A series again and again, each time higher.
fn high(of: &[f64]) -> Vec<f64> {
    (1..=SERIES).flat_map(|k| of.iter().map(move |v| v * k as f64)).collect()
}

fn vector_of(indices: Vec<i64>) -> Value {
    Value::Tensor(filled(vec![SERIES, 3], indices))
}

pub(super) fn cases() -> Vec<Case> {
    let of = |data: Value, points| Record::new().with("data", data).with("points", Value::Int(points));
    let kept = |indices: &[i64], values: &[f64]| {
        exactly(
            Record::new().with("indices", vector(indices.to_vec())).with("values", vector(values.to_vec())),
        )
    };
    let peak = || of(series(&[0.0, 0.0, 5.0, 0.0, 0.0, 0.0]), 3);
    let stamped = |t: Value| peak().with("timestamps", t);
    let mut cases = vec![
        by_hand("a peak stays", peak(), kept(&[0, 2, 5], &[0.0, 5.0, 0.0])),
        by_hand("the ends alone", of(series(&[1.0, 9.0, 2.0]), 2), kept(&[0, 2], &[1.0, 2.0])),
        by_hand("no more than asked for", of(series(&[3.0, 1.0]), 7), kept(&[0, 1], &[3.0, 1.0])),
        by_hand("one value", of(series(&[3.0]), 2), kept(&[0], &[3.0])),
        by_hand("no values", of(series(&[]), 2), kept(&[], &[])),
        by_hand(
            "all the same: the first of each bucket",
            of(series(&[4.0; 8]), 5),
            kept(&[0, 1, 3, 5, 7], &[4.0; 5]),
        ),
        by_hand(
            "two series",
            of(many(&[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0], 4), 3),
            exactly(
                Record::new()
                    .with("indices", Value::Tensor(filled(vec![2, 3], vec![0i64, 1, 3, 0, 2, 3])))
                    .with("values", Value::Tensor(filled(vec![2, 3], vec![0.0, 1.0, 0.0, 0.0, -1.0, 0.0]))),
            ),
        ),
        by_hand(
            "seventy series, each some times as high",
            of(many(&high(&[0.0, 0.0, 5.0, 0.0, 0.0, 0.0]), 6), 3),
            {
                let indices = vector_of([0i64, 2, 5].repeat(SERIES));
                let values = filled(vec![SERIES, 3], high(&[0.0, 5.0, 0.0]));
                exactly(Record::new().with("indices", indices).with("values", Value::Tensor(values)))
            },
        ),
        by_hand(
            "seventy series with stamps",
            // Twice the triangles: |4 · 1 − 1 · 2| = 2 and |4 · 1 − 3 · 2| = 2; the first of equals stays.
            of(many(&high(&[0.0, 1.0, 1.0, 2.0]), 4), 3).with("timestamps", vector(vec![0i64, 1, 3, 4])),
            exactly(Record::new().with("indices", vector_of([0i64, 1, 3].repeat(SERIES)))),
        ),
        by_hand(
            "stamps in nanoseconds of which f64 does not hold the last digits",
            of(series(&[0.0, 1.0, 1.0, 2.0]), 3).with(
                "timestamps",
                // Twice the triangles: |3 · 1 − 1 · 2| = 1 and |3 · 1 − 3 · 2| = 3. With lost digits both are 0, and the first stays.
                vector(vec![
                    1_700_000_000_000_000_001i64,
                    1_700_000_000_000_000_002,
                    1_700_000_000_000_000_004,
                    1_700_000_000_000_000_004,
                ]),
            ),
            kept(&[0, 2, 3], &[0.0, 1.0, 2.0]),
        ),
        by_hand(
            "values of 32 bits",
            of(Value::Tensor(Tensor::vector(vec![0.5f32, 2.5, 1.0, 1.0])), 3),
            kept(&[0, 1, 3], &[0.5, 2.5, 1.0]),
        ),
        by_hand("not a number", of(series(&[1.0, f64::NAN]), 2), Expect::Unprocessable("not_finite")),
        by_hand("beyond the range", of(series(&[1.0, -1e200]), 2), Expect::Unprocessable("out_of_range")),
        by_hand(
            "times that go back",
            stamped(series(&[0.0, 1.0, 2.0, 1.5, 3.0, 4.0])),
            Expect::Unprocessable("not_ascending"),
        ),
        by_hand(
            "a time that is infinite",
            stamped(series(&[0.0, 1.0, 2.0, 3.0, 4.0, f64::INFINITY])),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand("fewer times than values", stamped(series(&[0.0, 1.0])), Expect::Rejected("timestamps")),
    ];
    for row in rows(include_str!("../../data/downsample.json")) {
        let mut inputs = of(Value::Tensor(tensor(&row["data"])), row["points"].as_i64().unwrap_or_default());
        if !row["timestamps"].is_null() {
            inputs.set("timestamps", Value::Tensor(tensor(&row["timestamps"])));
        }
        let indices =
            row["indices"].as_array().map(|a| a.iter().filter_map(|i| i.as_i64()).collect::<Vec<_>>());
        let want = Record::new().with("indices", vector(indices.unwrap_or_default()));
        cases.push(case(&row, inputs, want, Tolerance::EXACT));
    }
    cases
}
