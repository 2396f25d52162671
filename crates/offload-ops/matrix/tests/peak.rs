//! What a plan promises about memory, held against an allocator that counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{DType, Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_matrix::*;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn matrix(shape: &[usize], dtype: DType, definite: bool) -> Value<Tensor> {
    let len: usize = shape.iter().product();
    let n = shape[shape.len() - 1];
    let value = |i: usize| {
        let (row, column) = (i / n % n.max(1), i % n);
        let wave = ((row * column + row + column) as f64 * 0.7).sin();
        if definite && row == column { n as f64 + 1.0 } else { wave }
    };
    let t = match dtype {
        DType::F32 => Tensor::new(shape, (0..len).map(|i| value(i) as f32).collect()),
        _ => Tensor::new(shape, (0..len).map(value).collect()),
    };
    Value::Tensor(t.unwrap())
}

/// One test, because all tests of a process share the allocator.
#[test]
fn no_operation_takes_more_memory_than_its_plan_says() {
    // The library's buffer for packing is made once for each thread and then kept, so it is no job's.
    let warm = || {
        Qr.cpu(Record::new().with("a", matrix(&[300, 300], DType::F64, true)), &Context::default()).unwrap();
    };
    warm();
    rayon::broadcast(|_| warm());
    let mut over = Vec::new();
    let shapes: &[&[usize]] = &[
        &[1, 1],
        &[5, 5],
        &[33, 33],
        &[200, 200],
        &[512, 512],
        &[700, 700],
        &[1000, 20, 20],
        &[3, 300, 300],
    ];
    let rectangles: &[&[usize]] = &[&[1000, 30], &[30, 1000], &[300, 200], &[4096, 3], &[200, 40, 10]];
    for dtype in [DType::F32, DType::F64] {
        for shape in shapes {
            let n = shape[shape.len() - 1];
            let one = || Record::new().with("a", matrix(shape, dtype, true));
            let word = |s: &str| Value::Text(s.into());
            let jobs: Vec<(&dyn AnyOperation, Record<Tensor>)> = vec![
                (&Multiply, one().with("b", matrix(shape, dtype, false))),
                (&Matvec, one().with("x", matrix(&[n], dtype, false))),
                (&Inverse, one()),
                (&Solve, one().with("b", matrix(&[n, 7], dtype, false))),
                (&Transpose, one()),
                (&Cholesky, one()),
                (&Determinant, one()),
                (&Qr, one()),
                (&Svd, one()),
                (&Norm, one().with("kind", word("nuclear"))),
                (&Norm, one()),
                (&Eigenvalues, one().with("vectors", Value::Bool(true))),
                (&Eigenvalues, one().with("symmetric", word("true"))),
                (&Eigenvalues, one().with("vectors", Value::Bool(true)).with("symmetric", word("false"))),
            ];
            jobs.into_iter().for_each(|(op, inputs)| measure(op, inputs, shape, &mut over));
        }
        for shape in rectangles {
            let one = || Record::new().with("a", matrix(shape, dtype, false));
            let full = || one().with("full", Value::Bool(true));
            let few = || one().with("k", Value::Int(3)).with("method", Value::Text("randomised".into()));
            let jobs: Vec<(&dyn AnyOperation, Record<Tensor>)> = vec![
                (&Qr, one()),
                (&Qr, full()),
                (&Svd, one()),
                (&Svd, full()),
                (&Svd, few()),
                (&Transpose, one()),
            ];
            jobs.into_iter().for_each(|(op, inputs)| measure(op, inputs, shape, &mut over));
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

fn measure(op: &dyn AnyOperation, inputs: Record<Tensor>, shape: &[usize], over: &mut Vec<String>) {
    let plan = op.plan(inputs.specs()).unwrap();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let out = op.cpu(inputs, &Context::default());
    let peak = ALLOCATOR.peak_usage().saturating_sub(before) as u64;
    assert!(out.is_ok(), "{} {shape:?}: {out:?}", op.about().name);
    println!("{} {shape:?}: peak {peak}, plan {}", op.about().name, plan.host_bytes);
    if peak > plan.host_bytes {
        over.push(format!("{} {shape:?}: peak {peak}, plan {}", op.about().name, plan.host_bytes));
    }
}
