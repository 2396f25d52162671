//! Inference requests into inputs, options and the outputs that are wanted.

use super::datatype::Datatype;
use super::head::{Head, Input, Output, Parameter};
use crate::inputs::{Inputs, Sent, elements};
use crate::json::{MAX_VALUE_BYTES, describe, numbers, short};
use crate::{
    Column, Data, DatasetRef, Field, Invalid, Memory, Options, Priority, Record, Schema, Source, Tensor,
    TensorSpec, nearest,
};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;

/// A decoded inference request, with nothing resolved yet.
#[derive(Clone, Debug)]
pub struct Infer {
    /// The id that the answer repeats.
    pub id: Option<String>,
    /// What it asks beside its inputs.
    pub options: Options,
    /// Its inputs.
    pub inputs: Record<Source>,
    /// Which outputs it wants, and how.
    pub wanted: Wanted,
    /// The JSON pointer of each input and parameter, by name.
    pub pointers: Vec<(String, String)>,
}

/// Which outputs are wanted, and how they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Outputs that are not named are sent as binary data.
    pub binary: bool,
    /// These outputs alone, each with whether it is sent as binary data. None: all of them.
    pub named: Option<Vec<(String, bool)>>,
}

impl Wanted {
    /// Whether an output is sent as text.
    pub fn has_text(&self) -> bool {
        match &self.named {
            None => !self.binary,
            Some(named) => named.iter().any(|(_, binary)| !binary),
        }
    }
}

/// Decodes a request. `head_bytes` is how many bytes its head has (`Inference-Header-Content-Length`); without it the
/// whole body is the head, and no tensor is binary. Tensors stand on `body` where their elements are aligned.
///
/// # Errors
/// What is malformed, unknown, missing or there twice, and lengths that do not add up, each with its pointer.
pub fn decode(
    body: &Arc<dyn Memory>,
    head_bytes: Option<usize>,
    schema: &Schema,
    outputs: &[Field],
) -> Result<Infer, Invalid> {
    let (head, mut tail) = split(body, head_bytes)?;
    let mut inputs = Inputs::new(schema);
    let mut pointers = Vec::new();
    for input in &head.inputs {
        let sent = tail.take(input)?;
        inputs.tensor(&input.name, sent, &input.pointer)?;
        pointers.push((input.name.clone(), input.pointer.clone()));
    }
    tail.end()?;
    let mut wanted = Wanted { binary: false, named: None };
    for parameter in &head.parameters {
        let Parameter { name, text, pointer } = parameter;
        match name.as_str() {
            "binary_data_output" => wanted.binary = parse(parameter, "true or false")?,
            // Triton's clients number priorities from 1, the most urgent; 0 leaves the choice to the service.
            "priority" if text.first() != Some(&b'"') => {
                let class: u64 = parse(parameter, "a word, or a number from 0")?;
                let most = Priority::ALL.len() as u64;
                if let Some(i) = class.checked_sub(1) {
                    let priority = Priority::ALL[i.min(most - 1) as usize];
                    inputs.parameter(name, format!("\"{}\"", priority.name()).as_bytes(), pointer)?;
                }
            }
            // And send their time limit in microseconds.
            "timeout" => {
                let us: u64 = parse(parameter, "a number of microseconds")?;
                if us > 0 {
                    inputs.parameter("timeout_ms", us.div_ceil(1000).to_string().as_bytes(), pointer)?;
                }
            }
            "sequence_id" | "sequence_start" | "sequence_end" => {
                return Err(Invalid::new(pointer, "there are no sequences: operations keep no state"));
            }
            _ => inputs.parameter(name, text, pointer)?,
        }
        pointers.push((name.clone(), pointer.clone()));
    }
    if let Some(listed) = &head.outputs {
        wanted.named = Some(named(listed, outputs, wanted.binary)?);
    }
    let (options, inputs) = inputs.finish("/inputs")?;
    Ok(Infer { id: head.id, options, inputs, wanted, pointers })
}

/// The tensors of a body as columns of a dataset, whatever their names; the body is a request without parameters and
/// outputs.
///
/// # Errors
/// As [`decode`].
pub fn columns(body: &Arc<dyn Memory>, head_bytes: Option<usize>) -> Result<Vec<(String, Column)>, Invalid> {
    let (head, mut tail) = split(body, head_bytes)?;
    if let Some(p) = head.parameters.first() {
        return Err(Invalid::new(&p.pointer, "columns have no parameters"));
    }
    if head.outputs.is_some() {
        return Err(Invalid::new("/outputs", "columns have no outputs"));
    }
    let mut columns: Vec<(String, Column)> = Vec::with_capacity(head.inputs.len());
    for input in &head.inputs {
        let name = &input.name;
        if columns.iter().any(|(n, _)| n == name) {
            return Err(Invalid::new(&input.pointer, format!("the column {name} is there twice")));
        }
        match tail.take(input)? {
            Sent::Tensor(t) if !t.shape().is_empty() => columns.push((name.clone(), Column::Tensor(t))),
            Sent::Tensor(_) => {
                return Err(Invalid::new(&input.pointer, format!("the column {name} has no rows")));
            }
            Sent::Text(_) | Sent::Dataset(_) => {
                let message = format!("the column {name} must be numbers; texts are sent as json or arrow");
                return Err(Invalid::new(&input.pointer, message));
            }
        }
    }
    tail.end()?;
    Ok(columns)
}

/// A body's head, and the bytes behind it.
fn split<'b>(body: &'b Arc<dyn Memory>, head_bytes: Option<usize>) -> Result<(Head<'b>, Tail<'b>), Invalid> {
    let bytes = (**body).as_ref();
    let length = head_bytes.unwrap_or(bytes.len());
    let text = bytes.get(..length).ok_or_else(|| {
        let message =
            format!("inference-header-content-length is {length}, the body has {} bytes", bytes.len());
        Invalid::new("", message)
    })?;
    let head = Head::read(text)?;
    Ok((head, Tail { body, at: length, framed: head_bytes.is_some() }))
}

/// The outputs that are named.
fn named(listed: &[Output<'_>], outputs: &[Field], default: bool) -> Result<Vec<(String, bool)>, Invalid> {
    let known: Vec<String> = outputs.iter().flat_map(super::answer::names).collect();
    let mut named: Vec<(String, bool)> = Vec::new();
    for output in listed {
        let Output { name, parameters, pointer } = output;
        if !known.contains(name) {
            let hint = nearest(name, known.iter().map(String::as_str));
            let hint = hint.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            let shown: String = name.chars().take(64).collect();
            return Err(Invalid::new(pointer, format!("there is no output {shown}{hint}")));
        }
        if named.iter().any(|(n, _)| n == name) {
            return Err(Invalid::new(pointer, format!("the output {name} is there twice")));
        }
        let mut binary = default;
        for p in parameters {
            match p.name.as_str() {
                "binary_data" => binary = parse(p, "true or false")?,
                other => return Err(not_offered(other, &p.pointer, &["binary_data"])),
            }
        }
        named.push((name.clone(), binary));
    }
    Ok(named)
}

/// The bytes behind the head, taken from the front.
struct Tail<'b> {
    body: &'b Arc<dyn Memory>,
    at: usize,
    framed: bool,
}

impl Tail<'_> {
    /// Nothing may be left.
    fn end(&self) -> Result<(), Invalid> {
        match (**self.body).as_ref().len() - self.at {
            0 => Ok(()),
            rest => Err(Invalid::new("", format!("{rest} bytes follow the last tensor"))),
        }
    }

    fn take(&mut self, input: &Input<'_>) -> Result<Sent, Invalid> {
        let at = |message: String| Invalid::new(&input.pointer, message);
        let name = &input.name;
        let mut size: Option<usize> = None;
        let mut dataset = serde_json::Map::new();
        for p in &input.parameters {
            match p.name.as_str() {
                "binary_data_size" => size = Some(parse(p, "a number of bytes")?),
                "dataset" | "column" | "version" => {
                    dataset.insert(p.name.clone(), parse(p, "a text or a number")?);
                }
                other => {
                    return Err(not_offered(
                        other,
                        &p.pointer,
                        &["binary_data_size", "dataset", "column", "version"],
                    ));
                }
            }
        }
        if !dataset.is_empty() {
            if size.is_some() || input.data.is_some() {
                return Err(at(format!("{name} is a column of a dataset, it has no data of its own")));
            }
            let reference: DatasetRef = serde_json::from_value(dataset.into()).map_err(|e| {
                at(format!(
                    "{name} names a dataset by the parameters dataset, column and version: {}",
                    describe(&e)
                ))
            })?;
            return Ok(Sent::Dataset(reference));
        }
        let field = |what: &str| at(format!("{name} has no {what}"));
        let datatype = input.datatype.as_deref().ok_or_else(|| field("datatype"))?;
        let datatype = Datatype::from_name(datatype)
            .map_err(|e| Invalid::new(format!("{}/datatype", input.pointer), format!("{name}: {e}")))?;
        let shape = shape(input.shape.ok_or_else(|| field("shape"))?, input)?;
        let count = elements(&shape, name, &format!("{}/shape", input.pointer))?;
        match (size, input.data) {
            (Some(_), Some(_)) => Err(at(format!("{name} has data in the head and binary_data_size"))),
            (None, None) => Err(at(format!("{name} has neither data nor binary_data_size"))),
            (Some(size), None) => self.binary(input, datatype, shape, count, size),
            (None, Some(text)) => in_head(input, datatype, shape, count, text),
        }
    }

    fn binary(
        &mut self,
        input: &Input<'_>,
        datatype: Datatype,
        shape: Vec<usize>,
        count: usize,
        size: usize,
    ) -> Result<Sent, Invalid> {
        let name = &input.name;
        let at =
            |message: String| Invalid::new(format!("{}/parameters/binary_data_size", input.pointer), message);
        if !self.framed {
            return Err(at(format!(
                "{name} is binary data; the header inference-header-content-length must say where it begins"
            )));
        }
        let bytes = (**self.body).as_ref();
        let left = bytes.len() - self.at;
        if size > left {
            return Err(at(format!("{name} has {size} bytes, the body has {left} left")));
        }
        let range = self.at..self.at + size;
        self.at += size;
        let Some(dtype) = datatype.dtype() else {
            return text_of(&bytes[range], count).map(Sent::Text).map_err(|e| at(format!("{name} {e}")));
        };
        let spec = TensorSpec::new(dtype, shape);
        if spec.bytes() != size as u64 {
            let message = format!(
                "{name} has {size} bytes, {} of {:?} are {}",
                datatype.name(),
                spec.shape,
                spec.bytes()
            );
            return Err(at(message));
        }
        if datatype == Datatype::Bool && bytes[range.clone()].iter().any(|b| *b > 1) {
            return Err(at(format!("{name} is BOOL: each byte is 0 or 1")));
        }
        over(spec, self.body, range).ok_or_else(|| at(format!("{name} does not fill its shape")))
    }
}

fn over(spec: TensorSpec, body: &Arc<dyn Memory>, range: Range<usize>) -> Option<Sent> {
    Tensor::over(spec, Arc::clone(body), range).map(Sent::Tensor)
}

/// A tensor whose elements stand in the head, flat or nested.
fn in_head(
    input: &Input<'_>,
    datatype: Datatype,
    shape: Vec<usize>,
    count: usize,
    text: &[u8],
) -> Result<Sent, Invalid> {
    let name = &input.name;
    let pointer = format!("{}/data", input.pointer);
    let at = |message: String| Invalid::new(&pointer, message);
    let Some(dtype) = datatype.dtype() else {
        let mut texts: Vec<String> = serde_json::from_slice(text)
            .map_err(|e| at(format!("{name} is BYTES, a list of texts: {}", describe(&e))))?;
        return match (texts.pop(), texts.is_empty(), count) {
            (Some(text), true, 1) => Ok(Sent::Text(text)),
            _ => Err(at(format!("{name} is one text, its shape is [1]"))),
        };
    };
    let read = numbers(text, dtype, &pointer)?;
    let nested = read.shape();
    if nested.is_empty() {
        return Err(at(format!("the data of {name} is a list")));
    }
    if nested.len() > 1 && nested != shape {
        return Err(at(format!("the data of {name} is nested as {nested:?}, its shape is {shape:?}")));
    }
    let Some(tensor) = Tensor::from_data(shape.clone(), read.data().clone()) else {
        return Err(at(format!(
            "{name} has {} elements, its shape {shape:?} holds {count}",
            read.data().len()
        )));
    };
    if datatype == Datatype::Bool && matches!(tensor.data(), Data::U8(v) if v.iter().any(|b| *b > 1)) {
        return Err(at(format!("{name} is BOOL: each element is true or false")));
    }
    Ok(Sent::Tensor(tensor))
}

/// The one text of a BYTES tensor.
fn text_of(bytes: &[u8], count: usize) -> Result<String, &'static str> {
    let text = match bytes.split_first_chunk::<4>() {
        Some((length, text)) if count == 1 && u32::from_le_bytes(*length) as usize == text.len() => text,
        _ => return Err("is one text: its length as four bytes, little-endian, and as many bytes"),
    };
    std::str::from_utf8(text).map(str::to_string).map_err(|_| "is a text in UTF-8")
}

fn shape(text: &[u8], input: &Input<'_>) -> Result<Vec<usize>, Invalid> {
    let at = |message: String| Invalid::new(format!("{}/shape", input.pointer), message);
    let name = &input.name;
    let extents: Vec<i64> = serde_json::from_slice(text)
        .map_err(|e| at(format!("the shape of {name} is a list of whole numbers: {}", describe(&e))))?;
    let extent = |d: i64| {
        usize::try_from(d)
            .map_err(|_| at(format!("the shape of {name} has the extent {d}, none may be negative")))
    };
    extents.into_iter().map(extent).collect()
}

fn parse<T: DeserializeOwned>(parameter: &Parameter<'_>, wanted: &str) -> Result<T, Invalid> {
    short(parameter.text, &parameter.name, MAX_VALUE_BYTES, &parameter.pointer)?;
    serde_json::from_slice(parameter.text)
        .map_err(|_| Invalid::new(&parameter.pointer, format!("{} must be {wanted}", parameter.name)))
}

/// The error for a parameter of the protocol that does nothing here.
fn not_offered(name: &str, pointer: &str, known: &[&'static str]) -> Invalid {
    let message = match name {
        "shared_memory_region" | "shared_memory_byte_size" | "shared_memory_offset" => {
            "shared memory is not offered, send the tensor in the body".to_string()
        }
        "classification" => "classification is not offered, ask for the tensor".to_string(),
        _ => {
            let shown: String = name.chars().take(64).collect();
            let hint = nearest(name, known.iter().copied());
            let hint = hint.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            format!("unknown parameter {shown}{hint}")
        }
    };
    Invalid::new(pointer, message)
}
