//! Memory: what a job takes beyond its inputs is within what its plan says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{DType, Record, Tensor, TensorSpec, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_vector::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn uniform(seed: u64, shape: [usize; 2]) -> Value {
    let mut state = seed;
    let values: Vec<f32> = (0..shape[0] * shape[1])
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect();
    Value::Tensor(Tensor::new(shape, values).unwrap())
}

#[test]
fn jobs_take_no_more_than_their_plans_say() {
    let search = |q: usize, n: usize, d: usize, k: i64| {
        Record::new()
            .with("queries", uniform(1, [q, d]))
            .with("corpus", uniform(2, [n, d]))
            .with("top_k", Value::Int(k))
    };
    let corpus = |n: usize, d: usize| Record::new().with("corpus", uniform(3, [n, d]));
    let word = |w: &str| Value::Text(w.into());
    let equal = Value::Tensor(Tensor::new([30_000, 8], vec![1.0f32; 240_000]).unwrap());
    let jobs: Vec<(&dyn AnyOperation, Record<Tensor>)> = vec![
        (&DotProduct, Record::new().with("a", uniform(1, [20_000, 32])).with("b", uniform(2, [20_000, 32]))),
        (&Similarity, search(1, 100_000, 16, 10)),
        (&Similarity, search(300, 20_000, 64, 10)),
        (&Similarity, search(5000, 3000, 16, 100)),
        (&Similarity, search(20, 100_000, 8, 5000)),
        (&Similarity, search(3000, 200, 8, 100)),
        (&Similarity, search(200, 10, 8, 1).with("corpus", equal)),
        (&BuildHnsw, corpus(6000, 24)),
        (&BuildHnsw, corpus(2000, 8).with("metric", word("cosine")).with("m", Value::Int(48))),
        (&Quantize, corpus(50_000, 16)),
        (&Quantize, corpus(50_000, 16).with("method", word("binary"))),
        (&Quantize, corpus(80_000, 16).with("method", word("pq")).with("iterations", Value::Int(3))),
    ];
    // The library's buffers of the products are made once for each thread, and are no job's.
    Similarity.cpu(search(100, 5000, 64, 10), &Context::default()).unwrap();
    let mut over = Vec::new();
    for (op, inputs) in jobs {
        let (plan, name) = (op.plan(inputs.specs()).unwrap(), op.about().name);
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        op.cpu(inputs, &Context::default()).unwrap();
        let peak = ALLOCATOR.peak_usage().saturating_sub(before) as u64;
        println!("{name}: peak {peak}, plan {}", plan.host_bytes);
        if peak > plan.host_bytes {
            over.push(format!("{name}: peak {peak}, plan {}", plan.host_bytes));
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

#[test]
fn hostile_shapes_are_refused_or_planned_and_never_overflow() {
    let extents = [0, 1, 7, 65_536, 65_537, u32::MAX as usize, usize::MAX / 2, usize::MAX];
    for op in operations() {
        for &n in &extents {
            for &d in &extents {
                for &q in &extents {
                    let spec = |shape: &[usize]| Value::Tensor(TensorSpec::new(DType::F32, shape));
                    let inputs = match op.about().name {
                        "similarity" | "batch_similarity" => Record::new()
                            .with("queries", spec(&[q, d]))
                            .with("corpus", spec(&[n, d]))
                            .with("top_k", Value::Int(16_384)),
                        "knn" | "knn_search" => {
                            Record::new().with("query", spec(&[q, d])).with("corpus", spec(&[n, d]))
                        }
                        "build_hnsw" => Record::new().with("corpus", spec(&[n, d])),
                        "quantize" => Record::new()
                            .with("corpus", spec(&[n, d]))
                            .with("method", Value::Text("pq".into()))
                            .with("m", Value::Int(1)),
                        _ => Record::new().with("a", spec(&[n, d])).with("b", spec(&[q, d])),
                    };
                    if let Ok(plan) = op.plan(inputs) {
                        assert!(plan.host_bytes >= plan.bytes_out && plan.work.is_finite());
                    }
                }
            }
        }
    }
}
