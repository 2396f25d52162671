//! Device drivers.
//!
//! [`discover`] finds cards and opens them; [`vendor`] drives NVIDIA's and AMD's, [`opencl`] everybody's; [`test_device`]
//! is host memory that behaves like a device's and fails on purpose. [`worker`] runs a device in a process of its own.
//! [`memory`] keeps the books of a device's memory, [`kernels`] holds the dialect, [`host`] maps files.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod discover;
pub mod host;
pub mod kernels;
pub mod memory;
pub mod opencl;
pub mod test_device;
mod vendor;
pub mod worker;
