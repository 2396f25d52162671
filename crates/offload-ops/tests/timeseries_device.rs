//! Time series on every OpenCL device of this machine beside the CPU, over data that is hard on sums and on ties.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod lanes;
#[path = "../timeseries/tests/series/mod.rs"]
mod series;

use lanes::{cpu, devices, numbers};
use offload_api::{Record, Tensor, Value};
use serde_json::json;
use series::{mixed, unit, walk};
use std::sync::Arc;

fn vector(values: Vec<f64>) -> Value {
    Value::Tensor(Tensor::vector(values))
}

/// Series that are hard on sums: by name, of `n` values.
fn hard(n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let noise = |i: usize| unit(i as u64) - 0.5;
    vec![
        ("walk", walk(n)),
        ("few values", (0..n as u64).map(|i| (mixed(i) % 5) as f64).collect()),
        ("an offset of 1e9 and a spread of 1e-3", (0..n).map(|i| 1e9 + 1e-3 * noise(i)).collect()),
        ("now and then a huge value", (0..n).map(|i| if i % 97 == 13 { 1e12 } else { noise(i) }).collect()),
        ("scales that change", (0..n).map(|i| noise(i) * 10f64.powi((i / 50 % 25) as i32 - 12)).collect()),
        ("runs of one value", (0..n).map(|i| (mixed((i / 40) as u64) % 9) as f64 * 0.1).collect()),
        ("zeros of both signs", (0..n).map(|i| if i % 3 == 0 { -0.0 } else { 0.0 }).collect()),
        (
            "the ends of the range",
            (0..n).map(|i| if i % 2 == 0 { 1e100 } else { -1e100 } * unit(i as u64)).collect(),
        ),
        ("tiny", (0..n).map(|i| 5e-324 * (mixed(i as u64) % 1000) as f64).collect()),
    ]
}

#[test]
fn windows_have_the_statistics_of_the_cpu() {
    let names = ["mean", "std", "var", "min", "max", "sum", "median"];
    for mut device in devices() {
        for (series, n) in [(1, 1), (1, 7), (3, 65), (2, 1500), (1, 5000)] {
            for (kind, values) in hard(series * n) {
                for (window, fewest) in
                    [(1, 1), (2, 1), (7, 7), (8, 3), (9, 1), (64, 64), (73, 5), (700, 1), (4999, 1)]
                {
                    if window > 100 && n < window {
                        continue;
                    }
                    let inputs = Record::new()
                        .with("data", Value::Tensor(Tensor::new([series, n], values.clone()).unwrap()))
                        .with("window", Value::Int(window as i64))
                        .with("min_periods", Value::Int(fewest))
                        .with("statistics", Value::Json(Arc::new(json!(names))));
                    let (got, want) =
                        (device.run("rolling", &inputs).unwrap(), cpu("rolling", &inputs).unwrap());
                    for name in names {
                        let exact = ["min", "max", "median"].contains(&name);
                        for (i, (g, w)) in numbers(&got, name).iter().zip(numbers(&want, name)).enumerate() {
                            // What sums cancel is of the size of what was summed.
                            let at = i % n;
                            let of = &values[i - at.min(window - 1)..=i];
                            let size = of.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                            let near = match name {
                                "sum" => 1e-15 * size,
                                "mean" => 1e-15 * size,
                                _ => 0.0,
                            };
                            let same = g.is_nan() && w.is_nan()
                                || *g == w
                                || !exact && (g - w).abs() <= near + 1e-12 * w.abs() + 1e-300;
                            assert!(
                                same,
                                "{}: {kind}: {name} of {window} at {i} of {series}×{n}: {g:e}, on the cpu {w:e}",
                                device.name
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_series_with_itself_has_the_profile_of_the_cpu_to_the_bit() {
    for mut device in devices() {
        let planted = {
            let mut x = walk(1500);
            let form: Vec<f64> = x[100..150].to_vec();
            for at in [600, 900, 1400] {
                x[at..at + 50].iter_mut().zip(&form).for_each(|(x, f)| *x = *f);
            }
            x
        };
        let mut jobs: Vec<(&str, Vec<f64>, i64, Option<i64>)> = vec![
            ("planted forms", planted, 50, None),
            // Two segments of rows, of which the second is short, and more than a group's diagonals.
            ("two segments", walk(4500), 20, Some(0)),
            ("rows of one segment exactly", walk(4096 + 9), 10, Some(3000)),
            ("windows that are nearly the series", walk(300), 290, Some(0)),
            ("all excluded", walk(40), 10, Some(40)),
            ("two windows", walk(11), 10, Some(0)),
        ];
        // Many windows are equal here, and the first of them is given.
        jobs.push(("a period", (0..1200).map(|i| (i % 24) as f64).collect(), 24, None));
        jobs.push(("steps", (0..900).map(|i| (i / 37 % 3) as f64).collect(), 16, Some(2)));
        for (kind, values) in hard(700) {
            jobs.push((kind, values, 12, None));
        }
        for (kind, values, window, exclusion) in jobs {
            let mut inputs = Record::new()
                .with("data", vector(values))
                .with("window", Value::Int(window))
                .with("k", Value::Int(5))
                .with("profile", Value::Bool(true));
            if let Some(e) = exclusion {
                inputs.set("exclusion", Value::Int(e));
            }
            let (got, want) = (device.run("match", &inputs).unwrap(), cpu("match", &inputs).unwrap());
            for name in
                ["profile", "neighbours", "motifs", "motif_distances", "discords", "discord_distances"]
            {
                let bits =
                    |r: &Record<Tensor>| numbers(r, name).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let (g, w) = (bits(&got), bits(&want));
                let at = g.iter().zip(&w).position(|(g, w)| g != w);
                let near = |of: &Record<Tensor>| at.map(|i| numbers(of, name)[i]);
                assert!(
                    g == w,
                    "{}: {kind}: {name} at {at:?}: {:?}, on the cpu {:?}",
                    device.name,
                    near(&got),
                    near(&want)
                );
            }
        }
    }
}

#[test]
fn windows_are_as_far_from_a_query_as_on_the_cpu() {
    for mut device in devices() {
        for (kind, x) in hard(6000) {
            for m in [2, 5, 48, 130, 600] {
                for (what, query) in [
                    ("of the series", x[777..777 + m].to_vec()),
                    ("another", walk(m)),
                    ("constant", vec![2.5; m]),
                ] {
                    let inputs = Record::new()
                        .with("data", vector(x.clone()))
                        .with("query", vector(query))
                        .with("k", Value::Int(4))
                        .with("profile", Value::Bool(true));
                    let (got, want) = (device.run("match", &inputs).unwrap(), cpu("match", &inputs).unwrap());
                    let about = format!("{}: {kind}: a query of {m} {what}", device.name);
                    // Correlations are off by at most 1e-9 on the CPU: distances are roots.
                    let correlation = |d: f64| 1.0 - d * d / (2.0 * m as f64);
                    let (g, w) = (numbers(&got, "profile"), numbers(&want, "profile"));
                    for (i, (g, w)) in g.iter().zip(&w).enumerate() {
                        assert!(
                            (correlation(*g) - correlation(*w)).abs() <= 2e-9,
                            "{about}: {i}: {g:e}, on the cpu {w:e}"
                        );
                    }
                    // What is picked is the nearest by the same distances, to their error.
                    let (g, w) = (numbers(&got, "distances"), numbers(&want, "distances"));
                    assert_eq!(g.len(), w.len(), "{about}");
                    for (g, w) in g.iter().zip(&w) {
                        assert!(
                            (correlation(*g) - correlation(*w)).abs() <= 4e-9,
                            "{about}: {g:e}, on the cpu {w:e}"
                        );
                    }
                }
            }
        }
    }
}

/// Jobs of anomaly detection: by name, over series that are hard on it.
fn scored(series: usize, n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let noise = |i: usize| (0..12).map(|k| unit(12 * i as u64 + k)).sum::<f64>() - 6.0;
    let mut all = hard(series * n);
    all.extend([
        ("constant", vec![0.3; series * n]),
        (
            "two values",
            (0..series * n).map(|i| if mixed(i as u64).is_multiple_of(7) { 1.0 } else { 0.1 }).collect(),
        ),
        (
            "spikes in noise",
            (0..series * n).map(|i| noise(i) + if i % 101 == 50 { 15.0 } else { 0.0 }).collect(),
        ),
        // Few steps, so that values stand where clipping cuts.
        ("whole numbers in noise", (0..series * n).map(|i| (noise(i) * 2.0).round()).collect()),
        ("1e100 in noise", (0..series * n).map(|i| if i % 59 == 7 { -1e100 } else { noise(i) }).collect()),
    ]);
    all
}

/// All of short series, and every third of long ones: launches are slow on a CPU.
fn some(of: Vec<(&'static str, Vec<f64>)>) -> impl Iterator<Item = (&'static str, Vec<f64>)> {
    let long = of.first().is_some_and(|(_, values)| values.len() > 2000);
    of.into_iter().step_by(if long { 3 } else { 1 })
}

fn to_the_bit(device: &mut lanes::Device, about: &str, inputs: &Record<Tensor>) {
    let (got, want) =
        (device.run("anomaly_detection", inputs).unwrap(), cpu("anomaly_detection", inputs).unwrap());
    for name in ["all_scores", "scores", "indices", "series"] {
        let (g, w) = (numbers(&got, name), numbers(&want, name));
        assert_eq!(g.len(), w.len(), "{}: {about}: {name}", device.name);
        if let Some(i) = (0..w.len()).find(|&i| g[i].to_bits() != w[i].to_bits()) {
            panic!("{}: {about}: {name} at {i}: {:e}, on the cpu {:e}", device.name, g[i], w[i]);
        }
    }
}

fn scoring(series: usize, n: usize, values: &[f64], method: &str) -> Record<Tensor> {
    Record::new()
        .with("data", Value::Tensor(Tensor::new([series, n], values.to_vec()).unwrap()))
        .with("method", Value::Text(method.into()))
        .with("threshold", Value::Float(2.0))
        .with("all_scores", Value::Bool(true))
}

#[test]
fn values_have_the_scores_of_the_cpu_to_the_bit() {
    for mut device in devices() {
        // Of more than 8192 values a series is clipped by many groups.
        for (series, n) in [(1, 1), (1, 2), (3, 65), (2, 1500), (1, 5000), (90, 11), (2, 8193)] {
            for (kind, values) in some(scored(series, n)) {
                for method in ["mad", "zscore"] {
                    let inputs = scoring(series, n, &values, method);
                    to_the_bit(&mut device, &format!("{method}: {kind} of {series}×{n}"), &inputs);
                }
            }
        }
    }
}

#[test]
fn values_have_the_scores_of_the_cpu_against_those_before() {
    for mut device in devices() {
        for (series, n, window) in [
            (1, 1, 3),
            (1, 4, 3),
            (5, 131, 3),
            (3, 65, 4),
            (2, 700, 100),
            (2, 301, 101),
            (3, 200, 199),
            (2, 64, 64),
            (2, 64, 1000),
        ] {
            for (kind, values) in scored(series, n) {
                let about = format!("{kind} of {series}×{n}, {window} before");
                let with = |method| scoring(series, n, &values, method).with("window", Value::Int(window));
                to_the_bit(&mut device, &format!("mad: {about}"), &with("mad"));
                let inputs = with("zscore");
                let (got, want) = (
                    device.run("anomaly_detection", &inputs).unwrap(),
                    cpu("anomaly_detection", &inputs).unwrap(),
                );
                // A distance is off by roundings of the window's spread, which is at most so many deviations.
                let spread = (2.0 * window as f64).sqrt();
                let (g, w) = (numbers(&got, "all_scores"), numbers(&want, "all_scores"));
                assert_eq!(g.len(), w.len());
                for (i, (g, w)) in g.iter().zip(&w).enumerate() {
                    assert!(
                        (g - w).abs() <= 1e-12 * w + 1e-15 * spread,
                        "{}: zscore: {about} at {i}: {g:e}, on the cpu {w:e}",
                        device.name
                    );
                }
            }
        }
    }
}

#[test]
fn values_have_the_scores_of_the_cpu_without_trend_and_season_to_the_bit() {
    for mut device in devices() {
        for (series, n, period) in
            [(1, 4, 2), (2, 5, 2), (3, 65, 7), (5, 61, 30), (1, 5000, 24), (2, 700, 100), (70, 29, 3)]
        {
            for (kind, values) in some(scored(series, n)) {
                let inputs = scoring(series, n, &values, "stl").with("period", Value::Int(period));
                to_the_bit(&mut device, &format!("stl: {kind} of {series}×{n}, period {period}"), &inputs);
            }
        }
    }
}

#[test]
fn points_are_kept_as_on_the_cpu() {
    for mut device in devices() {
        for (series, n, points) in
            [(64, 1, 2), (64, 5, 2), (100, 57, 20), (64, 300, 299), (70, 1000, 3), (65, 40, 40)]
        {
            for (kind, values) in hard(series * n) {
                for stamps in [
                    None,
                    Some(Value::Tensor(Tensor::vector(
                        (0..n as i64).map(|i| i * i / 3).collect::<Vec<i64>>(),
                    ))),
                ] {
                    let mut inputs = Record::new()
                        .with("data", Value::Tensor(Tensor::new([series, n], values.clone()).unwrap()))
                        .with("points", Value::Int(points));
                    if let Some(stamps) = stamps {
                        inputs.set("timestamps", stamps);
                    }
                    let (got, want) =
                        (device.run("downsample", &inputs).unwrap(), cpu("downsample", &inputs).unwrap());
                    for name in ["indices", "values"] {
                        let (g, w) = (numbers(&got, name), numbers(&want, name));
                        assert!(g == w, "{}: {kind}: {name} of {series}×{n} to {points}", device.name);
                    }
                }
            }
        }
    }
}

#[test]
fn lags_have_the_correlations_of_the_cpu() {
    for mut device in devices() {
        for (series, n, lag, pair) in [
            (1, 1, 0, true),
            (1, 2, 1, false),
            (3, 500, 499, true),
            (2, 449, 448, false),
            (1, 9000, 20, true),
            (1, 20_000, 500, true),
            (40, 33, 7, false),
        ] {
            for (kind, a) in hard(series * n) {
                for normalization in ["coefficient", "covariance", "none"] {
                    for shared in [false, true] {
                        let tensor = |v: &[f64], rows: usize| {
                            Value::Tensor(if rows == 0 {
                                Tensor::vector(v.to_vec())
                            } else {
                                Tensor::new([rows, n], v.to_vec()).unwrap()
                            })
                        };
                        let mut inputs = Record::new()
                            .with("a", tensor(&a, series))
                            .with("max_lag", Value::Int(lag))
                            .with("normalization", Value::Text(normalization.into()));
                        let b: Vec<f64> = a.iter().rev().copied().collect();
                        if pair {
                            inputs.set("b", if shared { tensor(&b[..n], 0) } else { tensor(&b, series) });
                        } else if shared {
                            continue;
                        }
                        let (got, want) =
                            (device.run("correlate", &inputs).unwrap(), cpu("correlate", &inputs).unwrap());
                        assert_eq!(numbers(&got, "lags"), numbers(&want, "lags"));
                        let (g, w) = (numbers(&got, "values"), numbers(&want, "values"));
                        let m = w.len() / series;
                        for (i, (g, w)) in g.iter().zip(&w).enumerate() {
                            let s = i / m;
                            let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
                            let level = |v: &[f64]| {
                                if normalization == "none" {
                                    return norm(v);
                                }
                                let moved: Vec<f64> = v.iter().map(|x| x - v[0]).collect();
                                let mean = moved.iter().sum::<f64>() / n as f64;
                                norm(&moved.iter().map(|x| x - mean).collect::<Vec<_>>())
                            };
                            let own = level(&a[s * n..(s + 1) * n]);
                            let other = match (pair, shared) {
                                (false, _) => own,
                                (true, true) => level(&b[..n]),
                                (true, false) => level(&b[s * n..(s + 1) * n]),
                            };
                            let size = match normalization {
                                "coefficient" => 1.0,
                                "covariance" => own * other / n as f64,
                                _ => own * other,
                            };
                            // Of tiny values the products are no numbers of full precision.
                            let near = 1e-13 * size + if kind == "tiny" { 1e-300 } else { 0.0 };
                            assert!(
                                g.is_nan() && w.is_nan()
                                    || kind == "tiny" && normalization == "coefficient"
                                    || (g - w).abs() <= near,
                                "{}: {kind}: {normalization} of {series}×{n} at {i}: {g:e}, on the cpu {w:e}",
                                device.name
                            );
                        }
                    }
                }
            }
        }
    }
}
