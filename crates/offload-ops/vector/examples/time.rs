//! Prints the median milliseconds of searches beside which another library's can be put.
//!
//! `RAYON_NUM_THREADS=2 cargo run --release -p offload-ops-vector --example time [queries rows components k]`

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_vector::Similarity;
use std::time::Instant;

/// Numbers of roughly the normal distribution: sums of four uniform ones.
fn normal(seed: u64, n: usize, d: usize) -> Tensor {
    let mut state = seed;
    let values: Vec<f32> = (0..n * d)
        .map(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let z = z ^ (z >> 31);
            [z, z >> 16, z >> 32, z >> 48].iter().map(|u| (u & 0xffff) as f32 / 65_536.0 - 0.5).sum::<f32>()
                * 1.732
        })
        .collect();
    Tensor::new([n, d], values).expect("the values were counted")
}

fn time(name: &str, operation: &dyn AnyOperation, inputs: &Record<Tensor>) {
    let mut ms: Vec<f64> = Vec::new();
    let start = Instant::now();
    while ms.len() < 3 || (ms.len() < 15 && start.elapsed().as_secs_f64() < 4.0) {
        let one = Instant::now();
        operation.cpu(inputs.clone(), &Context::default()).expect("the operation has an answer");
        ms.push(one.elapsed().as_secs_f64() * 1e3);
    }
    ms.sort_by(f64::total_cmp);
    println!("{name:24} median {:9.2} ms, least {:9.2} ms", ms[ms.len() / 2], ms[0]);
}

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    let [q, n, d, k] = sizes[..] else { return run(1000, 100_000, 128, 10) };
    run(q, n, d, k);
}

fn run(q: usize, n: usize, d: usize, k: usize) {
    let inputs = |metric: &str| {
        Record::new()
            .with("queries", Value::Tensor(normal(1, q, d)))
            .with("corpus", Value::Tensor(normal(2, n, d)))
            .with("metric", Value::Text(metric.into()))
            .with("top_k", Value::Int(k as i64))
    };
    for metric in ["l2", "dot", "cosine"] {
        time(&format!("similarity {q}x{n}x{d} {metric}"), &Similarity, &inputs(metric));
    }
}
