//! What callers are told when something about a dataset fails.

use crate::records::StoreError;
use offload_api::{ApiError, ErrorCode, Invalid};

/// A store's failure; causes go to the log.
pub(super) fn stored(what: &str, e: &StoreError) -> ApiError {
    match e {
        StoreError::Full => {
            tracing::error!("{what}: the disk is full");
            ApiError::new(ErrorCode::StorageFull, "the service's disk is full; nothing was changed")
                .retry_after_ms(10_000)
        }
        StoreError::Conflict | StoreError::AlreadyExists => {
            ApiError::new(ErrorCode::Conflict, "the dataset was changed meanwhile; read it again")
        }
        StoreError::Invalid(text) => Invalid::new("", text.clone()).into(),
        StoreError::NotFound | StoreError::Corrupt(_) | StoreError::Io(_) => {
            tracing::error!(error = %e, "{what}");
            ApiError::new(ErrorCode::Internal, "the dataset cannot be read or written; the log has the cause")
        }
    }
}

/// The answer for a dataset that is not there, or is another tenant's: both alike.
pub(super) fn absent(name: &str) -> ApiError {
    let shown: String = name.chars().take(128).collect();
    ApiError::new(ErrorCode::NotFound, format!("there is no dataset {shown}"))
}

pub(super) fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> ApiError {
    Invalid::new(pointer, message).into()
}

/// A limit that a body breaks.
pub(super) fn beyond(pointer: &str, what: &str, has: u64, limit: u64, key: &str) -> ApiError {
    let mut e: ApiError =
        Invalid::new(pointer, format!("the dataset would have {has} {what}, the limit is {limit} ({key})"))
            .into();
    if let Some(details) = e.details.as_object_mut() {
        details.insert("limit".into(), limit.into());
        details.insert("raised_by".into(), key.into());
    }
    e
}
