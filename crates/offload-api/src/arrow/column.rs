//! Columns, put together from their record batches.

use super::layout::{Layout, Piece, Values};
use super::stream::{Cursor, broken};
use crate::inputs::elements;
use crate::json::step;
use crate::{Buf, Column, DType, Invalid, Memory, Tensor, TensorSpec, Texts};
use arrow_ipc::Field;
use std::sync::Arc;

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
            return Ok((self.name, Column::Text(texts)));
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
    let mut all = vec![0u64];
    for piece in pieces {
        let Values::Text(range, offsets) = &piece.values else { return None };
        let base = *all.last()?;
        all.extend(offsets.iter().skip(1).map(|o| base + *o as u64));
        if pieces.len() > 1 {
            joined.extend_from_slice(bytes.get(range.clone())?);
        }
    }
    let bytes = match pieces {
        [Piece { values: Values::Text(range, _), .. }] => Buf::over(Arc::clone(body), range.clone())?,
        _ => joined.into(),
    };
    Texts::from_parts(all.into(), bytes)
}
