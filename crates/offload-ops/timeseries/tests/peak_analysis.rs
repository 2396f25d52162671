//! What a plan promises about memory, held against an allocator that counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::*;
use peak_alloc::PeakAlloc;
use serde_json::json;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn noise(n: usize) -> Vec<f64> {
    let mut state = 88_172_645_463_325_252u64;
    (0..n)
        .map(|i| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64 + (i as f64 * 0.2).sin()
        })
        .collect()
}

/// One test, because all tests of a process share the allocator.
#[test]
fn no_operation_takes_more_memory_than_its_plan_says() {
    rayon::broadcast(|_| ());
    let word = |w: &str| Value::Text(w.into());
    let statistic = |name: &str| Value::Json(Arc::new(json!([name])));
    let mut over = Vec::new();
    for (series, n, narrow) in [
        (1, 40, false),
        (1, 2000, true),
        (1, 150_000, false),
        (1, 150_000, true),
        (4, 150, false),
        (300, 100, false),
        (12, 20_000, true),
    ] {
        let values = || {
            let all = noise(series * n);
            let shape = if series == 1 { vec![n] } else { vec![series, n] };
            Value::Tensor(if narrow {
                Tensor::new(shape, all.iter().map(|v| *v as f32).collect::<Vec<f32>>()).unwrap()
            } else {
                Tensor::new(shape, all).unwrap()
            })
        };
        let data = || Record::new().with("data", values());
        let anomalies =
            |method: &str| data().with("method", word(method)).with("threshold", Value::Float(0.0));
        let history = |method: &str| {
            Record::new()
                .with("history", values())
                .with("horizon", Value::Int(9))
                .with("method", word(method))
        };
        let mut jobs: Vec<(&dyn AnyOperation, Record)> = Vec::new();
        for window in [1, 37, n as i64] {
            for name in ["mean", "std", "min", "median"] {
                jobs.push((
                    &Rolling,
                    data().with("window", Value::Int(window)).with("statistics", statistic(name)),
                ));
            }
        }
        jobs.extend([
            (&Downsample as &dyn AnyOperation, data().with("points", Value::Int(30))),
            (&AnomalyDetection, anomalies("mad")),
            (&AnomalyDetection, anomalies("mad").with("all_scores", Value::Bool(true))),
            (&AnomalyDetection, anomalies("zscore")),
            (&AnomalyDetection, anomalies("mad").with("window", Value::Int(30))),
            (&AnomalyDetection, anomalies("zscore").with("window", Value::Int(30))),
            (&AnomalyDetection, anomalies("zscore").with("window", Value::Int(60_000))),
            (&AnomalyDetection, anomalies("stl").with("period", Value::Int(2))),
            (&AnomalyDetection, anomalies("stl").with("period", Value::Int(20))),
            (&AnomalyDetection, anomalies("isolation")),
            (&Correlate, Record::new().with("a", values())),
            (
                &Correlate,
                Record::new().with("a", values()).with("b", values()).with("max_lag", Value::Int(500)),
            ),
            (&Forecast, history("naive")),
        ]);
        if series * n <= 2000 {
            jobs.extend([
                (
                    &Forecast as &dyn AnyOperation,
                    history("holt_winters").with("origins", Value::Int(2)).with("period", Value::Int(4)),
                ),
                (&Forecast, history("arima").with("origins", Value::Int(2)).with("period", Value::Int(20))),
            ]);
        }
        if series * n <= 20_000 * 12 && n > 100 {
            let lstm = history("lstm").with("steps", Value::Int(2)).with("origins", Value::Int(1));
            jobs.extend([
                (&Forecast as &dyn AnyOperation, lstm.clone()),
                (&Forecast, lstm.with("period", Value::Int(20))),
            ]);
        }
        if series == 1 {
            let query = |m: usize| Value::Tensor(Tensor::vector(noise(m)));
            jobs.extend([
                (&Match as &dyn AnyOperation, data().with("query", query(20))),
                (&Match, data().with("query", query(n.min(5000))).with("profile", Value::Bool(true))),
            ]);
            if n <= 2000 {
                jobs.push((&Match, data().with("window", Value::Int(16)).with("profile", Value::Bool(true))));
            }
        }
        for (operation, inputs) in jobs {
            let plan = operation.plan(inputs.specs()).unwrap();
            let shown = format!(
                "{} [{series}, {n}] {:?}",
                operation.about().name,
                inputs.iter().filter(|(_, v)| !matches!(v, Value::Tensor(_))).collect::<Vec<_>>()
            );
            let before = ALLOCATOR.current_usage();
            ALLOCATOR.reset_peak_usage();
            let out = operation.cpu(inputs, &Context::default());
            let peak = ALLOCATOR.peak_usage().saturating_sub(before) as u64;
            assert!(out.is_ok(), "{shown}: {:?}", out.err());
            if peak > plan.host_bytes {
                over.push(format!("{shown}: peak {peak}, plan {}", plan.host_bytes));
            }
        }
    }
    assert!(over.is_empty(), "{} over:\n{}", over.len(), over.join("\n"));
}
