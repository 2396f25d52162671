//! A segment's file in one pass: the rows go from where they are to the disk, and are nowhere put together.

use super::format::{ALIGN_BYTES, Buffer, Description, MAGIC, Part};
use super::store_error;
use offload_api::{Column, ColumnKind, Run, Texts};
use offload_pipeline::records::{NewColumn, StoreError};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes between the rows and the disk.
const BUFFER_BYTES: usize = 1 << 20;

struct Out {
    file: BufWriter<File>,
    at: u64,
    hasher: blake3::Hasher,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Writes a buffer: at the next place that is aligned, its checksum taken on the way.
    fn buffer(&mut self, fill: impl FnOnce(&mut Out) -> Result<(), Fault>) -> Result<Buffer, Fault> {
        let gap = self.at.next_multiple_of(ALIGN_BYTES) - self.at;
        self.put(&[0; ALIGN_BYTES as usize][..gap as usize])?;
        self.hasher = blake3::Hasher::new();
        let offset = self.at;
        fill(self)?;
        let checksum = self.hasher.finalize().to_hex().to_string();
        Ok(Buffer { offset, length: self.at - offset, checksum })
    }
}

/// Why a file was not written.
enum Fault {
    Disk(io::Error),
    Rows,
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Fault::Disk(e)
    }
}

/// Writes the file and forces it to the disk.
pub(super) fn file(path: &Path, columns: &[NewColumn<'_>]) -> Result<(), StoreError> {
    let disk = |e: io::Error| store_error("a segment", &e);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(disk)?;
    let file = BufWriter::with_capacity(BUFFER_BYTES, file);
    let mut out = Out { file, at: 0, hasher: blake3::Hasher::new() };
    let written = all(&mut out, columns).map_err(|fault| match fault {
        Fault::Disk(e) => disk(e),
        Fault::Rows => StoreError::Invalid("a run names rows that are not there".to_owned()),
    })?;
    out.put(&written.encode()?).map_err(disk)?;
    let file = out.file.into_inner().map_err(|e| disk(e.into_error()))?;
    file.sync_all().map_err(disk)
}

fn all(out: &mut Out, columns: &[NewColumn<'_>]) -> Result<Description, Fault> {
    out.put(MAGIC)?;
    let rows = columns.first().map_or(0, NewColumn::rows) as u64;
    let mut parts = Vec::with_capacity(columns.len());
    for column in columns {
        let (main, bytes) = match &column.kind {
            ColumnKind::Tensor { .. } => (out.buffer(|out| elements(out, column))?, None),
            ColumnKind::Text => {
                (out.buffer(|out| ends(out, column))?, Some(out.buffer(|out| text_bytes(out, column))?))
            }
        };
        let (dtype, inner) = match &column.kind {
            ColumnKind::Tensor { dtype, inner } => (Some(*dtype), inner.clone()),
            ColumnKind::Text => (None, Vec::new()),
        };
        parts.push(Part { name: column.name.to_owned(), dtype, inner, main, bytes });
    }
    Ok(Description { rows, columns: parts })
}

fn elements(out: &mut Out, column: &NewColumn<'_>) -> Result<(), Fault> {
    let width = column.kind.row_bytes();
    for Run { source, rows } in column.runs {
        match column.sources.get(*source) {
            Some(Column::Tensor(t)) if column.sources[*source].kind() == column.kind => {
                let range = rows.start.saturating_mul(width)..rows.end.saturating_mul(width);
                out.put(t.data().as_bytes().get(range).ok_or(Fault::Rows)?)?;
            }
            _ => return Err(Fault::Rows),
        }
    }
    Ok(())
}

fn texts<'a>(column: &'a NewColumn<'_>, run: &Run) -> Result<&'a Texts, Fault> {
    match column.sources.get(run.source) {
        Some(Column::Text(t)) if run.rows.start <= run.rows.end && run.rows.end <= t.len() => Ok(t),
        _ => Err(Fault::Rows),
    }
}

fn ends(out: &mut Out, column: &NewColumn<'_>) -> Result<(), Fault> {
    let mut end = 0u64;
    out.put(&end.to_le_bytes())?;
    for run in column.runs {
        let offsets = texts(column, run)?.offsets();
        for w in offsets[run.rows.start..=run.rows.end].windows(2) {
            end += w[1] - w[0];
            out.put(&end.to_le_bytes())?;
        }
    }
    Ok(())
}

fn text_bytes(out: &mut Out, column: &NewColumn<'_>) -> Result<(), Fault> {
    for run in column.runs {
        out.put(texts(column, run)?.range(run.rows.clone()))?;
    }
    Ok(())
}
