//! The working tree: where it is, and which files are in it.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours; `.gitignore` names them as well.
const FOREIGN: &[&str] = &["target", "data", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"];

/// The folder of the workspace's `Cargo.toml`. Asked when it runs and not when it is compiled, because two checkouts may
/// share a target folder, and with it this program.
pub(crate) fn root() -> Result<PathBuf, String> {
    let from_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let start =
        from_cargo.map_or_else(std::env::current_dir, Ok).map_err(|e| format!("the current folder: {e}"))?;
    let is_root = |dir: &&Path| dir.join("xtask/Cargo.toml").is_file();
    let root = start.ancestors().find(is_root).map(Path::to_path_buf);
    root.ok_or_else(|| format!("{} is not in the repository", start.display()))
}

/// Where Cargo builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Every file, as a path relative to `root` with `/` between its parts, in order. Hidden folders are left out.
pub(crate) fn files(root: &Path) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    walk(root, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(root: &Path, under: &str, found: &mut Vec<String>) -> Result<(), String> {
    let dir = root.join(under);
    let entries = fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    for entry in entries {
        let entry = entry.map_err(|e| format!("{}: {e}", dir.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if under.is_empty() { name.clone() } else { format!("{under}/{name}") };
        let kind = entry.file_type().map_err(|e| format!("{path}: {e}"))?;
        if kind.is_dir() {
            if !name.starts_with('.') && !FOREIGN.contains(&path.as_str()) {
                walk(root, &path, found)?;
            }
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// The text of a file of the tree.
pub(crate) fn read(root: &Path, path: &str) -> Result<String, String> {
    fs::read_to_string(root.join(path)).map_err(|e| format!("{path}: {e}"))
}

/// A folder of a test's own, removed when dropped.
#[cfg(test)]
pub(crate) struct Scratch(pub(crate) PathBuf);

#[cfg(test)]
impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_outputs_and_hidden_folders_are_not_ours() {
        let s = Scratch::new("tree");
        for path in ["src/main.rs", "target/x.rs", ".git/y.rs", "src/data/z.rs", "Cargo.toml"] {
            s.write(path, "");
        }
        assert_eq!(files(&s.0).unwrap(), ["Cargo.toml", "src/data/z.rs", "src/main.rs"]);
    }
}
