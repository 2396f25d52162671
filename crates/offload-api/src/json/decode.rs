//! Request bodies into options and inputs, in one pass, driven by the operation's schema.

use super::graph::{self, Parts};
use super::reader::{Reader, step};
use super::tensor::{self, Raw};
use crate::envelope::OPTION_WORDS;
use crate::{
    DType, Elem, Field, Invalid, Kind, Options, Record, Schema, Source, Style, Tensor, Value, nearest,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// A request, decoded and held against its schema, with nothing resolved yet.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The shape it came in, which its answer takes.
    pub style: Style,
    /// What it asks beside its inputs.
    pub options: Options,
    /// Its inputs.
    pub inputs: Record<Source>,
}

/// A field as read, before the request's `dtype` is known.
enum Read<'b> {
    Raw(Raw, String),
    Open(Open<'b>),
    Ready(Value<Source>),
    Parts(Parts),
}

/// A tensor of one of several types, read as the likeliest; it is read again when `dtype`, which may stand behind
/// it, names one that numbers are read differently for.
struct Open<'b> {
    types: &'static [DType],
    read_as: DType,
    raw: Result<Raw, Invalid>,
    start: Reader<'b>,
    pointer: String,
}

struct Fields<'s, 'b> {
    schema: &'s Schema,
    read: Vec<(&'static str, Read<'b>)>,
    dtype: Option<DType>,
}

/// Decodes the body of a submission: an envelope if and only if the top level has an object named `inputs`,
/// the inputs at the top level otherwise.
///
/// # Errors
/// Malformed JSON, unknown or duplicate fields, and values that the schema does not allow, each with its pointer.
pub fn decode_request(body: &[u8], schema: &Schema) -> Result<Decoded, Invalid> {
    let mut r = Reader::new(body);
    let mut options = Options::default();
    let mut enveloped: Option<Record<Source>> = None;
    let mut flat = Fields::new(schema);
    let mut seen: Vec<String> = Vec::new();
    object(&mut r, "", |r, key| {
        let pointer = step(&key);
        if seen.contains(&key) {
            return Err(Invalid::new(pointer, format!("the field {key} is there twice")));
        }
        if key == "inputs" && r.peek() == Some(b'{') {
            enveloped = Some(inputs_object(r, schema, "/inputs")?);
        } else if !flat.field(r, &key, &pointer)? {
            let text = r.skip(&pointer)?;
            if !options.set(&key, text)? {
                let known = schema.fields.iter().map(|f| f.name).chain(OPTION_WORDS.iter().copied());
                return Err(unknown(&key, &pointer, known));
            }
        }
        seen.push(key);
        Ok(())
    })?;
    r.end()?;
    match enveloped {
        Some(inputs) => {
            if let Some((name, _)) = flat.read.first() {
                return Err(Invalid::new(
                    step(name),
                    format!("the input {name} stands beside inputs; put it into inputs"),
                ));
            }
            if flat.dtype.is_some() {
                return Err(Invalid::new("/dtype", "dtype stands beside inputs; put it into inputs"));
            }
            Ok(Decoded { style: Style::Envelope, options, inputs })
        }
        None => Ok(Decoded { style: Style::Flat, options, inputs: flat.finish("")? }),
    }
}

/// Decodes an object of inputs alone, as a batch item holds it. `pointer` is where it stands.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_inputs(text: &[u8], schema: &Schema, pointer: &str) -> Result<Record<Source>, Invalid> {
    let mut r = Reader::new(text);
    let inputs = inputs_object(&mut r, schema, pointer)?;
    r.end()?;
    Ok(inputs)
}

fn inputs_object(r: &mut Reader<'_>, schema: &Schema, pointer: &str) -> Result<Record<Source>, Invalid> {
    let mut fields = Fields::new(schema);
    object(r, pointer, |r, key| {
        let at = [pointer, &step(&key)].concat();
        if fields.field(r, &key, &at)? { Ok(()) } else { Err(unknown(&key, &at, fields.names())) }
    })?;
    fields.finish(pointer)
}

pub(crate) fn unknown<'a>(key: &str, pointer: &str, known: impl IntoIterator<Item = &'a str>) -> Invalid {
    let shown: String = key.chars().take(64).collect();
    let hint = nearest(key, known).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
    Invalid::new(pointer, format!("unknown field {shown}{hint}"))
}

/// Calls `entry` with the reader at each value of an object.
pub(crate) fn object<'a>(
    r: &mut Reader<'a>,
    pointer: &str,
    mut entry: impl FnMut(&mut Reader<'a>, String) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    r.expect(b'{', pointer)?;
    if r.eat(b'}') {
        return Ok(());
    }
    loop {
        let key = r.string(pointer)?.into_owned();
        r.expect(b':', pointer)?;
        entry(r, key)?;
        if !r.eat(b',') {
            break;
        }
    }
    r.expect(b'}', pointer)
}

impl<'s, 'b> Fields<'s, 'b> {
    fn new(schema: &'s Schema) -> Self {
        Fields { schema, read: Vec::new(), dtype: None }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        let dtype = (!self.schema.dtypes().is_empty()).then_some("dtype");
        self.schema.fields.iter().map(|f| f.name).chain(dtype)
    }

    /// Reads the value of `key` when the schema has such a field.
    fn field(&mut self, r: &mut Reader<'b>, key: &str, pointer: &str) -> Result<bool, Invalid> {
        if key == "dtype" {
            let known = self.schema.dtypes();
            if !known.is_empty() {
                let name = r.string(pointer)?;
                let dtype = DType::from_name(&name).filter(|d| known.contains(d));
                self.dtype = Some(dtype.ok_or_else(|| {
                    let names: Vec<&str> = known.iter().map(|d| d.name()).collect();
                    Invalid::new(pointer, format!("dtype must be {}", names.join(" or ")))
                })?);
                return Ok(true);
            }
        }
        let Some(field) = self.schema.field(key) else { return Ok(false) };
        if self.read.iter().any(|(n, _)| *n == field.name) {
            return Err(Invalid::new(pointer, format!("the field {key} is there twice")));
        }
        let read = match field.kind {
            Kind::Tensor { elem, .. } if r.peek() != Some(b'{') => self.tensor(r, field, elem, pointer)?,
            _ => read_value(r, field, pointer)?,
        };
        self.read.push((field.name, read));
        Ok(true)
    }

    /// Reads the numbers of a tensor.
    fn tensor(
        &self,
        r: &mut Reader<'b>,
        field: &Field,
        elem: Elem,
        pointer: &str,
    ) -> Result<Read<'b>, Invalid> {
        let types = match elem {
            Elem::Real => return Ok(Read::Raw(ranked(r, DType::F64, field, pointer)?, pointer.into())),
            Elem::Fixed(d) => return Ok(Read::Raw(ranked(r, d, field, pointer)?, pointer.into())),
            Elem::OneOf(types) => types,
        };
        let (start, read_as) = (r.clone(), self.one_of(types));
        let raw = ranked(r, read_as, field, pointer);
        if let Err(e) = &raw {
            *r = start.clone();
            r.skip(pointer).map_err(|_| e.clone())?;
        }
        Ok(Read::Open(Open { types, read_as, raw, start, pointer: pointer.into() }))
    }

    /// The type that a tensor of one of these types is read as.
    fn one_of(&self, types: &[DType]) -> DType {
        let asked = self.dtype.filter(|d| types.contains(d));
        asked.or(types.first().copied()).unwrap_or(DType::F64)
    }

    /// The type that real tensors are read as.
    fn real(&self) -> DType {
        self.dtype.filter(|d| d.is_real()).or(self.schema.default_dtype).unwrap_or(DType::F64)
    }

    /// Makes the tensors, and checks that every required field is there.
    fn finish(mut self, pointer: &str) -> Result<Record<Source>, Invalid> {
        let mut record = Record::new();
        for field in &self.schema.fields {
            let Some(i) = self.read.iter().position(|(n, _)| *n == field.name) else {
                if field.required {
                    return Err(Invalid::new(pointer, format!("the field {} is missing", field.name)));
                }
                continue;
            };
            let value = match self.read.swap_remove(i).1 {
                Read::Ready(v) => v,
                Read::Parts(parts) => {
                    parts.into_iter().for_each(|(name, value)| record.set(name, value));
                    continue;
                }
                Read::Raw(raw, at) => {
                    let dtype = match field.kind {
                        Kind::Tensor { elem: Elem::Fixed(d), .. } => d,
                        _ => self.real(),
                    };
                    Value::Tensor(Source::Inline(tensor::finish(raw, dtype, &at)?))
                }
                Read::Open(open) => {
                    let dtype = self.one_of(open.types);
                    let same = dtype == open.read_as || (dtype.is_real() && open.read_as.is_real());
                    let raw = if same {
                        open.raw?
                    } else {
                        ranked(&mut open.start.clone(), dtype, field, &open.pointer)?
                    };
                    Value::Tensor(Source::Inline(tensor::finish(raw, dtype, &open.pointer)?))
                }
            };
            record.set(field.name, value);
        }
        Ok(record)
    }
}

/// Reads a tensor of this type, of a rank that the field takes.
fn ranked(r: &mut Reader<'_>, dtype: DType, field: &Field, pointer: &str) -> Result<Raw, Invalid> {
    let raw = tensor::read(r, dtype, pointer)?;
    if let Kind::Tensor { min_rank, max_rank, .. } = field.kind {
        let rank = raw.shape.len();
        if rank < min_rank || rank > max_rank {
            let wanted =
                if min_rank == max_rank { min_rank.to_string() } else { format!("{min_rank} to {max_rank}") };
            let message = format!("{} has {rank} dimensions, it takes {wanted}", field.name);
            return Err(Invalid::new(pointer, message));
        }
    }
    Ok(raw)
}

fn read_value<'b>(r: &mut Reader<'b>, field: &Field, pointer: &str) -> Result<Read<'b>, Invalid> {
    if let Kind::Graph = field.kind {
        return graph::read(r, pointer).map(Read::Parts);
    }
    let referred = matches!(field.kind, Kind::Bytes { .. }) && r.peek() == Some(b'{');
    if referred || matches!(field.kind, Kind::Tensor { .. }) {
        return reference(r.skip(pointer)?, pointer).map(|s| Read::Ready(Value::Tensor(s)));
    }
    if let Kind::Bytes { max_bytes } = field.kind {
        let text = r.string(pointer)?;
        let bytes =
            base64(&text, max_bytes).map_err(|e| Invalid::new(pointer, format!("{} {e}", field.name)))?;
        return Ok(Read::Ready(Value::Tensor(Source::Inline(Tensor::vector(bytes)))));
    }
    scalar(r.skip(pointer)?, field, pointer).map(Read::Ready)
}

/// The longest text of a value that is no tensor. Read as JSON it takes dozens of times as much memory, which no quota
/// counts.
pub(crate) const MAX_VALUE_BYTES: usize = 1 << 20;

/// Holds the text of a value that is no tensor against its limit, before anything is made of it.
pub(crate) fn short(text: &[u8], name: &str, limit: usize, pointer: &str) -> Result<(), Invalid> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(Invalid::new(pointer, format!("{name} has {} bytes of json, the limit is {limit}", text.len())))
}

/// The value of a field that is no tensor, from its JSON text.
pub(crate) fn scalar(text: &[u8], field: &Field, pointer: &str) -> Result<Value<Source>, Invalid> {
    let name = field.name;
    let bad = |message: String| Invalid::new(pointer, message);
    let limit = match field.kind {
        // A letter is six at most, as `\u0061`.
        Kind::Text { max_bytes } => max_bytes.saturating_mul(6).saturating_add(2).max(MAX_VALUE_BYTES),
        _ => MAX_VALUE_BYTES,
    };
    short(text, name, limit, pointer)?;
    let json: serde_json::Value = serde_json::from_slice(text)
        .map_err(|e| bad(format!("{name} is not valid json: {}", super::describe(&e))))?;
    let value = match &field.kind {
        // The first three are read elsewhere; the others are outputs.
        Kind::Tensor { .. }
        | Kind::Bytes { .. }
        | Kind::Graph
        | Kind::Gapped { .. }
        | Kind::Nullable(_)
        | Kind::Matches(_) => return Err(bad(format!("{name} is an output, it cannot be sent"))),
        Kind::Int { min, max } => {
            let v = json
                .as_i64()
                .or_else(|| json.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64));
            Value::Int(
                v.filter(|v| v >= min && v <= max)
                    .ok_or_else(|| bad(format!("{name} must be an integer from {min} to {max}")))?,
            )
        }
        Kind::Float { min, max } => Value::Float(
            json.as_f64()
                .filter(|v| v.is_finite() && v >= min && v <= max)
                .ok_or_else(|| bad(format!("{name} must be a number from {min} to {max}")))?,
        ),
        Kind::Bool => {
            Value::Bool(json.as_bool().ok_or_else(|| bad(format!("{name} must be true or false")))?)
        }
        Kind::Choice(words) => {
            let word = match &json {
                serde_json::Value::Bool(b) => b.to_string(),
                serde_json::Value::String(s) => s.clone(),
                _ => String::new(),
            };
            if !words.contains(&word.as_str()) {
                let hint = nearest(&word, words.iter().copied())
                    .filter(|_| !word.is_empty())
                    .map(|n| format!("; did you mean {n}?"))
                    .unwrap_or_default();
                return Err(bad(format!("{name} must be one of {}{hint}", words.join(", "))));
            }
            Value::Text(word)
        }
        Kind::Text { max_bytes } => {
            let s = json.as_str().ok_or_else(|| bad(format!("{name} must be a text")))?;
            if s.len() > *max_bytes {
                return Err(bad(format!("{name} has {} bytes, the limit is {max_bytes}", s.len())));
            }
            Value::Text(s.to_string())
        }
        Kind::Json { .. } => Value::Json(Arc::new(json)),
    };
    Ok(value)
}

/// The bytes of a base64 text, at most so many.
fn base64(text: &str, max_bytes: usize) -> Result<Vec<u8>, String> {
    // Four letters are three bytes, of which the padding takes at most two.
    let least = (text.len() / 4 * 3).saturating_sub(2);
    if least > max_bytes {
        return Err(format!("has at least {least} bytes, the limit is {max_bytes}"));
    }
    let bytes = STANDARD
        .decode(text)
        .map_err(|e| format!("must be base64 (RFC 4648, padded): {e}").to_lowercase())?;
    if bytes.len() > max_bytes {
        return Err(format!("has {} bytes, the limit is {max_bytes}", bytes.len()));
    }
    Ok(bytes)
}

/// `{"dataset": …}` or `{"$result": {"index": …, "output": …}}` where a tensor is meant.
fn reference(text: &[u8], pointer: &str) -> Result<Source, Invalid> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reference {
        #[serde(rename = "$result")]
        result: crate::OutputRef,
    }
    short(text, "a reference", MAX_VALUE_BYTES, pointer)?;
    let is_result = speaks_of_result(text);
    let parsed = if is_result {
        serde_json::from_slice::<Reference>(text).map(|r| Source::Output(r.result))
    } else {
        serde_json::from_slice::<crate::DatasetRef>(text).map(Source::Dataset)
    };
    parsed.map_err(|e| {
        Invalid::new(
            pointer,
            format!(
                "a tensor is an array of numbers, {{\"dataset\": …, \"column\": …}} or {{\"$result\": {{\"index\": …, \"output\": …}}}}: {}",
                super::describe(&e)
            ),
        )
    })
}

/// Whether an object's text speaks of `$result`.
fn speaks_of_result(text: &[u8]) -> bool {
    text.windows(9).any(|w| w == b"\"$result\"")
}
