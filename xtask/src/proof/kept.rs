//! What was proven before, by a hash of everything it depends on, so that only what changed is proven again.

use super::cell::Cell;
use serde_json::{Map, Value};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};

/// Proven fields, in one file under the build folder.
pub(super) struct Kept {
    path: PathBuf,
    before: Map<String, Value>,
    now: Map<String, Value>,
    hits: usize,
}

/// A key for these parts.
pub(super) fn key(parts: &[&[u8]]) -> String {
    // Not a signature: whoever can write to the build folder can skip the proof anyway.
    let mut hasher = DefaultHasher::new();
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    let length: usize = parts.iter().map(|p| p.len()).sum();
    format!("{:016x}-{length}", hasher.finish())
}

impl Kept {
    /// What the folder has; nothing, if that cannot be read.
    pub(super) fn open(folder: &Path) -> Result<Kept, String> {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let path = folder.join("proven.json");
        let before = fs::read_to_string(&path).ok().and_then(|t| serde_json::from_str(&t).ok());
        Ok(Kept { path, before: before.unwrap_or_default(), now: Map::new(), hits: 0 })
    }

    /// What was proven under this key.
    pub(super) fn get(&mut self, key: &str) -> Option<Value> {
        let found = self.before.get(key)?.clone();
        self.hits += 1;
        self.now.insert(key.to_owned(), found.clone());
        Some(found)
    }

    /// Keeps something.
    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.now.insert(key.to_owned(), value);
    }

    /// A field that was proven.
    pub(super) fn cell(&mut self, key: &str) -> Option<Cell> {
        self.get(key).as_ref().and_then(Cell::from_json)
    }

    /// Keeps a field, if it is good.
    pub(super) fn put_cell(&mut self, key: &str, cell: &Cell) {
        if cell.fault.is_none() {
            self.put(key, cell.to_json());
        }
    }

    /// Writes everything, for a run that ends early.
    pub(super) fn save(&self) -> Result<(), String> {
        let mut all = self.before.clone();
        all.extend(self.now.clone());
        self.write(all)
    }

    /// Writes what this run used or proved, the rest being of texts that are gone; how much was used.
    pub(super) fn close(mut self) -> Result<usize, String> {
        let now = std::mem::take(&mut self.now);
        self.write(now)?;
        Ok(self.hits)
    }

    fn write(&self, what: Map<String, Value>) -> Result<(), String> {
        let text = Value::Object(what).to_string();
        fs::write(&self.path, text).map_err(|e| format!("{}: {e}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_good_fields_are_kept_and_parts_do_not_run_together() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        let folder = std::env::temp_dir().join(format!("offload-proof-{}", std::process::id()));
        let mut kept = Kept::open(&folder).unwrap();
        kept.put_cell("good", &Cell::good("72"));
        kept.put_cell("bad", &Cell::bad("it spills"));
        kept.close().unwrap();
        let mut kept = Kept::open(&folder).unwrap();
        assert_eq!(kept.cell("good"), Some(Cell::good("72")));
        assert_eq!(kept.cell("bad"), None);
        assert_eq!(kept.close().unwrap(), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}
