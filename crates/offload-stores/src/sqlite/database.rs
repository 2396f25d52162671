//! One SQLite file: how it is opened, migrated, read and written, and what its errors mean.

use offload_pipeline::records::StoreError;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a writer waits for one in another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an opening that could not wait lets the other process go on.
const BUSY_RETRY: Duration = Duration::from_millis(5);

/// What a database file holds and how much its writes matter.
pub(crate) struct Spec {
    /// The n-th brings schema version n to n + 1.
    pub(super) migrations: &'static [&'static str],
    /// Whether a write is forced to the disk before it is acknowledged.
    pub(super) durable: bool,
}

/// An open file, with a connection for each direction: in WAL mode a reader never waits for a writer, so looking
/// up a key must not queue behind another thread's fsync.
#[derive(Debug)]
pub(crate) struct Database {
    writer: Mutex<Connection>,
    /// None where a second connection would see another database: in memory.
    reader: Option<Mutex<Connection>>,
}

/// A [`rusqlite::Error`] or a [`StoreError`], so that `?` takes both.
pub(super) struct Failure {
    error: StoreError,
    /// It is only that another process was at it.
    busy: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure { error, busy: false }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
        Failure { error: store_error(&error), busy }
    }
}

impl Database {
    pub(super) fn open(path: &Path, spec: &Spec) -> Result<Self, StoreError> {
        let open = || -> Result<Self, Failure> {
            let mut writer = connect(path, spec)?;
            if spec.durable {
                // It is small, and a server that finds out at its start does not find out in the middle.
                check_pages(&writer)?;
            }
            migrate(&mut writer, spec.migrations)?;
            let reader = connect(path, spec)?;
            reader.pragma_update(None, "query_only", true)?;
            Ok(Database { writer: Mutex::new(writer), reader: Some(Mutex::new(reader)) })
        };
        // Where two processes make a new file a WAL database at once, SQLite does not wait for the timeout, since
        // both hold what the other needs: one is told at once, and has to begin again.
        let deadline = Instant::now() + BUSY_TIMEOUT;
        loop {
            match open() {
                Ok(database) => return Ok(database),
                Err(failure) if failure.busy && Instant::now() < deadline => thread::sleep(BUSY_RETRY),
                Err(failure) => return Err(failure.error),
            }
        }
    }

    /// A database that is gone with the process.
    pub(super) fn in_memory(spec: &Spec) -> Result<Self, StoreError> {
        let open = || -> Result<Self, Failure> {
            let mut writer = Connection::open_in_memory()?;
            writer.pragma_update(None, "foreign_keys", true)?;
            migrate(&mut writer, spec.migrations)?;
            Ok(Database { writer: Mutex::new(writer), reader: None })
        };
        open().map_err(|failure| failure.error)
    }

    /// Runs `f` on the reading connection.
    pub(super) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        f(&lock(self.reader.as_ref().unwrap_or(&self.writer))).map_err(|failure| failure.error)
    }

    /// Runs `f` in a transaction that is alone in writing, committed if `f` succeeds.
    pub(super) fn write<T>(
        &self,
        f: impl FnOnce(&Transaction) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut connection = lock(&self.writer);
        let run = || -> Result<T, Failure> {
            // Immediate: a transaction that begins by reading and then cannot write would fail as busy at once,
            // without waiting.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = f(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        run().map_err(|failure| failure.error)
    }

    /// As [`Database::write`], and counts the change if there was one.
    pub(super) fn change<T>(
        &self,
        f: impl FnOnce(&Transaction) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.write(|db| {
            let before = db.total_changes();
            let answer = f(db)?;
            if db.total_changes() != before {
                db.prepare_cached("UPDATE changes SET counter = counter + 1")?.execute([])?;
            }
            Ok(answer)
        })
    }
}

/// A panic while the lock was held has rolled its transaction back, so the connection is as good as before.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path, spec: &Spec) -> Result<Connection, Failure> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(48);
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", if spec.durable { "full" } else { "normal" })?;
    db.pragma_update(None, "foreign_keys", true)?;
    // A file that someone else could have written must not run code through its schema.
    db.pragma_update(None, "trusted_schema", false)?;
    // The log is cut back to this after a burst.
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(db)
}

fn check_pages(db: &Connection) -> Result<(), Failure> {
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Corrupt(verdict).into()) }
}

/// Brings the schema to the newest version: all missing migrations or none, and one process at a time.
pub(super) fn migrate(db: &mut Connection, migrations: &[&str]) -> Result<(), Failure> {
    let version_of = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    let newest = migrations.len();
    // Without a transaction first, so that opening a current file writes nothing.
    if usize::try_from(version_of(db)?) == Ok(newest) {
        return Ok(());
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version_of(&transaction)?;
    let missing = usize::try_from(version).ok().and_then(|v| migrations.get(v..)).ok_or_else(|| {
        StoreError::Corrupt(format!(
            "schema version {version} is newer than {newest}, the newest this program knows"
        ))
    })?;
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", i64::try_from(newest).unwrap_or(i64::MAX))?;
    transaction.commit()?;
    Ok(())
}

fn store_error(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match (failure.code, failure.extended_code) {
            // The log's index could not be extended: SQLite reports that as an I/O error, the cause is the same.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => StoreError::Corrupt(text),
            (_, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                StoreError::AlreadyExists
            }
            (_, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => StoreError::NotFound,
            _ => StoreError::Io(text),
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StoreError::Corrupt(text),
        _ => StoreError::Io(text),
    }
}

/// A number as a column holds it. Records are checked before, so only an argument can be too large, and then the
/// largest that fits means the same.
pub(super) fn to_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column as the number that it was.
pub(super) fn from_column<T: TryFrom<i64>>(column: i64) -> Result<T, Failure> {
    T::try_from(column).map_err(|_| StoreError::Corrupt(format!("{column} is out of range")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(db: &Connection) -> i64 {
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("read")
    }

    fn migrated(db: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
        migrate(db, migrations).map_err(|failure| failure.error)
    }

    #[test]
    fn only_the_missing_migrations_run_and_the_data_stays() {
        let first = "CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1)";
        let second = "ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 7";
        let mut db = Connection::open_in_memory().expect("opened");
        assert_eq!(migrated(&mut db, &[first]), Ok(()));
        assert_eq!(version(&db), 1);
        assert_eq!(migrated(&mut db, &[first, second]), Ok(()));
        assert_eq!(migrated(&mut db, &[first, second]), Ok(()));
        assert_eq!(version(&db), 2);
        let row =
            db.query_row("SELECT a, b FROM t", [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        assert_eq!(row, Ok((1, 7)));
        assert!(matches!(migrated(&mut db, &[first]), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let mut db = Connection::open_in_memory().expect("opened");
        let outcome =
            migrated(&mut db, &["CREATE TABLE t (a INTEGER) STRICT", "CREATE TABLE t (a INTEGER) STRICT"]);
        assert!(matches!(outcome, Err(StoreError::Io(_))), "{outcome:?}");
        assert_eq!(version(&db), 0);
        assert_eq!(migrated(&mut db, &["CREATE TABLE t (a INTEGER) STRICT"]), Ok(()));
    }

    #[test]
    fn a_database_at_its_limit_is_full_and_recovers() {
        let path = std::env::temp_dir().join(format!("offload-stores-limit-{}.db", std::process::id()));
        let spec = Spec { migrations: &["CREATE TABLE t (a BLOB) STRICT"], durable: true };
        let database = Database::open(&path, &spec).expect("opened");
        let insert = || {
            database.write(|db| {
                db.execute("INSERT INTO t VALUES (zeroblob(100000))", [])?;
                Ok(())
            })
        };
        lock(&database.writer).pragma_update(None, "max_page_count", 10).expect("limited");
        assert_eq!(insert(), Err(StoreError::Full));
        assert_eq!(insert(), Err(StoreError::Full));
        lock(&database.writer).pragma_update(None, "max_page_count", 1000).expect("extended");
        assert_eq!(insert(), Ok(()));
        drop(database);
        for suffix in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(format!("{}{suffix}", path.display())));
        }
    }
}
