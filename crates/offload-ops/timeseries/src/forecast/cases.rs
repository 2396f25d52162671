//! Worked examples of forecasts: closed forms of the simple methods, statsmodels' forecasts of the same models.

use crate::reference::{by_hand, case, many, rows, series, tensor};
use crate::series::{filled, vector};
use offload_api::{Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Half of the width of an interval of 95%, in standard deviations: the 0.975 quantile, from a table.
const Z95: f64 = 1.959_963_984_540_054;

pub(super) fn cases() -> Vec<Case> {
    let word = |w: &str| Value::Text(w.into());
    let text = |w: Json| Value::Json(Arc::new(w));
    let of = |data: Value, horizon, method: &str| {
        Record::new().with("history", data).with("horizon", Value::Int(horizon)).with("method", word(method))
    };
    let number = |v: f64| Value::Gapped(Tensor::scalar(v));
    let near = |outputs| Expect::Outputs(outputs, Tolerance::new(1e-12, 1e-12));
    let ramp: Vec<f64> = (0..20).map(f64::from).collect();
    let saw: Vec<f64> = (0..24).map(|i| f64::from(i % 4)).collect();
    let short = || of(series(&[1.0, 3.0, 2.0]), 2, "naive");
    // Changes of 2 and −1: a variance of 2.5 for one step, of 5 for two.
    let (one, two) = (Z95 * 2.5f64.sqrt(), Z95 * 5f64.sqrt());
    let mut cases = vec![
        by_hand(
            "the last value, and how far it may be off",
            short(),
            near(
                Record::new()
                    .with("values", vector(vec![2.0, 2.0]))
                    .with("lower", vector(vec![2.0 - one, 2.0 - two]))
                    .with("upper", vector(vec![2.0 + one, 2.0 + two]))
                    .with("method", text(json!("naive")))
                    .with("mae", number(f64::NAN)),
            ),
        ),
        by_hand(
            "the last value of a ramp was always off by the steps ahead",
            of(series(&ramp), 2, "naive"),
            // Errors of 1 and 2 from each place; the change from one value to the next is 1.
            near(
                Record::new()
                    .with("mae", number(1.5))
                    .with("rmse", number(2.5f64.sqrt()))
                    .with("mase", number(1.5)),
            ),
        ),
        by_hand(
            "without places to try from there are no errors",
            of(series(&ramp), 2, "naive").with("origins", Value::Int(0)),
            near(
                Record::new()
                    .with("values", vector(vec![19.0, 19.0]))
                    .with("mae", number(f64::NAN))
                    .with("rmse", number(f64::NAN))
                    .with("mase", number(f64::NAN)),
            ),
        ),
        by_hand(
            "the last season",
            of(series(&saw), 6, "seasonal_naive").with("period", Value::Int(4)),
            near(
                Record::new()
                    .with("values", vector(vec![0.0, 1.0, 2.0, 3.0, 0.0, 1.0]))
                    .with("upper", vector(vec![0.0, 1.0, 2.0, 3.0, 0.0, 1.0]))
                    .with("mae", number(0.0))
                    // Nothing changes from season to season, so there is nothing to compare with.
                    .with("mase", number(f64::NAN)),
            ),
        ),
        by_hand(
            "errors of the seasons add up once in a season",
            of(series(&[0.0, 0.0, 1.0, -1.0]), 4, "seasonal_naive").with("period", Value::Int(2)),
            near(Record::new().with("values", vector(vec![1.0, -1.0, 1.0, -1.0])).with(
                "upper",
                vector(vec![1.0 + Z95, -1.0 + Z95, 1.0 + Z95 * 2f64.sqrt(), -1.0 + Z95 * 2f64.sqrt()]),
            )),
        ),
        by_hand(
            "half of what may come",
            short().with("level", Value::Float(0.5)),
            near(Record::new().with(
                "upper",
                vector(vec![
                    2.0 + 0.674_489_750_196_081_7 * 2.5f64.sqrt(),
                    2.0 + 0.674_489_750_196_081_7 * 5f64.sqrt(),
                ]),
            )),
        ),
        by_hand(
            "two series, each with its method",
            Record::new()
                .with("history", many(&[1.0, 2.0, 3.0, 5.0, 5.0, 5.0], 3))
                .with("horizon", Value::Int(1))
                .with("method", word("naive")),
            near(
                Record::new()
                    .with("values", Value::Tensor(filled(vec![2, 1], vec![3.0, 5.0])))
                    .with("method", text(json!(["naive", "naive"])))
                    .with("mae", Value::Gapped(Tensor::vector(vec![f64::NAN, f64::NAN]))),
            ),
        ),
        by_hand(
            "no series",
            Record::new()
                .with("history", Value::Tensor(filled(vec![0, 3], Vec::<f64>::new())))
                .with("horizon", Value::Int(2)),
            near(
                Record::new()
                    .with("values", Value::Tensor(filled(vec![0, 2], Vec::<f64>::new())))
                    .with("method", text(json!([]))),
            ),
        ),
        by_hand(
            "a line goes on as it was",
            of(series(&ramp), 3, "holt_winters"),
            Expect::Outputs(
                Record::new().with("values", vector(vec![20.0, 21.0, 22.0])),
                Tolerance::new(1e-3, 0.0),
            ),
        ),
        by_hand(
            "growth by a tenth goes on as it was",
            of(series(&(0..40).map(|i| 1.1f64.powi(i)).collect::<Vec<_>>()), 2, "holt_winters"),
            Expect::Outputs(
                Record::new().with("values", vector(vec![1.1f64.powi(40), 1.1f64.powi(41)])),
                Tolerance::new(0.0, 1e-3),
            ),
        ),
        by_hand(
            "all the same stay the same",
            of(series(&[3.5; 30]), 2, "auto"),
            near(
                Record::new()
                    .with("values", vector(vec![3.5, 3.5]))
                    .with("lower", vector(vec![3.5, 3.5]))
                    .with("upper", vector(vec![3.5, 3.5]))
                    .with("method", text(json!("naive"))),
            ),
        ),
        by_hand(
            "not a number",
            of(series(&[1.0, f64::NAN, 2.0]), 1, "auto"),
            Expect::Unprocessable("not_finite"),
        ),
        by_hand(
            "beyond the range",
            of(series(&[1.0, 1e120, 2.0]), 1, "auto"),
            Expect::Unprocessable("out_of_range"),
        ),
        by_hand(
            "too few values for arima",
            of(series(&ramp[..11]), 1, "arima"),
            Expect::Unprocessable("no_model"),
        ),
        by_hand("one value", of(series(&[1.0]), 1, "auto"), Expect::Rejected("history")),
        by_hand("no values", of(series(&[]), 1, "auto"), Expect::Rejected("history")),
        by_hand(
            "fewer than two seasons",
            of(series(&ramp), 1, "auto").with("period", Value::Int(11)),
            Expect::Rejected("history"),
        ),
        by_hand(
            "a season of unknown length",
            of(series(&ramp), 1, "seasonal_naive"),
            Expect::Rejected("period"),
        ),
        by_hand(
            "too few values for a network",
            of(series(&saw[..17]), 1, "lstm"),
            Expect::Unprocessable("no_model"),
        ),
        by_hand(
            "a seed without a network",
            of(series(&ramp), 1, "arima").with("seed", Value::Int(1)),
            Expect::Rejected("seed"),
        ),
        by_hand(
            "steps without a network",
            of(series(&ramp), 1, "auto").with("steps", Value::Int(1)),
            Expect::Rejected("steps"),
        ),
        by_hand(
            "a cube",
            of(Value::Tensor(filled(vec![1, 1, 2], vec![1.0, 2.0])), 1, "auto"),
            Expect::Rejected("history"),
        ),
    ];
    for row in rows(include_str!("../../data/forecast.json")) {
        // The other rows are errors on whole tables, which `tests/forecast.rs` holds.
        if row["values"].is_null() {
            continue;
        }
        let mut inputs =
            of(Value::Tensor(tensor(&row["data"])), 12, row["method"].as_str().unwrap_or_default());
        if let Some(period) = row["period"].as_i64() {
            inputs.set("period", Value::Int(period));
        }
        let want = Record::new().with("values", Value::Tensor(tensor(&row["values"])));
        // Both maximise the same likelihood; where they stop differs a little, and seasons are free to share a level.
        cases.push(case(&row, inputs, want, Tolerance::new(0.05, 0.005)));
    }
    for row in rows(include_str!("../../data/lstm.json")) {
        // The first row is of one batch, which `src/lstm/train.rs` holds.
        let (Some(steps), Some(horizon)) = (row["steps"].as_i64(), row["horizon"].as_i64()) else { continue };
        let of_row = |name: &str| {
            row[name].as_array().into_iter().flatten().filter_map(Json::as_f64).collect::<Vec<_>>()
        };
        let inputs = of(series(&of_row("data")), horizon, "lstm")
            .with("steps", Value::Int(steps))
            .with("origins", Value::Int(0));
        let values = of_row("values");
        let upper = values.iter().zip(of_row("deviations")).map(|(v, d)| v + Z95 * d).collect();
        let want = Record::new().with("values", vector(values)).with("upper", vector(upper));
        // The same in double precision; learning multiplies what single precision rounds off.
        cases.push(case(&row, inputs, want, Tolerance::new(2e-4, 1e-4)));
    }
    cases
}
