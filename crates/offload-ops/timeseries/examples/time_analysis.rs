//! Times the operations on a million values and forecasts of ten thousand, as medians of five runs:
//! `cargo run --release -p offload-ops-timeseries --example time_analysis`.

#![allow(clippy::unwrap_used, reason = "an example fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::*;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

fn walk(n: usize) -> Vec<f64> {
    let mut state = 1u64;
    let mut level = 0.0;
    (0..n)
        .map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            level += (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            level + 10.0 * (i as f64 * std::f64::consts::TAU / 24.0).sin()
        })
        .collect()
}

fn main() {
    let of = |name: &'static str, n: usize| Record::new().with(name, Value::Tensor(Tensor::vector(walk(n))));
    let million = || of("data", 1_000_000);
    let word = |w: &str| Value::Text(w.into());
    let int = Value::Int;
    let rolling = |name: &str, w| {
        million().with("window", int(w)).with("statistics", Value::Json(Arc::new(json!([name]))))
    };
    let forecast = |method: &str| {
        of("history", 10_000).with("horizon", int(100)).with("method", word(method)).with("origins", int(0))
    };
    let tensor = |n| Value::Tensor(Tensor::vector(walk(n)));
    let jobs: Vec<(&str, &dyn AnyOperation, Record)> = vec![
        ("rolling mean of 100", &Rolling, rolling("mean", 100)),
        ("rolling std of 100", &Rolling, rolling("std", 100)),
        ("rolling median of 100", &Rolling, rolling("median", 100)),
        ("rolling median of 10000", &Rolling, rolling("median", 10_000)),
        ("downsample to 1000", &Downsample, million().with("points", int(1000))),
        ("mad", &AnomalyDetection, million()),
        ("mad of 100 before", &AnomalyDetection, million().with("window", int(100))),
        ("zscore", &AnomalyDetection, million().with("method", word("zscore"))),
        (
            "zscore of 100 before",
            &AnomalyDetection,
            million().with("method", word("zscore")).with("window", int(100)),
        ),
        ("stl of 24", &AnomalyDetection, million().with("method", word("stl")).with("period", int(24))),
        ("isolation", &AnomalyDetection, million().with("method", word("isolation"))),
        ("autocorrelation, 1000 lags", &Correlate, of("a", 1_000_000).with("max_lag", int(1000))),
        ("cross-correlation, all lags", &Correlate, of("a", 1_000_000).with("b", tensor(1_000_000))),
        ("match a query of 100", &Match, million().with("query", tensor(100))),
        ("match 10000 with itself, 100", &Match, of("data", 10_000).with("window", int(100))),
        ("forecast 10000, naive", &Forecast, forecast("naive")),
        ("forecast 10000, holt_winters", &Forecast, forecast("holt_winters")),
        ("forecast 10000, holt_winters of 12", &Forecast, forecast("holt_winters").with("period", int(12))),
        ("forecast 10000, holt_winters of 168", &Forecast, forecast("holt_winters").with("period", int(168))),
        ("forecast 10000, arima", &Forecast, forecast("arima")),
    ];
    for (name, operation, inputs) in jobs {
        let runs = if name.contains("12") || name.contains("arima") { 1 } else { 5 };
        let mut times: Vec<f64> = (0..runs)
            .map(|_| {
                let start = Instant::now();
                operation.cpu(inputs.clone(), &Context::default()).unwrap();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{name:40} {:10.2} ms", times[times.len() / 2]);
    }
}
