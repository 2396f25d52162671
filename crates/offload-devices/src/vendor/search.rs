//! Where vendors' libraries are: the loader's own path, CUDA's and ROCm's folders, and pip's packages.

use libloading::os::unix::{Library as Raw, RTLD_GLOBAL, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A loaded library. It stays loaded for as long as the process lives: drivers keep threads of their own.
#[derive(Clone, Copy)]
pub(super) struct Library {
    raw: &'static Raw,
    name: &'static str,
}

impl Library {
    /// Loads the first of `names` that is found.
    ///
    /// # Errors
    /// What the loader said of the first name.
    pub(super) fn open(names: &[&'static str]) -> Result<Library, String> {
        Library::load(names, RTLD_NOW | RTLD_LOCAL)
    }

    /// As [`open`](Self::open), its symbols visible to libraries loaded later, which need it.
    pub(super) fn open_for_others(names: &[&'static str]) -> Result<Library, String> {
        Library::load(names, RTLD_LAZY | RTLD_GLOBAL)
    }

    fn load(names: &[&'static str], flags: i32) -> Result<Library, String> {
        let mut first = None;
        for name in names {
            let places = std::iter::once(OsString::from(name)).chain(
                folders().iter().map(|f| f.join(name)).filter(|p| p.exists()).map(PathBuf::into_os_string),
            );
            for place in places {
                // SAFETY: the initialisers of a vendor's library run; it is the one installed on this machine, and
                // this process is the worker that exists to contain it.
                match unsafe { Raw::open(Some(&place), flags) } {
                    Ok(raw) => return Ok(Library { raw: Box::leak(Box::new(raw)), name }),
                    Err(e) => {
                        let _ = first.get_or_insert_with(|| describe(&e));
                    }
                }
            }
        }
        Err(first.unwrap_or_else(|| "no name to look for".into()))
    }

    /// The file's name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The function of that name.
    ///
    /// # Safety
    /// `F` must be a function pointer with the signature that the library documents for `symbol`.
    ///
    /// # Errors
    /// When the library has no such symbol.
    pub(super) unsafe fn function<F: Copy>(&self, symbol: &str) -> Result<F, String> {
        // SAFETY: the caller vouches for the type; the library is never unloaded.
        unsafe { self.raw.get::<F>(symbol.as_bytes()) }
            .map(|f| *f)
            .map_err(|_| format!("{} has no {symbol}", self.name))
    }
}

fn describe(error: &libloading::Error) -> String {
    // The loader's own sentence is in the source; the outer text only says that dlopen failed.
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Declares a struct of function pointers and how it is filled. A field's symbol is given by the caller's `name`.
macro_rules! functions {
    ($(#[$meta:meta])* $vis:vis struct $table:ident { $( $field:ident : fn($($argument:ty),* $(,)?) -> $result:ty; )* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        // SAFETY: types; what calls them says why that is sound.
        $vis struct $table { $( pub(super) $field: unsafe extern "C" fn($($argument),*) -> $result, )* }

        impl $table {
            /// Looks every function up under the name that `name` gives it.
            ///
            /// # Safety
            /// The library must be the one whose signatures are declared here.
            ///
            /// # Errors
            /// The first symbol that is missing.
            $vis unsafe fn load(
                library: &$crate::vendor::search::Library,
                name: impl Fn(&'static str) -> String,
            ) -> Result<$table, String> {
                // SAFETY: the signatures are those of the library's documentation, as the caller vouches.
                Ok(unsafe { $table { $( $field: library.function(&name(stringify!($field)))?, )* } })
            }
        }
    };
}
pub(super) use functions;

/// Folders that are looked through beside the loader's own path, each once.
fn folders() -> &'static [PathBuf] {
    static FOLDERS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let mut folders: Vec<PathBuf> = Vec::new();
        if let Some(path) = std::env::var_os("HELIOSDB_GPU_LIBRARY_PATH") {
            folders.extend(std::env::split_paths(&path));
        }
        for root in ["/usr/local", "/opt"] {
            for cuda in entries(Path::new(root), |n| n.starts_with("cuda") || n.starts_with("rocm")) {
                folders.extend([
                    cuda.join("lib64"),
                    cuda.join("lib"),
                    cuda.join("targets/x86_64-linux/lib"),
                    cuda.join("targets/sbsa-linux/lib"),
                ]);
            }
        }
        for packages in site_packages() {
            for part in entries(&packages.join("nvidia"), |_| true) {
                folders.push(part.join("lib"));
            }
        }
        folders.retain(|f| f.is_dir());
        folders
    })
}

/// Python's package folders: pip installs CUDA's libraries there.
fn site_packages() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .iter()
        .filter_map(std::env::var_os)
        .map(|p| Path::new(&p).join("lib"))
        .collect();
    roots.extend(["/usr/local/lib", "/usr/lib", "/opt/conda/lib", "/opt/venv/lib"].map(PathBuf::from));
    let mut found = Vec::new();
    for root in roots {
        for python in entries(&root, |n| n.starts_with("python3")) {
            found.extend([python.join("site-packages"), python.join("dist-packages")]);
        }
    }
    found
}

fn entries(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        listing.flatten().filter(|e| e.file_name().to_str().is_some_and(&wanted)).map(|e| e.path()).collect();
    // Newest version first, and the same order in every run.
    found.sort();
    found.reverse();
    found
}
