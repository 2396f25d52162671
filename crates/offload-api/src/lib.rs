//! What crosses the wire: tensors, named values, schemas, the request envelope, the error table, and the formats:
//! JSON, the Open Inference Protocol, and Arrow (feature `arrow`). No I/O here: bytes come in, typed values go out, and back.
//!
//! A service and a client share this crate, so neither can drift from the other.
#![forbid(unsafe_code)]

#[cfg(feature = "arrow")]
pub mod arrow;
mod column;
mod dataset;
mod dtype;
mod envelope;
mod error;
pub mod graph;
mod inputs;
pub mod json;
mod matches;
pub mod oip;
mod record;
mod schema;
mod tensor;

pub use column::{Column, ColumnKind, Run, Texts, TextsBuilder, column_spec};
pub use dataset::{Comparison, DatasetRef, Test};
pub use dtype::DType;
pub use envelope::{DependsOn, DeviceChoice, ENVELOPE_WORDS, Options, Priority, Style, TimeoutMs};
pub use error::{ApiError, ErrorCode, Invalid};
pub use matches::{Layout, Matches, NO_MATCH};
pub use record::{OutputRef, Record, Source, Value};
pub use schema::{Elem, Field, Kind, Schema, match_schema, matches_schema, nearest};
pub use tensor::{Buf, Data, Element, MAX_RANK, Memory, ResidentKey, Shape, Tensor, TensorSpec};
