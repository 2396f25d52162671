//! `cargo xtask ptx`: the pack of kernels for machines that have NVIDIA's driver and no NVRTC.

use super::{nvidia, program};
use crate::env;
use crate::step::output;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the service calls the pack that it looks for.
pub(crate) const FILE: &str = "heliosdb-gpu-offload.kernels";

/// Compiles every kernel to PTX and writes the pack.
pub(crate) fn make(root: &Path, file: &Path) -> Result<(), String> {
    env::peers(root)?;
    let program = program(root)?;
    let jobs: Value = serde_json::from_str(&output(Command::new(&program).arg("jobs"))?)
        .map_err(|e| format!("the runner's jobs: {e}"))?;
    let (major, package) = nvidia::oldest();
    let pin = env::pin(package).ok_or_else(|| format!("peers.txt has no {package}"))?;
    println!("{} kernels, by NVRTC {pin}: about a minute", jobs.as_array().map_or(0, Vec::len));
    let results = Value::Array(nvidia::compile(root, major, &jobs)?);

    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let mut writer = Command::new(&program);
    writer.arg("pack").arg(file).arg(format!("NVRTC {pin}")).stdin(Stdio::piped());
    let mut child = writer.spawn().map_err(|e| format!("{}: {e}", program.display()))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(results.to_string().as_bytes()).map_err(|e| format!("the runner: {e}"))?;
    }
    let ended = child.wait().map_err(|e| format!("the runner: {e}"))?;
    if ended.success() { Ok(()) } else { Err(format!("the pack was not written: {ended}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pack_is_made_by_the_compiler_of_the_oldest_cards() {
        let (major, package) = nvidia::oldest();
        assert_eq!(major, "12");
        assert!(env::pin(package).is_some_and(|v| v.starts_with("12.")));
    }
}
