//! What the proof needs of the machine, installed where it is missing.

use crate::env;
use crate::step::works;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Clang's releases that compile for every target of the proof, the one it was written with first.
const CLANGS: [u32; 6] = [19, 22, 21, 20, 18, 17];

/// Where distributions put the simulator's library.
const SIMULATORS: [&str; 3] = [
    "/usr/lib/oclgrind/liboclgrind-rt.so",
    "/usr/lib/x86_64-linux-gnu/oclgrind/liboclgrind-rt.so",
    "/usr/local/lib/liboclgrind-rt.so",
];

/// OpenCL on the CPU.
pub(crate) fn pocl() -> Result<(), String> {
    if Path::new("/etc/OpenCL/vendors/pocl.icd").is_file() && has_library() {
        println!("OpenCL on the CPU is there");
        return Ok(());
    }
    env::apt(&["pocl-opencl-icd", "ocl-icd-libopencl1"])
}

fn has_library() -> bool {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders.iter().any(|f| Path::new(f).join("libOpenCL.so.1").exists())
}

/// The simulator's library.
pub(super) fn simulator() -> Result<PathBuf, String> {
    let find = || SIMULATORS.iter().map(PathBuf::from).find(|p| p.is_file());
    if !works(Command::new("oclgrind").arg("--version")) || find().is_none() {
        env::apt(&["oclgrind"])?;
    }
    find().ok_or_else(|| format!("oclgrind's library is at none of {}", SIMULATORS.join(", ")))
}

/// A clang with its linker, by name.
pub(super) fn clang() -> Result<String, String> {
    let there = || CLANGS.iter().map(|n| (format!("clang-{n}"), format!("ld.lld-{n}"))).find(complete);
    if let Some((clang, _)) = there() {
        return Ok(clang);
    }
    // Debian's releases have some of these; the first that installs is taken.
    for n in CLANGS {
        if env::apt(&[&format!("clang-{n}"), &format!("lld-{n}")]).is_ok() {
            break;
        }
    }
    there().map(|(clang, _)| clang).ok_or_else(|| "no clang of release 17 or later, with its lld".into())
}

fn complete(names: &(String, String)) -> bool {
    works(Command::new(&names.0).arg("--version")) && works(Command::new(&names.1).arg("--version"))
}
