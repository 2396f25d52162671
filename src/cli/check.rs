//! `check`: every operation's worked examples on every executor there is, and what is absent and why.

use offload_core::Context;
use offload_server::config::Config;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

/// Runs the check; fails when a case fails, or when `gpu` is asked for and there is none.
pub fn run(config: &Config, gpu: bool) -> Result<ExitCode, Box<dyn Error>> {
    let cores = std::thread::available_parallelism()?;
    println!("cpu: {cores} cores");
    println!("data directory: {}", config.store.data_dir);
    for (backend, reason) in [
        ("cuda", "its driver is not part of this version"),
        ("rocm", "its driver is not part of this version"),
        ("opencl", "its driver is not part of this version"),
        ("metal", "not supported"),
        ("sycl", "not supported"),
    ] {
        println!("{backend}: absent: {reason}");
    }
    let mut failed = 0;
    println!("\n{:<24} {:>6} {:>6} {:>9}", "operation (cpu)", "passed", "failed", "time");
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
        println!("{:<24} {passed:>6} {:>6} {:>6} ms", r.full_name, wrong.len(), start.elapsed().as_millis());
        wrong.iter().for_each(|w| println!("{w}"));
        failed += wrong.len();
    }
    if gpu {
        println!("\nno gpu driver is part of this version; nothing was run on a gpu");
        return Ok(ExitCode::FAILURE);
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
