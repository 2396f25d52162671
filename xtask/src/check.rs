//! `cargo xtask check`: what is quick enough to run before each commit.

use crate::step::{self, Done, Steps, cargo_with, shown, works};
use crate::{env, layers, tidy, tree};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the checks may take once everything is compiled.
const BUDGET: Duration = Duration::from_secs(3 * 60);

/// The edition of every crate; rustfmt is told, because it is given files and no crate.
const EDITION: &str = "2024";

/// Runs the checks; the first that fails ends the run.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let mut steps = Steps::new("xtask check");
    steps.run("tidy", || tidy::run(root))?;
    steps.run("layers", || layers::run(root))?;
    steps.run("format", || format(root, true))?;
    steps.run("clippy", || clippy(root))?;
    steps.run("dependencies", || dependencies(root))?;
    steps.finish(BUDGET);
    Ok(())
}

/// Formats every Rust file, or complains of those that are not formatted.
///
/// Every file is named, because `cargo fmt` follows module declarations and does not see those that a macro makes:
/// the operations of a family.
pub(crate) fn format(root: &Path, only_check: bool) -> Result<(), String> {
    let files: Vec<String> = tree::files(root)?.into_iter().filter(|f| f.ends_with(".rs")).collect();
    let mut command = Command::new("rustfmt");
    command.current_dir(root).args(["--edition", EDITION]).args(only_check.then_some("--check")).args(&files);
    shown(&mut command)
        .map_err(|why| if only_check { format!("{why}; `cargo xtask fmt` formats every file") } else { why })
}

/// Clippy over everything, with warnings as errors.
pub(crate) fn clippy(root: &Path) -> Result<(), String> {
    let mut command = cargo_with("clippy --release --workspace --all-targets -- -D warnings");
    shown(command.current_dir(root))
}

/// Licences, banned crates and sources of the dependencies, as deny.toml has them.
pub(crate) fn dependencies(root: &Path) -> Result<Done, String> {
    let installed = [PathBuf::from("cargo-deny"), env::peer(root, "cargo-deny")];
    let Some(deny) = installed.iter().find(|deny| works(Command::new(deny).arg("--version"))) else {
        let why = "cargo-deny is not installed; `cargo xtask test` or `cargo install cargo-deny` installs it";
        return Ok(Done::Skipped(why.into()));
    };
    let words = ["check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    shown(Command::new(deny).env("CARGO", step::cargo()).args(words).current_dir(root))?;
    Ok(Done::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Scratch;

    #[test]
    fn files_that_no_crate_declares_are_formatted_too() {
        let s = Scratch::new("format");
        s.write("crates/ops/src/lib.rs", "list! { knn::Knn }\n");
        s.write("crates/ops/src/knn/mod.rs", "fn f( ){}\n");
        assert!(format(&s.0, true).unwrap_err().contains("cargo xtask fmt"));
        format(&s.0, false).unwrap();
        assert_eq!(tree::read(&s.0, "crates/ops/src/knn/mod.rs").unwrap(), "fn f() {}\n");
        format(&s.0, true).unwrap();
    }

    #[test]
    fn the_edition_is_the_workspaces() {
        let root = tree::root().unwrap();
        assert!(tree::read(&root, "Cargo.toml").unwrap().contains(&format!("edition = \"{EDITION}\"")));
    }
}
