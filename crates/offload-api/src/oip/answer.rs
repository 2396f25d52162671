//! Outputs as the protocol sends them: a JSON head, and behind it the memory of the tensors, which is not copied.

use super::datatype::Datatype;
use super::request::Wanted;
use crate::json::{NotFinite, render, write_string};
use crate::{Field, Kind, Record, Tensor, Value};
use std::borrow::Cow;
use std::io::Write;

/// What an answer says beside its outputs.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// `matrix.multiply`.
    pub model: &'a str,
    /// The version of the model.
    pub version: u32,
    /// The request's id.
    pub id: Option<&'a str>,
}

/// An answer: its head, and what follows it.
#[derive(Debug)]
pub struct Answer {
    /// The JSON head.
    pub head: Vec<u8>,
    /// The binary outputs, in the order of the head.
    pub tail: Vec<Chunk>,
    /// Whether an output is binary, so that the length of the head must be told
    /// (`Inference-Header-Content-Length`).
    pub framed: bool,
}

/// Bytes of an answer: a tensor's memory, or a few of their own.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// The elements of a tensor.
    Tensor(Tensor),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Chunk::Tensor(t) => t.data().as_bytes(),
            Chunk::Bytes(b) => b,
        }
    }
}

/// The names that an output of this field has.
pub(super) fn names(field: &Field) -> Vec<String> {
    match field.kind {
        Kind::Matches(_) => ["indices", "scores"].map(|part| format!("{}.{part}", field.name)).into(),
        _ => vec![field.name.to_string()],
    }
}

/// An output as the protocol knows outputs.
struct Output<'a> {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    value: Part<'a>,
}

enum Part<'a> {
    Tensor(Cow<'a, Tensor>),
    /// A single number or truth value: JSON text and little-endian bytes.
    One(String, Vec<u8>),
    Text(String),
}

/// The outputs that a value becomes.
fn outputs<'a>(name: &'static str, value: &'a Value) -> Vec<Output<'a>> {
    let of = |name: &str, t: &'a Tensor| Output {
        name: name.to_string(),
        datatype: Datatype::of(t.dtype()),
        shape: t.shape().to_vec(),
        value: Part::Tensor(Cow::Borrowed(t)),
    };
    let one = |datatype, value| vec![Output { name: name.to_string(), datatype, shape: vec![1], value }];
    match value {
        Value::Tensor(t) | Value::Gapped(t) => vec![of(name, t)],
        // What is not there has no tensor.
        value if value.is_nothing() => Vec::new(),
        Value::Matches(m) => {
            vec![of(&format!("{name}.indices"), m.indices()), of(&format!("{name}.scores"), m.scores())]
        }
        Value::Bytes(b) => {
            let (shape, tensor) = (vec![b.len()], Tensor::from_bytes(b.clone()));
            let value = Part::Tensor(Cow::Owned(tensor));
            vec![Output { name: name.to_string(), datatype: Datatype::Uint8, shape, value }]
        }
        Value::Int(v) => one(Datatype::Int64, Part::One(v.to_string(), v.to_le_bytes().into())),
        Value::Float(v) => {
            let mut text = Vec::new();
            // What is not finite is refused below when it is wanted as JSON.
            let json = render(name, value, &mut text).map(|()| String::from_utf8(text).unwrap_or_default());
            one(Datatype::Fp64, Part::One(json.unwrap_or_default(), v.to_le_bytes().into()))
        }
        Value::Bool(v) => one(Datatype::Bool, Part::One(v.to_string(), vec![u8::from(*v)])),
        Value::Text(v) => one(Datatype::Bytes, Part::Text(v.clone())),
        Value::Json(v) => one(Datatype::Bytes, Part::Text(v.to_string())),
    }
}

/// Encodes the wanted outputs; `parameters` writes the members `"name":value,…` of the answer's parameters.
///
/// # Errors
/// When an output that is wanted as JSON holds NaN or infinity.
pub fn encode(
    record: &Record,
    wanted: &Wanted,
    about: &About<'_>,
    parameters: impl FnOnce(&mut Vec<u8>),
) -> Result<Answer, NotFinite> {
    let mut answer = Answer { head: Vec::with_capacity(1024), tail: Vec::new(), framed: false };
    let out = &mut answer.head;
    out.extend_from_slice(b"{\"model_name\":");
    write_string(about.model, out);
    // Writing to a vector cannot fail.
    let _ = write!(out, ",\"model_version\":\"{}\"", about.version);
    if let Some(id) = about.id {
        out.extend_from_slice(b",\"id\":");
        write_string(id, out);
    }
    out.extend_from_slice(b",\"outputs\":[");
    let mut first = true;
    for (name, value) in record.iter() {
        for output in outputs(name, value) {
            let binary = match &wanted.named {
                None => wanted.binary,
                Some(named) => match named.iter().find(|(n, _)| *n == output.name) {
                    Some((_, binary)) => *binary,
                    None => continue,
                },
            };
            if !first {
                out.push(b',');
            }
            first = false;
            out.extend_from_slice(b"{\"name\":");
            write_string(&output.name, out);
            let _ = write!(out, ",\"datatype\":\"{}\",\"shape\":{:?}", output.datatype.name(), output.shape);
            if binary {
                let chunk = output.value.chunk();
                let _ = write!(out, ",\"parameters\":{{\"binary_data_size\":{}}}}}", chunk.as_ref().len());
                answer.tail.push(chunk);
                answer.framed = true;
            } else {
                out.extend_from_slice(b",\"data\":");
                output.value.write(name, out)?;
                out.push(b'}');
            }
        }
    }
    out.extend_from_slice(b"],\"parameters\":{");
    parameters(out);
    out.extend_from_slice(b"}}");
    Ok(answer)
}

impl Part<'_> {
    fn chunk(self) -> Chunk {
        match self {
            Part::Tensor(t) => Chunk::Tensor(t.into_owned()),
            Part::One(_, bytes) => Chunk::Bytes(bytes),
            Part::Text(text) => {
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                let kept = text.as_bytes().get(..length as usize).unwrap_or_default();
                Chunk::Bytes([&length.to_le_bytes(), kept].concat())
            }
        }
    }

    /// Writes the elements as a flat list.
    fn write(&self, output: &'static str, out: &mut Vec<u8>) -> Result<(), NotFinite> {
        match self {
            Part::Tensor(t) => {
                let flat =
                    Tensor::from_data([t.data().len()], t.data().clone()).ok_or(NotFinite { output })?;
                return render(output, &Value::Tensor(flat), out);
            }
            Part::One(text, _) if text.is_empty() => return Err(NotFinite { output }),
            Part::One(text, _) => {
                let _ = write!(out, "[{text}]");
            }
            Part::Text(text) => {
                out.push(b'[');
                write_string(text, out);
                out.push(b']');
            }
        }
        Ok(())
    }
}
