//! `bench`.

use std::error::Error;
use std::process::ExitCode;

/// Measure operations and the service
#[derive(clap::Args)]
pub struct Bench {
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

impl Bench {
    /// Runs the benchmarks.
    pub fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        Err(format!("not there yet {:?}", self.json).into())
    }
}
