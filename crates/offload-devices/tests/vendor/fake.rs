//! Vendors' libraries over host memory, compiled and put where they are looked for.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of such libraries, gone with this.
pub struct Fake(PathBuf);

impl Fake {
    /// NVIDIA's driver, with these arguments for the compiler; `None`, said aloud, without one.
    pub fn cuda(arguments: &[&str]) -> Option<Fake> {
        Fake::empty("cuda").with("libcuda.so.1", "libcuda.c", arguments, &[])
    }

    /// AMD's driver and rocBLAS.
    pub fn rocblas() -> Option<Fake> {
        let fake = Fake::empty("rocm").with("libamdhip64.so.6", "libamdhip64.c", &[], &[])?;
        fake.with("librocblas.so.4", "librocblas.c", &[], &["libamdhip64.so.6"])
    }

    /// These and rocSOLVER, with these arguments for the compiler.
    pub fn rocsolver(arguments: &[&str]) -> Option<Fake> {
        let arguments = [arguments, &["-lm"]].concat();
        Fake::rocblas()?.with("librocsolver.so.0", "librocsolver.c", &arguments, &["librocblas.so.4"])
    }

    fn empty(name: &str) -> Fake {
        let folder = std::env::temp_dir().join(format!("fake-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        Fake(folder)
    }

    /// With one more library, which needs others of the folder.
    pub fn with(self, name: &str, source: &str, arguments: &[&str], needs: &[&str]) -> Option<Fake> {
        // Of the crate beside, too.
        let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../offload-devices/tests/fake"));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-w", "-o"])
            .arg(self.0.join(name))
            .arg(format!("-Wl,-soname,{name}"))
            .arg(sources.join(source))
            .args(needs.iter().map(|library| self.0.join(library)))
            .args(arguments)
            .status();
        match built {
            Ok(status) => assert!(status.success(), "{source} does not compile"),
            Err(e) => {
                println!("skipped: no C compiler: {e}");
                return None;
            }
        }
        Some(self)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // What is loaded stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
