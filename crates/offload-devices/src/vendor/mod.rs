//! NVIDIA and AMD: one driver under two names.
//!
//! HIP's runtime offers CUDA's driver calls one for one, so a table of functions ([`driver::Driver`]) is filled from
//! `libcuda` or from `libamdhip64`, and everything above it is written once. Everything is loaded at run time; what is
//! missing is an error with its reason.

mod blas;
mod code;
mod compile;
mod cuda;
mod cusolver;
mod device;
mod driver;
mod health;
mod lane;
mod memory;
mod recording;
mod rocm;
mod rocsolver;
mod search;
mod slices;
mod solver;

pub(crate) use cuda::{list as list_cuda, open as open_cuda};
pub(crate) use device::{capacity_bytes, planned_bytes};
pub(crate) use rocm::{list as list_rocm, open as open_rocm};
