//! One version of a dataset, for as long as someone reads it.

use super::cast::cast;
use super::errors;
use super::residency::{Residency, Slot};
use super::usage::Share;
use crate::records::{Dataset, DatasetSegment, Stores};
use offload_api::{ApiError, Column, ColumnKind, DType};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

/// A segment that is on the disk. It goes from there with its last reader once no newest version has it.
pub(super) struct Segment {
    pub(super) about: DatasetSegment,
    doomed: AtomicBool,
    remove: Sender<String>,
    _share: Share,
}

impl Segment {
    pub(super) fn new(about: DatasetSegment, remove: Sender<String>, share: Share) -> Arc<Self> {
        Arc::new(Segment { about, doomed: AtomicBool::new(false), remove, _share: share })
    }

    /// No newest version has it any more.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Relaxed) {
            // Removing a large file takes milliseconds, which whoever was the last reader must not wait.
            let _ = self.remove.send(std::mem::take(&mut self.about.id));
        }
    }
}

/// A version of a dataset: it never changes, and what it names stays readable while it lives.
pub struct Version {
    pub(super) record: Dataset,
    pub(super) segments: Vec<Arc<Segment>>,
    stores: Arc<dyn Stores>,
    residency: Arc<Residency>,
    /// By column and, where it is read as another type, that.
    slots: Mutex<Slots>,
}

type Slots = HashMap<(usize, Option<DType>), Arc<Slot>>;

/// Where a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// In memory of our own.
    Memory,
    /// In the mapped file; its pages come and go as the system sees fit.
    Mapped,
    /// On the disk alone.
    Disk,
}

impl Residence {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Residence::Memory => "memory",
            Residence::Mapped => "mapped",
            Residence::Disk => "disk",
        }
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.record.tenant_id, self.record.name, self.record.version)
    }
}

impl Version {
    pub(super) fn new(
        record: Dataset,
        segments: Vec<Arc<Segment>>,
        stores: Arc<dyn Stores>,
        residency: Arc<Residency>,
    ) -> Arc<Self> {
        Arc::new(Version { record, segments, stores, residency, slots: Mutex::default() })
    }

    /// What is known of it.
    pub fn record(&self) -> &Dataset {
        &self.record
    }

    /// Where each column is, in their order.
    pub fn residence(&self) -> Vec<Residence> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        (0..self.record.columns.len())
            .map(|i| match slots.get(&(i, None)) {
                Some(slot) if slot.is_there() && slot.heap => Residence::Memory,
                Some(slot) if slot.is_there() => Residence::Mapped,
                _ => Residence::Disk,
            })
            .collect()
    }

    /// Bytes that the column takes in memory.
    fn column_bytes(&self, index: usize, kind: &ColumnKind) -> u64 {
        match kind {
            ColumnKind::Tensor { .. } => self.record.rows().saturating_mul(kind.row_bytes() as u64),
            ColumnKind::Text => {
                let fixed: u64 = self
                    .record
                    .columns
                    .iter()
                    .map(|c| self.record.rows().saturating_mul(c.kind().row_bytes() as u64))
                    .sum();
                let texts = self.record.columns.iter().filter(|c| c.dtype.is_none()).count().max(1) as u64;
                // What is not numbers is texts; which column has how many is of no account here.
                debug_assert!(self.record.columns[index].dtype.is_none());
                self.record.bytes().saturating_sub(fixed) / texts
            }
        }
    }

    fn slot(&self, index: usize, to: Option<DType>) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry((index, to)).or_insert_with(|| {
            let kind = self.record.columns[index].kind();
            let bytes = match (to, &kind) {
                (Some(dtype), ColumnKind::Tensor { inner, .. }) => self
                    .record
                    .rows()
                    .saturating_mul(ColumnKind::Tensor { dtype, inner: inner.clone() }.row_bytes() as u64),
                _ => self.column_bytes(index, &kind),
            };
            let in_place = to.is_none() && self.segments.len() == 1 && self.stores.segments().in_place();
            self.residency.slot(bytes, !in_place)
        });
        Arc::clone(slot)
    }

    /// Whether the column can be had without reading the disk.
    pub(super) fn is_there(&self, index: usize) -> bool {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.iter().any(|((i, _), slot)| *i == index && slot.is_there())
    }

    /// A column of every segment, read past the budget.
    pub(super) fn pieces(&self, index: usize) -> Result<Vec<Column>, ApiError> {
        let column = &self.record.columns[index];
        let mut pieces = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            let piece = self.stores.segments().column(&segment.about.id, &column.name);
            let piece =
                piece.map_err(|e| errors::stored(&format!("{self:?}, column {}", column.name), &e))?;
            if piece.kind() != column.kind() || piece.rows() as u64 != segment.about.rows {
                let e =
                    crate::records::StoreError::Corrupt("a segment is not what its dataset says".to_owned());
                return Err(errors::stored(&format!("{self:?}, column {}", column.name), &e));
            }
            pieces.push(piece);
        }
        Ok(pieces)
    }

    /// A column, and whether it stays where it is within the budget.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub(super) fn column(&self, index: usize) -> Result<(Column, bool), ApiError> {
        self.slot(index, None).get(|| {
            let kind = self.record.columns[index].kind();
            let mut pieces = self.pieces(index)?;
            if pieces.len() == 1
                && let Some(only) = pieces.pop()
            {
                return Ok(only);
            }
            let runs = super::rows::everything(&pieces);
            Column::gather(&kind, &pieces, &runs).ok_or_else(|| {
                let e = crate::records::StoreError::Corrupt("segments do not make a column".to_owned());
                errors::stored(&format!("{self:?}"), &e)
            })
        })
    }

    /// A column as another type.
    ///
    /// # Errors
    /// As [`column`](Self::column); a text when a value has no place in the type.
    pub(super) fn column_as(&self, index: usize, to: DType) -> Result<(Column, bool), CastError> {
        if self.record.columns[index].dtype == Some(to) {
            return self.column(index).map_err(CastError::Read);
        }
        self.slot(index, Some(to)).get(|| {
            let Column::Tensor(t) = self.column(index).map_err(CastError::Read)?.0 else {
                return Err(CastError::Value("has texts, the field takes numbers".to_owned()));
            };
            cast(&t, to).map(Column::Tensor).map_err(|row| {
                CastError::Value(match row {
                    Some(row) => {
                        format!("has a value in row {row} that does not fit {to}, which the field takes")
                    }
                    None => format!("has type {}, the field takes {to}", t.dtype()),
                })
            })
        })
    }
}

/// Why a column was not had as another type.
pub(super) enum CastError {
    Read(ApiError),
    Value(String),
}
