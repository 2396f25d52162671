//! Windows of long series, which are cut into runs for the threads, against each window on its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::{Downsample, Rolling};
use serde_json::json;
use std::sync::Arc;

/// Whole numbers and eighths, so that sums are exact; with many ties and, now and then, a huge value.
fn values(n: usize, mut state: u64) -> Vec<f64> {
    (0..n)
        .map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let v = ((state >> 40) % 4001) as f64 / 8.0 - 250.0;
            if i % 4999 == 17 { v * 1e9 } else { v }
        })
        .collect()
}

#[test]
fn every_window_of_a_long_series_is_as_if_it_were_alone() {
    let n = 50_000;
    let x = values(n, 3);
    let names = ["mean", "std", "min", "max", "sum", "median"];
    for (window, fewest) in
        [(1, 1), (2, 1), (7, 7), (500, 1), (501, 100), (16_384, 16_384), (20_000, 3), (50_000, 1)]
    {
        let inputs = Record::new()
            .with("data", Value::Tensor(Tensor::vector(x.clone())))
            .with("window", Value::Int(window as i64))
            .with("min_periods", Value::Int(fewest as i64))
            .with("statistics", Value::Json(Arc::new(json!(names))));
        let out = Rolling.cpu(inputs, &Context::default()).unwrap();
        let got: Vec<Vec<f64>> = names
            .iter()
            .map(|name| match out.get(name) {
                Some(Value::Gapped(t)) => t.as_slice::<f64>().unwrap().to_vec(),
                other => panic!("{other:?}"),
            })
            .collect();
        let near_ends =
            |i: usize| [0, 1, window - 1, window, 2 * window, 16_383, 16_384, 16_385].contains(&i);
        for i in (0..n).filter(|&i| i % 1009 == 0 || near_ends(i) || i + 2 >= n) {
            let w = &x[(i + 1).saturating_sub(window)..=i];
            if w.len() < fewest {
                assert!(got.iter().all(|v| v[i].is_nan()), "{window} {i}");
                continue;
            }
            let mut sorted = w.to_vec();
            sorted.sort_by(f64::total_cmp);
            let (k, sum) = (w.len(), w.iter().sum::<f64>());
            let mean = sum / k as f64;
            let squares: f64 = w.iter().map(|v| (v - mean) * (v - mean)).sum();
            let want = [
                mean,
                (squares / (k as f64 - 1.0)).sqrt(),
                sorted[0],
                sorted[k - 1],
                sum,
                (sorted[(k - 1) / 2] + sorted[k / 2]) / 2.0,
            ];
            for ((name, got), want) in names.iter().zip(&got).zip(want) {
                let off = (got[i] - want).abs();
                assert!(
                    off <= 1e-10 * want.abs() || (k == 1 && got[i].is_nan()),
                    "{name} of {window} at {i}: {} {want}",
                    got[i]
                );
                if ["min", "max", "median"].contains(name) {
                    assert!(off == 0.0, "{name} of {window} at {i}");
                }
            }
        }
    }
}

#[test]
fn a_million_points_keep_their_peaks() {
    let n = 1_000_000;
    let mut x: Vec<f64> = (0..n).map(|i| (i as f64 * 1e-4).sin()).collect();
    let peaks = [12_345, 500_000, 999_998];
    peaks.iter().for_each(|&p| x[p] += 50.0);
    let inputs =
        Record::new().with("data", Value::Tensor(Tensor::vector(x.clone()))).with("points", Value::Int(1000));
    let out = Downsample.cpu(inputs, &Context::default()).unwrap();
    let Some(Value::Tensor(t)) = out.get("indices") else { panic!("no indices") };
    let kept = t.as_slice::<i64>().unwrap();
    assert!(kept.len() == 1000 && kept[0] == 0 && kept[999] == n as i64 - 1);
    assert!(kept.windows(2).all(|w| w[0] < w[1]));
    assert!(peaks.iter().all(|p| kept.contains(&(*p as i64))));
}
