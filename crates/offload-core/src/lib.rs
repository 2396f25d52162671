//! The vocabulary of the service and the traits its parts meet at: operation, plan, device, cancellation.
//!
//! Nothing here does I/O, is async, knows HTTP or a driver.
#![forbid(unsafe_code)]

mod case;
mod context;
mod derived;
pub mod device;
mod failure;
mod graph;
mod inputs;
mod operation;
mod operations;
mod plan;
mod registry;
pub mod stack;
mod tenant;

pub use case::{Case, Expect, Property, Tolerance, close};
pub use context::{Cancel, Context, Progress};
pub use derived::{Derived, Origin};
pub use failure::{Failure, Rejection};
pub use graph::Graph;
pub use inputs::{
    FromRecord, FromValue, Slot, bytes, field_of, float, int, integers, json_value, one_of, real, take, text,
};
pub use operation::{About, AnyOperation, IntoRecord, Operation};
pub use plan::{DeviceNeed, Plan, PlannedOutput};
pub use registry::{Registered, Registry};
pub use tenant::TenantId;

#[doc(hidden)]
pub use offload_api as api;
