//! `bench`: operations on the CPU, decoding, the service over real sockets, and what a worker process costs. Figures are medians with their
//! spread; what they are held against (NumPy, a bare echo) is measured in the same run by whoever compares.

mod datasets;
mod decode;
mod device;
mod kernels;
mod service;
mod tensors;
mod wire;
mod worker;

use indicatif::{ProgressBar, ProgressStyle};
use offload_server::config::Config;
use serde_json::{Value as Json, json};
use std::error::Error;
use std::process::ExitCode;

/// What is measured; the last one only when it is named, since it needs a device.
const GROUPS: [&str; 6] = ["kernels", "decode", "service", "tensors", "datasets", WORKER];
const WORKER: &str = "worker";

/// Flags of `bench`
#[derive(clap::Args)]
pub struct Bench {
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
    /// Only the groups named: kernels, decode, service, tensors, datasets, worker (what a process of its own costs a
    /// device's jobs; only when named); with --gpu, families or operations (vector.knn)
    #[arg(long, value_delimiter = ',', value_name = "GROUPS")]
    only: Vec<String>,
    /// Also ask this Triton server, of scripts/triton_peer.py, for the dot product that the group service measures
    #[arg(long, value_name = "ADDRESS")]
    triton: Option<String>,
    #[command(flatten)]
    device: device::Flags,
}

/// A measured figure.
pub struct Figure {
    name: String,
    unit: &'static str,
    median: f64,
    min: f64,
    max: f64,
    n: usize,
}

impl Figure {
    /// The figure of these samples.
    pub fn of(name: impl Into<String>, unit: &'static str, mut samples: Vec<f64>) -> Figure {
        samples.sort_by(f64::total_cmp);
        let at = |i: usize| samples.get(i).copied().unwrap_or(f64::NAN);
        let n = samples.len();
        Figure { name: name.into(), unit, median: at(n / 2), min: at(0), max: at(n.saturating_sub(1)), n }
    }

    fn json(&self) -> Json {
        json!({"name": self.name, "unit": self.unit, "median": self.median, "min": self.min, "max": self.max, "n": self.n})
    }
}

/// A progress bar of so many steps.
pub fn progress(what: &'static str, steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{prefix:10} [{bar:30}] {pos}/{len} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(what);
    bar
}

impl Bench {
    /// Runs the benchmarks.
    pub fn run(self, config: &Config) -> Result<ExitCode, Box<dyn Error>> {
        if self.device.gpu {
            return device::run(&self.device, &self.only, self.json.as_deref(), config);
        }
        for group in &self.only {
            if !GROUPS.contains(&group.as_str()) {
                return Err(format!("there is no group {group}; there are {}", GROUPS.join(", ")).into());
            }
        }
        let wants = |group: &str| self.only.is_empty() || self.only.iter().any(|g| g == group);
        let threads = std::thread::available_parallelism()?.get();
        let mut figures = Vec::new();
        if wants("kernels") {
            figures.extend(kernels::measure(threads)?);
        }
        if wants("decode") {
            figures.extend(decode::measure());
        }
        if wants("service") {
            figures.extend(service::measure()?);
            if let Some(triton) = &self.triton {
                figures.extend(service::beside_triton(triton)?);
            }
        }
        if wants("tensors") {
            figures.extend(tensors::measure()?);
        }
        if wants("datasets") {
            figures.extend(datasets::measure()?);
        }
        if self.only.iter().any(|g| g == WORKER) {
            figures.extend(worker::measure(&self.device.choice, config)?);
        }
        println!("{:<44} {:>12} {:>12} {:>12}  unit", "what", "median", "min", "max");
        for f in &figures {
            println!("{:<44} {:>12.3} {:>12.3} {:>12.3}  {}", f.name, f.median, f.min, f.max, f.unit);
        }
        if let Some(path) = self.json {
            let profile = if cfg!(debug_assertions) { "release" } else { "dist" };
            let machine = format!("{}, {threads} cores, profile {profile}", std::env::consts::ARCH);
            let results: Vec<Json> = figures.iter().map(Figure::json).collect();
            let document = json!({"machine": machine, "threads": threads, "results": results});
            std::fs::write(path, serde_json::to_string_pretty(&document)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
