//! The settings as types. Names, units and meanings stand in `config/offload.toml`, the one place for them.
#![allow(missing_docs, reason = "config/offload.toml documents every key")]

use offload_devices::discover::CudaCompiler;
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub auth: Auth,
    pub admit: Admit,
    pub cache: Cache,
    pub dispatch: Dispatch,
    pub place: Place,
    pub run: Run,
    pub devices: Devices,
    pub settle: Settle,
    pub tasks: Tasks,
    pub callbacks: Callbacks,
    pub store: Store,
    pub datasets: Datasets,
    pub log: Log,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: String,
    pub unix_socket: String,
    pub http2_cleartext: bool,
    pub workers: usize,
    pub max_body_bytes: u64,
    pub max_decoded_bytes: u64,
    pub max_inflight_body_bytes: u64,
    pub header_timeout_ms: u64,
    pub body_timeout_ms: u64,
    pub keep_alive_seconds: u64,
    pub max_connections: usize,
    pub drain_timeout_ms: u64,
    pub max_batch_items: usize,
    pub cors_allowed_origins: Vec<String>,
    pub metrics_open: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub issuer: String,
    pub audience: String,
    pub token_ttl_seconds: u64,
    pub rotate_after_days: u64,
    pub refresh_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admit {
    pub default_timeout_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub max_bytes: u64,
    pub ttl_seconds: u64,
    pub auto_min_us: u64,
    #[serde(default)]
    pub ttl_seconds_by_type: HashMap<String, u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    pub max_queued: usize,
    pub max_waiters_per_job: usize,
    pub max_attempts: u32,
    pub max_bypass: u32,
    pub age_low_seconds: u64,
    pub age_medium_seconds: u64,
    pub due_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub strategy: String,
    pub host_budget_bytes: u64,
    pub device_overhead_us: u64,
    pub device_work_per_us: u64,
    pub device_bytes_per_us: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub cpu_lanes: usize,
    pub threads_per_lane: usize,
    pub realtime_threads: usize,
    pub niceness: i32,
    pub max_spare_lanes: usize,
    pub spare_after_ms: u64,
    pub inline_max_us: u64,
    pub inline_realtime_max_us: u64,
    pub derived_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    pub enabled: bool,
    pub allow_cpu_opencl: bool,
    pub auto_cpu_devices: bool,
    pub memory_bytes: u64,
    pub resident_percent: u8,
    pub isolated_workers: u32,
    pub isolated_percent: u8,
    pub staging_keep_bytes: u64,
    pub watchdog_ms: u64,
    pub cancel_grace_ms: u64,
    pub kernel_cache: String,
    pub compiler: CudaCompiler,
    pub kernel_pack: String,
    pub probe_timeout_ms: u64,
    pub start_timeout_ms: u64,
    pub test_devices: u32,
    pub test_device_memory_bytes: u64,
    pub test_device_faults: String,
}

impl Devices {
    /// Bytes that a tenant's own worker has of a device of so many, none where there are no such workers; `None` when all of
    /// them would have more than nine tenths.
    pub fn isolated_bytes(&self, memory_bytes: u64) -> Option<u64> {
        let percent = u64::from(self.isolated_percent);
        match self.isolated_workers {
            0 => Some(0),
            n if percent > 0 && u64::from(n).saturating_mul(percent) <= 90 => {
                Some(memory_bytes / 100 * percent)
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    pub audit_retention_days: u64,
    pub audit_max_rows: u64,
    pub audit_flush_ms: u64,
    pub audit_queue_records: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tasks {
    pub max_running: usize,
    pub max_attempts: u32,
    pub max_restarts: u32,
    pub default_timeout_ms: u64,
    pub lease_ms: u64,
    pub retention_seconds: u64,
    pub max_result_bytes: u64,
    pub inline_result_bytes: u64,
    pub max_streams: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callbacks {
    pub allow_http: bool,
    pub max_attempts: u32,
    pub first_retry_ms: u64,
    pub max_retry_ms: u64,
    pub timeout_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub data_dir: String,
    pub seal_key: String,
    pub node: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datasets {
    pub memory_bytes: u64,
    pub max_columns: usize,
    pub max_rows: u64,
    pub max_segments: usize,
    pub max_per_tenant: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: String,
    pub level: String,
}
