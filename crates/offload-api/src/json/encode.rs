//! Outputs into JSON text, straight from their buffers.

use crate::{Data, Element, Layout, Matches, Record, Tensor, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A number that JSON cannot hold stands in this output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output {output} holds NaN or infinity, which json cannot carry")]
pub struct NotFinite {
    /// The output's name.
    pub output: &'static str,
}

/// Writes an element as JSON; `false` when it is not finite.
trait WriteNumber {
    fn write(self, out: &mut Vec<u8>) -> bool;
}

macro_rules! write_real {
    ($t:ty) => {
        impl WriteNumber for $t {
            #[inline]
            fn write(self, out: &mut Vec<u8>) -> bool {
                if !self.is_finite() {
                    return false;
                }
                // Whole numbers of everyday size print as integers: shorter, and equal as JSON values.
                if self.fract() == 0.0 && self.abs() < 1e7 && !(self == 0.0 && self.is_sign_negative()) {
                    write_i64(self as i64, out);
                } else {
                    out.extend_from_slice(zmij::Buffer::new().format_finite(self).as_bytes());
                }
                true
            }
        }
    };
}
write_real!(f32);
write_real!(f64);

macro_rules! write_integer {
    ($t:ty) => {
        impl WriteNumber for $t {
            fn write(self, out: &mut Vec<u8>) -> bool {
                use std::io::Write;
                write!(out, "{self}").is_ok()
            }
        }
    };
}
write_integer!(i32);
write_integer!(u8);
write_integer!(u64);

impl WriteNumber for i64 {
    fn write(self, out: &mut Vec<u8>) -> bool {
        write_i64(self, out);
        true
    }
}

fn write_i64(v: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = v.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if v < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_elements<T: Element + WriteNumber>(shape: &[usize], elements: &[T], out: &mut Vec<u8>) -> bool {
    match shape {
        [] => elements[0].write(out),
        [_] => write_list(elements.len(), out, |i, out| elements[i].write(out)),
        [n, inner @ ..] => {
            let stride = inner.iter().product::<usize>();
            write_list(*n, out, |i, out| write_elements(inner, &elements[i * stride..(i + 1) * stride], out))
        }
    }
}

fn write_tensor(t: &Tensor, out: &mut Vec<u8>) -> bool {
    let shape = t.shape();
    match t.data() {
        Data::F32(b) => write_elements(shape, b, out),
        Data::F64(b) => write_elements(shape, b, out),
        Data::I32(b) => write_elements(shape, b, out),
        Data::I64(b) => write_elements(shape, b, out),
        Data::U8(b) => write_elements(shape, b, out),
        Data::U64(b) => write_elements(shape, b, out),
    }
}

/// Writes what `each` writes for 0 to `count`, as an array.
fn write_list(count: usize, out: &mut Vec<u8>, mut each: impl FnMut(usize, &mut Vec<u8>) -> bool) -> bool {
    out.push(b'[');
    for i in 0..count {
        if i > 0 {
            out.push(b',');
        }
        if !each(i, out) {
            return false;
        }
    }
    out.push(b']');
    true
}

fn write_matches(m: &Matches, out: &mut Vec<u8>) -> bool {
    let (queries, _) = m.extents();
    match (m.layout(), queries) {
        (Layout::Flat, None) => write_query(m, 0, out),
        (Layout::Flat, Some(q)) => write_list(q, out, |query, out| write_query(m, query, out)),
        (Layout::PerQuery, q) => write_list(q.unwrap_or(1), out, |query, out| {
            out.extend_from_slice(b"{\"query_idx\":");
            write_i64(query as i64, out);
            out.extend_from_slice(b",\"matches\":");
            let finite = write_query(m, query, out);
            out.push(b'}');
            finite
        }),
    }
}

fn write_query(m: &Matches, query: usize, out: &mut Vec<u8>) -> bool {
    let (indices, scores) = m.columns();
    let answers: Vec<usize> = m.of_query(query).collect();
    write_list(answers.len(), out, |i, out| {
        out.extend_from_slice(b"{\"idx\":");
        write_i64(indices[answers[i]], out);
        out.extend_from_slice(b",\"score\":");
        let finite = match scores {
            Data::F32(s) => s[answers[i]].write(out),
            Data::F64(s) => s[answers[i]].write(out),
            _ => false,
        };
        out.push(b'}');
        finite
    })
}

/// Writes bytes as a string of base64, straight into the answer.
fn write_base64(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).is_ok();
    out.push(b'"');
    written
}

/// Writes `text` as a JSON string.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail, nor can serialising a str.
    let _ = serde_json::to_writer(out, text);
}

/// Writes one value.
///
/// # Errors
/// When it holds NaN or infinity.
pub fn render(name: &'static str, value: &Value, out: &mut Vec<u8>) -> Result<(), NotFinite> {
    let finite = match value {
        Value::Tensor(t) => write_tensor(t, out),
        Value::Int(v) => v.write(out),
        Value::Float(v) => v.write(out),
        Value::Bool(v) => {
            out.extend_from_slice(if *v { b"true" } else { b"false" });
            true
        }
        Value::Text(t) => {
            write_string(t, out);
            true
        }
        Value::Json(v) => serde_json::to_writer(&mut *out, v).is_ok(),
        Value::Matches(m) => write_matches(m, out),
        Value::Bytes(b) => write_base64(b, out),
    };
    if finite { Ok(()) } else { Err(NotFinite { output: name }) }
}

/// Writes the members `"name":value,…` of an object, without its braces.
///
/// # Errors
/// When a value holds NaN or infinity.
pub fn write_record(record: &Record, out: &mut Vec<u8>) -> Result<(), NotFinite> {
    for (i, (name, value)) in record.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        render(name, value, out)?;
    }
    Ok(())
}
