//! `bench --gpu`: operations on a device, by the device's own clock, beside what the card can do at all.
//!
//! Inputs lie on the device already: they have an identity, so the first run of the first work that has them brings them
//! there, and `first_run_ms` has that run. A goal is held against `compute_ms`. The document is rewritten after each
//! work, so that a run that is cut off leaves what it had:
//!
//! ```json
//! {"kind": "ours", "version": "0.1.0", "profile": "dist", "date": "2026-11-26", "scale": "full", "complete": true,
//!  "selector": "cuda:0", "descriptor": {…},
//!  "ceilings": {"copy_gb_s": 0.0, "upload_pageable_gb_s": 0.0, "download_pageable_gb_s": 0.0,
//!    "gemm_tflop_s": {"f32": 0.0, "tf32": 0.0, "f64": 0.0}, "notes": []},
//!  "works": [{"name": "…", "operation": "matrix.multiply", "arithmetic": "tf32", "answer": "result",
//!    "inputs": [{"name": "a", "kind": "uniform", "of": null, "dtype": "f32", "shape": [8192, 8192], "seed": 1},
//!               {"name": "precision", "value": "tf32"}],
//!    "flops": 0.0, "bytes": 0, "goal": {"compute_ms_at_most": 0.06} or {"peer": "torch", "speed_at_least": 0.95},
//!    "status": "measured", "reason": "where it is not", "runs": 20, "norm": 0.0,
//!    "compute_ms": {"median": 0.0, "min": 0.0, "p95": 0.0}, "upload_ms": …, "download_ms": …, "device_ms": …,
//!    "wall_ms": …, "first_run_ms": {"upload": 0.0, "compute": 0.0, "download": 0.0, "wall": 0.0},
//!    "tflop_s": 0.0, "gb_s": 0.0, "share_of_gemm": 0.0, "share_of_copy": 0.0, "goal_met": true,
//!    "cpu": {"ms": 0.0, "norm": 0.0, "agrees": true}}]}
//! ```
//!
//! `status` is `measured`, `cpu only` (the plan has no device path), `unsupported`, `failed`, `no time` or `not run`.
//! `bytes` are those of inputs and outputs, each once; of graphs, those of rows and of what is written for each node. `norm` is of the output named by `answer`, and tells whether two
//! sides computed the same.

mod ceilings;
mod measure;
mod works;

pub use works::Scale;

use crate::cli::device::{Choice, Session, Watch, print};
use measure::{Made, pending};
use offload_core::Failure;
use offload_server::config::Config;
use serde_json::{Value as Json, json};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use works::{Work, works};

/// Flags of `bench --gpu`
#[derive(clap::Args)]
pub struct Flags {
    /// Measure the first GPU, or the one that --device names
    #[arg(long)]
    pub gpu: bool,
    #[command(flatten)]
    pub choice: Choice,
    /// Seconds for everything; what did not run by then is said
    #[arg(long, value_name = "SECONDS", default_value_t = 240, requires = "gpu")]
    budget_s: u64,
    /// Sizes: those that the goals are stated for, or small ones for a device that is a CPU
    #[arg(long, value_enum, default_value_t = Scale::Full, requires = "gpu")]
    scale: Scale,
}

/// Measures what `only` names (`matrix`, `vector.knn`; everything when empty).
///
/// # Errors
/// When there is no device, or the document cannot be written.
pub fn run(
    flags: &Flags,
    only: &[String],
    json: Option<&Path>,
    config: &Config,
) -> Result<ExitCode, Box<dyn Error>> {
    let wanted = |w: &Work| {
        let is = |o: &String| w.operation == o || w.operation.split('.').next() == Some(o);
        only.is_empty() || only.iter().any(is)
    };
    let all: Vec<Work> = works(flags.scale).into_iter().filter(wanted).collect();
    if all.is_empty() {
        return Err(format!("nothing that is measured is named {}", only.join(", ")).into());
    }
    let watch = Watch::new(Duration::from_secs(flags.budget_s));
    let options = flags.choice.options(config);
    let found = flags.choice.find(&options)?;
    print(&found);
    let device = found.devices.first();
    let mut document = json!({
        "kind": "ours", "version": env!("CARGO_PKG_VERSION"),
        "profile": if cfg!(debug_assertions) { "release" } else { "dist" },
        "date": today(), "scale": if flags.scale == Scale::Full { "full" } else { "small" },
        "complete": false, "selector": device.map(|d| &d.selector), "descriptor": device.map(|d| &d.descriptor),
        "ceilings": null, "works": all.iter().map(pending).collect::<Json>(),
    });
    let path = json.map(PathBuf::from);
    let write = |document: &Json| match &path {
        Some(path) => std::fs::write(path, format!("{document:#}\n")),
        None => Ok(()),
    };
    // Before anything runs: the peers read from it what there is to do.
    write(&document)?;
    let device = device.ok_or("there is no gpu; nothing was measured")?;
    let options = device.options(&options);
    // Half is for what stays between runs, the rest for what a run takes.
    let mut session = Session::new(&device.selector, &options, device.descriptor.memory_bytes / 2)?;
    let ceilings = ceilings::measure(&session, flags.scale, &watch)?;
    ceilings.print();
    document["ceilings"] = ceilings.json();
    let (mut failed, mut made) = (0, Made::default());
    for (i, work) in all.iter().enumerate() {
        if watch.is_over() {
            document["works"][i]["status"] = "no time".into();
            println!("{}: no time", work.name);
            continue;
        }
        let measured = measure::work(work, &mut session, &mut made, &ceilings, &watch);
        println!("{}: {}", work.name, measured.line);
        failed += usize::from(measured.json["status"] == "failed");
        document["works"][i] = measured.json;
        write(&document)?;
        if let Some(Err(why)) = measured.failure.as_ref().map(|f: &Failure| session.recover(f)) {
            println!("ENDED: {why}");
            document["ended"] = why.into();
            failed += 1;
            break;
        }
    }
    document["complete"] = true.into();
    write(&document)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The date in UTC, as ISO 8601 has it.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    date(seconds / 86_400)
}

/// The date so many days after 1970-01-01 (Hinnant's `civil_from_days`, for days that are not negative).
fn date(days: u64) -> String {
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn days_are_dates() {
        // `date -u -d @N` of GNU coreutils 9.1.
        let known =
            [(0, "1970-01-01"), (19_782, "2024-02-29"), (19_783, "2024-03-01"), (20_783, "2026-11-26")];
        for (days, want) in known {
            assert_eq!(super::date(days), want);
        }
    }
}
