//! One block: its coding, chosen, and its bytes read back.

use super::cursor::{Corrupt, Cursor};
use super::header::Element;
use super::{Effort, Method, alp, gorilla, integers, split};

pub(super) const RAW: u8 = 0;
pub(super) const CONSTANT: u8 = 1;
pub(super) const GORILLA: u8 = 2;
pub(super) const DELTA: u8 = 3;
pub(super) const ALP: u8 = 4;
pub(super) const SPLIT: u8 = 5;

/// The names of the codings, by their number.
pub(super) const NAMES: [&str; 6] = ["raw", "constant", "gorilla", "delta", "alp", "alp_split"];

/// Bytes that a value takes at most, where `auto` looks no further.
pub(super) const SMALL_BYTES: usize = 2;

/// Values of a block that stand for all of it when `auto` chooses.
pub(super) const PART: usize = 256;

/// Bits that a value takes as a decimal, from which on it is taken for none.
pub(super) const SPLIT_FROM_BITS: usize = 48;

/// Reused between blocks.
#[derive(Default)]
pub(super) struct Scratch {
    gorilla: gorilla::Scratch,
    packed: integers::Scratch,
    alp: alp::Scratch,
    split: split::Scratch,
    ordered: Vec<u64>,
    tried: Vec<u8>,
}

/// What all blocks of a file are written with.
pub(super) struct Coder {
    method: Method,
    effort: Effort,
    element: Element,
    exponents: Vec<alp::Exponents>,
    right: u32,
}

impl Coder {
    /// Looks at samples of all values.
    pub(super) fn new(method: Method, level: u8, element: Element, values: &[u64]) -> Coder {
        let effort = Effort::of(level);
        let looks = element == Element::F64 && matches!(method, Method::Alp | Method::Auto);
        let exponents = if looks { alp::candidates(values, effort) } else { Vec::new() };
        let right = if looks { split::right_bits(values) } else { 0 };
        Coder { method, effort, element, exponents, right }
    }

    /// The same for timestamps, which are delta-coded whatever the values are.
    pub(super) fn for_timestamps(level: u8) -> Coder {
        Coder::new(Method::Delta, level, Element::I64, &[])
    }

    /// How values are to be coded.
    pub(super) fn method(&self) -> Method {
        self.method
    }

    /// Whether values are of `f64`.
    pub(super) fn is_real(&self) -> bool {
        self.element == Element::F64
    }

    /// Numbers of which the windows of `gorilla` are put together, at the least.
    pub(super) fn leaf(&self) -> usize {
        self.effort.leaves.first().copied().unwrap_or(1)
    }

    /// Whether integers are also tried around their median.
    pub(super) fn by_median(&self) -> bool {
        self.effort.bases_by_median
    }

    /// Bits on the right of a split.
    pub(super) fn right(&self) -> u32 {
        self.right
    }

    /// The exponents that are tried for each block.
    pub(super) fn exponents(&self) -> Vec<u32> {
        self.exponents.iter().map(|x| x.number()).collect()
    }

    /// Appends a block that is not empty, and returns its coding.
    pub(super) fn encode(&self, values: &[u64], s: &mut Scratch, out: &mut Vec<u8>) -> u8 {
        let start = out.len();
        if values.windows(2).all(|w| w[0] == w[1]) {
            out.push(CONSTANT);
            out.extend(values.first().into_iter().flat_map(|v| v.to_le_bytes()));
            return CONSTANT;
        }
        match self.method {
            Method::Gorilla => self.encode_as(GORILLA, values, s, out),
            Method::Delta => self.encode_as(DELTA, values, s, out),
            Method::Alp => self.encode_alp(values, s, out),
            Method::Auto => self.encode_best(values, s, out),
        }
        // What does not become smaller stays as it is, which bounds every block.
        if out.len() - start > 8 * values.len() {
            out.truncate(start);
            out.push(RAW);
            values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
        }
        out[start]
    }

    fn encode_as(&self, coding: u8, values: &[u64], s: &mut Scratch, out: &mut Vec<u8>) {
        out.push(coding);
        match coding {
            GORILLA => gorilla::encode(values, self.effort, &mut s.gorilla, out),
            DELTA if self.element == Element::I64 => {
                integers::encode(values, self.effort, &mut s.packed, out)
            }
            DELTA => {
                s.ordered.clear();
                s.ordered.extend(values.iter().map(|&v| ordered(v)));
                integers::encode(&s.ordered, self.effort, &mut s.packed, out);
            }
            SPLIT => split::encode(values, self.right, &mut s.split, out),
            _ => {
                let (x, _) = alp::choose(values, &self.exponents, self.effort);
                alp::encode(values, x, self.effort, (&mut s.alp, &mut s.packed), out);
            }
        }
    }

    /// ALP, or its way for numbers that are no decimals.
    fn encode_alp(&self, values: &[u64], s: &mut Scratch, out: &mut Vec<u8>) {
        let (x, bits) = alp::choose(values, &self.exponents, self.effort);
        if bits >= SPLIT_FROM_BITS {
            return self.encode_as(SPLIT, values, s, out);
        }
        out.push(ALP);
        alp::encode(values, x, self.effort, (&mut s.alp, &mut s.packed), out);
    }

    fn encode_best(&self, values: &[u64], s: &mut Scratch, out: &mut Vec<u8>) {
        let codings: &[u8] = match self.element {
            Element::F64 => &[ALP, GORILLA, DELTA, SPLIT],
            Element::I64 => &[DELTA, GORILLA],
        };
        let part = if self.effort.whole || values.len() <= PART {
            values
        } else {
            let from = (values.len() - PART) / 2;
            &values[from..from + PART]
        };
        let mut tried = std::mem::take(&mut s.tried);
        let mut best = (usize::MAX, RAW);
        for &coding in codings {
            // The last two are for numbers that are no decimals: they keep most of the mantissa.
            let small = !self.effort.whole && best.0 <= SMALL_BYTES * part.len();
            if small && matches!(coding, DELTA | SPLIT) && self.element == Element::F64 {
                break;
            }
            tried.clear();
            self.encode_as(coding, part, s, &mut tried);
            best = best.min((tried.len(), coding));
        }
        s.tried = tried;
        self.encode_as(best.1, values, s, out);
    }
}

/// The bits of a floating-point number as an integer of the same order, and back.
#[inline]
fn ordered(bits: u64) -> u64 {
    bits ^ (((bits as i64) >> 63) as u64 >> 1)
}

/// Reads a block of as many values as `out` holds, at least one, to its last byte.
pub(super) fn decode(
    bytes: &[u8],
    element: Element,
    s: &mut gorilla::Scratch,
    out: &mut [u64],
) -> Result<(), Corrupt> {
    let mut from = Cursor::new(bytes);
    let real = element == Element::F64;
    match from.u8()? {
        RAW => {
            let raw = from.take(8 * out.len())?;
            out.iter_mut().zip(super::cursor::u64s(raw)).for_each(|(o, v)| *o = v);
        }
        CONSTANT => out.fill(from.u64()?),
        GORILLA => gorilla::decode(&mut from, s, out)?,
        DELTA => {
            integers::decode(&mut from, out)?;
            if real {
                out.iter_mut().for_each(|v| *v = ordered(*v));
            }
        }
        ALP if real => alp::decode(&mut from, out)?,
        SPLIT if real => split::decode(&mut from, out)?,
        _ => return Err(Corrupt("its coding is unknown")),
    }
    from.end()
}
