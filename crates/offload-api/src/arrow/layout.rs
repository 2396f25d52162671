//! The types of columns that are taken, and how the buffers of each are read.

use super::stream::{Cursor, broken};
use crate::json::step;
use crate::{DType, Invalid, MAX_RANK, Tensor};
use arrow_ipc::{DateUnit, Field, Precision, Type};
use std::ops::Range;

/// The type of a column.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// Numbers that a tensor holds as they are.
    Number(DType),
    /// Smaller integers, which are widened.
    Small(Small),
    /// One bit per value.
    Bool,
    /// Lists of one length, known from the type.
    Fixed(usize, Box<Layout>),
    /// Lists whose lengths must turn out equal; offsets of 64 bits when large.
    List { large: bool, of: Box<Layout> },
    /// Texts; offsets of 64 bits when large.
    Text { large: bool },
}

/// An integer type that no tensor has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Small {
    I8,
    I16,
    U16,
    U32,
}

/// A record batch's part of a column.
#[derive(Debug)]
pub(super) struct Piece {
    /// Its rows.
    pub rows: usize,
    /// The extents of a row.
    pub inner: Vec<usize>,
    /// Its elements.
    pub values: Values,
}

/// Where the elements of a piece are.
#[derive(Debug)]
pub(super) enum Values {
    /// In the body.
    View(DType, Range<usize>),
    /// Some elements of a tensor that was made from the body.
    Made(Tensor, Range<usize>),
    /// Texts in the body, and where each begins and the last ends, from the start of the range.
    Text(Range<usize>, Vec<usize>),
}

impl Layout {
    /// The layout of a field of the schema.
    pub fn of(field: &Field<'_>, column: &str) -> Result<Layout, Invalid> {
        Layout::nested(field, column, 1)
    }

    fn nested(field: &Field<'_>, column: &str, depth: usize) -> Result<Layout, Invalid> {
        let refuse = |what: &str| {
            Invalid::new(
                step(column),
                format!("the column {column} {what}; it must be numbers, lists of numbers or texts"),
            )
        };
        if depth > MAX_RANK {
            return Err(refuse("nests lists too deeply"));
        }
        if field.dictionary().is_some() {
            return Err(refuse("is a dictionary"));
        }
        let of = || match field.children() {
            Some(children) if children.len() == 1 => {
                Layout::nested(&children.get(0), column, depth + 1).map(Box::new)
            }
            _ => Err(broken("a list has one field")),
        };
        Ok(match field.type_type() {
            Type::Bool => Layout::Bool,
            Type::Int => {
                let int = field.type_as_int().ok_or_else(|| broken("a type is missing"))?;
                match (int.bitWidth(), int.is_signed()) {
                    (8, true) => Layout::Small(Small::I8),
                    (16, true) => Layout::Small(Small::I16),
                    (32, true) => Layout::Number(DType::I32),
                    (64, true) => Layout::Number(DType::I64),
                    (8, false) => Layout::Number(DType::U8),
                    (16, false) => Layout::Small(Small::U16),
                    (32, false) => Layout::Small(Small::U32),
                    (64, false) => Layout::Number(DType::U64),
                    _ => return Err(broken("an integer has 8, 16, 32 or 64 bits")),
                }
            }
            Type::FloatingPoint => {
                let real = field.type_as_floating_point().ok_or_else(|| broken("a type is missing"))?;
                match real.precision() {
                    Precision::SINGLE => Layout::Number(DType::F32),
                    Precision::DOUBLE => Layout::Number(DType::F64),
                    _ => return Err(refuse("holds reals of half precision")),
                }
            }
            // Points in time and spans of it are the integers that they are stored as.
            Type::Timestamp | Type::Duration => Layout::Number(DType::I64),
            Type::Date => match field.type_as_date().map(|d| d.unit()) {
                Some(DateUnit::DAY) => Layout::Number(DType::I32),
                _ => Layout::Number(DType::I64),
            },
            Type::FixedSizeList => {
                let list = field.type_as_fixed_size_list().ok_or_else(|| broken("a type is missing"))?;
                let size =
                    usize::try_from(list.listSize()).map_err(|_| broken("a list has a negative size"))?;
                Layout::Fixed(size, of()?)
            }
            Type::List => Layout::List { large: false, of: of()? },
            Type::LargeList => Layout::List { large: true, of: of()? },
            Type::Utf8 if depth == 1 => Layout::Text { large: false },
            Type::LargeUtf8 if depth == 1 => Layout::Text { large: true },
            other => {
                return Err(refuse(&format!("has the type {}", other.variant_name().unwrap_or("unknown"))));
            }
        })
    }

    /// Reads an array of this type from the front of a record batch.
    pub fn read(&self, cursor: &mut Cursor<'_>, column: &str) -> Result<Piece, Invalid> {
        let rows = cursor.rows(column)?;
        // Which values are missing; none are.
        cursor.buffer()?;
        let flat = |values| Piece { rows, inner: Vec::new(), values };
        match self {
            Layout::Number(dtype) => {
                Ok(flat(Values::View(*dtype, exactly(cursor, rows, dtype.size_bytes())?)))
            }
            Layout::Small(small) => {
                let range = exactly(cursor, rows, small.size_bytes())?;
                let tensor = small.widened(cursor.bytes.get(range).unwrap_or_default());
                Ok(flat(Values::Made(tensor, 0..rows)))
            }
            Layout::Bool => {
                let range = cursor.buffer()?;
                let bits = cursor.bytes.get(range).unwrap_or_default();
                if bits.len() < rows.div_ceil(8) {
                    return Err(short());
                }
                let bytes: Vec<u8> = (0..rows).map(|i| (bits[i / 8] >> (i % 8)) & 1).collect();
                Ok(flat(Values::Made(Tensor::vector(bytes), 0..rows)))
            }
            Layout::Fixed(size, of) => {
                let child = of.read(cursor, column)?;
                let wanted = rows.checked_mul(*size).ok_or_else(short)?;
                child.lists(0..wanted, rows, *size)
            }
            Layout::List { large, of } => {
                let offsets = offsets(cursor, rows, *large)?;
                let child = of.read(cursor, column)?;
                let length = |i: usize| offsets[i + 1] - offsets[i];
                let size = if rows == 0 { 0 } else { length(0) };
                if let Some(i) = (0..rows).find(|i| length(*i) != size) {
                    return Err(Invalid::new(
                        format!("{}/{i}", step(column)),
                        format!("the column {column} has a list of {}, the first list has {size}", length(i)),
                    ));
                }
                child.lists(offsets[0]..offsets[rows], rows, size)
            }
            Layout::Text { large } => {
                let mut offsets = offsets(cursor, rows, *large)?;
                let range = cursor.buffer()?;
                let (first, last) = (offsets[0], offsets[rows]);
                if last > range.len() {
                    return Err(short());
                }
                offsets.iter_mut().for_each(|o| *o -= first);
                Ok(flat(Values::Text(range.start + first..range.start + last, offsets)))
            }
        }
    }

    /// The extents of a row, as far as the type says them.
    pub fn inner(&self) -> Vec<usize> {
        match self {
            Layout::Fixed(size, of) => [vec![*size], of.inner()].concat(),
            Layout::List { of, .. } => [vec![0], of.inner()].concat(),
            _ => Vec::new(),
        }
    }

    /// The type of the tensor's elements; none for texts.
    pub fn dtype(&self) -> Option<DType> {
        match self {
            Layout::Number(dtype) => Some(*dtype),
            Layout::Small(Small::U32) => Some(DType::I64),
            Layout::Small(_) => Some(DType::I32),
            Layout::Bool => Some(DType::U8),
            Layout::Fixed(_, of) | Layout::List { of, .. } => of.dtype(),
            Layout::Text { .. } => None,
        }
    }
}

fn short() -> Invalid {
    broken("a buffer is shorter than its array")
}

/// The bytes of so many values.
fn exactly(cursor: &mut Cursor<'_>, rows: usize, width: usize) -> Result<Range<usize>, Invalid> {
    let range = cursor.buffer()?;
    let wanted = rows.checked_mul(width).filter(|n| *n <= range.len()).ok_or_else(short)?;
    Ok(range.start..range.start + wanted)
}

/// Where each list or text begins and the last one ends; never falling.
fn offsets(cursor: &mut Cursor<'_>, rows: usize, large: bool) -> Result<Vec<usize>, Invalid> {
    let range = cursor.buffer()?;
    let bytes = cursor.bytes.get(range).unwrap_or_default();
    // An array without rows may leave its offsets out.
    if rows == 0 {
        return Ok(vec![0]);
    }
    let width = if large { 8 } else { 4 };
    let wanted = rows.checked_add(1).and_then(|n| n.checked_mul(width)).filter(|n| *n <= bytes.len());
    let bytes = &bytes[..wanted.ok_or_else(short)?];
    let signed = bytes.chunks_exact(width).map(|b| match *b {
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => -1,
    });
    let all: Vec<usize> = signed.map_while(|o| usize::try_from(o).ok()).collect();
    if all.len() != rows + 1 || all.windows(2).any(|w| w[0] > w[1]) {
        return Err(broken("the offsets of an array fall"));
    }
    Ok(all)
}

impl Piece {
    /// The rows `range` of this piece as `rows` lists of `size`.
    fn lists(self, range: Range<usize>, rows: usize, size: usize) -> Result<Piece, Invalid> {
        if range.end > self.rows {
            return Err(short());
        }
        // Only the extents of no rows at all can overflow, and they multiply nothing.
        let width = self.inner.iter().fold(1usize, |n, d| n.saturating_mul(*d));
        let part = |base: usize, width: usize| {
            let place = |row: usize| base.saturating_add(row.saturating_mul(width));
            place(range.start)..place(range.end)
        };
        let values = match self.values {
            Values::View(dtype, bytes) => {
                Values::View(dtype, part(bytes.start, width.saturating_mul(dtype.size_bytes())))
            }
            Values::Made(tensor, at) => Values::Made(tensor, part(at.start, width)),
            Values::Text(..) => return Err(broken("lists of texts are not taken")),
        };
        let mut inner = vec![size];
        inner.extend(self.inner);
        Ok(Piece { rows, inner, values })
    }
}

impl Small {
    fn size_bytes(self) -> usize {
        match self {
            Small::I8 => 1,
            Small::I16 | Small::U16 => 2,
            Small::U32 => 4,
        }
    }

    fn widened(self, bytes: &[u8]) -> Tensor {
        let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
        match self {
            Small::I8 => Tensor::vector(bytes.iter().map(|b| i32::from(*b as i8)).collect::<Vec<i32>>()),
            Small::I16 => Tensor::vector(pairs().map(|b| i16::from_le_bytes(b).into()).collect::<Vec<i32>>()),
            Small::U16 => Tensor::vector(pairs().map(|b| u16::from_le_bytes(b).into()).collect::<Vec<i32>>()),
            Small::U32 => {
                let quads = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                Tensor::vector(quads.map(i64::from).collect::<Vec<i64>>())
            }
        }
    }
}
