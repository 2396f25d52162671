//! Worked examples of scores: SciPy, statsmodels and scikit-learn.

use crate::reference::{by_hand, case, exactly, list, many, rows, series, tensor};
use crate::series::{filled, vector};
use offload_api::{Record, Value};
use offload_core::{Case, Expect, Tolerance};

/// Values of a series that no group of a device goes through alone.
const LONG: usize = 4500;

pub(super) fn cases() -> Vec<Case> {
    let word = |w: &str| Value::Text(w.into());
    let of = |data: Value| Record::new().with("data", data);
    let found = |indices: &[i64], scores: &[f64]| {
        exactly(
            Record::new()
                .with("series", vector(vec![0i64; indices.len()]))
                .with("indices", vector(indices.to_vec()))
                .with("scores", vector(scores.to_vec())),
        )
    };
    let none = || found(&[], &[]);
    let plain = || of(series(&[1.0, 2.0, 3.0, 4.0, 5.0]));
    let shuffled: Vec<f64> = (0..LONG).map(|i| ((i * 7919 + 13) % LONG) as f64).collect();
    let mut ends = [0.0, (LONG - 1) as f64]
        .map(|end| shuffled.iter().position(|x| *x == end).unwrap_or_default() as i64);
    ends.sort_unstable();
    let below = 9000.0f64;
    let mut with_outlier: Vec<f64> = (0..9000).map(|i| ((i * 7919) % 9000) as f64).collect();
    with_outlier.insert(4321, 1e6);
    // Series of several groups, each a multiple of the same.
    let ramps = || {
        let values: Vec<f64> = (0..20 * 9).map(|i| ((i / 9 + 1) * (i % 9)) as f64).collect();
        of(many(&values, 9)).with("all_scores", Value::Bool(true))
    };
    let ramp_scores = |score: f64| {
        let scores = (0..20 * 9).map(|i| if i % 9 < 4 { 0.0 } else { score }).collect();
        let scores = Record::new().with("all_scores", Value::Tensor(filled(vec![20, 9], scores)));
        Expect::Outputs(scores, Tolerance::new(0.0, 1e-15))
    };
    let mut cases = vec![
        by_hand(
            "a spike among few",
            of(series(&[1.0, 2.0, 1.0, 0.0, 9.0, 1.0, 2.0])),
            // The median is 1, the median of the distances 1: 8 deviations of 1.4826.
            Expect::Outputs(
                Record::new()
                    .with("series", vector(vec![0i64]))
                    .with("indices", vector(vec![4i64]))
                    .with("scores", vector(vec![8.0 / 1.482_602_218_505_602])),
                Tolerance::new(0.0, 1e-15),
            ),
        ),
        by_hand("all the same", of(series(&[7.0; 9])), none()),
        by_hand("all the same, clipped", of(series(&[0.1; 9])).with("method", word("zscore")), none()),
        by_hand("all the same, in a forest", of(series(&[0.1; 9])).with("method", word("isolation")), none()),
        by_hand(
            "all the same, with a season",
            of(series(&[-3.3; 20])).with("method", word("stl")).with("period", Value::Int(4)),
            none(),
        ),
        by_hand("all the same, before", of(series(&[0.3; 20])).with("window", Value::Int(4)), none()),
        by_hand(
            "a change after all the same is one, in roundings of its size",
            of(series(&[1.0, 1.0, 1.0, 1.0, 1.5])).with("window", Value::Int(4)),
            found(&[4], &[0.5 / (4.0 * f64::EPSILON)]),
        ),
        by_hand(
            "more than half are one: the mean deviation counts",
            of(series(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0])),
            // The mean distance is 0.8.
            Expect::Outputs(
                Record::new()
                    .with("indices", vector(vec![9i64]))
                    .with("scores", vector(vec![10.0 / 1.253_314_137_315_500_1])),
                Tolerance::new(0.0, 1e-15),
            ),
        ),
        by_hand(
            "two seasons are their own season",
            of(series(&[0.1, 5.3, -2.0, 0.7, 0.2, 5.1, -2.2, 0.9]))
                .with("method", word("stl"))
                .with("period", Value::Int(4)),
            none(),
        ),
        by_hand("no values", of(series(&[])), none()),
        by_hand("one value", of(series(&[3.0])), none()),
        by_hand("one value in a forest", of(series(&[3.0])).with("method", word("isolation")), none()),
        by_hand("fewer values than the window", plain().with("window", Value::Int(9)), none()),
        by_hand(
            "two series",
            of(many(&[0.0, 1.0, 0.0, 2.0, 50.0, 3.0, 4.0, -70.0, 4.0, 5.0], 5))
                .with("threshold", Value::Float(20.0)),
            Expect::Outputs(
                Record::new().with("series", vector(vec![0i64, 1])).with("indices", vector(vec![4i64, 2])),
                Tolerance::EXACT,
            ),
        ),
        by_hand(
            "scores of all values",
            plain().with("all_scores", Value::Bool(true)).with("threshold", Value::Float(1.0)),
            Expect::Outputs(
                Record::new().with("indices", vector(vec![0i64, 4])).with(
                    "all_scores",
                    vector([2.0, 1.0, 0.0, 1.0, 2.0].map(|d| d / 1.482_602_218_505_602).to_vec()),
                ),
                Tolerance::new(0.0, 1e-15),
            ),
        ),
        by_hand(
            "the ends of a long series in no order",
            of(series(&shuffled)).with("threshold", Value::Float(1.3485)),
            // The median of 0 to 4499 is 2249.5, that of the distances from it 1125.
            Expect::Outputs(
                Record::new()
                    .with("indices", vector(ends.to_vec()))
                    .with("scores", vector(vec![2249.5 / 1125.0 / 1.482_602_218_505_602; 2])),
                Tolerance::new(0.0, 1e-15),
            ),
        ),
        by_hand(
            "an outlier of a long series goes, and the others stay",
            of(series(&with_outlier)).with("method", word("zscore")),
            // Of the whole numbers below n the mean is (n - 1) / 2, and the variance (n² - 1) / 12.
            Expect::Outputs(
                Record::new().with("indices", vector(vec![4321i64])).with(
                    "scores",
                    vector(vec![(1e6 - (below - 1.0) / 2.0) / ((below * below - 1.0) / 12.0).sqrt()]),
                ),
                Tolerance::new(0.0, 1e-13),
            ),
        ),
        by_hand(
            "ramps, against the medians before",
            ramps().with("method", word("mad")).with("window", Value::Int(4)),
            // 2.5 from the median, 0.5 and 1.5 from which the four are.
            ramp_scores(2.5 / 1.482_602_218_505_602),
        ),
        by_hand(
            "ramps, against the means before",
            ramps().with("method", word("zscore")).with("window", Value::Int(4)),
            ramp_scores(2.5 / 1.25f64.sqrt()),
        ),
        by_hand(
            "more than half of those before are one",
            of(series(&[1.0, 3.0, 1.0, 1.0, 1.0, 4.0])).with("window", Value::Int(5)),
            // The mean distance is 0.4.
            Expect::Outputs(
                Record::new()
                    .with("indices", vector(vec![5i64]))
                    .with("scores", vector(vec![3.0 / 0.4 / 1.253_314_137_315_500_1])),
                Tolerance::new(0.0, 1e-15),
            ),
        ),
        by_hand("not a number", of(series(&[1.0, f64::NAN])), Expect::Unprocessable("not_finite")),
        by_hand("beyond the range", of(series(&[1.0, 1e300])), Expect::Unprocessable("out_of_range")),
        by_hand(
            "a season of unknown length",
            plain().with("method", word("stl")),
            Expect::Rejected("period"),
        ),
        by_hand(
            "a season longer than half of the series",
            plain().with("method", word("stl")).with("period", Value::Int(3)),
            Expect::Rejected("period"),
        ),
        by_hand("a season without stl", plain().with("period", Value::Int(2)), Expect::Rejected("period")),
        by_hand(
            "a window with a forest",
            plain().with("method", word("isolation")).with("window", Value::Int(3)),
            Expect::Rejected("window"),
        ),
        by_hand("trees without a forest", plain().with("trees", Value::Int(3)), Expect::Rejected("trees")),
        by_hand("a seed without a forest", plain().with("seed", Value::Int(3)), Expect::Rejected("seed")),
        by_hand(
            "samples without a forest",
            plain().with("samples", Value::Int(3)),
            Expect::Rejected("samples"),
        ),
        by_hand(
            "a threshold that no forest reaches",
            plain().with("method", word("isolation")).with("threshold", Value::Float(3.5)),
            Expect::Rejected("threshold"),
        ),
        by_hand("a cube", of(Value::Tensor(filled(vec![1, 1, 1], vec![1.0]))), Expect::Rejected("data")),
    ];
    for row in rows(include_str!("../../data/anomaly_detection.json")) {
        let mut inputs = of(Value::Tensor(tensor(&row["data"])))
            .with("method", word(row["method"].as_str().unwrap_or_default()))
            .with("all_scores", Value::Bool(true));
        for name in ["period", "window", "trees"] {
            if let Some(v) = row[name].as_i64() {
                inputs.set(name, Value::Int(v));
            }
        }
        let want = Record::new().with("all_scores", Value::Tensor(tensor(&row["scores"])));
        // Two forests are two draws: 500 trees leave a few hundredths. Regressions are sums in another order.
        let near = match row["method"].as_str() {
            Some("isolation") => Tolerance::new(0.05, 0.0),
            Some("stl") => Tolerance::new(1e-8, 1e-8),
            _ => Tolerance::new(1e-9, 1e-9),
        };
        cases.push(case(&row, inputs.clone(), want, near));
        if row["name"] == "a season of 4, stl" {
            let twice = |json| {
                let once = list(json);
                many(&[&once[..], &once[..]].concat(), once.len())
            };
            inputs.set("data", twice(&row["data"]));
            let mut both = case(&row, inputs, Record::new().with("all_scores", twice(&row["scores"])), near);
            both.name.push_str(", of two series");
            cases.push(both);
        }
    }
    cases
}

/// Values of 32 bits give what the same numbers in 64 give.
#[cfg(test)]
#[test]
fn values_of_32_bits_are_the_same_numbers() {
    use offload_api::Tensor;
    use offload_core::{AnyOperation, Context};
    let x: Vec<f32> = (0..300).map(|i| ((i * 37) % 101) as f32 / 8.0).collect();
    let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
    let run = |t: Tensor| {
        let inputs = Record::new().with("data", Value::Tensor(t)).with("all_scores", Value::Bool(true));
        super::AnomalyDetection.cpu(inputs, &Context::default())
    };
    assert_eq!(run(Tensor::vector(x)), run(Tensor::vector(wide)));
}
