//! The Open Inference Protocol, version 2, with Triton's binary tensor extension: a JSON head, and the elements of
//! tensors behind it as they lie in memory. <https://github.com/kserve/open-inference-protocol>
//!
//! Shapes are taken as they are: no dimension is a batch unless the operation says so. Scalars and options are
//! parameters of the request, or tensors of one element; a tensor may be a column of a resident dataset, named by
//! its parameters. Ranked answers are two outputs, `<name>.indices` and `<name>.scores`.

mod answer;
mod datatype;
mod head;
mod metadata;
mod request;

pub use answer::{About, Answer, Chunk, encode};
pub use datatype::Datatype;
pub use metadata::{config, metadata};
pub use request::{Infer, Wanted, columns, decode};
