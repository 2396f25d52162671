//! Columns, put together from their record batches.

use super::layout::{Layout, Piece, Values};
use super::stream::{Cursor, broken};
use crate::inputs::elements;
use crate::json::step;
use crate::{DType, Invalid, Memory, Tensor, TensorSpec};
use arrow_ipc::Field;
use std::ops::Range;
use std::sync::Arc;

/// A column of a stream.
#[derive(Clone, Debug)]
pub enum Column {
    /// Numbers: `[n]`, or `[n, d, …]` for lists.
    Tensor(Tensor),
    /// Texts.
    Texts(Texts),
}

/// A column of texts, one behind the other.
#[derive(Clone)]
pub struct Texts {
    owner: Arc<dyn Memory>,
    bytes: Range<usize>,
    offsets: Vec<usize>,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Texts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, joined.
    pub fn bytes(&self) -> &[u8] {
        (*self.owner).as_ref().get(self.bytes.clone()).unwrap_or_default()
    }

    /// Where each begins in [`bytes`](Self::bytes), and where the last ends: one more than there are texts.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The text of a row.
    pub fn get(&self, row: usize) -> Option<&str> {
        let range = *self.offsets.get(row)?..*self.offsets.get(row.checked_add(1)?)?;
        std::str::from_utf8(self.bytes().get(range)?).ok()
    }

    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

/// A column while its record batches come.
pub(super) struct Gathered {
    pub name: String,
    layout: Layout,
    pieces: Vec<Piece>,
}

/// Memory of one's own, aligned for every element type.
struct Words(Vec<u64>, usize);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.0)[..self.1]
    }
}

impl Gathered {
    /// The column of this field, without rows yet.
    pub fn of(field: &Field<'_>) -> Result<Gathered, Invalid> {
        let name = field.name().unwrap_or_default().to_string();
        let layout = Layout::of(field, &name)?;
        Ok(Gathered { name, layout, pieces: Vec::new() })
    }

    /// Takes a record batch's part, which has so many rows.
    pub fn gather(&mut self, cursor: &mut Cursor<'_>, rows: usize) -> Result<(), Invalid> {
        let piece = self.layout.read(cursor, &self.name)?;
        if piece.rows != rows {
            return Err(broken("a column has more or fewer rows than its record batch"));
        }
        // Without rows, lists have no length that could differ from the others'.
        if rows > 0 {
            if let Some(first) = self.pieces.first()
                && first.inner != piece.inner
            {
                let message = format!(
                    "the column {} has lists of {:?} and then of {:?}",
                    self.name, first.inner, piece.inner
                );
                return Err(Invalid::new(step(&self.name), message));
            }
            self.pieces.push(piece);
        }
        Ok(())
    }

    /// The column's name, and what it holds.
    pub fn finish(self, body: &Arc<dyn Memory>) -> Result<(String, Column), Invalid> {
        let pointer = step(&self.name);
        let overflow = || Invalid::new(&pointer, format!("the column {} has too many rows", self.name));
        let rows = self.pieces.iter().try_fold(0usize, |n, p| n.checked_add(p.rows)).ok_or_else(overflow)?;
        let Some(dtype) = self.layout.dtype() else {
            let texts = texts(&self.pieces, body).ok_or_else(|| {
                Invalid::new(&pointer, format!("the column {} holds a text that is not UTF-8", self.name))
            })?;
            return Ok((self.name, Column::Texts(texts)));
        };
        let inner = self.pieces.first().map_or_else(|| self.layout.inner(), |p| p.inner.clone());
        let shape = [vec![rows], inner].concat();
        elements(&shape, &self.name, &pointer)?;
        let tensor = tensor(&self.pieces, dtype, shape, body).ok_or_else(overflow)?;
        Ok((self.name, Column::Tensor(tensor)))
    }
}

fn tensor(pieces: &[Piece], dtype: DType, shape: Vec<usize>, body: &Arc<dyn Memory>) -> Option<Tensor> {
    let spec = TensorSpec::new(dtype, shape);
    match pieces {
        [Piece { values: Values::View(_, range), .. }] => {
            return Tensor::over(spec, Arc::clone(body), range.clone());
        }
        [Piece { values: Values::Made(t, at), .. }] if *at == (0..t.data().len()) => {
            return Tensor::from_data(spec.shape, t.data().clone());
        }
        _ => {}
    }
    let bytes = usize::try_from(spec.bytes()).ok()?;
    let mut words = vec![0u64; bytes.div_ceil(8)];
    let all: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    let mut at = 0;
    for piece in pieces {
        let part = match &piece.values {
            Values::View(_, range) => (**body).as_ref().get(range.clone())?,
            Values::Made(t, elements) => {
                let width = dtype.size_bytes();
                t.data().as_bytes().get(elements.start * width..elements.end * width)?
            }
            Values::Text(..) => return None,
        };
        all.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    (at == bytes).then(|| Tensor::over(spec, Arc::new(Words(words, bytes)), 0..bytes))?
}

/// The texts of all pieces; none when one is not UTF-8.
fn texts(pieces: &[Piece], body: &Arc<dyn Memory>) -> Option<Texts> {
    let bytes = (**body).as_ref();
    let mut joined = Vec::new();
    let mut all = vec![0usize];
    for piece in pieces {
        let Values::Text(range, offsets) = &piece.values else { return None };
        let part = std::str::from_utf8(bytes.get(range.clone())?).ok()?;
        // The whole may be valid where a text ends within a character.
        if offsets.iter().any(|o| !part.is_char_boundary(*o)) {
            return None;
        }
        let base = *all.last()?;
        all.extend(offsets.iter().skip(1).map(|o| base + o));
        if pieces.len() > 1 {
            joined.extend_from_slice(part.as_bytes());
        }
    }
    Some(match pieces {
        [Piece { values: Values::Text(range, _), .. }] => {
            Texts { owner: Arc::clone(body), bytes: range.clone(), offsets: all }
        }
        _ => Texts { bytes: 0..joined.len(), owner: Arc::new(joined), offsets: all },
    })
}
