//! Requests in the envelope's shape.

use offload_api::json::{NotFinite, write_record};
use offload_api::{DType, Priority, Record, Value};
use std::io::Write;
use std::time::Duration;

/// What to ask of a job beside its inputs.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// How urgent it is; the operation's default when absent.
    pub priority: Option<Priority>,
    /// Whether to look up and store the result; the service decides when absent.
    pub cache: Option<bool>,
    /// `auto`, `cpu`, `gpu` or a device id.
    pub device: Option<String>,
}

/// The envelope's bytes.
pub(crate) fn envelope(
    inputs: &Record,
    options: &CallOptions,
    timeout: Duration,
) -> Result<Vec<u8>, NotFinite> {
    let mut out = b"{\"inputs\":{".to_vec();
    write_record(inputs, &mut out)?;
    let single = inputs.iter().any(|(_, v)| matches!(v, Value::Tensor(t) if t.dtype() == DType::F32));
    let double = inputs.iter().any(|(_, v)| matches!(v, Value::Tensor(t) if t.dtype() == DType::F64));
    // Writing to a vector cannot fail.
    if single || double {
        let comma = if inputs.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}\"dtype\":\"{}\"", if double { "f64" } else { "f32" });
    }
    let _ = write!(out, "}},\"timeout_ms\":{}", timeout.as_millis().clamp(1, 86_400_000));
    if let Some(priority) = options.priority {
        let _ = write!(out, ",\"priority\":\"{}\"", priority.name());
    }
    if let Some(cache) = options.cache {
        let _ = write!(out, ",\"cache\":{cache}");
    }
    if let Some(device) = &options.device {
        out.extend_from_slice(b",\"device\":");
        offload_api::json::write_string(device, &mut out);
    }
    out.push(b'}');
    Ok(out)
}
