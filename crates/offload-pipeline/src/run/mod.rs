//! Stage 5: executors. They take a message, run the operation, and report; they know nothing of callers.
//!
//! The boundary is a message with no driver pointer in it, so that the other side can be a thread (the CPU
//! lanes, always; device lanes in tests) or a process.

mod cpu;
mod device;
mod message;

pub use cpu::{CpuLane, run_inline};
pub use device::DeviceLanes;
pub use message::{Report, ReportTo, RunFailure, Task};
