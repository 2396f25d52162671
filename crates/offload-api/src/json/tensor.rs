//! Nested JSON arrays of numbers into one buffer, shape found on the way.

use super::number::{BadNumber, parse_f64, parse_i128};
use super::reader::Reader;
use crate::{DType, Invalid, MAX_RANK, Tensor};

/// Elements that a tensor has room for before the first is read.
const FIRST_ELEMENTS: usize = 256;

/// Numbers as read, before the request's `dtype` is known.
pub(super) enum Numbers {
    Real(Vec<f64>),
    Integer(Tensor),
}

/// A tensor as read: its shape, and the numbers.
pub(super) struct Raw {
    pub shape: Vec<usize>,
    pub numbers: Numbers,
}

/// A text that is nested arrays of numbers, as a tensor of `dtype`.
pub(crate) fn numbers(text: &[u8], dtype: DType, pointer: &str) -> Result<Tensor, Invalid> {
    let mut r = Reader::new(text);
    let raw = read(&mut r, dtype, pointer)?;
    r.end()?;
    finish(raw, dtype, pointer)
}

/// Reads a number or nested arrays of numbers. Real numbers are read alike for every real type. Bytes may also be
/// `true` and `false`, so that a mask can be sent as what it is.
pub(super) fn read(r: &mut Reader<'_>, dtype: DType, pointer: &str) -> Result<Raw, Invalid> {
    Ok(match dtype {
        DType::F32 | DType::F64 => {
            let (shape, v) = nested(r, pointer, false, parse_f64)?;
            Raw { shape, numbers: Numbers::Real(v) }
        }
        dtype => {
            let (shape, v) = nested(r, pointer, dtype == DType::U8, |b| {
                if b.starts_with(b"true") {
                    return Ok((1, 4));
                }
                if b.starts_with(b"false") {
                    return Ok((0, 5));
                }
                let (v, n) = parse_i128(b)?;
                let fits = match dtype {
                    DType::I32 => i32::try_from(v).is_ok(),
                    DType::I64 => i64::try_from(v).is_ok(),
                    DType::U8 => u8::try_from(v).is_ok(),
                    _ => u64::try_from(v).is_ok(),
                };
                // Kept as the 64 bits of its own type until the buffer is made.
                if fits { Ok((v as u64, n)) } else { Err(BadNumber::Range) }
            })?;
            let tensor = match dtype {
                DType::I32 => Tensor::new(shape.clone(), v.into_iter().map(|x| x as i32).collect()),
                DType::I64 => Tensor::new(shape.clone(), v.into_iter().map(|x| x as i64).collect()),
                DType::U8 => Tensor::new(shape.clone(), v.into_iter().map(|x| x as u8).collect()),
                _ => Tensor::new(shape.clone(), v),
            }
            .ok_or_else(|| Invalid::new(pointer, "the shape of the array overflows"))?;
            Raw { shape, numbers: Numbers::Integer(tensor) }
        }
    })
}

/// The numbers of `raw` as a tensor of `dtype`.
pub(super) fn finish(raw: Raw, dtype: DType, pointer: &str) -> Result<Tensor, Invalid> {
    let overflow = || Invalid::new(pointer, "the shape of the array overflows");
    match raw.numbers {
        Numbers::Integer(t) => Ok(t),
        Numbers::Real(v) if dtype == DType::F64 => Tensor::new(raw.shape, v).ok_or_else(overflow),
        Numbers::Real(v) => {
            let narrow: Vec<f32> = v.iter().map(|&x| x as f32).collect();
            if let Some(i) = narrow.iter().position(|x| !x.is_finite()) {
                return Err(Invalid::new(
                    format!("{pointer}{}", index_pointer(&raw.shape, i)),
                    format!("the number {:e} does not fit f32; ask for dtype f64", v[i]),
                ));
            }
            Tensor::new(raw.shape, narrow).ok_or_else(overflow)
        }
    }
}

/// The JSON pointer of the element at flat index `i`.
fn index_pointer(shape: &[usize], mut i: usize) -> String {
    let mut steps = Vec::new();
    for &d in shape.iter().rev() {
        steps.push(format!("/{}", i % d.max(1)));
        i /= d.max(1);
    }
    steps.reverse();
    steps.concat()
}

fn nested<T>(
    r: &mut Reader<'_>,
    pointer: &str,
    words: bool,
    parse: impl Fn(&[u8]) -> Result<(T, usize), BadNumber>,
) -> Result<(Vec<usize>, Vec<T>), Invalid> {
    // A number takes two bytes at least; small tensors find their room made, and a body that holds none cannot ask for much.
    let mut out: Vec<T> = Vec::with_capacity((r.rest().len() / 2 + 1).min(FIRST_ELEMENTS));
    // extents[d] is set when the first array of depth d closes; counts[d] counts its elements so far.
    let mut extents: Vec<Option<usize>> = Vec::new();
    let mut counts: Vec<usize> = Vec::new();
    let mut leaf: Option<usize> = None;
    let here = |counts: &[usize]| {
        let mut p = pointer.to_string();
        for c in counts {
            p.push_str(&format!("/{c}"));
        }
        p
    };
    loop {
        match r.peek() {
            Some(b'[') => {
                if leaf == Some(counts.len()) {
                    return Err(ragged(&here(&counts)));
                }
                if counts.len() == MAX_RANK {
                    return Err(Invalid::new(
                        pointer,
                        format!("the array nests deeper than the limit of {MAX_RANK} dimensions"),
                    ));
                }
                r.advance(1);
                counts.push(0);
                if extents.len() < counts.len() {
                    extents.push(None);
                }
                if r.peek() != Some(b']') {
                    continue;
                }
                // An empty array is a leaf: nothing may be deeper elsewhere.
                if *leaf.get_or_insert(counts.len()) != counts.len() {
                    return Err(ragged(&here(&counts[..counts.len() - 1])));
                }
            }
            Some(next) if matches!(next, b'-' | b'0'..=b'9') || (words && matches!(next, b't' | b'f')) => {
                if *leaf.get_or_insert(counts.len()) != counts.len() {
                    return Err(ragged(&here(&counts)));
                }
                let refuse = |e: BadNumber, counts: &[usize]| {
                    Invalid::new(
                        here(counts),
                        match e {
                            BadNumber::Malformed => "not a json number",
                            BadNumber::Range => "the number is out of range",
                            BadNumber::NotInteger => "the number must be an integer",
                        },
                    )
                };
                let (v, n) = parse(r.rest()).map_err(|e| refuse(e, &counts))?;
                out.push(v);
                r.advance(n);
                let Some(last) = counts.len().checked_sub(1) else {
                    return Ok((Vec::new(), out));
                };
                counts[last] += 1;
                // Most of a tensor is a number after a comma: such runs need nothing of the machine around this.
                while let [b',', next, ..] = r.rest()
                    && (next.is_ascii_digit() || *next == b'-')
                {
                    let (v, n) = parse(&r.rest()[1..]).map_err(|e| refuse(e, &counts))?;
                    out.push(v);
                    r.advance(n + 1);
                    counts[last] += 1;
                }
            }
            Some(b'n' | b'N' | b'I' | b'i') => {
                return Err(Invalid::new(
                    here(&counts),
                    "expected a number; null, NaN and infinity are not numbers in json",
                ));
            }
            _ => return Err(r.unexpected("a number or an array", &here(&counts))),
        }
        // A value has just ended (or an empty array has just opened): what follows it?
        loop {
            match r.peek() {
                Some(b',') if counts.last() != Some(&0) => {
                    r.advance(1);
                    break;
                }
                Some(b']') => {
                    r.advance(1);
                    let Some(n) = counts.pop() else {
                        return Err(r.unexpected("a number or an array", pointer));
                    };
                    let depth = counts.len();
                    match extents[depth] {
                        None => extents[depth] = Some(n),
                        Some(first) if first != n => {
                            return Err(Invalid::new(
                                here(&counts),
                                format!("ragged array: this row has {n} elements, the first has {first}"),
                            ));
                        }
                        Some(_) => {}
                    }
                    match counts.last_mut() {
                        Some(c) => *c += 1,
                        None => {
                            return Ok((extents.into_iter().map(|e| e.unwrap_or(0)).collect(), out));
                        }
                    }
                }
                _ => return Err(r.unexpected("',' or ']'", &here(&counts))),
            }
        }
    }
}

fn ragged(pointer: &str) -> Invalid {
    Invalid::new(pointer, "ragged array: numbers and arrays stand at the same depth")
}
