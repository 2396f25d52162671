//! Inputs that both sides compute alike: every number is exact in the arithmetic that makes it.
//! `scripts/matrix_reference.py` holds the same rules.

use super::exact;
use offload_api::{DType, Tensor};

/// Steele, Lea and Flood's SplitMix64: the `count` numbers after `seed`.
fn splitmix(seed: u64, count: usize) -> impl Iterator<Item = u64> {
    (1..=count as u64).map(move |i| {
        let z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// Multiples of 2⁻²³ in [-1, 1): exact in `f32` too.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    splitmix(seed, count).map(|u| (u >> 40) as f64 / 8_388_608.0 - 1.0).collect()
}

/// Uniform numbers in [-1, 1).
pub(crate) fn uniform(seed: u64, shape: &[usize], dtype: DType) -> Tensor {
    exact(shape, &numbers(seed, shape.iter().product()), dtype)
}

/// Numbers of the normal distribution, always the same: the sums of twelve uniform ones.
pub(crate) fn normal(count: usize) -> impl Iterator<Item = f64> {
    (0..count as u64).map(|i| {
        // Each number has a seed of its own, so that any part of the sequence is made without the rest.
        splitmix(i.wrapping_mul(0xD134_2543_DE82_EF95), 3)
            .flat_map(|u| [u & 0xffff, (u >> 16) & 0xffff, (u >> 32) & 0xffff, u >> 48])
            .map(|u| u as f64 / 65_536.0 - 0.5)
            .sum()
    })
}

/// The places of a sample of `count` of `len` values.
pub(super) fn sample(len: usize, count: usize) -> Box<dyn Iterator<Item = usize>> {
    if count == len {
        return Box::new(0..len);
    }
    Box::new(splitmix(len as u64, count).map(move |u| (u % len as u64) as usize))
}

/// A matrix, or a stack, of a kind.
///
/// # Panics
/// When there is no such kind.
pub(super) fn matrix(kind: &str, shape: &[usize], seed: u64, dtype: DType) -> Tensor {
    let (m, n) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let len: usize = shape.iter().product();
    let place = move |i: usize| ((i / n) % m, i % n);
    let filled = |f: &dyn Fn(usize, usize) -> f64| {
        let values: Vec<f64> = (0..len).map(|i| f(place(i).0, place(i).1)).collect();
        exact(shape, &values, dtype)
    };
    let uniform = || numbers(seed, len);
    match kind {
        "uniform" => exact(shape, &uniform(), dtype),
        "hilbert" => filled(&|i, j| 1.0 / (i + j + 1) as f64),
        "rank2" => {
            let p: Vec<f64> = numbers(seed, 2 * m).iter().map(|x| (x * 8.0).floor()).collect();
            let q: Vec<f64> = numbers(seed + 1, 2 * n).iter().map(|x| (x * 8.0).floor()).collect();
            filled(&|i, j| p[2 * i] * q[j] + p[2 * i + 1] * q[n + j])
        }
        "graded" => {
            let span: i32 = if dtype == DType::F64 { 498 } else { 60 };
            let k = m.min(n);
            filled(&|i, j| {
                let column = if n % 3 != 0 { (i * 3 + 1) % n } else { i };
                if i >= k || j != column {
                    return 0.0;
                }
                let e = if k == 1 { span } else { span - (2 * span * i as i32) / (k as i32 - 1) };
                2f64.powi(e) * if i % 2 == 0 { 1.0 } else { -1.0 }
            })
        }
        "dominant" | "symmetric" | "definite" => {
            let u = uniform();
            let mirrored = kind != "dominant";
            let values: Vec<f64> = (0..len)
                .map(|at| {
                    let (i, j) = place(at);
                    let from = if mirrored && i < j { at - (i * n + j) + j * n + i } else { at };
                    let on_diagonal = match kind {
                        "dominant" => 2.0 * n as f64,
                        "definite" => n as f64,
                        _ => 0.0,
                    };
                    u[from] + if i == j { on_diagonal } else { 0.0 }
                })
                .collect();
            exact(shape, &values, dtype)
        }
        other => panic!("there is no kind of matrix {other}"),
    }
}
