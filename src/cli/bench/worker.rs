//! What a worker process costs a job: the same jobs on the same device in this process and in a worker, in turns.

use super::{Figure, progress};
use crate::cli::device::Choice;
use offload_api::{Record, Tensor, Value};
use offload_core::device::{DeviceHost, DeviceJob, InProcess, Isolation, JobLane, LanePriority};
use offload_core::{Context, DeviceNeed, Registered, TenantId};
use offload_devices::discover::{FoundDevice, open};
use offload_devices::worker::{Launch, ServeOptions, WorkerHost, WorkerSettings};
use offload_server::config::Config;
use std::error::Error;
use std::time::{Duration, Instant};

/// Rows, inner extent and columns of products: small ones, one of 256 KiB in, and one of 256 KiB out.
const EXTENTS: [[usize; 3]; 5] = [[2, 2, 2], [16, 16, 16], [64, 64, 64], [1, 16_384, 1], [181, 1, 181]];
/// Rounds, and jobs of each side in one; the median of a round is one sample.
const ROUNDS: usize = 7;
const JOBS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures the first device that `choice` finds.
///
/// # Errors
/// When there is none, or it fails.
pub fn measure(choice: &Choice, config: &Config) -> Result<Vec<Figure>, Box<dyn Error>> {
    let options = choice.options(config);
    let mut found = choice.find(&options)?;
    if found.devices.is_empty() {
        return Err("there is no device; --device test:0 is host memory in the guise of one".into());
    }
    let device = found.devices.swap_remove(0);
    let options = device.options(&options);
    let FoundDevice { selector, descriptor, .. } = device;
    println!("worker: {selector}, {}", descriptor.name);
    let near = InProcess::new(open(&selector, &options)?);
    let settings = WorkerSettings {
        launch: Launch::own()?,
        options: ServeOptions { open: options, ..ServeOptions::default() },
        watchdog: None,
        cancel_grace: PATIENCE,
        start_timeout: PATIENCE,
        answer_timeout: PATIENCE,
    };
    let far = WorkerHost::new(selector, descriptor, settings);
    far.health()?;
    let (mut near, mut far) = (near.open(LanePriority::Normal)?, far.open(LanePriority::Normal)?);
    let multiply = offload_ops::registry().find("matrix", "multiply").ok_or("there is no product")?;
    let bar = progress("worker", EXTENTS.len() * ROUNDS);
    let mut figures = Vec::new();
    for extents in EXTENTS {
        let (mut here, mut there, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (a, b) =
                (median(near.as_mut(), multiply, extents)?, median(far.as_mut(), multiply, extents)?);
            here.push(a);
            there.push(b);
            more.push(b - a);
            bar.inc(1);
        }
        let [rows, inner, columns] = extents;
        let about = format!("{rows} × {inner} by {inner} × {columns}");
        figures.push(Figure::of(format!("{about}, in process"), "µs", here));
        figures.push(Figure::of(format!("{about}, in a worker"), "µs", there));
        figures.push(Figure::of(format!("{about}, more in a worker"), "µs", more));
    }
    bar.finish_and_clear();
    Ok(figures)
}

/// The median time of a job, in microseconds.
fn median(
    lane: &mut dyn JobLane,
    operation: &'static Registered,
    [rows, inner, columns]: [usize; 3],
) -> Result<f64, Box<dyn Error>> {
    let matrix = |m: usize, n: usize| {
        let numbers: Vec<f64> = (0..m * n).map(|i| (i % 7) as f64).collect();
        Tensor::new([m, n], numbers).map(Value::Tensor).ok_or("no matrix")
    };
    let inputs = Record::new().with("a", matrix(rows, inner)?).with("b", matrix(inner, columns)?);
    let DeviceNeed::Bytes(reserved_bytes) = operation.operation.plan(inputs.specs())?.device else {
        return Err("the product has no device path".into());
    };
    let mut took = Vec::with_capacity(JOBS);
    for _ in 0..JOBS {
        let job = DeviceJob {
            operation,
            inputs: inputs.clone(),
            tenant: TenantId::new("bench"),
            reserved_bytes,
            context: Context::default(),
            isolation: Isolation::Shared,
        };
        let start = Instant::now();
        lane.run(job).result?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    Ok(took[JOBS / 2])
}
