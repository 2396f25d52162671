//! The project's own commands: `cargo xtask` lists them.
#![forbid(unsafe_code)]

mod bench;
mod check;
mod env;
mod gpu_results;
mod layers;
mod new_op;
mod proof;
mod source;
mod stages;
mod step;
mod test;
mod tidy;
mod tree;

use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  test [--fast]          install what is missing, then every test; --fast leaves out the peers and the contract suite
  check                  quick checks before a commit: tidy, layers, format, clippy, dependencies
  fmt                    format every Rust file (cargo fmt does not see the operations' folders)
  tidy                   the rules of STYLE.md that no compiler holds
  layers                 the crate table of ARCHITECTURE.md against the workspace
  new-op FAMILY.NAME     write the folder of a new operation and its line in the family's list
  gpu-proof [--changed]  every kernel without a GPU: run, raced, compiled for NVIDIA's and AMD's cards; prints a table. Of what
                         has not changed since it was recorded, --changed proves a small part
  ptx [FILE]             every kernel compiled to PTX, for machines with NVIDIA's driver and no NVRTC; in a pack that lies
                         beside the binary, FILE or target/dist/heliosdb-gpu-offload.kernels
  bench [--rounds N] [--threads N] [--dist]
                         the service beside NumPy, SciPy, faiss and PyArrow, in turns
  bench --keep OUT       keep what scripts/gpu_run.sh wrote into OUT, in benches/results/, and render it
  bench --render         write what is kept there into docs/performance.md";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), String> {
    let root = tree::root()?;
    match words {
        ["test"] => test::run(&root, false),
        ["test", "--fast"] => test::run(&root, true),
        ["check"] => check::run(&root),
        ["fmt"] => check::format(&root, false),
        ["tidy"] => tidy::run(&root),
        ["layers"] => layers::run(&root),
        ["new-op", name] => new_op::run(&root, name),
        ["bench", "--keep", out] => gpu_results::keep(&root, out),
        ["bench", "--render"] => gpu_results::render(&root),
        ["gpu-proof"] => proof::run(&root, proof::Trust::Nothing),
        ["gpu-proof", "--changed"] => proof::run(&root, proof::Trust::MostOfIt),
        ["ptx"] => proof::make_pack(&root, &tree::target(&root).join("dist").join(proof::PACK)),
        ["ptx", file] => proof::make_pack(&root, Path::new(file)),
        ["bench", options @ ..] => bench::run(&root, options),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        other => Err(format!("no such command: {}\n\n{HELP}", other.join(" "))),
    }
}
