//! What goes to an executor, and what comes back.

use crate::dispatch::{JobId, LaneId};
use offload_api::{Record, Tensor};
use offload_core::device::{GpuTimings, Isolation};
use offload_core::{Cancel, Failure, Progress, Registered, TenantId};
use std::sync::Arc;
use std::time::Duration;

/// A job, as an executor sees it.
pub struct Task {
    /// Its number.
    pub job: JobId,
    /// What to run.
    pub operation: &'static Registered,
    /// On what. Buffers are shared, so a message copies none.
    pub inputs: Record<Tensor>,
    /// Whose it is; a device counts memory by tenant.
    pub tenant: TenantId,
    /// Device bytes reserved for it.
    pub device_bytes: u64,
    /// With whom it shares a process of a device.
    pub isolation: Isolation,
    /// Asks it to stop.
    pub cancel: Cancel,
    /// Where it says how far it is.
    pub progress: Progress,
}

/// Why a run gave nothing.
#[derive(Debug)]
pub enum RunFailure {
    /// The operation said so.
    Failed(Failure),
    /// The operation's code panicked; the text is for the log.
    Panicked(String),
}

/// What an executor says when a job has really ended: its core is free and its memory given back.
pub struct Report {
    /// The outputs, or why there are none.
    pub result: Result<Record<Tensor>, RunFailure>,
    /// Time from start to end.
    pub busy: Duration,
    /// Where the time went, when it ran on a device.
    pub gpu: Option<GpuTimings>,
}

/// Where reports go.
pub type ReportTo = Arc<dyn Fn(JobId, LaneId, Report) + Send + Sync>;

/// Runs `f`, turning a panic into a report.
pub(super) fn catching(
    f: impl FnOnce() -> Result<Record<Tensor>, Failure>,
) -> Result<Record<Tensor>, RunFailure> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(RunFailure::Failed),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_string())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "a panic without a text".into());
            Err(RunFailure::Panicked(text))
        }
    }
}
