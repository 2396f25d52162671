//! Named values as a message: what is small stands in it, what is large lies in shared memory.

use super::region::Region;
use offload_api::{
    Buf, DType, Data, Element, Layout, Matches, Record, ResidentKey, Tensor, TensorSpec, Value,
};
use offload_core::Registered;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Each piece starts at a multiple of this: a cache line, and enough for every element type.
const ALIGN_BYTES: usize = 64;
/// Names that this process has learned from another one, at most.
const MAX_NAMES: usize = 4096;
/// What the extents of a tensor without elements may multiply to, the zeros left out.
const MAX_EMPTY: usize = 1 << 24;
/// Values of a record, at most.
const MAX_VALUES: usize = 1024;

/// A value as it stands in a message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Packed {
    Tensor(PackedTensor),
    Gapped(PackedTensor),
    Int(i64),
    /// Its bits, so that it arrives as it is.
    Float(u64),
    Bool(bool),
    Text(Span),
    Json(Span),
    Matches {
        indices: PackedTensor,
        scores: PackedTensor,
        per_query: bool,
    },
    Bytes(Span),
}

/// A tensor whose elements lie in shared memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PackedTensor {
    dtype: DType,
    shape: Vec<usize>,
    at: usize,
    /// Its identity, high and low half. Its elements are there once the other side has asked for them.
    resident: Option<(u64, u64)>,
}

/// A run of bytes in shared memory.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Span {
    at: usize,
    len: usize,
}

/// Bytes, and where in shared memory they go.
pub(super) struct Piece {
    pub(super) at: usize,
    /// Only when the other side asks.
    pub(super) late: bool,
    content: Content,
}

enum Content {
    Tensor(Tensor),
    Bytes(Buf<u8>),
    Text(String),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Tensor(t) => t.data().as_bytes(),
            Content::Bytes(b) => b,
            Content::Text(t) => t.as_bytes(),
        }
    }

    /// What the other side may keep it under.
    pub(super) fn identity(&self) -> Option<ResidentKey> {
        match &self.content {
            Content::Tensor(t) if self.late => t.resident(),
            _ => None,
        }
    }

    /// How many there are, without reading them.
    pub(super) fn len(&self) -> usize {
        match &self.content {
            Content::Tensor(t) => t.bytes() as usize,
            Content::Bytes(b) => b.len(),
            Content::Text(t) => t.len(),
        }
    }
}

/// A record on its way.
pub(super) struct Packing {
    pub(super) values: Vec<(&'static str, Packed)>,
    pub(super) pieces: Vec<Piece>,
    /// Bytes of shared memory that the pieces need.
    pub(super) total: usize,
}

impl Packing {
    /// Lays a record out. Tensors with an identity come late when `late` is set.
    pub(super) fn of(record: Record<Tensor>, late: bool) -> Packing {
        let mut packing = Packing { values: Vec::with_capacity(record.len()), pieces: Vec::new(), total: 0 };
        let names: Vec<&'static str> = record.iter().map(|(name, _)| name).collect();
        let mut record = record;
        for name in names {
            let Some(value) = record.take(name) else { continue };
            let packed = match value {
                Value::Tensor(t) => Packed::Tensor(packing.tensor(t, late)),
                Value::Gapped(t) => Packed::Gapped(packing.tensor(t, late)),
                Value::Int(v) => Packed::Int(v),
                Value::Float(v) => Packed::Float(v.to_bits()),
                Value::Bool(v) => Packed::Bool(v),
                Value::Text(t) => Packed::Text(packing.span(Content::Text(t))),
                Value::Json(v) => Packed::Json(packing.span(Content::Text(v.to_string()))),
                Value::Matches(m) => Packed::Matches {
                    indices: packing.tensor(m.indices().clone(), false),
                    scores: packing.tensor(m.scores().clone(), false),
                    per_query: m.layout() == Layout::PerQuery,
                },
                Value::Bytes(b) => Packed::Bytes(packing.span(Content::Bytes(b))),
            };
            packing.values.push((name, packed));
        }
        packing
    }

    fn tensor(&mut self, tensor: Tensor, late: bool) -> PackedTensor {
        let spec = tensor.spec();
        let resident = tensor.resident().filter(|_| late).map(|k| ((k.0 >> 64) as u64, k.0 as u64));
        let span = self.piece(Content::Tensor(tensor), resident.is_some());
        PackedTensor { dtype: spec.dtype, shape: spec.shape, at: span.at, resident }
    }

    fn span(&mut self, content: Content) -> Span {
        self.piece(content, false)
    }

    fn piece(&mut self, content: Content, late: bool) -> Span {
        let piece = Piece { at: self.total, late, content };
        let span = Span { at: piece.at, len: piece.len() };
        // Everything here is in memory already, so sums of lengths are far from overflowing.
        self.total = (span.at + span.len).next_multiple_of(ALIGN_BYTES);
        self.pieces.push(piece);
        span
    }
}

/// Where the values of a message are found.
pub(super) trait Source {
    /// A tensor at a place of shared memory; `None` when it is not inside.
    fn tensor(&self, spec: TensorSpec, at: usize, resident: Option<ResidentKey>) -> Option<Tensor>;
    /// Bytes at a place of shared memory.
    fn bytes(&self, at: usize, len: usize) -> Option<Vec<u8>>;
}

/// The record that a message holds, or what is wrong with it.
pub(super) fn unpack(
    values: Vec<(String, Packed)>,
    operation: &Registered,
    source: &impl Source,
) -> Result<Record<Tensor>, String> {
    if values.len() > MAX_VALUES {
        return Err(format!("a record of {} values", values.len()));
    }
    let mut record = Record::new();
    for (name, packed) in values {
        let wrong = || format!("the value {name} is not what it says");
        let tensor = |t: PackedTensor| {
            let key = t.resident.map(|(high, low)| ResidentKey(u128::from(high) << 64 | u128::from(low)));
            let sound = t.at.is_multiple_of(ALIGN_BYTES) && ends(&t.shape);
            sound.then(|| source.tensor(TensorSpec::new(t.dtype, t.shape), t.at, key)).flatten()
        };
        let value = match packed {
            Packed::Tensor(t) => tensor(t).map(Value::Tensor),
            Packed::Gapped(t) => tensor(t).map(Value::Gapped),
            Packed::Int(v) => Some(Value::Int(v)),
            Packed::Float(bits) => Some(Value::Float(f64::from_bits(bits))),
            Packed::Bool(v) => Some(Value::Bool(v)),
            Packed::Text(s) => {
                source.bytes(s.at, s.len).and_then(|b| String::from_utf8(b).ok()).map(Value::Text)
            }
            Packed::Json(s) => source
                .bytes(s.at, s.len)
                .and_then(|b| serde_json::from_slice::<serde_json::Value>(&b).ok())
                .map(|v| Value::Json(v.into())),
            Packed::Matches { indices, scores, per_query } => tensor(indices)
                .zip(tensor(scores))
                .and_then(|(i, s)| matches(i, s, per_query))
                .map(Value::Matches),
            Packed::Bytes(s) => source.bytes(s.at, s.len).map(|b| Value::Bytes(b.into())),
        };
        let value = value.ok_or_else(wrong)?;
        let about = &operation.about;
        let known =
            about.outputs.iter().map(|f| f.name).chain(operation.schema.fields.iter().map(|f| f.name));
        record.set(name_of(&name, known).ok_or_else(|| "too many names".to_string())?, value);
    }
    Ok(record)
}

/// Whether loops over the rows of such a tensor end: one of nothing may have no more extents than a request's.
fn ends(shape: &[usize]) -> bool {
    let rows = shape.iter().filter(|d| **d > 0).try_fold(1usize, |n, d| n.checked_mul(*d));
    rows.is_some_and(|rows| rows <= MAX_EMPTY || !shape.contains(&0))
}

fn matches(indices: Tensor, scores: Tensor, per_query: bool) -> Option<Matches> {
    let layout = if per_query { Layout::PerQuery } else { Layout::Flat };
    let shape = indices.shape().to_vec();
    if scores.shape() != shape {
        return None;
    }
    let indices = indices.into_vec::<i64>()?;
    match scores.dtype() {
        DType::F32 => Matches::new(&shape, indices, scores.into_vec::<f32>()?, layout),
        DType::F64 => Matches::new(&shape, indices, scores.into_vec::<f64>()?, layout),
        _ => None,
    }
}

/// The name that lives as long as the process: one that is known, or one that was learned before or now.
pub(super) fn name_of(name: &str, mut known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    static LEARNED: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    if let Some(name) = known.find(|k| *k == name) {
        return Some(name);
    }
    let mut learned = LEARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let learned = learned.get_or_insert_default();
    match learned.get(name) {
        Some(name) => Some(name),
        None if learned.len() >= MAX_NAMES || name.len() > 256 => None,
        None => {
            let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
            learned.insert(name);
            Some(name)
        }
    }
}

/// Copies tensors out of a region into memory of their own.
pub(super) struct Copied<'a> {
    region: Option<&'a Region>,
    /// Values do not share bytes, so that copies of all of them are no more than the region.
    left: Cell<usize>,
}

impl<'a> Copied<'a> {
    pub(super) fn of(region: Option<&'a Region>) -> Copied<'a> {
        Copied { region, left: Cell::new(region.map_or(0, Region::len)) }
    }
}

impl Source for Copied<'_> {
    fn tensor(&self, spec: TensorSpec, at: usize, _resident: Option<ResidentKey>) -> Option<Tensor> {
        let data = match spec.dtype {
            DType::F32 => self.elements::<f32>(&spec, at)?,
            DType::F64 => self.elements::<f64>(&spec, at)?,
            DType::I32 => self.elements::<i32>(&spec, at)?,
            DType::I64 => self.elements::<i64>(&spec, at)?,
            DType::U8 => self.elements::<u8>(&spec, at)?,
            DType::U64 => self.elements::<u64>(&spec, at)?,
        };
        Tensor::from_data(spec.shape, data)
    }

    fn bytes(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        self.copy(at, len)
    }
}

impl Copied<'_> {
    fn copy<T: Element>(&self, at: usize, len: usize) -> Option<Vec<T>> {
        if len == 0 {
            return Some(Vec::new());
        }
        self.left.set(self.left.get().checked_sub(len.checked_mul(size_of::<T>())?)?);
        self.region?.read(at, len)
    }

    fn elements<T: Element>(&self, spec: &TensorSpec, at: usize) -> Option<Data> {
        let len = usize::try_from(spec.elements()).ok()?;
        Some(T::wrap(self.copy::<T>(at, len)?.into()))
    }
}
