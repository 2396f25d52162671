//! The command line.
#![forbid(unsafe_code)]

mod cli;
mod demo;

use std::process::ExitCode;

/// Jobs allocate and free megabytes at a time; the system's allocator gives such pages back and faults them in
/// again for every job.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
