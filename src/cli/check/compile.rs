//! How long a device's compiler takes for every kernel: from nothing, and from the cache on disk.

use crate::cli::device::{Session, Watch, caught};
use offload_api::DType;
use offload_core::device::{DeviceError, KernelSource, KernelText};
use offload_devices::discover::Options;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// What compiling gave.
#[derive(Default)]
pub(super) struct Compiled {
    pub(super) compiled: usize,
    pub(super) unsupported: usize,
    pub(super) errors: Vec<String>,
    cold: Duration,
    warm: Duration,
    slowest: (Duration, String),
}

impl Compiled {
    pub(super) fn json(&self) -> Json {
        let ms = |t: Duration| t.as_secs_f64() * 1e3;
        json!({
            "compiled": self.compiled, "unsupported": self.unsupported, "failed": self.errors.len(),
            "cold_ms": ms(self.cold), "warm_ms": ms(self.warm),
            "slowest": {"name": self.slowest.1, "ms": ms(self.slowest.0)}, "errors": self.errors,
        })
    }

    pub(super) fn print(&self) {
        let (failed, slowest) = (self.errors.len(), &self.slowest.1);
        println!(
            "kernels: {} compiled, {failed} failed, {} unsupported; from nothing {:.0?} (the slowest, {slowest}, {:.0?}), from the cache {:.0?}",
            self.compiled, self.unsupported, self.cold, self.slowest.0, self.warm
        );
        self.errors.iter().for_each(|e| println!("  {e}"));
    }
}

/// Every kernel of every operation once, in the element types that the device has.
fn sources(f64: bool) -> Vec<KernelSource> {
    let mut texts: Vec<&'static KernelText> = Vec::new();
    for text in offload_ops::registry().iter().flat_map(|r| r.operation.kernels().iter().copied()) {
        if !texts.iter().any(|t| std::ptr::eq(*t, text)) {
            texts.push(text);
        }
    }
    texts
        .into_iter()
        .flat_map(KernelText::variants)
        .filter(|s| f64 || s.element != Some(DType::F64))
        .collect()
}

/// Compiles everything twice, with a cache on disk that is empty at first.
///
/// # Errors
/// When the device cannot be opened.
pub(super) fn all(selector: &str, options: &Options, watch: &Watch) -> Result<Compiled, DeviceError> {
    let cache = std::env::temp_dir().join(format!("heliosdb-check-{}", std::process::id()));
    let options = Options { kernel_cache: Some(cache.clone()), ..options.clone() };
    let mut got = Compiled::default();
    for warm in [false, true] {
        let session = Session::new(selector, &options, 0)?;
        let mut lane = session.raw_lane()?;
        for source in sources(session.descriptor().f64) {
            if watch.is_over() {
                break;
            }
            let _ = watch.begin(format!("compiling {}", source.name()));
            let start = Instant::now();
            let compiled = caught(|| lane.compile(&source))
                .unwrap_or_else(|why| Err(DeviceError::Compile(format!("the driver panicked: {why}"))));
            let took = start.elapsed();
            if warm {
                got.warm += took;
                continue;
            }
            got.cold += took;
            if took > got.slowest.0 {
                got.slowest = (took, source.name());
            }
            match compiled {
                Ok(_) => got.compiled += 1,
                Err(DeviceError::Unsupported(_)) => got.unsupported += 1,
                Err(e) => got.errors.push(format!("{}: {e}", source.name())),
            }
        }
    }
    // The folder is temporary whatever becomes of it.
    let _ = std::fs::remove_dir_all(cache);
    Ok(got)
}
