//! A device in a process of its own.
//!
//! A driver that crashes, hangs or poisons its context takes its process with it, so that process is not the
//! service: [`serve`] is what it runs, [`WorkerHost`] is the service's end of it. Between them are Unix socket pairs,
//! one that controls and one for each lane, and memory that both map: inputs are copied once into it and outputs
//! once out of it. Inputs with an identity are named first and sent only when the worker asks, so a worker that was
//! restarted has them again without any books being kept.

mod channel;
mod encode;
mod header;
#[doc(hidden)]
pub mod heard;
mod host;
mod isolation;
mod job;
mod lane;
mod places;
mod probe;
mod process;
mod protocol;
mod region;
mod seen;
mod serve;
mod spawn;
mod staging;

#[cfg(test)]
mod tests;

pub use host::{WorkerHost, WorkerSettings};
pub use isolation::{IsolatingHost, RunInSlice, Slices};
pub use probe::{Probe, answer as answer_probe};
pub use serve::{ServeOptions, serve};
pub use spawn::Launch;
