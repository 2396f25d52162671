//! Device drivers.
//!
//! [`opencl`] is every OpenCL device. [`test_device`] is host memory that behaves like a device's and fails on purpose.
//! [`kernels`] makes kernel texts ready for compilers; [`host`] maps files into memory.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod discover;
pub mod host;
pub mod kernels;
pub mod opencl;
pub mod test_device;
