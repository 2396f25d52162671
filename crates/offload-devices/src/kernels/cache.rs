//! Compiled kernels on disk. An entry that does not hold what was written is as good as none.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder of compiled kernels, each under the hash of all that it was made from.
#[derive(Clone, Debug)]
pub struct DiskCache {
    folder: PathBuf,
}

impl DiskCache {
    /// The cache in `folder`, which is made when something is first put there.
    pub fn new(folder: &Path) -> DiskCache {
        DiskCache { folder: folder.to_path_buf() }
    }

    /// The key of what is made from these parts.
    pub fn key(parts: &[&str]) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            // The length before each part keeps ("ab", "c") and ("a", "bc") apart.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The code under `key`.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let stored = std::fs::read(self.folder.join(key)).ok()?;
        let (sum, code) = stored.split_at_checked(blake3::OUT_LEN)?;
        (blake3::hash(code).as_bytes() == sum).then(|| code.to_vec())
    }

    /// Keeps code under `key`. A disk that is full or read-only costs the next start a compilation, nothing else.
    pub fn put(&self, key: &str, code: &[u8]) {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let part = self.folder.join(format!("{key}.{}.{serial}.part", std::process::id()));
        let mut stored = blake3::hash(code).as_bytes().to_vec();
        stored.extend_from_slice(code);
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(&part, stored))
            .and_then(|()| std::fs::rename(&part, self.folder.join(key)));
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_comes_back_and_what_was_spoilt_does_not() {
        let folder = std::env::temp_dir().join(format!("kernel-cache-{}", std::process::id()));
        let cache = DiskCache::new(&folder);
        let key = DiskCache::key(&["text", "-O", "sm_90"]);
        assert_eq!(cache.get(&key), None);
        cache.put(&key, b"machine code");
        assert_eq!(cache.get(&key).as_deref(), Some(&b"machine code"[..]));
        assert_eq!(cache.get(&DiskCache::key(&["text-", "O", "sm_90"])), None);
        let path = folder.join(&key);
        let mut bytes = std::fs::read(&path).unwrap();
        for spoil in [bytes.len() - 1, 3] {
            bytes[spoil] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(cache.get(&key), None, "byte {spoil}");
            bytes[spoil] ^= 1;
        }
        std::fs::write(&path, &bytes[..20]).unwrap();
        assert_eq!(cache.get(&key), None, "cut off");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
