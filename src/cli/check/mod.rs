//! `check`: every operation's worked examples on every executor there is, and what is absent and why.

mod agree;
mod compile;
mod device;
mod document;
mod trials;

use super::device::{Choice, Watch, absent_json, print};
use document::Document;
use offload_core::Context;
use offload_server::config::Config;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Flags of `check`
#[derive(clap::Args)]
pub struct Check {
    /// Run every case on every GPU found, against the CPU; fails when one does not hold, or when there is no GPU
    #[arg(long)]
    gpu: bool,
    #[command(flatten)]
    choice: Choice,
    /// Write what was found to this file as JSON
    #[arg(long, value_name = "FILE", requires = "gpu")]
    json: Option<PathBuf>,
    /// Seconds for all devices together; what did not run by then is said
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "gpu")]
    budget_s: u64,
}

impl Check {
    /// Runs the check; fails when a case fails, or when a GPU is asked for and there is none.
    pub fn run(self, config: &Config) -> Result<ExitCode, Box<dyn Error>> {
        let cores = std::thread::available_parallelism()?;
        println!("cpu: {cores} cores");
        println!("data directory: {}", config.store.data_dir);
        let options = self.choice.options(config);
        let found = self.choice.find(&options)?;
        print(&found);
        if !self.gpu {
            return Ok(code(cpu()));
        }
        let mut document = Document::new(self.json, absent_json(&found))?;
        if found.devices.is_empty() {
            println!("\nthere is no gpu; nothing was run on one");
            return Ok(ExitCode::FAILURE);
        }
        let watch = Watch::new(Duration::from_secs(self.budget_s));
        let mut failed = 0;
        for device in &found.devices {
            failed += device::run(device, &device.options(&options), &watch, &mut document)?;
        }
        drop(watch);
        println!();
        let failed = failed + cpu();
        let skipped = document.end(failed)?;
        let what = if skipped == 0 { "everything" } else { "what had time" };
        println!();
        if skipped > 0 {
            println!("{skipped} had NO TIME: --budget-s gives more");
        }
        println!("{}", if failed == 0 { format!("{what} holds") } else { format!("{failed} FAILED") });
        Ok(code(failed))
    }
}

fn code(failed: usize) -> ExitCode {
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs every case on the CPU and says how many do not hold.
fn cpu() -> usize {
    let mut failed = 0;
    println!("\n{:<28} {:>6} {:>6} {:>9}", "operation (cpu)", "passed", "failed", "time");
    for r in offload_ops::registry().iter() {
        let start = Instant::now();
        let (mut passed, mut wrong) = (0, Vec::new());
        for case in r.operation.cases() {
            let inputs = case.inputs.clone();
            let result = match r.operation.plan(inputs.specs()) {
                Ok(_) => r.operation.cpu(inputs, &Context::default()),
                Err(rejection) => Err(rejection.into()),
            };
            match case.check(&result) {
                Ok(()) => passed += 1,
                Err(e) => wrong.push(format!("  {}: {e}", case.name)),
            }
        }
        println!("{:<28} {passed:>6} {:>6} {:>6} ms", r.full_name, wrong.len(), start.elapsed().as_millis());
        wrong.iter().for_each(|w| println!("{w}"));
        failed += wrong.len();
    }
    failed
}
