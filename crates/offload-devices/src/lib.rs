//! Device drivers.
//!
//! The only driver so far is the [`test_device`]: host memory that behaves like a device's and fails on purpose.
//! [`host`] maps files into memory. [`worker`] runs a device in a process of its own.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod discover;
pub mod host;
pub mod kernels;
pub mod test_device;
pub mod worker;
