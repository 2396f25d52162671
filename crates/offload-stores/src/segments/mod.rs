//! Segments as files of a folder: written once, read in place, removed.
//!
//! A file is written under a name of its own, forced to the disk, renamed, and the folder forced to the disk, in this
//! order; so a file that has a segment's name is whole, whenever the machine stops.

mod format;
mod write;

use format::{Buffer, Description};
use offload_api::{Buf, Column, Memory, Tensor, Texts, column_spec};
use offload_pipeline::records::{DatasetColumn, NewColumn, Segments, StoreError};
use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Gives the bytes of a range of a file that never changes.
pub type MapFile = fn(&File, Range<u64>) -> io::Result<Arc<dyn Memory>>;

/// The ending of a segment's file.
const ENDING: &str = "segment";
/// The ending of a file that is being written.
const UNFINISHED: &str = "unfinished";

/// The segments of a data directory.
#[derive(Debug)]
pub(crate) struct SegmentFiles {
    folder: PathBuf,
    map: Option<MapFile>,
    /// Columns whose checksums held since the start, as `id/name`.
    verified: Mutex<HashSet<String>>,
}

/// The number of rows that all the columns have.
pub(crate) fn rows_of(columns: &[NewColumn<'_>]) -> Result<usize, StoreError> {
    let rows = columns.first().map_or(0, NewColumn::rows);
    match columns.iter().find(|c| c.rows() != rows) {
        None => Ok(rows),
        Some(c) => {
            Err(StoreError::Invalid(format!("column {} has {} rows, others have {rows}", c.name, c.rows())))
        }
    }
}

/// What an I/O error means for a store.
fn store_error(what: &str, e: &io::Error) -> StoreError {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::Full
        }
        _ => StoreError::Io(format!("{what}: {e}")),
    }
}

/// Words of memory, so that every element type is aligned.
struct Words(Vec<u64>, usize);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.0)[..self.1]
    }
}

impl SegmentFiles {
    pub(crate) fn new(folder: PathBuf) -> Self {
        SegmentFiles { folder, map: None, verified: Mutex::default() }
    }

    pub(crate) fn map_with(&mut self, map: MapFile) {
        self.map = Some(map);
    }

    fn path(&self, id: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{id}.{ending}"))
    }

    fn prepare(&self) -> Result<(), StoreError> {
        let e = |e: io::Error| store_error("the folder of the datasets", &e);
        if !self.folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(e)?;
            if let Some(parent) = self.folder.parent() {
                sync_folder(parent).map_err(e)?;
            }
        }
        Ok(())
    }

    fn buffer(&self, file: &File, buffer: &Buffer, verify: bool) -> Result<Arc<dyn Memory>, StoreError> {
        let io = |e: io::Error| store_error("a segment's column", &e);
        let range = buffer.offset..buffer.offset + buffer.length;
        let memory: Arc<dyn Memory> = match self.map {
            Some(map) => map(file, range).map_err(io)?,
            None => {
                let len = usize::try_from(buffer.length).map_err(|_| StoreError::Full)?;
                let mut words = Words(vec![0u64; len.div_ceil(8)], len);
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words.0);
                file.read_exact_at(&mut bytes[..len], buffer.offset).map_err(io)?;
                Arc::new(words)
            }
        };
        if verify && blake3::hash((*memory).as_ref()).to_hex().as_str() != buffer.checksum {
            return Err(StoreError::Corrupt("a segment's column does not have its checksum".to_owned()));
        }
        Ok(memory)
    }

    fn read(&self, id: &str, name: &str, verify: bool) -> Result<Column, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("column {name}: {what}"));
        let file = match File::open(self.path(id, ENDING)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(StoreError::NotFound),
            Err(e) => return Err(store_error("a segment", &e)),
        };
        let description = Description::read(&file)?;
        let part = description.columns.iter().find(|p| p.name == name).ok_or(StoreError::NotFound)?;
        let whole = |m: &Arc<dyn Memory>| 0..(**m).as_ref().len();
        let main = self.buffer(&file, &part.main, verify)?;
        let rows = usize::try_from(description.rows).map_err(|_| corrupt("has too many rows"))?;
        let column = DatasetColumn { name: part.name.clone(), dtype: part.dtype, inner: part.inner.clone() };
        if let Some(spec) = column_spec(&column.kind(), rows) {
            let range = whole(&main);
            let tensor = Tensor::over(spec, main, range).ok_or_else(|| corrupt("has another length"))?;
            return Ok(Column::Tensor(tensor));
        }
        let bytes = part.bytes.as_ref().ok_or_else(|| corrupt("has no bytes"))?;
        let bytes = self.buffer(&file, bytes, verify)?;
        let (of_ends, of_bytes) = (whole(&main), whole(&bytes));
        let texts = Buf::over(main, of_ends)
            .zip(Buf::over(bytes, of_bytes))
            .and_then(|(offsets, bytes)| Texts::from_parts(offsets, bytes))
            .filter(|texts| texts.len() == rows);
        texts.map(Column::Text).ok_or_else(|| corrupt("has no sound texts"))
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Segments for SegmentFiles {
    fn write(&self, id: &str, columns: &[NewColumn<'_>]) -> Result<(), StoreError> {
        rows_of(columns)?;
        self.prepare()?;
        let (unfinished, path) = (self.path(id, UNFINISHED), self.path(id, ENDING));
        if path.exists() {
            return Err(StoreError::AlreadyExists);
        }
        let written = write::file(&unfinished, columns).and_then(|()| {
            std::fs::rename(&unfinished, &path)
                .and_then(|()| sync_folder(&self.folder))
                .map_err(|e| store_error("a segment's name", &e))
        });
        if written.is_err() {
            // Whichever of them is there: nothing may be left of what failed.
            drop(std::fs::remove_file(&unfinished));
            drop(std::fs::remove_file(&path));
        }
        written
    }

    fn column(&self, id: &str, name: &str) -> Result<Column, StoreError> {
        let label = format!("{id}/{name}");
        let verify = !self.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&label);
        let column = self.read(id, name, verify)?;
        if verify {
            self.verified.lock().unwrap_or_else(PoisonError::into_inner).insert(label);
        }
        Ok(column)
    }

    fn remove(&self, id: &str) -> Result<(), StoreError> {
        let prefix = format!("{id}/");
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|label| !label.starts_with(&prefix));
        match std::fs::remove_file(self.path(id, ENDING)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(store_error("a segment", &e)),
            _ => Ok(()),
        }
    }

    fn sweep(&self) -> Result<Vec<String>, StoreError> {
        let e = |e: io::Error| store_error("the folder of the datasets", &e);
        let entries = match std::fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(e)?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let path = entry.map_err(e)?.path();
            match (path.file_stem().and_then(|s| s.to_str()), path.extension().and_then(|s| s.to_str())) {
                (Some(id), Some(ENDING)) => ids.push(id.to_owned()),
                (_, Some(UNFINISHED)) => std::fs::remove_file(&path).map_err(e)?,
                // Not ours.
                _ => {}
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    fn in_place(&self) -> bool {
        self.map.is_some()
    }
}
