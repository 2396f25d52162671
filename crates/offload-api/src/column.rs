//! Columns of a dataset: a tensor whose first extent is the rows, or texts.

use crate::{Buf, DType, Data, Element, Tensor, TensorSpec};
use std::ops::Range;

/// A column: one value per row.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// A tensor of rank 1 or more; the first extent is the rows.
    Tensor(Tensor),
    /// A text per row.
    Text(Texts),
}

/// What a column holds, without its rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// Elements of this type; each row is a tensor of this shape, a number when it is empty.
    Tensor {
        /// The element type.
        dtype: DType,
        /// The extents of one row.
        inner: Vec<usize>,
    },
    /// Texts.
    Text,
}

/// Rows `rows` of the column at `source` in a list of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which of the columns.
    pub source: usize,
    /// Which of its rows.
    pub rows: Range<usize>,
}

impl ColumnKind {
    /// The word for the type: `f32` …, or `text`.
    pub fn type_name(&self) -> &'static str {
        match self {
            ColumnKind::Tensor { dtype, .. } => dtype.name(),
            ColumnKind::Text => "text",
        }
    }

    /// The extents of one row: none for a number or a text.
    pub fn inner(&self) -> &[usize] {
        match self {
            ColumnKind::Tensor { inner, .. } => inner,
            ColumnKind::Text => &[],
        }
    }

    /// Bytes of one row of a tensor, saturating; 0 for texts, which have no fixed size.
    pub fn row_bytes(&self) -> usize {
        match self {
            ColumnKind::Tensor { dtype, inner } => {
                inner.iter().fold(dtype.size_bytes(), |n, &d| n.saturating_mul(d))
            }
            ColumnKind::Text => 0,
        }
    }
}

impl std::fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.type_name())?;
        self.inner().iter().try_for_each(|d| write!(f, "[{d}]"))
    }
}

impl Column {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Column::Tensor(t) => t.shape().first().copied().unwrap_or(0),
            Column::Text(t) => t.len(),
        }
    }

    /// What it holds.
    pub fn kind(&self) -> ColumnKind {
        match self {
            Column::Tensor(t) => ColumnKind::Tensor {
                dtype: t.dtype(),
                inner: t.shape().get(1..).unwrap_or_default().to_vec(),
            },
            Column::Text(_) => ColumnKind::Text,
        }
    }

    /// Bytes of all elements; of texts, their bytes and 8 per row for where they end.
    pub fn bytes(&self) -> u64 {
        match self {
            Column::Tensor(t) => t.bytes(),
            Column::Text(t) => t.bytes(),
        }
    }

    /// The rows of `runs`, in their order, as one column. `None` when a run names a column or rows that are not
    /// there, or the columns are not all of `kind`.
    pub fn gather(kind: &ColumnKind, sources: &[Column], runs: &[Run]) -> Option<Column> {
        let sound = |r: &Run| {
            r.rows.start <= r.rows.end && sources.get(r.source).is_some_and(|s| r.rows.end <= s.rows())
        };
        if !runs.iter().all(sound) || sources.iter().any(|s| s.kind() != *kind) {
            return None;
        }
        match kind {
            ColumnKind::Text => {
                let mut texts = TextsBuilder::default();
                for run in runs {
                    let Column::Text(from) = &sources[run.source] else { return None };
                    texts.extend(from, run.rows.clone());
                }
                Some(Column::Text(texts.finish()))
            }
            ColumnKind::Tensor { dtype, inner } => {
                let rows = runs.iter().map(|r| r.rows.len()).sum();
                let mut shape = vec![rows];
                shape.extend_from_slice(inner);
                let data = match dtype {
                    DType::F32 => gathered::<f32>(sources, runs, inner)?,
                    DType::F64 => gathered::<f64>(sources, runs, inner)?,
                    DType::I32 => gathered::<i32>(sources, runs, inner)?,
                    DType::I64 => gathered::<i64>(sources, runs, inner)?,
                    DType::U8 => gathered::<u8>(sources, runs, inner)?,
                    DType::U64 => gathered::<u64>(sources, runs, inner)?,
                };
                Tensor::from_data(shape, data).map(Column::Tensor)
            }
        }
    }
}

fn gathered<T: Element>(sources: &[Column], runs: &[Run], inner: &[usize]) -> Option<Data> {
    let width: usize = inner.iter().product();
    let rows: usize = runs.iter().map(|r| r.rows.len()).sum();
    let mut out: Vec<T> = Vec::with_capacity(rows.checked_mul(width)?);
    for run in runs {
        let Column::Tensor(t) = &sources[run.source] else { return None };
        out.extend_from_slice(&t.as_slice::<T>()?[run.rows.start * width..run.rows.end * width]);
    }
    Some(T::wrap(out.into()))
}

/// Texts one behind the other, with the place where each ends.
#[derive(Clone, Debug)]
pub struct Texts {
    /// One more than there are texts, from 0 on and rising: text `i` is `bytes[offsets[i]..offsets[i + 1]]`.
    offsets: Buf<u64>,
    bytes: Buf<u8>,
}

impl Texts {
    /// Texts over existing buffers: `offsets` has one entry more than there are texts. `None` when the offsets do not
    /// rise from 0 to the length of `bytes`, or a text is not UTF-8.
    pub fn from_parts(offsets: Buf<u64>, bytes: Buf<u8>) -> Option<Texts> {
        let all = std::str::from_utf8(&bytes).ok()?;
        let rising = offsets.windows(2).all(|w| w[0] <= w[1]);
        let ends = offsets.first() == Some(&0) && offsets.last() == Some(&(bytes.len() as u64));
        // Rising to the length, so each fits.
        let whole = rising && ends && offsets.iter().all(|&o| all.is_char_boundary(o as usize));
        whole.then_some(Texts { offsets, bytes })
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of text `i`, nothing beyond the last.
    pub fn get(&self, i: usize) -> &[u8] {
        self.range(i..i + 1)
    }

    /// Text `i`, the empty one beyond the last.
    pub fn text(&self, i: usize) -> &str {
        std::str::from_utf8(self.get(i)).unwrap_or_default()
    }

    /// The bytes of these texts, one behind the other.
    pub fn range(&self, rows: Range<usize>) -> &[u8] {
        match (self.offsets.get(rows.start), self.offsets.get(rows.end)) {
            (Some(&from), Some(&to)) => self.bytes.get(from as usize..to as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.text(i))
    }

    /// Where the texts begin and end: one more than there are texts.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// All bytes, one text behind the other.
    pub fn all_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the texts, and 8 per row for where they end.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64 + 8 * self.len() as u64
    }
}

impl PartialEq for Texts {
    fn eq(&self, other: &Texts) -> bool {
        self.offsets[..] == other.offsets[..] && self.bytes[..] == other.bytes[..]
    }
}

impl<S: AsRef<str>> FromIterator<S> for Texts {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Texts {
        let mut builder = TextsBuilder::default();
        texts.into_iter().for_each(|t| builder.push(t.as_ref()));
        builder.finish()
    }
}

/// Texts while they are put together.
#[derive(Debug)]
pub struct TextsBuilder {
    offsets: Vec<u64>,
    bytes: Vec<u8>,
}

impl Default for TextsBuilder {
    fn default() -> Self {
        TextsBuilder { offsets: vec![0], bytes: Vec::new() }
    }
}

impl TextsBuilder {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets.push(self.bytes.len() as u64);
    }

    /// Adds these texts of another column.
    fn extend(&mut self, from: &Texts, rows: Range<usize>) {
        let base = self.bytes.len() as u64;
        let first = from.offsets.get(rows.start).copied().unwrap_or(0);
        self.bytes.extend_from_slice(from.range(rows.clone()));
        let ends = from.offsets.get(rows.start + 1..=rows.end).unwrap_or_default();
        self.offsets.extend(ends.iter().map(|o| base + (o - first)));
    }

    /// Number of texts so far.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The texts.
    pub fn finish(self) -> Texts {
        Texts { offsets: self.offsets.into(), bytes: self.bytes.into() }
    }
}

/// The spec of a tensor column of so many rows; `None` for texts.
pub fn column_spec(kind: &ColumnKind, rows: usize) -> Option<TensorSpec> {
    let ColumnKind::Tensor { dtype, inner } = kind else { return None };
    let mut shape = vec![rows];
    shape.extend_from_slice(inner);
    Some(TensorSpec { dtype: *dtype, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_gathered_in_the_order_of_the_runs() {
        let a = Column::Tensor(Tensor::new([3, 2], vec![0i64, 1, 10, 11, 20, 21]).unwrap());
        let b = Column::Tensor(Tensor::new([1, 2], vec![90i64, 91]).unwrap());
        let runs =
            [Run { source: 0, rows: 2..3 }, Run { source: 1, rows: 0..1 }, Run { source: 0, rows: 0..2 }];
        let got = Column::gather(&a.kind(), &[a.clone(), b.clone()], &runs).unwrap();
        assert_eq!(got, Column::Tensor(Tensor::new([4, 2], vec![20i64, 21, 90, 91, 0, 1, 10, 11]).unwrap()));
        let none = Column::gather(&a.kind(), std::slice::from_ref(&a), &[]).unwrap();
        assert_eq!(none, Column::Tensor(Tensor::new([0, 2], Vec::<i64>::new()).unwrap()));
        assert_eq!(
            Column::gather(&a.kind(), std::slice::from_ref(&a), &[Run { source: 0, rows: 1..4 }]),
            None
        );
        assert_eq!(Column::gather(&ColumnKind::Text, &[a], &[]), None);

        let a = Column::Text(["x", "", "grün"].into_iter().collect());
        let b = Column::Text(["zz"].into_iter().collect());
        let runs =
            [Run { source: 0, rows: 1..3 }, Run { source: 1, rows: 0..1 }, Run { source: 0, rows: 0..1 }];
        let Some(Column::Text(got)) = Column::gather(&ColumnKind::Text, &[a, b], &runs) else { panic!() };
        assert_eq!(got.iter().collect::<Vec<_>>(), ["", "grün", "zz", "x"]);
    }

    #[test]
    fn texts_stand_only_on_sound_parts() {
        let parts = |o: &[u64], b: &str| Texts::from_parts(o.to_vec().into(), b.as_bytes().to_vec().into());
        assert_eq!(parts(&[0, 1, 1, 3], "abc").unwrap().iter().collect::<Vec<_>>(), ["a", "", "bc"]);
        assert_eq!(parts(&[0], "").unwrap().len(), 0);
        for (offsets, bytes) in [
            (&[][..], ""),
            (&[0, 2], "abc"),
            (&[1, 3], "abc"),
            (&[0, 2, 1, 3], "abc"),
            (&[0, 9], "abc"),
            (&[0, 1, 2], "é"),
        ] {
            assert!(parts(offsets, bytes).is_none(), "{offsets:?} {bytes}");
        }
        assert!(Texts::from_parts(vec![0, 1].into(), vec![0xff].into()).is_none());
    }
}
