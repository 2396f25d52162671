//! What the service and a worker say to each other.

use super::encode::{Packed, name_of};
use offload_core::device::{Descriptor, DeviceError, GpuTimings, Health, LanePriority};
use offload_core::{Failure, Rejection};
use serde::{Deserialize, Serialize};

/// From the service, on the socket that controls. Each is answered before the next is sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// How the device is.
    Health,
    /// A lane; its socket and its header come along.
    OpenLane(LanePriority),
    /// End.
    Exit,
}

/// From the worker, on the socket that controls. The first comes by itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The device is open, or why not.
    Ready(Result<Descriptor, DeviceError>),
    Health(Result<Health, DeviceError>),
    Opened(Result<(), DeviceError>),
}

/// From the service, on a lane.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWorker<Name> {
    /// A job. The memory that its inputs lie in comes along when it is new.
    Run {
        operation: String,
        tenant: String,
        reserved_bytes: u64,
        #[serde(bound(deserialize = "Name: Deserialize<'de>"))]
        inputs: Vec<(Name, Packed)>,
    },
    /// What was missing is there.
    Brought,
    /// The job's end was read: the worker may take back its memory, and unmaps the inputs' when it was given back.
    Read { inputs_gone: bool },
}

/// From the worker, on a lane.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToService<Name> {
    /// The elements of the tensor at this place are read and not there.
    Missing {
        at: usize,
    },
    /// The outputs. The memory that they lie in comes along when it is new.
    Done {
        #[serde(bound(deserialize = "Name: Deserialize<'de>"))]
        outputs: Vec<(Name, Packed)>,
        timings: GpuTimings,
    },
    Failed {
        failure: Told,
        timings: GpuTimings,
    },
}

/// A [`Failure`] as a message.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Told {
    Rejected { field: String, message: String },
    Unprocessable { reason: String, message: String, details: serde_json::Value },
    Cancelled,
    Fault(DeviceError),
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Told {
        match failure {
            Failure::Rejected(Rejection { field, message }) => Told::Rejected { field, message },
            Failure::Unprocessable { reason, message, details } => {
                Told::Unprocessable { reason: reason.into(), message, details }
            }
            Failure::Cancelled => Told::Cancelled,
            Failure::Fault(e) => Told::Fault(e),
        }
    }
}

impl From<Told> for Failure {
    fn from(told: Told) -> Failure {
        match told {
            Told::Rejected { field, message } => Failure::Rejected(Rejection { field, message }),
            Told::Unprocessable { reason, message, details } => Failure::Unprocessable {
                // There are some dozens of such words; a worker that makes up thousands loses the distinction.
                reason: name_of(&reason, std::iter::empty()).unwrap_or("unprocessable"),
                message,
                details,
            },
            Told::Cancelled => Failure::Cancelled,
            Told::Fault(e) => Failure::Fault(e),
        }
    }
}
