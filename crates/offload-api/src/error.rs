//! The error table: every code a caller can meet, its status, whether a retry helps, and what to do.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $status:literal, $retryable:literal, $advice:literal;)*) => {
        /// What went wrong, as the caller sees it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The word on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// The HTTP status it travels with.
            pub const fn status(self) -> u16 {
                match self { $(ErrorCode::$variant => $status,)* }
            }

            /// Whether the same request may succeed later.
            pub const fn retryable(self) -> bool {
                match self { $(ErrorCode::$variant => $retryable,)* }
            }

            /// What the caller can do.
            pub const fn advice(self) -> &'static str {
                match self { $(ErrorCode::$variant => $advice,)* }
            }
        }
    };
}

codes! {
    /// The request is not what the operation takes.
    InvalidRequest, "invalid_request", 400, false, "correct the field that details.pointer names and send again";
    /// No credentials, or none that hold.
    Unauthenticated, "unauthenticated", 401, false, "send a valid token or api key; fetch a new token when it expired";
    /// The credentials lack a scope.
    InsufficientScope, "insufficient_scope", 403, false, "use a key with the scope that details.scope names";
    /// The tenant may not run this family.
    WorkloadNotAllowed, "workload_not_allowed", 403, false, "ask an administrator to allow the family for your tenant";
    /// The job is larger than the tenant's whole quota.
    QuotaExceeded, "quota_exceeded", 403, false, "send a smaller job or ask an administrator to raise the quota; no retry helps";
    /// No such operation.
    UnknownOperation, "unknown_operation", 404, false, "see GET /api/v1/operations; details.nearest names similar ones";
    /// No such thing, or not yours.
    NotFound, "not_found", 404, false, "check the path and the name";
    /// The path exists and the method does not.
    MethodNotAllowed, "method_not_allowed", 405, false, "use a method that the Allow header lists";
    /// The job ran out of time.
    Timeout, "timeout", 408, true, "raise timeout_ms, send a smaller job, or submit it as a task";
    /// The state of the thing forbids this.
    Conflict, "conflict", 409, false, "read the current state and decide again";
    /// The named data has moved on.
    StaleVersion, "stale_version", 409, true, "read the current version and send again";
    /// The body is over a limit.
    PayloadTooLarge, "payload_too_large", 413, false, "send less; details name the limit and the key that raises it";
    /// The body's type or encoding is not understood.
    UnsupportedMediaType, "unsupported_media_type", 415, false, "send application/json (or what else the path takes), plain or with gzip, deflate or zstd";
    /// The inputs are well formed and have no answer.
    Unprocessable, "unprocessable", 422, false, "details.reason says what the data lacks";
    /// Too many requests in a minute.
    RateLimited, "rate_limited", 429, true, "wait for Retry-After seconds";
    /// The tenant's running and queued work fills its quota.
    QuotaBusy, "quota_busy", 429, true, "wait for Retry-After seconds; your own jobs hold the quota";
    /// The headers of the request are too large.
    HeadersTooLarge, "headers_too_large", 431, false, "send smaller headers";
    /// The service failed.
    Internal, "internal", 500, true, "send again; report the request_id when it persists";
    /// The backend that was asked for is not built in or not there.
    BackendUnavailable, "backend_unavailable", 501, false, "ask for another device, or auto";
    /// Every GPU is busy and one was explicitly asked for.
    NoGpuAvailable, "no_gpu_available", 503, true, "wait for Retry-After seconds, or ask for device auto";
    /// The queue is full, or the service is draining.
    Overloaded, "overloaded", 503, true, "wait for Retry-After seconds";
    /// The disk that keeps what is promised is full.
    StorageFull, "storage_full", 507, true, "try again later; an administrator makes room in store.data_dir";
    /// The machine can never hold the job.
    OutOfMemory, "out_of_memory", 507, false, "send a smaller job; details name the bytes needed and the budget";
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure as it travels: the body of every error answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}: {message}")]
pub struct ApiError {
    /// The code.
    pub error: ErrorCode,
    /// What happened, naming the field and the limit.
    pub message: String,
    /// The request it belongs to.
    #[serde(default)]
    pub request_id: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Figures and names for a program.
    #[serde(default, skip_serializing_if = "is_null")]
    pub details: Box<Json>,
}

fn is_null(details: &Json) -> bool {
    details.is_null()
}

/// The longest message and the longest pointer. Both may repeat what a caller sent, which has no other bound.
const MAX_SHOWN_BYTES: usize = 1024;

fn shown(text: impl Into<String>) -> String {
    let mut text = text.into();
    if text.len() > MAX_SHOWN_BYTES {
        text.truncate(text.floor_char_boundary(MAX_SHOWN_BYTES));
        text.push('…');
    }
    text
}

impl ApiError {
    /// An error of this code.
    pub fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        ApiError {
            error,
            message: shown(message),
            request_id: String::new(),
            retryable: error.retryable(),
            retry_after_ms: None,
            details: Box::default(),
        }
    }

    /// The same with details.
    pub fn with_details(mut self, details: Json) -> Self {
        self.details = Box::new(details);
        self
    }

    /// The same with a time to wait.
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

/// A request that is not what was asked for: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// JSON pointer (RFC 6901) to the offending field; empty for the whole body.
    pub pointer: String,
    /// What is wrong, naming the field and the limit.
    pub message: String,
}

impl Invalid {
    /// An invalid field at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Invalid { pointer: shown(pointer), message: shown(message) }
    }

    /// The same, deeper by `prefix`.
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer = format!("{prefix}{}", self.pointer);
        self
    }
}

impl From<Invalid> for ApiError {
    fn from(e: Invalid) -> Self {
        ApiError::new(ErrorCode::InvalidRequest, e.message)
            .with_details(serde_json::json!({"pointer": e.pointer}))
    }
}
