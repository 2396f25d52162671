//! Compiled kernels on disk, so that a restart does not compile again.
//!
//! A key names everything that the result depends on. What is read is checked against its own hash; a file that is
//! cut short, altered or of another format is as good as absent, and is written anew.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// The format of the files: raised when it changes.
const MAGIC: &[u8; 8] = b"OFFKRN01";

/// A folder of compiled kernels; without one, nothing is kept.
#[derive(Clone, Debug, Default)]
pub struct KernelCache {
    folder: Option<PathBuf>,
}

/// The name of a compiled kernel: a hash of everything it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(blake3::Hash);

impl Key {
    /// The key of these parts: the whole text, the options, the device, the compiler's version.
    pub fn of(parts: &[&str]) -> Key {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            // With its length, so that no two lists of parts run together to the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Key(hasher.finalize())
    }

    /// Its digits.
    pub(super) fn hex(&self) -> String {
        self.0.to_hex().to_string()
    }
}

impl KernelCache {
    /// Kernels kept in this folder, which is made when it is missing.
    pub fn new(folder: Option<PathBuf>) -> KernelCache {
        KernelCache { folder }
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        self.folder.as_ref().map(|f| f.join(format!("{}.kernel", key.hex())))
    }

    /// What is kept under this key.
    pub fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let bytes = fs::read(self.path(key)?).ok()?;
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (hash, content) = rest.split_first_chunk::<32>()?;
        (magic == MAGIC && blake3::hash(content).as_bytes() == hash).then(|| content.to_vec())
    }

    /// Keeps it. A disk that is full or read-only costs the next start a compilation, nothing else, so it is no error.
    pub fn put(&self, key: &Key, content: &[u8]) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let Some(path) = self.path(key) else { return };
        // Under a name of its own first: a reader sees a whole file or none.
        let own = format!("new-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let draft = path.with_extension(own);
        let write = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = fs::File::create(&draft)?;
            file.write_all(MAGIC)?;
            file.write_all(blake3::hash(content).as_bytes())?;
            file.write_all(content)?;
            drop(file);
            fs::rename(&draft, &path)
        };
        if write().is_err() {
            let _ = fs::remove_file(&draft);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_altered_on_disk_is_as_good_as_absent() {
        let folder = std::env::temp_dir().join(format!("offload-kernel-cache-{}", std::process::id()));
        let cache = KernelCache::new(Some(folder.clone()));
        let key = Key::of(&["text", "device"]);
        assert_eq!(cache.get(&key), None);
        cache.put(&key, b"compiled");
        assert_eq!(cache.get(&key).as_deref(), Some(&b"compiled"[..]));
        assert_eq!(cache.get(&Key::of(&["textdevice", ""])), None);

        let path = cache.path(&key).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() - 1] ^= 1;
        for bad in [&whole[..whole.len() - 1], &whole[..20], &[], &flipped] {
            fs::write(&path, bad).unwrap();
            assert_eq!(cache.get(&key), None);
        }
        cache.put(&key, b"again");
        assert_eq!(cache.get(&key).as_deref(), Some(&b"again"[..]));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "drafts are left behind");
        fs::remove_dir_all(folder).unwrap();
        KernelCache::default().put(&key, b"nowhere");
    }
}
