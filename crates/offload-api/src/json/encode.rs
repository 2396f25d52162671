//! Outputs into JSON text, straight from their buffers.

use super::graph;
use crate::graph::{NAME, SRC, WEIGHT};
use crate::{Data, Element, Record, Tensor, Value};

/// A number that JSON cannot hold stands in this output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output {output} holds NaN or infinity, which json cannot carry")]
pub struct NotFinite {
    /// The output's name.
    pub output: &'static str,
}

/// Writes an element as JSON; `false` when it is not finite.
pub(super) trait WriteNumber {
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

pub(super) fn write_elements<T: Element + WriteNumber>(
    shape: &[usize],
    elements: &[T],
    out: &mut Vec<u8>,
) -> bool {
    match shape {
        [] => elements[0].write(out),
        [_] => {
            out.push(b'[');
            for (i, e) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                if !e.write(out) {
                    return false;
                }
            }
            out.push(b']');
            true
        }
        [n, inner @ ..] => {
            let stride = inner.iter().product::<usize>();
            out.push(b'[');
            for i in 0..*n {
                if i > 0 {
                    out.push(b',');
                }
                if !write_elements(inner, &elements[i * stride..(i + 1) * stride], out) {
                    return false;
                }
            }
            out.push(b']');
            true
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

/// Writes numbers of which those that are not finite stand for nothing.
fn write_gapped(shape: &[usize], elements: &[f64], out: &mut Vec<u8>) {
    let Some((n, inner)) = shape.split_first() else {
        if !elements.first().is_some_and(|e| e.write(out)) {
            out.extend_from_slice(b"null");
        }
        return;
    };
    let stride = inner.iter().product::<usize>();
    out.push(b'[');
    for i in 0..*n {
        if i > 0 {
            out.push(b',');
        }
        write_gapped(inner, &elements[i * stride..(i + 1) * stride], out);
    }
    out.push(b']');
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
        Value::Gapped(t) => {
            write_gapped(t.shape(), t.as_slice::<f64>().unwrap_or_default(), out);
            true
        }
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
    };
    if finite { Ok(()) } else { Err(NotFinite { output: name }) }
}

/// Writes the members `"name":value,…` of an object, without its braces. The parts of a [graph](crate::graph) are
/// written as the one member they are.
///
/// # Errors
/// When a value holds NaN or infinity.
pub fn write_record(record: &Record, out: &mut Vec<u8>) -> Result<(), NotFinite> {
    let mut first = true;
    for (name, value) in record.iter() {
        let part = graph::is_part(name);
        if part && name != SRC {
            continue;
        }
        if !std::mem::replace(&mut first, false) {
            out.push(b',');
        }
        if part {
            write_string(NAME, out);
            out.push(b':');
            if !graph::write(record, out) {
                return Err(NotFinite { output: WEIGHT });
            }
            continue;
        }
        write_string(name, out);
        out.push(b':');
        render(name, value, out)?;
    }
    Ok(())
}
