//! `cargo xtask gpu-proof`: what can be shown of every kernel on a machine without a GPU.
//!
//! Each kernel text, with each element type, runs in the operations' worked examples on PoCL; runs clean under a simulator
//! that looks for races and for values nobody wrote; and compiles for the cards the service is built for, without
//! spilling registers. The result is one table. A kernel without a row, or an empty field, is a failure as much as a
//! wrong one. What was proven is recorded in the repository, and holds until a text or a pinned compiler changes.

mod allow;
mod amd;
mod cases;
mod cell;
mod nvidia;
mod pack;
mod record;
mod runner;
pub(crate) mod tools;

use crate::step::{cargo_with, output, shown};
use crate::{env, tree};
use cell::{Cell, Table};
pub(crate) use pack::{FILE as PACK, make as make_pack};
use record::Record;
pub(crate) use record::Trust;
use runner::Runner;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kernel, a column, and what was found.
type Field = (String, &'static str, Cell);

/// A kernel text with an element type, as each compiler gets it.
#[derive(Clone, Debug, Default)]
struct Variant {
    name: String,
    entries: Vec<String>,
    cuda: String,
    rocm: String,
    opencl: String,
}

/// Proves everything and prints the table.
pub(crate) fn run(root: &Path, trust: Trust) -> Result<(), String> {
    tools::pocl()?;
    env::peers(root)?;

    let program = program(root)?;
    let variants = variants(&output(Command::new(&program).arg("texts"))?)?;
    println!("{} kernels, with their element types", variants.len());

    let folder = tree::target(root).join("gpu-proof");
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut record = Record::open(root, trust)?;
    let runner = Runner { program, folder: &folder };
    let columns = [cases::POCL, cases::RACES].into_iter().chain(nvidia::columns()).chain(amd::columns());
    let mut table = Table::new(variants.iter().map(|v| v.name.clone()), columns.collect());
    let mut fields = nvidia::fields(root, &variants, &mut record)?;
    fields.extend(amd::fields(root, &folder, &variants, &mut record)?);
    record.save()?;
    fields.extend(cases::fields(&runner, &variants, &mut record)?);
    for (kernel, column, cell) in fields {
        table.put(&kernel, column, cell);
    }
    let mutants = runner.mutants(&variants, &mut record)?;
    let (believed, proven) = (record.believed, record.proven);
    record.close()?;

    println!("\n{}", table.shown());
    println!(
        "PoCL and races: worked examples that start the kernel. Cards: registers of its largest entry, by NVRTC {} and clang.",
        env::pin("nvidia-cuda-nvrtc").unwrap_or_default()
    );
    for (kernel, reason) in allow::UNRACED.iter().filter(|(k, _)| variants.iter().any(|v| v.name == *k)) {
        println!("* {kernel} is not, or not all, seen by the simulator: {reason}");
    }
    println!("the simulator reports all {mutants} barriers of the matrix product when they are left out");
    for a in allow::ALLOWED {
        println!("{} may spill {} on {}: {}", a.kernel, a.at_most, a.target, a.reason);
    }
    println!("{proven} results were proven now, {believed} are as recorded");
    let faults = table.faults();
    if faults.is_empty() { Ok(()) } else { Err(format!("{} faults:\n{}", faults.len(), faults.join("\n"))) }
}

/// The example `proof`, built.
fn program(root: &Path) -> Result<PathBuf, String> {
    // With the workspace's features, so that nothing is compiled twice.
    shown(cargo_with("build --release --workspace --example proof").current_dir(root))?;
    Ok(tree::target(root).join("release/examples/proof"))
}

fn variants(texts: &str) -> Result<Vec<Variant>, String> {
    let texts: Vec<Value> = serde_json::from_str(texts).map_err(|e| format!("the runner's texts: {e}"))?;
    let word = |v: &Value| v.as_str().map(str::to_owned);
    let of = |v: &Value| {
        let entries = v["entries"].as_array()?.iter().map(word).collect::<Option<_>>()?;
        Some(Variant {
            name: word(&v["name"])?,
            entries,
            cuda: word(&v["cuda"])?,
            rocm: word(&v["rocm"])?,
            opencl: word(&v["opencl"])?,
        })
    };
    let variants: Option<Vec<_>> = texts.iter().map(of).collect();
    let variants = variants.ok_or("the runner's texts lack something")?;
    let mut names: Vec<_> = variants.iter().map(|v| v.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|w| w[0] == w[1]) {
        // They would share a row, and one would hide the other.
        Some(w) => Err(format!("two kernel texts are named {}", w[0])),
        None => Ok(variants),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_texts_of_one_name_are_refused() {
        let one = r#"{"name":"a_f32","entries":["a"],"cuda":"c","rocm":"r","opencl":"o"}"#;
        assert_eq!(variants(&format!("[{one}]")).map(|v| v.len()), Ok(1));
        assert!(variants(&format!("[{one},{one}]")).is_err());
        assert!(variants(r#"[{"name":"a"}]"#).is_err());
    }
}
