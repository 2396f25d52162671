//! Arrow IPC streams: each column is a tensor by its name, and answers are columns again.
//!
//! A column of numbers is `[n]`; lists of `d` numbers are `[n, d]`, lists of lists go on in the same way, and record
//! batches follow each other. The columns of one stream have as many rows as each other, so tensors of different
//! lengths (`a` of `[m, k]`, `b` of `[k, n]`) are sent as streams one after the other in one body; every output of an
//! answer is a stream of its own. Elements are read where they lie.
//! <https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format>

mod answer;
mod column;
mod layout;
mod request;
mod stream;

pub use answer::encode;
pub use request::decode_request;
pub use stream::columns;

/// The media type of a stream.
pub const MEDIA_TYPE: &str = "application/vnd.apache.arrow.stream";
