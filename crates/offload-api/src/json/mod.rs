//! The JSON format: requests read straight into tensors in one pass, answers written straight from them.

mod columns;
mod decode;
mod encode;
mod graph;
mod number;
mod reader;
mod tensor;

pub use columns::{ColumnsBody, decode_columns};
pub use decode::{Decoded, decode_inputs, decode_request};
pub(crate) use decode::{MAX_VALUE_BYTES, object, scalar, short, unknown};
pub use encode::{NotFinite, render, write_record, write_string};
pub(crate) use reader::step;
pub use reader::{MAX_DEPTH, Reader};
pub(crate) use tensor::numbers;

/// serde_json's message without its "at line … column …", which means nothing for a slice of a body.
pub fn describe(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_string()
}
