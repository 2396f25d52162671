//! Installs what a bare machine lacks, and says so.

use crate::step::{self, cargo_with, shown, works};
use crate::tree;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pinned Python packages.
const PEERS: &str = include_str!("../peers.txt");
/// Those that the benchmark alone needs, because they are large.
#[cfg(test)]
const BENCH: &str = include_str!("../bench.txt");

/// What runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Nextest,
    /// Nextest is not there and cannot be had.
    Cargo,
}

/// rustfmt, clippy and nextest.
pub(crate) fn rust_tools() -> Result<Runner, String> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !works(cargo_with(tool).arg("--version")) {
            println!("{component} is missing: installing it");
            shown(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    if works(&mut cargo_with("nextest --version")) {
        return Ok(Runner::Nextest);
    }
    println!("cargo-nextest is missing: installing it, which takes some minutes");
    match shown(&mut cargo_with("install cargo-nextest --locked")) {
        Ok(()) => Ok(Runner::Nextest),
        Err(why) => {
            println!("cargo-nextest cannot be installed ({why}): `cargo test` runs the tests instead");
            Ok(Runner::Cargo)
        }
    }
}

/// A program of the virtual environment with the peers in it.
pub(crate) fn peer(root: &Path, program: &str) -> PathBuf {
    tree::target(root).join("venv/bin").join(program)
}

/// Its Python.
pub(crate) fn python(root: &Path) -> PathBuf {
    peer(root, "python")
}

/// The virtual environment, made anew when the list of packages has changed.
pub(crate) fn peers(root: &Path) -> Result<(), String> {
    let venv = tree::target(root).join("venv");
    let stamp = venv.join("peers.txt");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == PEERS)
        && works(Command::new(python(root)).arg("-V"))
    {
        println!("the packages are there");
        return Ok(());
    }
    println!("installing Python packages into {}", venv.display());
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(|e| format!("{}: {e}", venv.display()))?;
    }
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv"]).arg(&venv);
        command
    };
    if !works(&mut make()) {
        apt(&["python3", "python3-venv"])?;
        shown(&mut make())?;
    }
    shown(pip(root).arg(root.join("xtask/peers.txt")))?;
    // Last, so that an installation that broke off is begun again.
    fs::write(&stamp, PEERS).map_err(|e| format!("{}: {e}", stamp.display()))
}

/// The same environment with the benchmark's packages.
pub(crate) fn bench_peers(root: &Path) -> Result<(), String> {
    peers(root)?;
    shown(pip(root).arg(root.join("xtask/bench.txt")))
}

/// An installation of a list of packages, which is to follow.
fn pip(root: &Path) -> Command {
    let mut pip = Command::new(python(root));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"]);
    pip
}

/// The version of a Python package that is pinned.
pub(crate) fn pin(package: &str) -> Option<&'static str> {
    PEERS.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="))
}

/// A Java, which runs the generator of clients.
pub(crate) fn java() -> Result<(), String> {
    if works(Command::new("java").arg("-version")) {
        println!("it is there");
        return Ok(());
    }
    apt(&["default-jre-headless"])
}

/// Debian packages; needs root.
pub(crate) fn apt(packages: &[&str]) -> Result<(), String> {
    println!("installing {}", packages.join(" "));
    let install = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
        command
    };
    // The package lists of a fresh machine are empty or old.
    if shown(&mut install()).is_ok() {
        return Ok(());
    }
    shown(Command::new("apt-get").args(["update", "-qq"]))
        .and_then(|()| shown(&mut install()))
        .map_err(|why| format!("{why}; install {} by hand", packages.join(" ")))
}

/// Whether this is a build server.
pub(crate) fn ci() -> bool {
    std::env::var("CI").is_ok_and(|v| !matches!(v.as_str(), "" | "0" | "false"))
}

/// The version of a tool, for the log.
pub(crate) fn version(words: &str) -> String {
    let said = step::output(&mut cargo_with(words)).unwrap_or_default();
    said.lines().next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        let packages = PEERS.lines().chain(BENCH.lines()).filter(|l| !l.starts_with('#'));
        assert!(packages.clone().count() > 5);
        for line in packages {
            let (name, version) = line.split_once("==").unwrap();
            assert!(!name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit()), "{line}");
        }
    }
}
