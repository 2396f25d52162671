//! How a job can end without a result.

use crate::device::DeviceError;
use serde_json::Value as Json;

/// Inputs that the operation does not take; found from shapes and parameters alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The input at fault; empty when it is their combination.
    pub field: String,
    /// What is wrong, naming the limit.
    pub message: String,
}

impl Rejection {
    /// The input `field` is at fault.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Rejection { field: field.into(), message: message.into() }
    }
}

/// Why a job that was started has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The inputs are not what the operation takes.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The inputs are well formed and have no answer (a singular matrix, a negative cycle).
    #[error("{message}")]
    Unprocessable {
        /// A word for programs (`singular`).
        reason: &'static str,
        /// What the data lacks.
        message: String,
        /// Figures (the pivot).
        details: Json,
    },
    /// Nobody waits for the result any more, and the job stopped at a block boundary.
    #[error("cancelled")]
    Cancelled,
    /// The device failed; the job can run elsewhere.
    #[error(transparent)]
    Fault(#[from] DeviceError),
}

impl Failure {
    /// The inputs have no answer, for this reason.
    pub fn unprocessable(reason: &'static str, message: impl Into<String>, details: Json) -> Self {
        Failure::Unprocessable { reason, message: message.into(), details }
    }
}
