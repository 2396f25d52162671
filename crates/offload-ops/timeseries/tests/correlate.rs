//! Transforms of blocks give the sums that are made one by one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::Correlate;

fn noise(n: usize, mut state: u64) -> Vec<f64> {
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        })
        .collect()
}

fn values(inputs: Record) -> Vec<f64> {
    let out = Correlate.cpu(inputs, &Context::default()).unwrap();
    let Some(Value::Gapped(t)) = out.get("values") else { panic!("no values") };
    t.as_slice::<f64>().unwrap().to_vec()
}

#[test]
fn sums_by_transforms_are_the_sums_one_by_one() {
    // Blocks of 1,024 up to 32,768; lags up to few, some and all; lengths that fill no block.
    for (n, farthest) in [(9_000, 8_999), (70_001, 200), (70_001, 40_000), (33_000, 1_023), (33_000, 1_024)] {
        let (a, b) = (noise(n, 1), noise(n, 2));
        let tensor = |v: &[f64]| Value::Tensor(Tensor::vector(v.to_vec()));
        let base = || {
            Record::new()
                .with("a", tensor(&a))
                .with("max_lag", Value::Int(farthest as i64))
                .with("normalization", Value::Text("none".into()))
        };
        let (pair, own) = (values(base().with("b", tensor(&b))), values(base()));
        assert_eq!((pair.len(), own.len()), (2 * farthest + 1, farthest + 1));
        // Every lag near the ends and near blocks' ends, and some between.
        let picked = (0..=farthest).filter(|l| {
            l % 997 == 0 || *l < 3 || l + 3 > farthest || [1023, 1024, 1025, 32767, 32768, 32769].contains(l)
        });
        for lag in picked {
            let sum = |x: &[f64], y: &[f64]| x[lag..].iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            for (got, want) in [
                (pair[farthest + lag], sum(&a, &b)),
                (pair[farthest - lag], sum(&b, &a)),
                (own[lag], sum(&a, &a)),
            ] {
                assert!((got - want).abs() < 1e-10, "n {n}, lag {lag}: {got} {want}");
            }
        }
    }
}

#[test]
fn a_delay_in_a_million_values_is_found() {
    let n = 1_000_000;
    let x = noise(n + 4321, 3);
    let inputs = Record::new()
        .with("a", Value::Tensor(Tensor::vector(x[..n].iter().map(|v| 1e9 + 1e-3 * v).collect::<Vec<_>>())))
        .with("b", Value::Tensor(Tensor::vector(x[4321..].to_vec())))
        .with("max_lag", Value::Int(6000));
    let got = values(inputs);
    let best = (0..got.len()).max_by(|&i, &j| got[i].total_cmp(&got[j])).unwrap();
    assert_eq!(best as i64 - 6000, 4321);
    assert!(got[best] > 0.99);
}
