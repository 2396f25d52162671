//! Machine code for NVIDIA's cards, and PTX for the oldest, by NVRTC.

use super::cell::{Cell, Entry};
use super::record::{self, Prover, Record};
use super::{Field, Variant};
use crate::env;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// NVRTC by its major version, its package, and the targets it compiles for.
const COMPILERS: &[(&str, &str, &[&str])] = &[
    ("13", "nvidia-cuda-nvrtc", &["sm_80", "sm_90", "sm_100"]),
    // CUDA 13 dropped sm_70; PTX of CUDA 12.0 runs on every card since, whatever its driver from 12.0 on.
    ("12", "nvidia-cuda-nvrtc-cu12", &["compute_70"]),
];

/// The targets in the table's order.
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    COMPILERS.iter().flat_map(|(_, _, targets)| targets.iter().copied())
}

/// Proves every variant for every target.
pub(super) fn fields(root: &Path, variants: &[Variant], record: &mut Record) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    for (major, package, targets) in COMPILERS {
        let pin = env::pin(package).ok_or_else(|| format!("peers.txt has no {package}"))?;
        let mut jobs = Vec::new();
        let mut asked = Vec::new();
        for variant in variants {
            for target in *targets {
                let options = options(target);
                let what = format!("{} {target}", variant.name);
                let joined = options.join(" ");
                let parts = [pin.as_bytes(), joined.as_bytes(), variant.cuda.as_bytes()];
                let key = record::key(&what, &parts);
                if let Some(cell) = record.cell(Prover::Nvidia, &key) {
                    fields.push((variant.name.clone(), *target, cell));
                } else {
                    jobs.push(json!({ "id": format!("{}.cu", variant.name), "text": variant.cuda, "options": options }));
                    asked.push((variant, *target, key));
                }
            }
        }
        if jobs.is_empty() {
            continue;
        }
        let results = compile(root, major, &Value::Array(jobs))?;
        if results.len() != asked.len() {
            return Err(format!("nvrtc.py answered {} of {} jobs", results.len(), asked.len()));
        }
        for ((variant, target, key), result) in asked.into_iter().zip(&results) {
            let cell = cell(variant, target, result);
            record.put_cell(&key, &cell);
            fields.push((variant.name.clone(), target, cell));
        }
    }
    Ok(fields)
}

/// As the CUDA driver of the service compiles, and the assembler's figures.
fn options(target: &str) -> Vec<String> {
    let mut options = vec![
        format!("--gpu-architecture={target}"),
        "--fmad=false".into(),
        "--std=c++17".into(),
        // A text uses a part of the dialect.
        "--diag-suppress=177".into(),
    ];
    if target.starts_with("sm_") {
        options.push("--ptxas-options=-v".into());
    }
    options
}

/// The compiler whose PTX the oldest cards and drivers take: its major version and its package.
pub(super) fn oldest() -> (&'static str, &'static str) {
    let ptx = |row: &&(&str, &str, &[&str])| row.2.iter().any(|target| target.starts_with("compute_"));
    COMPILERS.iter().find(ptx).map_or(("", ""), |(major, package, _)| (*major, *package))
}

/// Compiles jobs as `nvrtc.py` takes them.
pub(super) fn compile(root: &Path, major: &str, jobs: &Value) -> Result<Vec<Value>, String> {
    let mut python = Command::new(env::python(root));
    python.arg(root.join("xtask/src/proof/nvrtc.py")).arg(major);
    let mut child = python
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("nvrtc.py: {e}; `cargo xtask test` makes the virtual environment"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(jobs.to_string().as_bytes()).map_err(|e| format!("nvrtc.py: {e}"))?;
    }
    let ended = child.wait_with_output().map_err(|e| format!("nvrtc.py: {e}"))?;
    if !ended.status.success() {
        return Err(format!("nvrtc.py ended with {}", ended.status));
    }
    serde_json::from_slice(&ended.stdout).map_err(|e| format!("nvrtc.py: {e}"))
}

fn cell(variant: &Variant, target: &str, result: &Value) -> Cell {
    let log = result["log"].as_str().unwrap_or_default();
    let bytes = result["bytes"].as_u64().unwrap_or(0);
    if result["code"] != 0 || bytes == 0 {
        return Cell::bad(format!("it does not compile:\n{log}"));
    }
    if target.starts_with("compute_") {
        return Cell::good("PTX");
    }
    Cell::of_entries(&variant.name, target, &variant.entries, &entries(log))
}

/// The assembler's figures of each entry.
fn entries(log: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let number_before = |line: &str, what: &str| {
        let (before, _) = line.split_once(what)?;
        before.split_whitespace().next_back()?.parse::<u64>().ok()
    };
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let name = rest.split('\'').next().unwrap_or_default().to_owned();
            entries.push(Entry { name, ..Entry::default() });
        }
        let Some(entry) = entries.last_mut() else { continue };
        for what in [" bytes spill stores", " bytes spill loads"] {
            entry.spilled += number_before(line, what).unwrap_or(0);
        }
        if let Some(registers) = number_before(line, " registers") {
            entry.registers = registers;
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assemblers_figures_are_read() {
        let log = "\
ptxas info    : 2 bytes gmem
ptxas info    : Compiling entry function 'a_one' for 'sm_90'
ptxas info    : Function properties for a_one
ptxas         .     8 bytes stack frame, 12 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 16640 bytes smem
ptxas info    : Compiling entry function 'a_two' for 'sm_90'
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers";
        let of = |name: &str, registers, spilled| Entry { name: name.into(), registers, spilled };
        assert_eq!(entries(log), [of("a_one", 255, 16), of("a_two", 32, 0)]);
    }

    #[test]
    fn every_compiler_is_pinned() {
        for (major, package, _) in COMPILERS {
            assert!(env::pin(package).is_some_and(|v| v.starts_with(major)), "{package}");
        }
    }
}
