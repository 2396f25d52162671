//! What the formats of requests share: a schema with a field of every kind, and the bytes of one input in parts.

use offload_api::{DType, Elem, Field, Kind, Layout, Record, Schema, Source, Tensor};
use std::sync::LazyLock;

pub(crate) fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// A field of every kind that can be an input.
pub(crate) fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let field = |name, kind| Field { name, doc: "fuzzed", kind, required: false, default: None };
        let tensor = |elem, min_rank, max_rank| Kind::Tensor { elem, min_rank, max_rank };
        Schema {
            fields: vec![
                field("a", tensor(Elem::Real, 0, 8)),
                field("ids", tensor(Elem::Fixed(DType::U64), 1, 1)),
                field("small", tensor(Elem::Fixed(DType::I32), 1, 2)),
                field("mask", tensor(Elem::Fixed(DType::U8), 1, 2)),
                field("data", tensor(Elem::OneOf(&[DType::F64, DType::I64]), 1, 1)),
                field("codes", tensor(Elem::OneOf(&[DType::F32, DType::F64, DType::U8]), 1, 2)),
                field("k", Kind::Int { min: -5, max: 1 << 40 }),
                field("scale", Kind::Float { min: -1e9, max: 1.0 }),
                field("flag", Kind::Bool),
                field("kind", Kind::Choice(&["one", "two", "true"])),
                field("text", Kind::Text { max_bytes: 20 }),
                field("deep", Kind::Json { schema: || serde_json::json!({}) }),
                field("file", Kind::Bytes { max_bytes: 100 }),
                field("graph", Kind::Graph),
            ],
            default_dtype: Some(DType::F64),
        }
    });
    &SCHEMA
}

/// Outputs of a few kinds, for requests that name the outputs they want.
pub(crate) fn outputs() -> Vec<Field> {
    let field = |name, kind| Field { name, doc: "fuzzed", kind, required: true, default: None };
    vec![
        field("result", Kind::Tensor { elem: Elem::Real, min_rank: 0, max_rank: 2 }),
        field("matches", Kind::Matches(Layout::PerQuery)),
    ]
}

/// The inputs, when all of them stand in the request.
pub(crate) fn inline(inputs: &Record<Source>) -> Option<Record<Tensor>> {
    let here = inputs.clone().try_map(|_, source| match source {
        Source::Inline(t) => Ok(t),
        _ => Err(()),
    });
    here.ok()
}

/// Holds an empty tensor against the promise that loops over its rows end.
pub(crate) fn smallest(shape: &[usize]) {
    let rows = shape.iter().filter(|d| **d > 0).fold(1usize, |n, d| n.saturating_mul(*d));
    let elements = shape.iter().fold(1usize, |n, d| n.saturating_mul(*d));
    assert!(elements > 0 || rows <= 1 << 24, "a tensor of nothing has the shape {shape:?}");
}

/// `input` behind its first two bytes, which are a number.
pub(crate) fn numbered(input: &[u8]) -> (usize, &[u8]) {
    match input {
        [a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        _ => (0, &[]),
    }
}
