//! Profiles of long series against distances window by window, and planted forms.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::Match;

fn noise(n: usize, mut state: u64) -> Vec<f64> {
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        })
        .collect()
}

/// By the definition, in two passes.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let z = |x: &[f64]| -> Vec<f64> {
        let n = x.len() as f64;
        let moved: Vec<f64> = x.iter().map(|v| v - x[0]).collect();
        let mean = moved.iter().sum::<f64>() / n;
        let deviation = (moved.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
        moved.iter().map(|v| (v - mean) / deviation).collect()
    };
    z(a).iter().zip(z(b)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

fn run(data: &[f64], more: impl Fn(Record) -> Record) -> Record {
    let base = Record::new()
        .with("data", Value::Tensor(Tensor::vector(data.to_vec())))
        .with("profile", Value::Bool(true));
    Match.cpu(more(base), &Context::default()).unwrap()
}

fn numbers(out: &Record, name: &str) -> Vec<f64> {
    match out.get(name) {
        Some(Value::Tensor(t) | Value::Gapped(t)) => match t.as_slice::<f64>() {
            Some(v) => v.to_vec(),
            None => t.as_slice::<i64>().unwrap().iter().map(|&i| i as f64).collect(),
        },
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn transforms_give_the_distances_that_are_made_window_by_window() {
    let plain = noise(60_000, 1);
    let offset: Vec<f64> = plain.iter().map(|v| 1e9 + 1e-3 * v).collect();
    // Windows that hardly vary beside others that do, by a factor of 1e12.
    let uneven: Vec<f64> =
        plain.iter().enumerate().map(|(i, v)| if (i / 500) % 3 == 0 { v * 1e6 } else { v * 1e-6 }).collect();
    for (name, x) in [("plain", &plain), ("offset", &offset), ("uneven", &uneven)] {
        for m in [48, 49, 130, 3000] {
            let query = &x[777..777 + m];
            let out = run(x, |r| {
                r.with("query", Value::Tensor(Tensor::vector(query.to_vec()))).with("k", Value::Int(1))
            });
            assert_eq!(numbers(&out, "indices"), [777.0], "{name} {m}");
            assert!(numbers(&out, "distances")[0] < 1e-6, "{name} {m}");
            let profile = numbers(&out, "profile");
            assert_eq!(profile.len(), x.len() - m + 1);
            for i in (0..profile.len()).step_by(211) {
                let (got, want) = (profile[i], distance(query, &x[i..i + m]));
                // In squares, which are what the error of a correlation is in: 1e-9 of 2m.
                assert!((got * got - want * want).abs() < 4e-9 * m as f64, "{name} {m} {i}: {got} {want}");
            }
        }
    }
}

#[test]
fn a_form_that_was_planted_is_the_motif_and_noise_in_a_wave_the_discord() {
    let n = 5000;
    let mut x: Vec<f64> = noise(n, 5);
    let form: Vec<f64> =
        (0..80).map(|i| 3.0 * (f64::from(i) * 0.31).sin() + (f64::from(i) * 0.07).cos()).collect();
    for (at, scale) in [(900, 1.0), (3700, 4.0)] {
        form.iter().enumerate().for_each(|(i, v)| x[at + i] = scale * (v + 0.01 * x[at + i]) + 20.0);
    }
    let out = run(&x, |r| r.with("window", Value::Int(80)).with("k", Value::Int(1)));
    assert_eq!(numbers(&out, "motifs"), [900.0, 3700.0]);

    let mut wave: Vec<f64> = (0..3000).map(|i| (f64::from(i) * 0.1).sin()).collect();
    let n = noise(60, 9);
    n.iter().enumerate().for_each(|(i, v)| wave[1500 + i] = 2.0 * v);
    let out = run(&wave, |r| r.with("window", Value::Int(60)).with("k", Value::Int(1)));
    let discord = numbers(&out, "discords")[0];
    assert!((1445.0..=1560.0).contains(&discord), "{discord}");
}

#[test]
fn each_window_has_the_nearest_other_one() {
    for (name, x) in [
        ("noise", noise(700, 11)),
        ("an offset of 1e9", noise(700, 12).iter().map(|v| 1e9 + 1e-3 * v).collect()),
        (
            "a walk",
            noise(700, 13)
                .iter()
                .scan(0.0, |s, v| {
                    *s += v;
                    Some(*s)
                })
                .collect(),
        ),
    ] {
        for m in [3usize, 10, 64] {
            let out = run(&x, |r| r.with("window", Value::Int(m as i64)));
            let (profile, neighbours) = (numbers(&out, "profile"), numbers(&out, "neighbours"));
            let apart = m.div_ceil(4);
            for i in (0..profile.len()).step_by(13) {
                let others = (0..profile.len()).filter(|j| j.abs_diff(i) > apart);
                let least =
                    others.map(|j| distance(&x[i..i + m], &x[j..j + m])).fold(f64::INFINITY, f64::min);
                let own = distance(&x[i..i + m], &x[neighbours[i] as usize..][..m]);
                assert!((profile[i] - least).abs() < 1e-5, "{name} {m} {i}: {} {least}", profile[i]);
                assert!((own - least).abs() < 1e-5, "{name} {m} {i}: {own} {least}");
            }
        }
    }
}
