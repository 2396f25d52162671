//! Stage 6: what the caller, the metrics, the audit log and the prices are told. None of it delays the answer.

mod outcome;

pub use outcome::{Answer, Observer, Outcome, Settled, Timings};
