//! Product quantisation on every OpenCL device of this machine: the codes and the codebook of the CPU.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::device::{DeviceHost, DeviceJob, InProcess, Isolation, LanePriority};
use offload_core::{Context, DeviceNeed, Failure, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;

/// A number in [0, 1) for each place.
fn number(at: u64) -> f64 {
    let mut z = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn corpus(shape: [usize; 2], of: fn(f64) -> f64) -> Vec<f64> {
    (1..=(shape[0] * shape[1]) as u64).map(|i| of(number(i))).collect()
}

fn tensor<'a>(outputs: &'a Record<Tensor>, name: &str) -> &'a Tensor {
    let Some(Value::Tensor(t)) = outputs.get(name) else { panic!("no {name}") };
    t
}

fn on_both(
    inputs: &Record<Tensor>,
    check: impl Fn(Result<Record<Tensor>, Failure>, Result<Record<Tensor>, Failure>),
) {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let found = match opencl::list(&options) {
        Ok(found) => found,
        Err(why) => return println!("skipped: {why}"),
    };
    let operation = offload_ops::registry().iter().find(|r| r.full_name == "vector.quantize").unwrap();
    for descriptor in found {
        let host = InProcess::new(opencl::open(descriptor.id, &options).unwrap());
        let plan = operation.operation.plan(inputs.specs()).unwrap();
        let DeviceNeed::Bytes(reserved_bytes) = plan.device else { panic!("no device path") };
        let job = DeviceJob {
            operation,
            inputs: inputs.clone(),
            tenant: TenantId::new("t"),
            reserved_bytes,
            context: Context::default(),
            isolation: Isolation::Shared,
        };
        let report = host.open(LanePriority::Normal).unwrap().run(job);
        check(report.result, operation.operation.cpu(inputs.clone(), &Context::default()));
    }
}

fn inputs(corpus: Tensor, m: i64, iterations: i64) -> Record<Tensor> {
    Record::new()
        .with("corpus", Value::Tensor(corpus))
        .with("method", Value::Text("pq".into()))
        .with("m", Value::Int(m))
        .with("iterations", Value::Int(iterations))
}

#[test]
fn vectors_are_coded_as_on_the_cpu() {
    type Set = (&'static str, [usize; 2], i64, i64, fn(f64) -> f64);
    let sets: [Set; 5] = [
        ("uniform", [3000, 12], 4, 6, |x| x),
        // Fewer places than centroids, so that some are left without rows.
        ("few values", [1500, 6], 3, 4, |x| (x * 5.0).floor()),
        ("far out", [1000, 7], 7, 3, |x| 1e4 + 1e-3 * x),
        ("fewer rows than centroids", [100, 4], 1, 5, |x| x - 0.5),
        ("more rows than are trained on", [66_000, 2], 1, 1, |x| x * x),
    ];
    for (about, shape, m, iterations, of) in sets {
        let values = corpus(shape, of);
        let narrow = values.iter().map(|x| *x as f32).collect::<Vec<f32>>();
        for corpus in
            [Tensor::new(shape.to_vec(), values).unwrap(), Tensor::new(shape.to_vec(), narrow).unwrap()]
        {
            on_both(&inputs(corpus, m, iterations), |device, cpu| {
                let (device, cpu) = (device.unwrap(), cpu.unwrap());
                for name in ["codes", "codebook"] {
                    assert!(tensor(&device, name) == tensor(&cpu, name), "{about}: {name}");
                }
                let number = |r: &Record<Tensor>| tensor(r, "distortion").as_slice::<f64>().unwrap()[0];
                let (got, want) = (number(&device), number(&cpu));
                assert!(
                    (got - want).abs() <= 1e-12 * want,
                    "{about}: distortion {got:e}, on the cpu {want:e}"
                );
            });
        }
    }
}

#[test]
fn vectors_that_cannot_be_coded_are_named_as_on_the_cpu() {
    for (bad, code) in [(f32::NAN, "not_finite"), (f32::INFINITY, "not_finite"), (1e19, "out_of_range")] {
        let mut values = vec![1.0f32; 300 * 4];
        values[4 * 77 + 2] = bad;
        on_both(&inputs(Tensor::new(vec![300, 4], values).unwrap(), 2, 3), |device, cpu| {
            let (device, cpu) = (device.unwrap_err().to_string(), cpu.unwrap_err().to_string());
            assert_eq!(device, cpu, "{code}");
        });
    }
}
