//! What `cargo xtask gpu-proof` and `cargo xtask ptx` run: every kernel text as compilers get it, and every worked example on an OpenCL device
//! of this machine, with the kernels that each one started.
//!
//!     proof texts                  the texts, as JSON
//!     proof jobs                   what is compiled for a pack of kernels, as nvrtc.py takes it
//!     proof pack FILE COMPILER     writes the pack of what nvrtc.py says on standard input
//!     proof cases WORD [LIST]      the cases (those of the file LIST: operation, tab, number) on the first device whose
//!                                  description has WORD; a line of JSON for each, written when it has ended
//!     proof part WORD N OF         those of each OFth operation, beginning with the Nth
//!     proof mutant WORD N          a matrix product whose text lacks its barrier N (from 0); ends with 3 when it has
//!                                  no such barrier

mod pack;
mod recorder;

use offload_core::device::{
    At, Backend, Descriptor, Device, DeviceError, Gemm, Gpu, KernelSource, KernelText, LanePriority,
    Residents,
};
use offload_core::{Context, DeviceNeed, Failure, Registered, TenantId};
use offload_devices::discover::Options;
use offload_devices::{kernels, opencl};
use recorder::Recorder;
use serde_json::json;
use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["texts"] => {
            println!("{}", texts());
            Ok(ExitCode::SUCCESS)
        }
        ["jobs"] => {
            println!("{}", pack::jobs(&all_sources()));
            Ok(ExitCode::SUCCESS)
        }
        ["pack", path, compiler] => pack::make(path, compiler, &all_sources()).map(|()| ExitCode::SUCCESS),
        ["cases", device] => cases(device, None, (0, 1)).map(|()| ExitCode::SUCCESS),
        ["cases", device, list] => cases(device, Some(list), (0, 1)).map(|()| ExitCode::SUCCESS),
        ["part", device, n, of] => match (n.parse(), of.parse()) {
            (Ok(n), Ok(of)) if n < of => cases(device, None, (n, of)).map(|()| ExitCode::SUCCESS),
            _ => Err(format!("{n} of {of} is no part")),
        },
        ["mutant", device, n] => {
            n.parse().map_err(|_| format!("{n} is no number")).and_then(|n| mutant(device, n))
        }
        _ => Err(
            "proof texts | jobs | pack FILE COMPILER | cases WORD [LIST] | part WORD N OF | mutant WORD N"
                .into(),
        ),
    };
    done.unwrap_or_else(|why| {
        eprintln!("proof: {why}");
        ExitCode::FAILURE
    })
}

/// Every kernel text of the registry and of the devices, each once.
fn all_texts() -> Vec<&'static KernelText> {
    let mut seen = HashSet::new();
    let registry = offload_ops::registry();
    let of_operations = registry.iter().flat_map(|r| r.operation.kernels().iter().copied());
    let all = kernels::TEXTS.iter().copied().chain(of_operations);
    all.filter(|text| seen.insert(std::ptr::from_ref(*text))).collect()
}

/// Each of them with each of its element types.
fn all_sources() -> Vec<KernelSource> {
    all_texts().into_iter().flat_map(KernelText::variants).collect()
}

fn texts() -> serde_json::Value {
    let variants = all_sources().into_iter().map(|source| {
        let entries: Vec<_> = source.text.entries.iter().map(|e| e.name).collect();
        json!({
            "name": source.name(),
            "entries": entries,
            "cuda": kernels::assemble(&source, Backend::Cuda),
            "rocm": kernels::assemble(&source, Backend::Rocm),
            "opencl": kernels::assemble(&source, Backend::OpenCl),
        })
    });
    variants.collect()
}

/// The first device whose description has `word`, and a recorded lane of it.
fn lane(word: &str) -> Result<(Arc<dyn Device>, Recorder), String> {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let list = opencl::list(&options)?;
    let is_it = |d: &Descriptor| d.name.contains(word) || d.software.iter().any(|s| s.contains(word));
    let found = list.iter().find(|d| is_it(d)).ok_or_else(|| format!("no OpenCL device is {word}"))?;
    let device = opencl::open(found.id, &options).map_err(|e| e.to_string())?;
    let lane = device.open_lane(LanePriority::Normal).map_err(|e| e.to_string())?;
    Ok((device, Recorder::new(lane)))
}

fn cases(word: &str, list: Option<&str>, (part, of): (usize, usize)) -> Result<(), String> {
    let chosen = match list {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?),
    };
    let chosen: Option<HashSet<&str>> = chosen.as_ref().map(|text| text.lines().collect());
    let (device, mut lane) = lane(word)?;
    for r in offload_ops::registry().iter().skip(part).step_by(of) {
        for (number, case) in r.operation.cases().into_iter().enumerate() {
            if chosen.as_ref().is_some_and(|c| !c.contains(format!("{}\t{number}", r.full_name).as_str())) {
                continue;
            }
            let Ok(plan) = r.operation.plan(case.inputs.specs()) else { continue };
            let DeviceNeed::Bytes(bytes) = plan.device else { continue };
            let result = run(r, &case, bytes, &mut lane, device.descriptor());
            let left = device.health().map_err(|e| e.to_string())?.memory_used_bytes;
            let (outcome, why) = match &result {
                _ if left > 0 => ("failed", format!("it leaves {left} bytes of the device taken")),
                Err(Failure::Fault(DeviceError::Unsupported(why))) => ("unsupported", why.clone()),
                result => match case.check(result) {
                    Ok(()) => ("passed", String::new()),
                    Err(why) => ("failed", why),
                },
            };
            let line = json!({
                "operation": r.full_name, "number": number, "case": case.name,
                "outcome": outcome, "why": why, "starts": lane.take_items(),
            });
            println!("{line}");
        }
    }
    Ok(())
}

fn run(
    r: &'static Registered,
    case: &offload_core::Case,
    bytes: u64,
    lane: &mut Recorder,
    descriptor: &Descriptor,
) -> Result<offload_core::api::Record<offload_core::api::Tensor>, Failure> {
    let residents = Residents::new(0);
    let mut gpu = Gpu::new(lane, descriptor, &residents, TenantId::new("proof"), Context::default(), bytes);
    let result = r.operation.gpu(case.inputs.clone(), &mut gpu);
    gpu.end(result).result
}

/// The text without its barrier `n`.
fn without_barrier(text: &'static KernelText, n: usize) -> Option<&'static KernelText> {
    const BARRIER: &str = "group_barrier();";
    let (at, _) = text.text.match_indices(BARRIER).nth(n)?;
    let changed = format!("{};{}", &text.text[..at], &text.text[at + BARRIER.len()..]);
    // Lives as long as the process, as every kernel text does.
    Some(Box::leak(Box::new(KernelText { text: Box::leak(changed.into_boxed_str()), ..*text })))
}

fn mutant(word: &str, n: usize) -> Result<ExitCode, String> {
    let texts = all_texts();
    let text = texts.iter().find(|t| t.name == "gemm_tiled").ok_or("there is no text gemm_tiled")?;
    let Some(changed) = without_barrier(text, n) else { return Ok(ExitCode::from(3)) };
    let (_device, mut lane) = lane(word)?;
    lane.replace(text, changed);
    product(&mut lane).map_err(|e| e.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// A product of one tile, several steps deep.
fn product(lane: &mut Recorder) -> Result<(), DeviceError> {
    use offload_core::device::{Blas as _, DeviceLane as _};
    let (m, n, k) = (20, 20, 33);
    let tenant = TenantId::new("proof");
    let mut matrix = |elements: usize| -> Result<At, DeviceError> {
        let handle = lane.alloc(&tenant, elements * 4)?;
        lane.set(handle, 0)?;
        Ok(handle.into())
    };
    let (a, b, c) = (matrix(m * k)?, matrix(k * n)?, matrix(m * n)?);
    lane.gemm(&Gemm::new(m, n, k), false, a, b, c)?;
    lane.synchronize()
}

/// A text in place of another, for the recorder.
fn replaced(source: &KernelSource, by: Option<(&'static KernelText, &'static KernelText)>) -> KernelSource {
    match by {
        Some((old, new)) if std::ptr::eq(old, source.text) => KernelSource { text: new, ..*source },
        _ => *source,
    }
}
