//! Machine code for AMD's cards, by a plain clang and a header of the few things of HIP that the dialect uses.

use super::cell::{Cell, Entry};
use super::record::{self, Prover, Record};
use super::tools;
use super::{Field, Variant};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The targets and the items of a wave there.
const TARGETS: &[(&str, u32)] = &[("gfx90a", 64), ("gfx942", 64), ("gfx1100", 32)];

/// The header, relative to the repository.
const HEADER: &str = "xtask/src/proof/hip_mini.h";

/// The targets in the table's order.
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|(name, _)| *name)
}

/// Proves every variant for every target.
pub(super) fn fields(
    root: &Path,
    folder: &Path,
    variants: &[Variant],
    record: &mut Record,
) -> Result<Vec<Field>, String> {
    let header = fs::read(root.join(HEADER)).map_err(|e| format!("{HEADER}: {e}"))?;
    let mut fields = Vec::new();
    let mut jobs = Vec::new();
    for variant in variants {
        for (target, wave) in TARGETS {
            let what = format!("{} {target}", variant.name);
            let key = record::key(&what, &[&header, variant.rocm.as_bytes()]);
            match record.cell(Prover::Amd, &key) {
                Some(cell) => fields.push((variant.name.clone(), *target, cell)),
                None => jobs.push((variant, *target, *wave, key)),
            }
        }
    }
    if jobs.is_empty() {
        return Ok(fields);
    }
    let clang = tools::clang()?;
    println!("AMD's by {clang}: {} results", jobs.len());
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            scope.spawn(|| {
                while let Some((variant, target, wave, key)) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let cell =
                        compile(root, &clang, folder, variant, target, *wave).unwrap_or_else(Cell::bad);
                    if let Ok(mut done) = done.lock() {
                        done.push((variant.name.clone(), *target, key, cell));
                    }
                }
            });
        }
    });
    for (name, target, key, cell) in done.into_inner().map_err(|e| e.to_string())? {
        record.put_cell(key, &cell);
        fields.push((name, target, cell));
    }
    Ok(fields)
}

fn compile(
    root: &Path,
    clang: &str,
    folder: &Path,
    variant: &Variant,
    target: &str,
    wave: u32,
) -> Result<Cell, String> {
    let text = folder.join(format!("{}-{target}.hip", variant.name));
    fs::write(&text, &variant.rocm).map_err(|e| format!("{}: {e}", text.display()))?;
    let mut command = Command::new(clang);
    command.args(["-x", "hip", "--cuda-device-only", "--no-gpu-bundle-output", "-nogpulib", "-nogpuinc"]);
    command.args(["-std=c++17", "-O3", "-ffp-contract=off", "-Wno-unused", "-fno-caret-diagnostics"]);
    command.arg("-Rpass-analysis=kernel-resource-usage");
    command.arg(format!("--offload-arch={target}")).arg(format!("-DSUBGROUP={wave}"));
    command.arg("-include").arg(root.join(HEADER)).arg("-o").arg(text.with_extension("co")).arg(&text);
    let ended = command.output().map_err(|e| format!("{clang}: {e}"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        return Ok(Cell::bad(format!("it does not compile:\n{said}")));
    }
    Ok(Cell::of_entries(&variant.name, target, &variant.entries, &entries(&said)))
}

/// The compiler's remarks on each entry: vector registers, and those that were spilled to memory. Scalar registers spill
/// to lanes of vector registers, so they cost one of those and no memory.
fn entries(said: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in said.lines() {
        let Some((_, remark)) = line.split_once("remark:") else { continue };
        let remark = remark.split('[').next().unwrap_or_default();
        let Some((what, value)) = remark.rsplit_once(": ").map(|(w, v)| (w.trim(), v.trim())) else {
            continue;
        };
        if what == "Function Name" {
            entries.push(Entry { name: value.to_owned(), ..Entry::default() });
        }
        let (Some(entry), Ok(number)) = (entries.last_mut(), value.parse::<u64>()) else { continue };
        match what {
            "VGPRs" => entry.registers = number,
            "VGPRs Spill" => entry.spilled = number,
            _ => {}
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_remarks_are_read() {
        let said = "\
gemm:10:8: remark: Function Name: a_one [-Rpass-analysis=kernel-resource-usage]
gemm:10:8: remark:     SGPRs: 39 [-Rpass-analysis=kernel-resource-usage]
gemm:10:8: note: could not determine the original source location for gemm:12:0
gemm:10:8: remark:     VGPRs: 74 [-Rpass-analysis=kernel-resource-usage]
gemm:10:8: remark:     SGPRs Spill: 2 [-Rpass-analysis=kernel-resource-usage]
gemm:10:8: remark:     VGPRs Spill: 3 [-Rpass-analysis=kernel-resource-usage]
gemm:90:8: remark: Function Name: a_two [-Rpass-analysis=kernel-resource-usage]
gemm:90:8: remark:     VGPRs: 8 [-Rpass-analysis=kernel-resource-usage]";
        let of = |name: &str, registers, spilled| Entry { name: name.into(), registers, spilled };
        assert_eq!(entries(said), [of("a_one", 74, 3), of("a_two", 8, 0)]);
    }
}
