//! Planted anomalies are found: precision and recall over series from generators that are the same on every machine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::AnomalyDetection;

/// A generator of normal numbers: the sum of twelve even ones, from a multiplicative congruence.
struct Noise(u64);

impl Noise {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.even() * n as f64) as usize
    }
}

#[derive(Default, Debug)]
struct Tally {
    planted: usize,
    found: usize,
    wrong: usize,
}

impl Tally {
    fn precision(&self) -> f64 {
        (self.found as f64) / ((self.found + self.wrong).max(1) as f64)
    }
    fn recall(&self) -> f64 {
        self.found as f64 / self.planted.max(1) as f64
    }
}

fn indices(inputs: Record) -> Vec<usize> {
    let out = AnomalyDetection.cpu(inputs, &Context::default()).unwrap();
    let Some(Value::Tensor(t)) = out.get("indices") else { panic!("no indices") };
    t.as_slice::<i64>().unwrap().iter().map(|&i| i as usize).collect()
}

/// Runs over `rounds` series of a plan: the values, and where anomalies were planted.
fn tally(
    rounds: u64,
    with: impl Fn(Record) -> Record,
    plant: impl Fn(&mut Noise) -> (Vec<f64>, Vec<usize>),
) -> Tally {
    let mut t = Tally::default();
    for seed in 0..rounds {
        let (x, planted) = plant(&mut Noise(seed * 7919 + 1));
        let got = indices(with(Record::new().with("data", Value::Tensor(Tensor::vector(x)))));
        t.planted += planted.len();
        t.found += planted.iter().filter(|i| got.contains(i)).count();
        t.wrong += got.iter().filter(|i| !planted.contains(i)).count();
    }
    t
}

fn method(name: &'static str) -> impl Fn(Record) -> Record {
    move |r| r.with("method", Value::Text(name.into()))
}

/// Places far enough from each other and from the ends.
fn places(noise: &mut Noise, n: usize, count: usize) -> Vec<usize> {
    let each = n / (count + 1);
    (0..count).map(|k| (k + 1) * each + noise.below(each / 2)).collect()
}

/// Level noise of deviation 1 with spikes of 8 to 12.
fn spikes(noise: &mut Noise) -> (Vec<f64>, Vec<usize>) {
    let mut x: Vec<f64> = (0..1000).map(|_| noise.normal()).collect();
    let planted = places(noise, 1000, 10);
    for &p in &planted {
        let size = 8.0 + 4.0 * noise.even();
        x[p] += if noise.even() < 0.5 { size } else { -size };
    }
    (x, planted)
}

#[test]
fn spikes_in_noise_are_found() {
    let threshold = |t: f64| move |r: Record| r.with("threshold", Value::Float(t));
    for name in ["mad", "zscore"] {
        let t = tally(50, |r| threshold(4.5)(method(name)(r)), spikes);
        println!("{name}: precision {:.4}, recall {:.4} of {}", t.precision(), t.recall(), t.planted);
        assert!(t.precision() >= 0.99 && t.recall() >= 0.99, "{name}: {t:?}");
    }
    for (limit, precision, recall) in [(None, 0.85, 0.99), (Some(0.72), 0.97, 0.99)] {
        let with = |r: Record| {
            limit.map_or_else(
                || method("isolation")(r.clone()),
                |t| threshold(t)(method("isolation")(r.clone())),
            )
        };
        let t = tally(50, with, spikes);
        println!("isolation: precision {:.4}, recall {:.4} of {}", t.precision(), t.recall(), t.planted);
        assert!(t.precision() >= precision && t.recall() >= recall, "isolation: {t:?}");
    }
}

#[test]
fn what_is_unusual_for_the_season_is_found_where_no_value_is_unusual_by_itself() {
    // A wave of amplitude 10 over a slope, noise of 0.5: the planted values lie well within the wave.
    let plant = |noise: &mut Noise| {
        let mut x: Vec<f64> = (0..960)
            .map(|i| {
                10.0 * (i as f64 * std::f64::consts::TAU / 24.0).sin()
                    + 0.01 * i as f64
                    + 0.5 * noise.normal()
            })
            .collect();
        let planted = places(noise, 960, 8);
        planted.iter().for_each(|&p| x[p] += if x[p] > 0.0 { -6.0 } else { 6.0 });
        (x, planted)
    };
    let seasonal =
        |r: Record| method("stl")(r).with("period", Value::Int(24)).with("threshold", Value::Float(6.0));
    let t = tally(20, seasonal, plant);
    println!("stl: precision {:.4}, recall {:.4} of {}", t.precision(), t.recall(), t.planted);
    assert!(t.precision() >= 0.95 && t.recall() >= 0.99, "{t:?}");
    let blind = tally(20, method("mad"), plant);
    assert!(blind.recall() < 0.05, "the values are not unusual by themselves: {blind:?}");
}

#[test]
fn level_shifts_are_found_where_they_start() {
    // A level that moves by 12 deviations and stays there; each start is to be found, and few others.
    let plant = |noise: &mut Noise| {
        let planted = places(noise, 2000, 5);
        let mut level = 100.0;
        let x = (0..2000)
            .map(|i| {
                if planted.contains(&i) {
                    level += if noise.even() < 0.5 { 12.0 } else { -12.0 };
                }
                level + noise.normal()
            })
            .collect();
        (x, planted)
    };
    for (name, window) in [("mad", 60), ("zscore", 60)] {
        let mut t = Tally::default();
        for seed in 0..30 {
            let (x, planted) = plant(&mut Noise(seed + 77));
            let inputs = method(name)(Record::new().with("data", Value::Tensor(Tensor::vector(x))))
                .with("window", Value::Int(window))
                .with("threshold", Value::Float(6.0));
            let got = indices(inputs);
            t.planted += planted.len();
            t.found += planted.iter().filter(|i| got.contains(i)).count();
            // What follows a shift is part of it until the window has moved.
            t.wrong +=
                got.iter().filter(|&&i| !planted.iter().any(|&p| i >= p && i < p + window as usize)).count();
        }
        println!("{name} of {window} before: precision {:.4}, recall {:.4}", t.precision(), t.recall());
        assert!(t.precision() >= 0.95 && t.recall() >= 0.99, "{name}: {t:?}");
    }
}

#[test]
fn a_flat_stretch_of_noise_is_no_anomaly_and_a_drift_is_none_for_a_window() {
    let drift = |noise: &mut Noise| {
        ((0..3000).map(|i| 0.05 * i as f64 + noise.normal()).collect::<Vec<f64>>(), Vec::new())
    };
    let windowed =
        |r: Record| method("mad")(r).with("window", Value::Int(100)).with("threshold", Value::Float(8.0));
    let t = tally(10, windowed, drift);
    assert_eq!(t.wrong, 0, "{t:?}");
}
