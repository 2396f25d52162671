//! The data directory as the file system sees it: private to its owner, and locked by a server.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes the directory if need be, and closes it to others.
pub(super) fn prepare(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
    let mode = fs::metadata(path)?.mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    // A mounted volume comes empty and open: take it. But one mistyped `--data-dir /tmp` must not lock everyone
    // else out, so a directory with other people's things in it stays as it is; the files are private anyway.
    if is_ours(path)? {
        if let Err(error) = fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)) {
            tracing::warn!(%error, path = %path.display(), "the data directory stays open to other users");
        }
    } else {
        tracing::warn!(path = %path.display(), "the data directory has other files and stays open to other users");
    }
    Ok(())
}

fn is_ours(path: &Path) -> io::Result<bool> {
    if path.join("state.db").exists() {
        // Sticky directories are shared by design.
        return Ok(fs::metadata(path)?.mode() & 0o1000 == 0);
    }
    for entry in fs::read_dir(path)? {
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the file, private from its first moment, or closes one that is there to others. SQLite gives the files
/// beside it (`-wal`, `-shm`) the same mode.
pub(super) fn make_private_file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // By path: opening it would cost this process its SQLite locks.
            if fs::metadata(path)?.mode() & 0o077 != 0 {
                fs::set_permissions(path, Permissions::from_mode(FILE_MODE))?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Takes the server's lock; none if another server has it.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    let options = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE);
        options
    };
    let file = options().open(path.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
