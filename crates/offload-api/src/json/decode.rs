//! Request bodies into options and inputs, in one pass, driven by the operation's schema.

use super::graph::{self, Parts};
use super::reader::{Reader, step};
use super::tensor::{self, Raw};
use crate::envelope::OPTION_WORDS;
use crate::{DType, Elem, Field, Invalid, Kind, Options, Record, Schema, Source, Style, Value, nearest};
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
enum Read {
    Raw(Raw, String),
    Ready(Value<Source>),
    Parts(Parts),
}

struct Fields<'s> {
    schema: &'s Schema,
    read: Vec<(&'static str, Read)>,
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
        let at = format!("{pointer}{}", step(&key));
        if fields.field(r, &key, &at)? { Ok(()) } else { Err(unknown(&key, &at, fields.names())) }
    })?;
    fields.finish(pointer)
}

pub(super) fn unknown<'a>(key: &str, pointer: &str, known: impl IntoIterator<Item = &'a str>) -> Invalid {
    let shown: String = key.chars().take(64).collect();
    let hint = nearest(key, known).map(|n| format!("; did you mean {n}?")).unwrap_or_default();
    Invalid::new(pointer, format!("unknown field {shown}{hint}"))
}

/// Calls `entry` with the reader at each value of an object.
pub(super) fn object<'a>(
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

impl<'s> Fields<'s> {
    fn new(schema: &'s Schema) -> Self {
        Fields { schema, read: Vec::new(), dtype: None }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.schema.fields.iter().map(|f| f.name).chain(self.schema.default_dtype.map(|_| "dtype"))
    }

    /// Reads the value of `key` when the schema has such a field.
    fn field(&mut self, r: &mut Reader<'_>, key: &str, pointer: &str) -> Result<bool, Invalid> {
        if key == "dtype" && self.schema.default_dtype.is_some() {
            let name = r.string(pointer)?;
            self.dtype = Some(
                DType::from_name(&name)
                    .filter(|d| d.is_real())
                    .ok_or_else(|| Invalid::new(pointer, "dtype must be f32 or f64"))?,
            );
            return Ok(true);
        }
        let Some(field) = self.schema.field(key) else { return Ok(false) };
        if self.read.iter().any(|(n, _)| *n == field.name) {
            return Err(Invalid::new(pointer, format!("the field {key} is there twice")));
        }
        let read = read_value(r, field, pointer)?;
        self.read.push((field.name, read));
        Ok(true)
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
                        _ => self.dtype.or(self.schema.default_dtype).unwrap_or(DType::F64),
                    };
                    Value::Tensor(Source::Inline(tensor::finish(raw, dtype, &at)?))
                }
            };
            record.set(field.name, value);
        }
        Ok(record)
    }
}

fn read_value(r: &mut Reader<'_>, field: &Field, pointer: &str) -> Result<Read, Invalid> {
    let name = field.name;
    let bad = |message: String| Invalid::new(pointer, message);
    if let Kind::Graph = field.kind {
        return graph::read(r, pointer).map(Read::Parts);
    }
    if let Kind::Tensor { elem, min_rank, max_rank } = field.kind {
        if r.peek() == Some(b'{') {
            return reference(r.skip(pointer)?, pointer).map(|s| Read::Ready(Value::Tensor(s)));
        }
        let raw = tensor::read(r, elem, pointer)?;
        let rank = raw.shape.len();
        if rank < min_rank || rank > max_rank {
            let wanted =
                if min_rank == max_rank { min_rank.to_string() } else { format!("{min_rank} to {max_rank}") };
            return Err(bad(format!("{name} has {rank} dimensions, it takes {wanted}")));
        }
        return Ok(Read::Raw(raw, pointer.to_string()));
    }
    let text = r.skip(pointer)?;
    let json: serde_json::Value = serde_json::from_slice(text)
        .map_err(|e| bad(format!("{name} is not valid json: {}", super::describe(&e))))?;
    let value = match &field.kind {
        Kind::Tensor { .. } | Kind::Gapped { .. } | Kind::Graph | Kind::Nullable(_) => {
            return Err(bad(format!("{name} is no input")));
        }
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
    Ok(Read::Ready(value))
}

/// `{"dataset": …}` or `{"$result": {"index": …, "output": …}}` where a tensor is meant.
fn reference(text: &[u8], pointer: &str) -> Result<Source, Invalid> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reference {
        #[serde(rename = "$result")]
        result: crate::OutputRef,
    }
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
