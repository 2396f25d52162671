//! The end of a request.

use offload_api::{ApiError, ErrorCode, Priority, Record};
use std::sync::Arc;

/// Where the time of a request went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Timings {
    pub queue_us: u64,
    pub decode_us: u64,
    pub upload_us: u64,
    pub compute_us: u64,
    pub download_us: u64,
}

/// A result, and how it came to be.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The outputs.
    pub outputs: Arc<Record>,
    /// Microseconds on a GPU: 0 on the CPU and on a hit.
    pub gpu_time_us: u64,
    /// Microseconds from full receipt to here.
    pub total_time_us: u64,
    /// Whether it came from the cache.
    pub cache_hit: bool,
    /// The GPU that ran it; `None` on the CPU and on a hit.
    pub device_id: Option<u32>,
    /// `cpu`, or `gpu:<id>`; on a hit where it was computed.
    pub computed_on: String,
    /// Why a GPU was wanted and not used.
    pub fallback: Option<String>,
    /// The figures behind the placement, when asked for.
    pub explanation: Option<serde_json::Value>,
    /// Where the time went.
    pub timings: Timings,
}

/// The end of a request: exactly one for each.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The priority it ran at.
    pub priority: Option<Priority>,
    /// Whether that is lower than what was asked, because the tenant may not use more.
    pub lowered: bool,
    /// The answer, or why there is none.
    pub result: Result<Answer, ApiError>,
}

/// What the metrics are told of one request.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// `matrix_multiply`.
    pub workload_type: &'a str,
    /// The priority it ran at.
    pub priority: Option<Priority>,
    /// How it failed, if it did.
    pub error: Option<ErrorCode>,
    /// Whether it came from the cache; `None` when it was not looked up.
    pub cache_hit: Option<bool>,
    /// Microseconds from full receipt to the answer.
    pub total_us: u64,
    /// Of which in the queue.
    pub queue_us: u64,
    /// Of which on a GPU.
    pub gpu_time_us: u64,
}

/// Whoever counts.
pub trait Observer: Send + Sync {
    /// A request has ended.
    fn settled(&self, settled: &Settled<'_>);
    /// A class missed its target.
    fn sla_missed(&self, class: usize);
    /// A GPU was wanted and not used.
    fn fell_back(&self, workload_type: &str);
    /// A device failed.
    fn device_faulted(&self, device: u32);
}

/// Nobody counts.
impl Observer for () {
    fn settled(&self, _: &Settled<'_>) {}
    fn sla_missed(&self, _: usize) {}
    fn fell_back(&self, _: &str) {}
    fn device_faulted(&self, _: u32) {}
}
