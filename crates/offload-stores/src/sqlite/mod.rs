//! The embedded stores: SQLite databases and files in a data directory.
//!
//! `state.db` has tenants, keys and signing keys, `tasks.db` tasks and callbacks, and `datasets.db` says what datasets
//! there are, whose rows are in files beside it; all three are on the disk before a call returns. `audit.db` is apart
//! because it is large, may be deleted, and trades the last moments before a power cut for speed.

mod audit;
mod database;
mod datasets;
mod directory;
mod keys;
mod schema;
mod signing;
pub(crate) mod tasks;
mod tenants;

use crate::segments::{MapFile, SegmentFiles};
use database::Database;
use offload_pipeline::records::{
    Audit, Callbacks, Datasets, Keys, Segments, SigningKeys, StoreError, Stores, Tasks, Tenants,
};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tasks::TaskTables;

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A server has it.
    #[error("data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory itself, or a file in it, cannot be made or reached.
    #[error("data directory {}: {source}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A database in it cannot be used.
    #[error("{}: {source}", .path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        source: StoreError,
    },
}

/// An open data directory: all the stores of a deployment of one machine.
///
/// Any number of processes may have it open, so that administration works beside a server; at most one of them
/// exclusively.
#[derive(Debug)]
pub struct DataDir {
    state: Database,
    tasks: TaskTables,
    audit: Database,
    datasets: Database,
    segments: SegmentFiles,
    /// Held for the lock on it, which the system releases when the process ends, however it ends.
    _lock: Option<File>,
}

impl DataDir {
    /// Opens the directory, made if need be, for administration: beside a server or without one.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, false)
    }

    /// Reads columns of datasets in place, through `map`, rather than into memory.
    pub fn mapping(mut self, map: MapFile) -> Self {
        self.segments.map_with(map);
        self
    }

    /// Opens the directory, made if need be, for a server. [`OpenError::InUse`] if there is a server already.
    pub fn open_exclusive(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, true)
    }

    fn open_with(path: &Path, exclusive: bool) -> Result<Self, OpenError> {
        // SQLite's own locks belong to the process and are lost when the process closes *any* descriptor of the
        // file. Making the file opens and closes it, so that must not overlap another thread's opening.
        static OPENING: Mutex<()> = Mutex::new(());
        let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);

        let in_directory = |source| OpenError::Directory { path: path.to_owned(), source };
        directory::prepare(path).map_err(in_directory)?;
        let lock = if exclusive {
            let lock = directory::lock(path).map_err(in_directory)?;
            Some(lock.ok_or_else(|| OpenError::InUse(path.to_owned()))?)
        } else {
            None
        };
        let open = |name: &str, spec| {
            let file = path.join(name);
            directory::make_private_file(&file).map_err(in_directory)?;
            Database::open(&file, spec).map_err(|source| OpenError::Database { path: file, source })
        };
        Ok(DataDir {
            state: open("state.db", &schema::STATE)?,
            tasks: TaskTables::new(open("tasks.db", &schema::TASKS)?),
            audit: open("audit.db", &schema::AUDIT)?,
            datasets: open("datasets.db", &schema::DATASETS)?,
            segments: SegmentFiles::new(path.join("datasets")),
            _lock: lock,
        })
    }
}

impl Stores for DataDir {
    fn tenants(&self) -> &dyn Tenants {
        self
    }

    fn keys(&self) -> &dyn Keys {
        self
    }

    fn signing_keys(&self) -> &dyn SigningKeys {
        self
    }

    fn audit(&self) -> &dyn Audit {
        self
    }

    fn tasks(&self) -> &dyn Tasks {
        &self.tasks
    }

    fn callbacks(&self) -> &dyn Callbacks {
        &self.tasks
    }

    fn datasets(&self) -> &dyn Datasets {
        self
    }

    fn segments(&self) -> &dyn Segments {
        &self.segments
    }

    fn change_counter(&self) -> Result<u64, StoreError> {
        self.state.read(|db| {
            let counter = db
                .prepare_cached("SELECT counter FROM changes")?
                .query_row([], |row| row.get::<_, i64>(0))?;
            database::from_column(counter)
        })
    }
}

/// Tasks that are gone with the process.
pub(crate) fn tasks_in_memory() -> Result<TaskTables, StoreError> {
    Ok(TaskTables::new(Database::in_memory(&schema::TASKS)?))
}
