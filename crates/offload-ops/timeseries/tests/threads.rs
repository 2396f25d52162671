//! Answers do not depend on how many threads there are, and long jobs stop when they are asked to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Cancel, Context, Failure, Progress};
use offload_ops_timeseries::*;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn noise(n: usize, mut state: u64) -> Vec<f64> {
    (0..n)
        .map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 + (i as f64 * 0.2).sin()
        })
        .collect()
}

fn one(n: usize) -> Value {
    Value::Tensor(Tensor::vector(noise(n, 7)))
}

fn many(series: usize, n: usize) -> Value {
    Value::Tensor(Tensor::new([series, n], noise(series * n, 11)).unwrap())
}

fn word(w: &str) -> Value {
    Value::Text(w.into())
}

fn statistics() -> Value {
    Value::Json(Arc::new(json!(["mean", "std", "var", "min", "max", "sum", "median"])))
}

#[test]
fn the_bits_are_the_same_with_one_thread_and_with_many() {
    let data = |v: Value| Record::new().with("data", v);
    let history = |v: Value| Record::new().with("history", v).with("horizon", Value::Int(7));
    let jobs: Vec<(&dyn AnyOperation, Record)> = vec![
        (&Rolling, data(one(200_000)).with("window", Value::Int(1000)).with("statistics", statistics())),
        (&Rolling, data(many(50, 900)).with("window", Value::Int(7)).with("statistics", statistics())),
        (&Downsample, data(many(40, 3000)).with("points", Value::Int(200))),
        (&AnomalyDetection, data(one(100_000))),
        (&AnomalyDetection, data(one(100_000)).with("method", word("zscore"))),
        (&AnomalyDetection, data(one(60_000)).with("window", Value::Int(50))),
        (&AnomalyDetection, data(one(60_000)).with("method", word("zscore")).with("window", Value::Int(50))),
        (&AnomalyDetection, data(one(60_000)).with("method", word("stl")).with("period", Value::Int(31))),
        (&AnomalyDetection, data(many(9, 800)).with("method", word("isolation"))),
        (&Forecast, history(many(2, 90)).with("period", Value::Int(12))),
        (&Forecast, history(many(2, 150)).with("method", word("arima")).with("period", Value::Int(31))),
        (&Forecast, history(many(2, 120)).with("method", word("lstm")).with("steps", Value::Int(30))),
        (&Correlate, Record::new().with("a", one(40_000)).with("b", one(40_000))),
        (&Match, data(one(50_000)).with("query", one(300)).with("profile", Value::Bool(true))),
        (&Match, data(one(3000)).with("window", Value::Int(40)).with("profile", Value::Bool(true))),
    ];
    for (operation, inputs) in jobs {
        let inputs = match operation.about().name {
            "anomaly_detection" => inputs.with("all_scores", Value::Bool(true)),
            _ => inputs,
        };
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| operation.cpu(inputs.clone(), &Context::default())).unwrap()
        };
        let bits = |r: &Record| -> Vec<(&'static str, Vec<u8>, String)> {
            r.iter()
                .map(|(name, v)| match v {
                    Value::Tensor(t) | Value::Gapped(t) => {
                        (name, t.data().as_bytes().to_vec(), String::new())
                    }
                    other => (name, Vec::new(), format!("{other:?}")),
                })
                .collect()
        };
        let alone = bits(&with(1));
        for threads in [2, 5] {
            assert!(bits(&with(threads)) == alone, "{} with {threads} threads", operation.about().name);
        }
    }
}

#[test]
fn a_long_job_stops() {
    let data = |v: Value| Record::new().with("data", v);
    // Each takes seconds when nobody stops it.
    let jobs: Vec<(&dyn AnyOperation, Record)> = vec![
        (
            &Rolling,
            data(many(30, 1_000_000)).with("window", Value::Int(300_000)).with("statistics", statistics()),
        ),
        (&AnomalyDetection, data(one(4_000_000)).with("method", word("stl")).with("period", Value::Int(24))),
        (&AnomalyDetection, data(one(4_000_000)).with("method", word("isolation"))),
        (&AnomalyDetection, data(one(4_000_000)).with("window", Value::Int(5000))),
        (
            &Forecast,
            Record::new()
                .with("history", many(200, 2000))
                .with("horizon", Value::Int(20))
                .with("period", Value::Int(12)),
        ),
        (
            &Forecast,
            Record::new()
                .with("history", many(200, 2000))
                .with("horizon", Value::Int(9))
                .with("method", word("lstm")),
        ),
        (&Correlate, Record::new().with("a", one(4_000_000)).with("b", one(4_000_000))),
        (&Match, data(one(120_000)).with("window", Value::Int(100))),
    ];
    for (operation, inputs) in jobs {
        let cancel = Cancel::new();
        let ctx = Context::new(cancel.clone(), Progress::new());
        let got = std::thread::scope(|s| {
            s.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            operation.cpu(inputs, &ctx)
        });
        assert_eq!(got.err(), Some(Failure::Cancelled), "{}", operation.about().name);
    }
}
