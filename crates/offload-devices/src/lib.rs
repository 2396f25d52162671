//! Device drivers.
//!
//! The only driver so far is the [`test_device`]: host memory that behaves like a device's and fails on purpose.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod test_device;
