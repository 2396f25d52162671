//! Forecasts of real tables: better than the last value, and as good as statsmodels' by the same method.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::Forecast;
use serde_json::Value as Json;

fn table(name: &str) -> Vec<f64> {
    let file = match name {
        "nile" => include_str!("../data/nile.json"),
        "sunspots" => include_str!("../data/sunspots.json"),
        _ => include_str!("../data/co2.json"),
    };
    let json: Json = serde_json::from_str(file).unwrap();
    let sent: Vec<Option<f64>> = json["values"].as_array().unwrap().iter().map(Json::as_f64).collect();
    // Missing values lie on the line between those around them, as pandas.Series.interpolate puts them.
    let known: Vec<(usize, f64)> = sent.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))).collect();
    let mut values = vec![0.0; sent.len()];
    for pair in known.windows(2) {
        let ((i, a), (j, b)) = (pair[0], pair[1]);
        (i..=j).for_each(|k| values[k] = a + (b - a) * (k - i) as f64 / (j - i) as f64);
    }
    values
}

struct Tried {
    mae: f64,
    rmse: f64,
    model: String,
}

fn tried(y: &[f64], horizon: i64, origins: i64, period: Option<i64>, method: &str) -> Tried {
    let mut inputs = Record::new()
        .with("history", Value::Tensor(Tensor::vector(y.to_vec())))
        .with("horizon", Value::Int(horizon))
        .with("origins", Value::Int(origins))
        .with("method", Value::Text(method.into()));
    if let Some(period) = period {
        inputs.set("period", Value::Int(period));
    }
    let out = Forecast.cpu(inputs, &Context::default()).unwrap();
    let figure = |name: &str| match out.get(name) {
        Some(Value::Gapped(t)) => t.as_slice::<f64>().unwrap()[0],
        other => panic!("{name} is {other:?}"),
    };
    let Some(Value::Json(model)) = out.get("model") else { panic!("no model") };
    Tried { mae: figure("mae"), rmse: figure("rmse"), model: model.to_string() }
}

#[test]
fn errors_are_within_a_tenth_of_those_of_statsmodels_by_the_same_method() {
    let figures: Json = serde_json::from_str(include_str!("../data/forecast.json")).unwrap();
    let mut held = 0;
    let mut over = Vec::new();
    for row in figures["rows"].as_array().unwrap() {
        let Some(name) = row["table"].as_str() else { continue };
        let of = |key: &str| row[key].as_i64();
        let method = row["method"].as_str().unwrap();
        let got = tried(&table(name), of("horizon").unwrap(), of("origins").unwrap(), of("period"), method);
        let (mae, rmse) = (row["mae"].as_f64().unwrap(), row["rmse"].as_f64().unwrap());
        println!(
            "{name}, {} ahead, {method}: mae {:.4} of {mae:.4}, rmse {:.4} of {rmse:.4} ({} against {})",
            of("horizon").unwrap(),
            got.mae,
            got.rmse,
            got.model,
            row["by"]
        );
        if got.mae > 1.1 * mae || got.rmse > 1.1 * rmse {
            over.push(format!("{name} {method}: {} of {mae}, {} of {rmse}", got.mae, got.rmse));
        }
        held += 1;
    }
    assert!(over.is_empty(), "{over:?}");
    assert_eq!(held, 7);
}

#[test]
fn the_method_that_is_chosen_beats_the_last_value() {
    for (name, horizon, period) in
        [("nile", 5, None), ("sunspots", 5, None), ("sunspots", 11, Some(11)), ("co2", 26, Some(52))]
    {
        let y = table(name);
        let (auto, naive) = (tried(&y, horizon, 4, period, "auto"), tried(&y, horizon, 4, period, "naive"));
        println!("{name}, {horizon} ahead: auto {:.4} ({}), naive {:.4}", auto.mae, auto.model, naive.mae);
        assert!(auto.mae < 0.95 * naive.mae && auto.rmse < naive.rmse, "{name}: {} {}", auto.mae, naive.mae);
    }
}

#[test]
fn a_network_beats_the_last_value_where_there_is_something_to_learn() {
    for (name, horizon, origins, period, most) in [
        // Little more than noise around a level that changed once: there is next to nothing to learn.
        ("nile", 5, 4, None, 1.1),
        ("sunspots", 11, 4, None, 0.75),
        ("co2", 26, 1, Some(52), 0.2),
    ] {
        let y = table(name);
        let (lstm, naive) =
            (tried(&y, horizon, origins, period, "lstm"), tried(&y, horizon, origins, period, "naive"));
        let season = period.map(|_| tried(&y, horizon, origins, period, "seasonal_naive").mae);
        println!(
            "{name}, {horizon} ahead, period {period:?}: lstm {:.4}/{:.4} ({}), naive {:.4}/{:.4}, season {season:?}",
            lstm.mae, lstm.rmse, lstm.model, naive.mae, naive.rmse
        );
        assert!(season.is_none_or(|mae| lstm.mae < 0.5 * mae), "{name}: {} {season:?}", lstm.mae);
        assert!(
            lstm.mae < most * naive.mae && lstm.rmse < most * naive.rmse,
            "{name}: {} {}",
            lstm.mae,
            naive.mae
        );
    }
}

#[test]
fn a_network_learns_a_sine() {
    let sine = |i: usize| 10.0 + 3.0 * (i as f64 * std::f64::consts::TAU / 25.3).sin();
    for noise in [0.0, 0.5] {
        let mut state = 3u64;
        let mut unit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let y: Vec<f64> = (0..600).map(|i| sine(i) + noise * (12.0f64).sqrt() * (unit() - 0.5)).collect();
        let inputs = Record::new()
            .with("history", Value::Tensor(Tensor::vector(y)))
            .with("horizon", Value::Int(50))
            .with("origins", Value::Int(0))
            .with("steps", Value::Int(300))
            .with("method", Value::Text("lstm".into()));
        let out = Forecast.cpu(inputs, &Context::default()).unwrap();
        let Some(Value::Tensor(values)) = out.get("values") else { panic!("no values") };
        let values = values.as_slice::<f64>().unwrap();
        let off = values.iter().enumerate().map(|(i, v)| (v - sine(600 + i)).abs()).sum::<f64>() / 50.0;
        println!("noise {noise}: off by {off:.4} of a sine of 3");
        assert!(off < 0.1 + 0.6 * noise, "noise {noise}: {off}");
    }
}

#[test]
fn a_network_goes_on_with_what_never_changes_and_refuses_what_is_too_short() {
    let of = |y: Vec<f64>, period: Option<i64>| {
        let mut inputs = Record::new()
            .with("history", Value::Tensor(Tensor::vector(y)))
            .with("horizon", Value::Int(4))
            .with("method", Value::Text("lstm".into()));
        if let Some(period) = period {
            inputs.set("period", Value::Int(period));
        }
        Forecast.cpu(inputs, &Context::default())
    };
    let part = |out: &Record, name: &str| match out.get(name) {
        Some(Value::Tensor(t)) => t.as_slice::<f64>().unwrap().to_vec(),
        other => panic!("{other:?}"),
    };
    for y in [vec![7.5; 40], vec![0.0; 3], (0..50).map(|i| 3.0 - 0.5 * f64::from(i)).collect()] {
        let n = y.len();
        let step = y[1] - y[0];
        let out = of(y.clone(), None).unwrap();
        let want: Vec<f64> = (1..=4).map(|i| y[n - 1] + step * f64::from(i)).collect();
        for name in ["values", "lower", "upper"] {
            assert!(part(&out, name).iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-9), "{out:?}");
        }
    }
    // Squares have equal second differences, and a saw has a season.
    let squares = of((0..60).map(|i| f64::from(i * i)).collect(), None).unwrap();
    assert!(
        part(&squares, "values").iter().zip(60..).all(|(g, i)| (g - f64::from(i * i)).abs() < 1.0),
        "{squares:?}"
    );
    let saw = of((0..48).map(|i| f64::from(i % 4)).collect(), Some(4)).unwrap();
    assert!(part(&saw, "values").iter().zip(0..).all(|(g, i)| (g - f64::from(i)).abs() < 0.05), "{saw:?}");
    let short =
        of(vec![1.0, 3.0, 2.0, 5.0, 1.0, 2.0, 4.0, 1.0, 3.0, 2.0, 5.0, 2.0, 3.0, 1.0, 4.0, 2.0, 3.0], None);
    assert!(
        matches!(short, Err(offload_core::Failure::Unprocessable { reason: "no_model", .. })),
        "{short:?}"
    );
}

#[test]
fn intervals_hold_about_as_much_as_they_say() {
    // A walk at random, and noise around a level: both are what a model of smoothing assumes.
    let mut state = 5u64;
    let mut normal = || {
        (0..12)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 53) as f64
            })
            .sum::<f64>()
            - 6.0
    };
    for (method, walk, rows) in [
        ("holt_winters", true, 200),
        ("holt_winters", false, 200),
        ("arima", true, 80),
        ("naive", true, 200),
        ("lstm", true, 20),
        ("lstm", false, 20),
    ] {
        let (n, horizon) = (120, 6);
        let mut history = Vec::new();
        let mut future = Vec::new();
        for _ in 0..rows {
            let mut level = 50.0;
            for i in 0..n + horizon {
                let e = normal();
                if walk {
                    level += e;
                }
                let y = if walk { level } else { level + e };
                if i < n { history.push(y) } else { future.push(y) }
            }
        }
        let inputs = Record::new()
            .with("history", Value::Tensor(Tensor::new([rows, n], history).unwrap()))
            .with("horizon", Value::Int(horizon as i64))
            .with("origins", Value::Int(0))
            .with("level", Value::Float(0.8))
            .with("method", Value::Text(method.into()));
        let inputs = if method == "lstm" { inputs.with("steps", Value::Int(50)) } else { inputs };
        let out = Forecast.cpu(inputs, &Context::default()).unwrap();
        let part = |name: &str| match out.get(name) {
            Some(Value::Tensor(t)) => t.as_slice::<f64>().unwrap().to_vec(),
            other => panic!("{other:?}"),
        };
        let (lower, upper) = (part("lower"), part("upper"));
        let held =
            future.iter().zip(lower.iter().zip(&upper)).filter(|(y, (l, u))| *l <= y && y <= u).count();
        let share = held as f64 / future.len() as f64;
        println!("{method}, walk {walk}: {share:.3} of 0.8");
        assert!((0.70..=0.88).contains(&share), "{method}, walk {walk}: {share}");
    }
}

#[test]
fn intervals_widen_and_hold_the_values() {
    let y: Vec<f64> = (0..24).map(|i| f64::from(i % 4) * 0.3 + (f64::from(i) * 1.7).sin()).collect();
    for method in ["naive", "seasonal_naive", "holt_winters", "arima"] {
        let inputs = Record::new()
            .with("history", Value::Tensor(Tensor::vector(y.clone())))
            .with("horizon", Value::Int(8))
            .with("period", Value::Int(4))
            .with("method", Value::Text(method.into()));
        let out = Forecast.cpu(inputs, &Context::default()).unwrap();
        let part = |name: &str| match out.get(name) {
            Some(Value::Tensor(t)) => t.as_slice::<f64>().unwrap().to_vec(),
            other => panic!("{other:?}"),
        };
        let (v, l, u) = (part("values"), part("lower"), part("upper"));
        assert!(v.len() == 8 && v.iter().zip(l.iter().zip(&u)).all(|(v, (l, u))| l < v && v < u), "{method}");
        let wide: Vec<f64> = u.iter().zip(&l).map(|(u, l)| u - l).collect();
        assert!(wide.windows(2).all(|w| w[1] >= w[0] * (1.0 - 1e-12)), "{method}: {wide:?}");
    }
}
