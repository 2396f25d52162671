//! `cargo xtask test`: installs what is missing, then runs every test there is.

use crate::env::{self, Runner};
use crate::proof::{self, tools};
use crate::step::{Done, Steps, cargo_with, shown};
use crate::{check, layers, tidy, tree};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What the whole run may take on two cores.
const BUDGET: Duration = Duration::from_secs(30 * 60);

/// Tests that clients make which no one here wrote.
const CONTRACT: &str = "tests/contract/run.py";

/// Runs every step; the first that fails ends the run.
pub(crate) fn run(root: &Path, fast: bool) -> Result<(), String> {
    let mut steps = Steps::new("xtask test");
    let mut runner = Runner::Cargo;
    // The steps that --fast leaves out.
    let slow = |work: &dyn Fn() -> Result<Done, String>| {
        if fast { Ok(Done::Skipped("LEFT OUT BY --fast".into())) } else { work() }
    };

    steps.run("rust tools", || {
        runner = env::rust_tools()?;
        println!("{}; {}", env::version("--version"), env::version("clippy --version"));
        Ok(())
    })?;
    // Fetched beside the first steps, which leave the network alone.
    let folder = root.to_owned();
    let packages = (!fast).then(|| std::thread::spawn(move || packages(&folder)));
    steps.run("tidy", || tidy::run(root))?;
    steps.run("layers", || layers::run(root))?;
    steps.run("format", || check::format(root, true))?;
    steps.run("clippy", || check::clippy(root))?;
    steps.run("dependencies", || check::dependencies(root))?;
    steps.run("packages", || match packages {
        None => slow(&|| Ok(Done::Passed)),
        Some(thread) => thread.join().map_err(|_| "their installation panicked".to_owned())?.map(Done::from),
    })?;
    // Before the tests, which find every kernel compiled then: PoCL takes minutes for that.
    steps.run("kernels", || slow(&|| proof::run(root, proof::Trust::MostOfIt).map(Done::from)))?;
    steps.run("tests", || shown(tests(runner).current_dir(root)))?;
    steps.run("examples in the documentation", || {
        shown(cargo_with("test --release --doc --workspace --exclude xtask").current_dir(root))
    })?;
    steps.run("contract suite", || slow(&|| contract(root)))?;

    steps.finish(BUDGET);
    if fast {
        println!("xtask test: --fast left steps out; run it without before you push");
    }
    Ok(())
}

/// What the tests need beyond Rust: peers in Python, a Java for the generator of clients, OpenCL on the CPU.
fn packages(root: &Path) -> Result<(), String> {
    env::peers(root)?;
    env::java()?;
    tools::pocl()
}

fn tests(runner: Runner) -> Command {
    let mut command = match runner {
        // Examples are not run; that they compile is Clippy's to see.
        Runner::Nextest => cargo_with("nextest run --release --workspace --lib --bins --tests"),
        Runner::Cargo => cargo_with("test --release --workspace --lib --bins --tests"),
    };
    // A build server shows every failure at once; a person wants the first one soon.
    if env::ci() {
        command.arg("--no-fail-fast");
    }
    command
}

fn contract(root: &Path) -> Result<Done, String> {
    if !root.join(CONTRACT).is_file() {
        return Ok(Done::Skipped(format!("there is no {CONTRACT}")));
    }
    let binary = tree::target(root).join("release/heliosdb-gpu-offload");
    // With the workspace's features, so that nothing is compiled twice.
    shown(cargo_with("build --release --workspace --bin heliosdb-gpu-offload").current_dir(root))?;
    let mut suite = Command::new(env::python(root));
    shown(suite.arg(CONTRACT).arg(binary).current_dir(root))?;
    Ok(Done::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_run_the_whole_workspace_in_the_shared_profile() {
        for runner in [Runner::Nextest, Runner::Cargo] {
            let command = tests(runner);
            let words: Vec<_> = command.get_args().filter_map(|a| a.to_str()).collect();
            assert!(words.contains(&"--release") && words.contains(&"--workspace"), "{words:?}");
        }
    }
}
