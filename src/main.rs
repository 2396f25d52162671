//! The command line.
#![forbid(unsafe_code)]

mod cli;
mod demo;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
