//! What `check --gpu --json` writes, and rewrites as it goes, so that a run that is cut off leaves what it had:
//!
//! ```json
//! {"version": "0.1.0", "complete": true, "failed": 0,
//!  "absent": [{"what": "rocm", "reason": "…"}],
//!  "devices": [{"selector": "cuda:0", "descriptor": {…}, "ended": null,
//!    "kernels": {"compiled": 12, "unsupported": 0, "failed": 0, "cold_ms": 900.0, "warm_ms": 3.0, "errors": []},
//!    "operations": [{"name": "matrix.multiply", "passed": 40, "failed": 0, "unsupported": 0, "cpu_only": 2,
//!      "skipped": 0, "ms": 31.0, "errors": []}],
//!    "used_bytes": 0}]}
//! ```
//!
//! `skipped` are cases for which no time was left; `cpu_only` are cases whose plan has no device path.
//! `used_bytes` of a device are those that are handed out after everything has run.

use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// The document, and where it goes.
pub(super) struct Document {
    path: Option<PathBuf>,
    json: Json,
}

impl Document {
    pub(super) fn new(path: Option<PathBuf>, absent: Json) -> std::io::Result<Document> {
        let version = env!("CARGO_PKG_VERSION");
        let json =
            json!({"version": version, "complete": false, "failed": 0, "absent": absent, "devices": []});
        let document = Document { path, json };
        document.write()?;
        Ok(document)
    }

    /// Begins a device.
    pub(super) fn device(&mut self, device: Json) -> std::io::Result<()> {
        if let Some(all) = self.json["devices"].as_array_mut() {
            all.push(device);
        }
        self.write()
    }

    /// Sets a part of the present device.
    pub(super) fn set(&mut self, key: &str, value: Json) -> std::io::Result<()> {
        if let Some(device) = self.json["devices"].as_array_mut().and_then(|all| all.last_mut()) {
            device[key] = value;
        }
        self.write()
    }

    /// Adds an operation to the present device.
    pub(super) fn operation(&mut self, operation: Json) -> std::io::Result<()> {
        let device = self.json["devices"].as_array_mut().and_then(|all| all.last_mut());
        if let Some(all) = device.and_then(|d| d["operations"].as_array_mut()) {
            all.push(operation);
        }
        self.write()
    }

    /// Ends the run, and says for how many cases no time was left.
    pub(super) fn end(&mut self, failed: usize) -> std::io::Result<u64> {
        (self.json["complete"], self.json["failed"]) = (true.into(), failed.into());
        let list = |of: &Json, key: &str| of[key].as_array().cloned().unwrap_or_default();
        let operations = list(&self.json, "devices").into_iter().flat_map(|d| list(&d, "operations"));
        let skipped = operations.filter_map(|o| o["skipped"].as_u64()).sum();
        self.write()?;
        Ok(skipped)
    }

    fn write(&self) -> std::io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        std::fs::write(path, serde_json::to_string_pretty(&self.json)?)
    }
}
