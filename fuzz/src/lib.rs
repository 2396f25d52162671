//! What every decoder of a stranger's bytes keeps, as functions of the bytes.
//!
//! A target decodes and, where that succeeds, holds what came out against something it did not come from: a limit, or what
//! our own encoder makes of it. It panics where a promise is broken, and says whether the bytes were of its format, so that
//! a driver notices when it tries nothing but rubbish. Two drivers run the targets: `fuzz_targets/` under libFuzzer, and
//! `tests/decoders` of the workspace, which is quick, needs no tools, and bounds the memory too.
//!
//! A decoder whose input has a checksum gets bytes that are sealed here first; otherwise nothing would get past it.

mod api;
mod arrow;
mod oip;
mod operations;
mod records;
mod segments;
mod series;
mod service;
mod stores;
mod tokens;
mod wire;
mod worker;

/// A decoder under test.
pub struct Target {
    /// Its name, and that of its file in `fuzz_targets/`.
    pub name: &'static str,
    /// Decodes, and whether the bytes were of the format.
    pub run: fn(&[u8]) -> bool,
    /// Inputs that are of the format, made by our own encoders.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const ALL: &[Target] = &[
    Target { name: "json_request", run: api::request, seeds: api::request_seeds },
    Target { name: "json_columns", run: api::columns, seeds: api::columns_seeds },
    Target { name: "oip_request", run: oip::request, seeds: oip::seeds },
    Target { name: "arrow_stream", run: arrow::stream, seeds: arrow::seeds },
    Target { name: "operation", run: operations::request, seeds: operations::seeds },
    Target { name: "series_file", run: series::file, seeds: series::seeds },
    Target { name: "worker_message", run: worker::message, seeds: worker::seeds },
    Target { name: "kernel_file", run: worker::kernel_file, seeds: worker::kernel_seeds },
    Target { name: "segment_file", run: segments::file, seeds: segments::seeds },
    Target { name: "cursor", run: stores::cursor, seeds: stores::seeds },
    Target { name: "record", run: records::record, seeds: records::seeds },
    Target { name: "token", run: tokens::token, seeds: tokens::seeds },
    Target { name: "callback_url", run: service::callback_url, seeds: service::callback_seeds },
    Target { name: "http_request", run: service::request, seeds: service::seeds },
];

/// Runs the target of this name.
///
/// # Panics
/// Where the decoder does, or breaks a promise.
pub fn run(name: &str, bytes: &[u8]) -> bool {
    let target = ALL.iter().find(|t| t.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).run)(bytes)
}
