//! Matrix operations on devices beside the CPU, where the worked examples do not go: stacks of small matrices, extents
//! around the panels, and the same failure with the same details whichever way a matrix was computed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "it is the drivers' own tests', which use all of it")]
#[path = "../../offload-devices/tests/vendor/fake.rs"]
mod fake;
#[path = "graph_device/recording.rs"]
mod recording;

use offload_api::{Record, Tensor, Value};
use offload_core::device::{DeviceError, DeviceHost, DeviceJob, InProcess, Isolation, JobLane, LanePriority};
use offload_core::{Cancel, Context, DeviceNeed, Failure, Progress, Registered, TenantId};
use offload_devices::discover::{Options, open};
use offload_devices::opencl;
use offload_devices::test_device::{Faults, TestDevice};
use std::sync::Arc;

/// Where vendors' libraries are looked for first.
const LIBRARIES: &str = "HELIOSDB_GPU_LIBRARY_PATH";

/// The test device, whose library is plain loops, and what OpenCL finds, which runs our own kernels. In the process that has
/// a rocSOLVER over host memory: a card of AMD's, on which it does everything.
fn lanes() -> Vec<(String, Box<dyn JobLane>)> {
    if std::env::var_os(LIBRARIES).is_some() {
        let card = open("rocm:0", &Options { memory_bytes: Some(96 << 20), ..Options::default() }).unwrap();
        assert!(
            card.descriptor().software.iter().any(|s| s == "librocsolver.so.0"),
            "{:?}",
            card.descriptor()
        );
        return vec![("rocSOLVER".into(), InProcess::new(card).open(LanePriority::Normal).unwrap())];
    }
    let device = Arc::new(TestDevice::new(0, 1 << 30, Faults::none()));
    let mut hosts = vec![("test device".to_string(), InProcess::new(device))];
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    match opencl::list(&options) {
        Ok(devices) => hosts.extend(
            devices.into_iter().map(|d| (d.name, InProcess::new(opencl::open(d.id, &options).unwrap()))),
        ),
        Err(why) => println!("OpenCL skipped: {why}"),
    }
    hosts.into_iter().map(|(name, host)| (name, host.open(LanePriority::Normal).unwrap())).collect()
}

/// `MATRIX_DEVICE_EXTENT=40` leaves larger matrices out, for devices as slow as a race checker.
fn fits(n: usize) -> bool {
    n <= std::env::var("MATRIX_DEVICE_EXTENT").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
}

fn operation(name: &str) -> &'static Registered {
    offload_ops::registry().iter().find(|r| r.full_name == format!("matrix.{name}")).unwrap()
}

fn on(
    lane: &mut dyn JobLane,
    op: &'static Registered,
    inputs: &Record<Tensor>,
    context: Context,
) -> Option<Result<Record<Tensor>, Failure>> {
    let DeviceNeed::Bytes(reserved_bytes) = op.operation.plan(inputs.specs()).unwrap().device else {
        panic!("{} has no device path for this", op.full_name)
    };
    let tenant = TenantId::new("t");
    let job = DeviceJob {
        operation: op,
        inputs: inputs.clone(),
        tenant,
        reserved_bytes,
        context,
        isolation: Isolation::Shared,
    };
    match lane.run(job).result {
        Err(Failure::Fault(DeviceError::Unsupported(_))) => None,
        result => Some(result),
    }
}

/// Uniform numbers in [-1, 1), by SplitMix64.
fn uniform(seed: u64, len: usize) -> Vec<f64> {
    (1..=len as u64)
        .map(|i| {
            let z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

/// A stack whose matrices are symmetric and, with `n` on the diagonal, well conditioned: every factor is then unique and
/// near, whatever the operation.
fn tame(seed: u64, count: usize, n: usize) -> Vec<f64> {
    let mut a = uniform(seed, count * n * n);
    for a in a.chunks_mut(n * n) {
        for i in 0..n {
            for j in 0..i {
                a[j * n + i] = a[i * n + j];
            }
            a[i * n + i] += n as f64 + i as f64;
        }
    }
    a
}

fn stack(count: usize, m: usize, n: usize, at: Vec<f64>) -> Tensor {
    if count == 1 { Tensor::new([m, n], at).unwrap() } else { Tensor::new([count, m, n], at).unwrap() }
}

/// The larger one; what is not a number is as far off as can be.
fn worse(worst: f64, off: f64) -> f64 {
    if off.is_nan() { f64::INFINITY } else { worst.max(off) }
}

fn wide(value: &Value<Tensor>) -> Vec<f64> {
    let Value::Tensor(t) = value else { panic!("no tensor") };
    t.as_slice::<f64>().unwrap().to_vec()
}

fn jobs(count: usize, n: usize) -> Vec<(&'static str, Record<Tensor>)> {
    let a = Value::Tensor(stack(count, n, n, tame(n as u64, count, n)));
    let b = Value::Tensor(stack(count, n, 3, uniform(1, count * n * 3)));
    let one = || Record::new().with("a", a.clone());
    vec![
        ("inverse", one()),
        ("solve", one().with("b", b)),
        ("determinant", one()),
        ("cholesky", one()),
        ("qr", one()),
        ("transpose", one()),
        ("norm", one().with("kind", Value::Text("nuclear".into()))),
        ("norm", one().with("kind", Value::Text("one".into()))),
        ("eigenvalues", one().with("symmetric", Value::Text("true".into()))),
    ]
}

#[test]
fn a_device_gives_what_the_cpu_gives_at_extents_around_the_panels_and_in_stacks() {
    // Panels have 32 columns, small matrices at most 64, and stacks of them take kernels of their own.
    let shapes = [(1, 1), (1, 31), (1, 33), (1, 65), (1, 97), (5, 3), (20, 31), (9, 64), (9, 65), (8, 100)];
    let mut off = Vec::new();
    for (device, mut lane) in lanes() {
        let mut ran = 0;
        for (count, n) in shapes.into_iter().filter(|s| fits(s.1)) {
            for (name, inputs) in jobs(count, n) {
                let op = operation(name);
                let Some(got) = on(lane.as_mut(), op, &inputs, Context::default()) else { continue };
                let want = op.operation.cpu(inputs, &Context::default()).unwrap();
                let got = match got {
                    Ok(got) => got,
                    Err(e) => {
                        off.push(format!("{device}: {name} {count}×{n}: {e}"));
                        continue;
                    }
                };
                ran += 1;
                for (output, want) in want.iter() {
                    let (got, want) = (wide(got.get(output).unwrap()), wide(want));
                    let largest = want.iter().fold(0.0f64, |m, x| m.max(x.abs()));
                    // An estimate of the condition may be any up to the truth's third.
                    let tolerance = if (name, output) == ("solve", "rcond") { 0.7 } else { 1e-11 };
                    let worst = got.iter().zip(&want).fold(0.0, |m, (g, w)| worse(m, (g - w).abs()));
                    if got.len() != want.len() || worst > tolerance * largest {
                        off.push(format!("{device}: {name} {count}×{n}: {output} is off by {worst:e}"));
                    }
                }
            }
        }
        println!("{device}: {ran} jobs");
        assert!(ran >= 80 || !fits(100), "{device} ran {ran} jobs only");
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}

#[test]
fn vectors_take_the_matrix_apart_whichever_way_they_were_found() {
    let mut off = Vec::new();
    for (device, mut lane) in lanes() {
        let shapes =
            [(1, 3, 3), (1, 70, 70), (12, 20, 20), (9, 30, 64), (9, 64, 7), (1, 20, 90), (2, 90, 20)];
        for (count, m, n) in shapes.into_iter().filter(|s| fits(s.1.max(s.2))) {
            for full in [false, true] {
                let a = uniform((m * n) as u64, count * m * n);
                let inputs = Record::new()
                    .with("a", Value::Tensor(stack(count, m, n, a.clone())))
                    .with("full", Value::Bool(full));
                let got = on(lane.as_mut(), operation("svd"), &inputs, Context::default());
                let got = got.unwrap().unwrap();
                let [u, s, vt] = ["u", "s", "vt"].map(|o| wide(got.get(o).unwrap()));
                let k = m.min(n);
                let (columns, rows) = if full { (m, n) } else { (k, k) };
                let mut worst = 0.0f64;
                for c in 0..count {
                    let (u, s, vt) = (&u[c * m * columns..], &s[c * k..], &vt[c * rows * n..]);
                    for i in 0..m {
                        for j in 0..n {
                            let sum: f64 = (0..k).map(|l| u[i * columns + l] * s[l] * vt[l * n + j]).sum();
                            worst = worse(worst, (sum - a[c * m * n + i * n + j]).abs());
                        }
                    }
                    for i in 0..columns {
                        for j in 0..columns {
                            let dot: f64 = (0..m).map(|r| u[r * columns + i] * u[r * columns + j]).sum();
                            worst = worse(worst, (dot - f64::from(i == j)).abs());
                        }
                    }
                }
                if worst > 1e-12 {
                    off.push(format!("{device}: svd {count}×{m}×{n}, full {full}: off by {worst:e}"));
                }
            }
        }
        for (count, n) in [(1, 70), (12, 20), (9, 64), (1, 2)].into_iter().filter(|s| fits(s.1)) {
            let a = tame(7, count, n);
            let inputs = Record::new()
                .with("a", Value::Tensor(stack(count, n, n, a.clone())))
                .with("vectors", Value::Bool(true));
            let got = on(lane.as_mut(), operation("eigenvalues"), &inputs, Context::default());
            let got = got.unwrap().unwrap();
            let [values, v] = ["values", "vectors"].map(|o| wide(got.get(o).unwrap()));
            let mut worst = 0.0f64;
            for c in 0..count {
                let (a, l, v) = (&a[c * n * n..], &values[c * n..], &v[c * n * n..]);
                for i in 0..n {
                    for j in 0..n {
                        let left: f64 = (0..n).map(|k| a[i * n + k] * v[k * n + j]).sum();
                        worst = worse(worst, (left - l[j] * v[i * n + j]).abs() / n as f64);
                        let dot: f64 = (0..n).map(|k| v[k * n + i] * v[k * n + j]).sum();
                        worst = worse(worst, (dot - f64::from(i == j)).abs());
                    }
                }
            }
            if worst > 1e-12 {
                off.push(format!("{device}: eigenvalues {count}×{n}: off by {worst:e}"));
            }
        }
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}

/// Stacks of `count` of which matrix `at` is spoiled.
fn spoiled(count: usize, n: usize, at: &[usize], spoil: impl Fn(&mut [f64])) -> Tensor {
    let mut a = tame(3, count, n);
    for at in at {
        spoil(&mut a[at * n * n..(at + 1) * n * n]);
    }
    stack(count, n, n, a)
}

#[test]
fn a_matrix_without_an_answer_fails_as_it_does_on_the_cpu() {
    // Column 2 is nothing, so its pivot is exactly zero on every way.
    let zero = |n: usize| move |a: &mut [f64]| (0..n).for_each(|i| a[i * n + 2] = 0.0);
    let wild = |a: &mut [f64]| a[5] = f64::NAN;
    // The last pivot of the Cholesky factor.
    let negative = |a: &mut [f64]| *a.last_mut().unwrap() = -1.0;
    let mut jobs: Vec<(&str, Record<Tensor>)> = Vec::new();
    for (count, n) in [(1, 4), (1, 40), (6, 4), (6, 40), (9, 70)].into_iter().filter(|s| fits(s.1)) {
        let last = count - 1;
        let one = |t: Tensor| Record::new().with("a", Value::Tensor(t));
        let b = |spoil: Option<usize>| {
            let mut b = uniform(2, count * n);
            spoil.into_iter().for_each(|i| b[i * n] = f64::INFINITY);
            Value::Tensor(stack(count, n, 1, b))
        };
        for op in ["inverse", "solve"] {
            let with = |t: Tensor| if op == "solve" { one(t).with("b", b(None)) } else { one(t) };
            jobs.push((op, with(spoiled(count, n, &[last], zero(n)))));
            jobs.push((op, with(spoiled(count, n, &[last], wild))));
        }
        jobs.push(("cholesky", one(spoiled(count, n, &[last], negative))));
        jobs.push(("cholesky", one(spoiled(count, n, &[last], |a| a[n] = f64::NAN))));
        for op in ["qr", "svd", "determinant"] {
            jobs.push((op, one(spoiled(count, n, &[last], wild))));
        }
        if count > 1 {
            // The first that fails is reported, whatever is wrong with later ones.
            let mut both = tame(3, count, n);
            zero(n)(&mut both[n * n..2 * n * n]);
            wild(&mut both[3 * n * n..4 * n * n]);
            let both = stack(count, n, n, both);
            jobs.push(("inverse", one(both.clone())));
            jobs.push(("solve", one(both.clone()).with("b", b(Some(0)))));
            jobs.push(("solve", one(both.clone()).with("b", b(Some(1)))));
            jobs.push(("solve", one(both).with("b", b(Some(2)))));
        }
    }
    let mut off = Vec::new();
    for (device, mut lane) in lanes() {
        let mut ran = 0;
        for (name, inputs) in &jobs {
            let op = operation(name);
            let Some(got) = on(lane.as_mut(), op, inputs, Context::default()) else { continue };
            let want = op.operation.cpu(inputs.clone(), &Context::default());
            assert!(matches!(want, Err(Failure::Unprocessable { .. })), "{name}: {want:?}");
            ran += 1;
            if got != want {
                let spec = inputs.specs();
                off.push(format!("{device}: {name} {spec:?}: {got:?}, on the cpu {want:?}"));
            }
        }
        println!("{device}: {ran} failures");
        assert_eq!(ran, jobs.len(), "{device}");
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}

#[test]
fn sweeps_of_rotations_are_recorded() {
    if std::env::var_os(LIBRARIES).is_some() {
        return;
    }
    // More columns than one group turns.
    let (n, options) = (70, Options { allow_cpu_opencl: true, ..Options::default() });
    let Ok(devices) = opencl::list(&options) else { return };
    for device in devices.into_iter().filter(|_| fits(n)) {
        let (recorder, started) = recording::Recorder::new(opencl::open(device.id, &options).unwrap());
        let mut lane = InProcess::new(Arc::new(recorder)).open(LanePriority::Normal).unwrap();
        let inputs = Record::new()
            .with("a", Value::Tensor(stack(1, n, n, tame(7, 1, n))))
            .with("symmetric", Value::Text("true".into()));
        let op = operation("eigenvalues");
        let want =
            wide(op.operation.cpu(inputs.clone(), &Context::default()).unwrap().get("values").unwrap());
        let got = on(lane.as_mut(), op, &inputs, Context::default()).unwrap().unwrap();
        let got = wide(got.get("values").unwrap());
        let worst = got.iter().zip(&want).fold(0.0, |m, (g, w)| worse(m, (g - w).abs()));
        assert!(worst < 1e-11 * n as f64, "off by {worst:e}");
        let started = started.load(std::sync::atomic::Ordering::Relaxed);
        assert!(started >= 2, "{started} recordings were started");
    }
}

#[test]
fn a_cancelled_job_stops() {
    let cancel = Cancel::new();
    cancel.cancel();
    for (device, mut lane) in lanes() {
        for (name, inputs) in jobs(1, 97) {
            let context = Context::new(cancel.clone(), Progress::new());
            let got = on(lane.as_mut(), operation(name), &inputs, context);
            assert!(
                matches!(got, Some(Err(Failure::Cancelled)) | None),
                "{device}: {name} does not look: {:?}",
                got.map(|r| r.map(|_| ()))
            );
        }
    }
}

#[test]
fn all_of_it_holds_where_rocsolver_does_it() {
    if std::env::var_os(LIBRARIES).is_some() {
        return;
    }
    let Some(libraries) = fake::Fake::rocsolver(&["-O1"]) else { return };
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("--nocapture")
        .env(LIBRARIES, libraries.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("rocSOLVER: "), "it does not");
}
