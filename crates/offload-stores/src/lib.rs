//! State outside the process: SQLite in a data directory, an in-memory twin for tests, and the suite that every
//! store must pass.
//!
//! The traits and the record types are `offload_pipeline::records`. To add a store, implement
//! [`offload_pipeline::records::Stores`] and write a test file of one line, `offload_stores::store_suite!(fresh);`.
#![forbid(unsafe_code)]

mod cursor;
mod memory;
mod segments;
mod sqlite;
pub mod suite;

pub use memory::MemoryStores;
pub use segments::MapFile;
pub use sqlite::{DataDir, OpenError};
