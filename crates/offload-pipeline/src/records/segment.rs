//! Segments: the rows of datasets, in pieces that never change.

use super::StoreError;
use offload_api::{Column, ColumnKind, Run};

/// A column of a segment that is to be written: rows of columns that are there, in a new order. A store writes them
/// one behind the other, so that no column is ever put together in memory.
#[derive(Clone, Debug)]
pub struct NewColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Where its rows come from, all of `kind`.
    pub sources: Vec<Column>,
    /// Which rows, in their order.
    pub runs: &'a [Run],
}

impl NewColumn<'_> {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.runs.iter().map(|r| r.rows.len()).sum()
    }

    /// Bytes of its elements, as [`Column::bytes`] counts them; saturating.
    pub fn bytes(&self) -> u64 {
        match &self.kind {
            ColumnKind::Tensor { .. } => (self.rows() as u64).saturating_mul(self.kind.row_bytes() as u64),
            ColumnKind::Text => self.runs.iter().fold(0, |n: u64, r| match self.sources.get(r.source) {
                Some(Column::Text(t)) => {
                    n.saturating_add(t.range(r.rows.clone()).len() as u64 + 8 * r.rows.len() as u64)
                }
                _ => n,
            }),
        }
    }
}

/// The segments of all datasets. A segment is written once and then only read and removed, so nothing here needs a
/// version; which segments are meant is what [`Datasets`](super::Datasets) says.
pub trait Segments: Send + Sync {
    /// Stores a segment: it is whole and on the disk when this returns, and not there when it fails.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if the id is taken; [`StoreError::Invalid`] if the columns are not of one length or
    /// a run names rows that are not there; [`StoreError::Full`].
    fn write(&self, id: &str, columns: &[NewColumn<'_>]) -> Result<(), StoreError>;

    /// A column of a segment. Its checksum is verified the first time after a start.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such segment or column; [`StoreError::Corrupt`].
    fn column(&self, id: &str, name: &str) -> Result<Column, StoreError>;

    /// Removes a segment; one that is not there is no error. Columns that were read stay readable.
    ///
    /// # Errors
    /// The store's own.
    fn remove(&self, id: &str) -> Result<(), StoreError>;

    /// The ids of all segments, and whatever an interrupted write left behind is cleared away.
    ///
    /// # Errors
    /// The store's own.
    fn sweep(&self) -> Result<Vec<String>, StoreError>;

    /// Whether columns are read in place, from the file: then the system may drop their pages and read them again.
    fn in_place(&self) -> bool;
}
