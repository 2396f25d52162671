//! Prints the median milliseconds of the operations that the documentation gives figures for.
//!
//! `RAYON_NUM_THREADS=2 cargo run --release -p offload-ops-matrix --example time`

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_matrix::{Determinant, Eigenvalues, Inverse, Multiply, Qr, Solve, Svd};
use std::time::Instant;

fn uniform(seed: u64, len: usize) -> Vec<f64> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / 4_503_599_627_370_496.0 - 1.0
        })
        .collect()
}

fn matrix(seed: u64, shape: &[usize]) -> Value<Tensor> {
    let values = uniform(seed, shape.iter().product());
    Value::Tensor(Tensor::new(shape, values).expect("the values were counted"))
}

fn single(value: Value<Tensor>) -> Value<Tensor> {
    let Value::Tensor(t) = value else { return value };
    let values = t.as_slice::<f64>().unwrap_or_default().iter().map(|&x| x as f32).collect();
    Value::Tensor(Tensor::new(t.shape(), values).expect("the values were counted"))
}

fn time(name: &str, operation: &dyn AnyOperation, inputs: Record<Tensor>) {
    let mut ms: Vec<f64> = Vec::new();
    let start = Instant::now();
    while ms.len() < 3 || (ms.len() < 31 && start.elapsed().as_secs_f64() < 1.0) {
        let one = Instant::now();
        operation.cpu(inputs.clone(), &Context::default()).expect("the operation has an answer");
        ms.push(one.elapsed().as_secs_f64() * 1e3);
    }
    ms.sort_by(f64::total_cmp);
    println!("{name:28} {:9.2} ms", ms[ms.len() / 2]);
}

fn symmetric(n: usize) -> Value<Tensor> {
    let u = uniform(5, n * n);
    let values: Vec<f64> = (0..n * n).map(|i| u[i] + u[i % n * n + i / n]).collect();
    Value::Tensor(Tensor::new([n, n], values).expect("the values were counted"))
}

fn main() {
    let pair = |shape: &[usize]| (matrix(1, shape), matrix(2, shape));
    let (a, b) = pair(&[1024, 1024]);
    let both = |a, b| Record::new().with("a", a).with("b", b);
    time("multiply 1024 f32", &Multiply, both(single(a.clone()), single(b.clone())));
    time("multiply 1024 f64", &Multiply, both(a, b));
    let (a, b) = pair(&[1000, 32, 32]);
    time("multiply 1000x32x32 f32", &Multiply, both(single(a.clone()), single(b.clone())));
    time("multiply 1000x32x32 f64", &Multiply, both(a, b));
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![512] } else { sizes };
    for n in sizes {
        let one = || Record::new().with("a", matrix(3, &[n, n]));
        time(&format!("inverse {n}"), &Inverse, one());
        time(&format!("solve {n}"), &Solve, one().with("b", matrix(4, &[n])));
        time(&format!("determinant {n}"), &Determinant, one());
        time(&format!("qr {n}"), &Qr, one());
        time(&format!("svd {n}"), &Svd, one());
        let vectors = Value::Bool(true);
        let eigh = Record::new().with("a", symmetric(n)).with("vectors", vectors.clone());
        time(&format!("eigenvalues {n} symmetric"), &Eigenvalues, eigh);
        let general = one().with("symmetric", Value::Text("false".into()));
        time(&format!("eigenvalues {n} general"), &Eigenvalues, general.clone());
        time(&format!("with vectors {n} general"), &Eigenvalues, general.with("vectors", vectors));
    }
}
