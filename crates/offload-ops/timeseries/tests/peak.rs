//! What a plan promises about memory, held against an allocator that counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod series;

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::{Compress, Decompress};
use peak_alloc::PeakAlloc;
use series::*;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn within_plan(name: &str, op: &dyn AnyOperation, inputs: Record) -> Record {
    let plan = op.plan(inputs.specs()).unwrap();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let out = op.cpu(inputs, &Context::default()).unwrap();
    let peak = ALLOCATOR.peak_usage().saturating_sub(before) as u64;
    assert!(peak <= plan.host_bytes, "{name}: {}: peak {peak}, plan {}", op.about().name, plan.host_bytes);
    out
}

/// One test, because all tests of a process share the allocator.
#[test]
fn no_job_takes_more_memory_than_its_plan_says() {
    rayon::broadcast(|_| ());
    let n = 300_000;
    let kinds: [(&str, Vec<f64>); 6] = [
        ("nothing", vec![]),
        ("one", vec![1.0]),
        ("prices", prices(n)),
        ("random bits", random_bits(n)),
        ("gauge", gauge(n)),
        ("constant", vec![1.0; n]),
    ];
    for (name, values) in kinds {
        for method in ["gorilla", "delta", "alp", "auto"] {
            for level in [1, 9] {
                // Whole, in rows of three, and with timestamps of any bits.
                let rows = [values.len() / 3, 3.min(values.len())];
                let jobs = [
                    inputs(Tensor::vector(values.clone()), None, method, level),
                    inputs(
                        Tensor::new(rows, values[..rows[0] * rows[1]].to_vec()).unwrap(),
                        None,
                        method,
                        level,
                    ),
                    inputs(
                        Tensor::vector(values.clone()),
                        Some((0..values.len() as u64).map(|i| mixed(i) as i64).collect()),
                        method,
                        level,
                    ),
                ];
                for job in jobs {
                    if level == 9 && matches!(job.get("data"), Some(Value::Tensor(t)) if t.shape().len() == 2)
                    {
                        continue;
                    }
                    let mut out = within_plan(&format!("{name} by {method} at {level}"), &Compress, job);
                    let (Some(Value::Bytes(b)), Some(Value::Int(values))) =
                        (out.take("compressed"), out.take("values"))
                    else {
                        panic!("an output is missing")
                    };
                    let file = Record::new()
                        .with("compressed", Value::Tensor(Tensor::from_bytes(b)))
                        .with("max_values", Value::Int(values.max(1)));
                    drop(out);
                    within_plan(&format!("{name} by {method} at {level}"), &Decompress, file);
                }
            }
        }
    }
}
