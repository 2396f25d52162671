//! Ranked answers: for each query, what matches it best, best first.

use crate::{Data, Element, Tensor};

/// The index that stands where a query has no further answer; the score beside it is NaN.
pub const NO_MATCH: i64 = -1;

/// How ranked answers look as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[{"idx": 42, "score": 0.95}, …]` for one query, a list of such lists for several.
    Flat,
    /// `[{"query_idx": 0, "matches": [{"idx": 42, "score": 0.95}, …]}, …]`, whether there is one query or several.
    PerQuery,
}

/// Ranked answers, by column: indices and scores, `[k]` for one query, `[q, k]` for several. A query with fewer than
/// `k` answers is padded at its end with [`NO_MATCH`] and a score of NaN; JSON leaves the padding out.
#[derive(Clone, Debug, PartialEq)]
pub struct Matches {
    indices: Tensor,
    scores: Tensor,
    layout: Layout,
}

impl Matches {
    /// Answers of these extents, or `None` when they are not `[k]` or `[q, k]`, or the columns do not fill them.
    pub fn new<T: Element>(
        shape: &[usize],
        indices: Vec<i64>,
        scores: Vec<T>,
        layout: Layout,
    ) -> Option<Matches> {
        if !T::DTYPE.is_real() || !matches!(shape.len(), 1 | 2) {
            return None;
        }
        let (indices, scores) = (Tensor::new(shape, indices)?, Tensor::new(shape, scores)?);
        Some(Matches { indices, scores, layout })
    }

    /// Which rows matched, `i64` of `[k]` or `[q, k]`.
    pub fn indices(&self) -> &Tensor {
        &self.indices
    }

    /// How well they did, real and of the same shape.
    pub fn scores(&self) -> &Tensor {
        &self.scores
    }

    /// How they look as JSON.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Bytes of both columns.
    pub fn bytes(&self) -> u64 {
        self.indices.bytes() + self.scores.bytes()
    }

    /// How many queries there are, and how many answers each has room for; `None` for a query that stands alone.
    pub(crate) fn extents(&self) -> (Option<usize>, usize) {
        match *self.indices.shape() {
            [q, k] => (Some(q), k),
            [k] => (None, k),
            _ => (None, 0),
        }
    }

    /// The answers of one query, padding left out: places in the columns.
    pub(crate) fn of_query(&self, query: usize) -> impl Iterator<Item = usize> + '_ {
        let k = self.extents().1;
        let indices = self.indices.as_slice::<i64>().unwrap_or_default();
        (query * k..(query + 1) * k).filter(move |&i| indices[i] != NO_MATCH)
    }

    pub(crate) fn columns(&self) -> (&[i64], &Data) {
        (self.indices.as_slice::<i64>().unwrap_or_default(), self.scores.data())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_must_fill_the_shape_and_scores_be_real() {
        assert!(Matches::new(&[2], vec![1, 2], vec![0.5f32, 0.25], Layout::Flat).is_some());
        assert!(Matches::new(&[2], vec![1], vec![0.5f32, 0.25], Layout::Flat).is_none());
        assert!(Matches::new(&[2], vec![1, 2], vec![0.5f64], Layout::Flat).is_none());
        assert!(Matches::new(&[2], vec![1, 2], vec![1u8, 2], Layout::Flat).is_none());
        assert!(Matches::new(&[], vec![1], vec![0.5f64], Layout::Flat).is_none());
        assert!(Matches::new(&[1, 1, 1], vec![1], vec![0.5f64], Layout::Flat).is_none());
    }
}
