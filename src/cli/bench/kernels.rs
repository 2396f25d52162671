//! Operations on the CPU, without a wire.

use super::{Figure, progress};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::Context;
use std::error::Error;
use std::time::Instant;

/// Runs of each operation, after one that is not counted.
const RUNS: usize = 9;

struct Work {
    name: &'static str,
    family: &'static str,
    operation: &'static str,
    inputs: Record,
}

/// Numbers in [-1, 1), the same on every machine.
fn uniform(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            // splitmix64 (Steele, Lea, Flood 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

fn tensor(shape: &[usize], dtype: DType, seed: u64) -> Value {
    let v = uniform(shape.iter().product(), seed);
    let tensor = match dtype {
        DType::F32 => Tensor::new(shape.to_vec(), v.iter().map(|x| *x as f32).collect()),
        _ => Tensor::new(shape.to_vec(), v),
    };
    Value::Tensor(tensor.unwrap_or_else(|| Tensor::vector::<f64>(Vec::new())))
}

/// A symmetric matrix.
fn symmetric(n: usize) -> Value {
    let mut v = uniform(n * n, 7);
    for i in 0..n {
        for j in 0..i {
            v[i * n + j] = v[j * n + i];
        }
    }
    Value::Tensor(Tensor::new(vec![n, n], v).unwrap_or_else(|| Tensor::vector::<f64>(Vec::new())))
}

fn work() -> Vec<Work> {
    let one = |name, operation, a: Value| Work {
        name,
        family: "matrix",
        operation,
        inputs: Record::new().with("a", a),
    };
    let two = |name, shape: &[usize], dtype| Work {
        name,
        family: "matrix",
        operation: "multiply",
        inputs: Record::new().with("a", tensor(shape, dtype, 1)).with("b", tensor(shape, dtype, 2)),
    };
    // One copy of the vectors for all of them.
    let (queries, corpus) = (tensor(&[1000, 128], DType::F32, 8), tensor(&[100_000, 128], DType::F32, 9));
    let search = |name, metric: &str| Work {
        name,
        family: "vector",
        operation: "similarity",
        inputs: Record::new()
            .with("queries", queries.clone())
            .with("corpus", corpus.clone())
            .with("metric", Value::Text(metric.into()))
            .with("top_k", Value::Int(10)),
    };
    let mut eigh = one("matrix.eigenvalues 512 f64 symmetric", "eigenvalues", symmetric(512));
    eigh.inputs.set("vectors", Value::Bool(true));
    vec![
        two("matrix.multiply 1024 f32", &[1024, 1024], DType::F32),
        two("matrix.multiply 1024 f64", &[1024, 1024], DType::F64),
        one("matrix.inverse 512 f64", "inverse", tensor(&[512, 512], DType::F64, 3)),
        one("matrix.svd 512 f64", "svd", tensor(&[512, 512], DType::F64, 4)),
        one("matrix.eigenvalues 512 f64", "eigenvalues", tensor(&[512, 512], DType::F64, 5)),
        eigh,
        one("matrix.qr 512 f64", "qr", tensor(&[512, 512], DType::F64, 6)),
        two("matrix.multiply 1000x32 f64", &[1000, 32, 32], DType::F64),
        search("vector.similarity 1000x100000x128 f32 l2", "l2"),
        search("vector.similarity 1000x100000x128 f32 cosine", "cosine"),
        search("vector.similarity 1000x100000x128 f32 dot", "dot"),
    ]
}

/// Measures every operation with this many threads.
pub fn measure(threads: usize) -> Result<Vec<Figure>, Box<dyn Error>> {
    let registry = offload_ops::registry();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let all = work();
    let bar = progress("kernels", all.len() * (RUNS + 1));
    let mut figures = Vec::new();
    for w in all {
        let r = registry.find(w.family, w.operation).ok_or("the operation is not registered")?;
        let mut samples = Vec::new();
        for run in 0..=RUNS {
            bar.set_message(w.name);
            let inputs = w.inputs.clone();
            let start = Instant::now();
            let result = pool.install(|| r.operation.cpu(inputs, &Context::default()));
            let ms = start.elapsed().as_secs_f64() * 1e3;
            std::hint::black_box(result?);
            if run > 0 {
                samples.push(ms);
            }
            bar.inc(1);
        }
        figures.push(Figure::of(w.name, "ms", samples));
    }
    bar.finish_and_clear();
    Ok(figures)
}
