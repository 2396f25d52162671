//! What the stages say, in the words of the error table.

use crate::dispatch::{NoExecutor, Refusal, Resource, Settlement};
use crate::run::RunFailure;
use offload_api::{ApiError, ErrorCode, Style};
use offload_core::Failure;
use offload_core::device::DeviceError;
use serde_json::{Value as Json, json};

/// When to try again after "all GPUs busy", as the published design has it.
const GPU_RETRY_MS: u64 = 5000;
/// When to try again after a full queue.
const QUEUE_RETRY_MS: u64 = 1000;

pub(super) fn timeout(timeout_ms: u64) -> ApiError {
    ApiError::new(ErrorCode::Timeout, format!("Workload exceeded {timeout_ms}ms timeout"))
        .with_details(json!({"timeout_ms": timeout_ms}))
}

pub(super) fn cancelled() -> ApiError {
    ApiError::new(ErrorCode::Conflict, "the request was cancelled")
}

pub(super) fn refusal(why: &Refusal, timeout_ms: u64) -> ApiError {
    match why {
        Refusal::QueueFull { limit } => ApiError::new(
            ErrorCode::Overloaded,
            format!("the queue is full at {limit} jobs for this priority"),
        )
        .with_details(json!({"limit": limit, "raised_by": "dispatch.max_queued"}))
        .retry_after_ms(QUEUE_RETRY_MS),
        Refusal::TenantQueueFull { limit } => ApiError::new(
            ErrorCode::QuotaBusy,
            format!("the tenant has {limit} jobs queued, which is its limit"),
        )
        .with_details(json!({"limit": limit, "raised_by": "tenant quota max_queued_tasks"}))
        .retry_after_ms(QUEUE_RETRY_MS),
        Refusal::TooManyWaiters { limit } => ApiError::new(
            ErrorCode::Overloaded,
            format!("{limit} callers wait for this one computation, which is the limit"),
        )
        .with_details(json!({"limit": limit, "raised_by": "dispatch.max_waiters_per_job"}))
        .retry_after_ms(QUEUE_RETRY_MS),
        Refusal::OverQuota { what, needed, limit } => {
            let (code, noun, key) = match what {
                Resource::TenantTasks => {
                    (ErrorCode::QuotaExceeded, "running tasks", "tenant quota max_concurrent_tasks")
                }
                Resource::TenantHostBytes => {
                    (ErrorCode::QuotaExceeded, "bytes of host memory", "tenant quota max_host_memory_bytes")
                }
                Resource::TenantDeviceBytes => (
                    ErrorCode::QuotaExceeded,
                    "bytes of device memory",
                    "tenant quota max_device_memory_bytes",
                ),
                Resource::HostBytes => {
                    (ErrorCode::OutOfMemory, "bytes of host memory", "place.host_budget_bytes")
                }
                Resource::DeviceBytes => {
                    (ErrorCode::OutOfMemory, "bytes of device memory", "the device's memory")
                }
            };
            ApiError::new(code, format!("the job needs {needed} {noun}, there are {limit} in all"))
                .with_details(json!({"needed": needed, "limit": limit, "raised_by": key}))
        }
        Refusal::NoExecutor(NoExecutor::NoSuchDevice) => {
            offload_api::Invalid::new("/device", "there is no such device; see GET /api/v1/devices").into()
        }
        Refusal::NoExecutor(NoExecutor::NoGpu) => {
            ApiError::new(ErrorCode::NoGpuAvailable, "All GPUs busy, try again later")
                .retry_after_ms(GPU_RETRY_MS)
        }
        Refusal::NoExecutor(NoExecutor::NoDevicePath) => ApiError::new(
            ErrorCode::BackendUnavailable,
            "the operation has no device path for these inputs; ask for device auto or cpu",
        ),
        Refusal::Draining => ApiError::new(ErrorCode::Overloaded, "the service is shutting down")
            .retry_after_ms(QUEUE_RETRY_MS),
        Refusal::DeadlinePassed => timeout(timeout_ms),
    }
}

/// A job that ended without a result. Pointers are relative to the inputs; [`in_style`] completes them.
pub(super) fn settlement(end: &Settlement, failure: Option<RunFailure>) -> ApiError {
    match (end, failure) {
        (Settlement::Refused(why), _) => refusal(why, 0),
        // The job's bytes were free, and not in pieces of the sizes that it takes, or places for its tenant were taken: nothing is
        // wrong with the device.
        (
            Settlement::DeadLetter { .. },
            Some(RunFailure::Failed(Failure::Fault(
                DeviceError::OutOfMemory { .. } | DeviceError::NoPlace(_),
            ))),
        ) => refusal(&Refusal::NoExecutor(NoExecutor::NoGpu), 0),
        (
            Settlement::DeadLetter { .. },
            Some(RunFailure::Failed(Failure::Fault(DeviceError::Unsupported(_)))),
        ) => ApiError::new(
            ErrorCode::BackendUnavailable,
            "no device here can run this job; ask for device auto or cpu",
        ),
        (Settlement::DeadLetter { attempts }, _) => {
            ApiError::new(ErrorCode::Internal, format!("the devices failed the job {attempts} times"))
        }
        (_, Some(RunFailure::Failed(Failure::Rejected(r)))) => {
            let pointer = if r.field.is_empty() { String::new() } else { format!("/{}", r.field) };
            offload_api::Invalid::new(pointer, r.message).into()
        }
        (_, Some(RunFailure::Failed(Failure::Unprocessable { reason, message, details }))) => {
            let mut all = match details {
                Json::Object(map) => map,
                _ => serde_json::Map::new(),
            };
            all.insert("reason".into(), reason.into());
            ApiError::new(ErrorCode::Unprocessable, message).with_details(Json::Object(all))
        }
        (Settlement::Cancelled, _) => cancelled(),
        // The cause is in the log under the request's id, never in an answer.
        _ => ApiError::new(ErrorCode::Internal, "the operation failed; the log has the cause"),
    }
}

/// Pointers of an envelope's inputs stand below `/inputs`.
pub(super) fn in_style(mut error: ApiError, style: Style) -> ApiError {
    if style == Style::Envelope
        && error.error == ErrorCode::InvalidRequest
        && let Some(pointer) = error.details.get_mut("pointer")
        && let Some(text) = pointer.as_str()
    {
        *pointer = format!("/inputs{text}").into();
    }
    error
}
