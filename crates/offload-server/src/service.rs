//! The parts put together: stores, directory, tokens, pipeline and state of a running service.

use crate::auth::{Directory, KeyRequest, Tokens, Vault, known_scopes, new_key, unix_now};
use crate::config::{Config, Place};
use crate::devices::DeviceSearch;
use crate::http::{AppState, Codec, Pages, Rates};
use crate::metrics::Metrics;
use crate::tasks::TaskDesk;
use offload_core::Registry;
use offload_devices::worker::Launch;
use offload_pipeline::admit::AdmitConfig;
use offload_pipeline::cache::CacheConfig;
use offload_pipeline::data::{Catalog, CatalogConfig};
use offload_pipeline::dispatch::DispatchConfig;
use offload_pipeline::engine::{DevicePrior, Pipeline, PipelineConfig, RunConfig};
use offload_pipeline::place::Strategy;
use offload_pipeline::records::{AuditWriter, AuditWriterConfig, Quota, StoreError, Stores, Tenant};
use offload_stores::DataDir;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The tenant of `serve --dev`.
pub const DEV_TENANT: &str = "dev";
/// The name of the key that `serve --dev` prints.
const DEV_KEY: &str = "serve --dev";
/// Host memory assumed where the system does not tell.
const ASSUMED_MEMORY_BYTES: u64 = 4 << 30;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl StartError {
    pub(crate) fn because(what: &str, e: impl std::fmt::Display) -> Self {
        StartError(format!("{what}: {e}"))
    }
}

/// The pipeline's settings, with what depends on the machine filled in.
///
/// # Errors
/// When a setting names something that does not exist.
pub fn pipeline_config(config: &Config) -> Result<PipelineConfig, StartError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let or = |value: usize, automatic: usize| if value == 0 { automatic } else { value };
    let lanes = or(config.run.cpu_lanes, (cores / 4).max(2));
    let strategy = Strategy::from_name(&config.place.strategy).ok_or_else(|| {
        StartError(format!("place.strategy: there is no strategy {}", config.place.strategy))
    })?;
    let host_budget_bytes = match config.place.host_budget_bytes {
        0 => memory_bytes() / 10 * 6,
        bytes => bytes,
    };
    Ok(PipelineConfig {
        admit: AdmitConfig { default_timeout_ms: config.admit.default_timeout_ms, host_budget_bytes },
        cache: CacheConfig {
            max_bytes: config.cache.max_bytes,
            ttl_seconds: config.cache.ttl_seconds,
            ttl_seconds_by_type: config.cache.ttl_seconds_by_type.clone(),
            auto_min_us: config.cache.auto_min_us,
        },
        dispatch: DispatchConfig {
            max_queued: config.dispatch.max_queued,
            max_waiters_per_job: config.dispatch.max_waiters_per_job,
            max_attempts: config.dispatch.max_attempts,
            max_bypass: config.dispatch.max_bypass,
            age_low_us: config.dispatch.age_low_seconds.saturating_mul(1_000_000),
            age_medium_us: config.dispatch.age_medium_seconds.saturating_mul(1_000_000),
            due_us: config.dispatch.due_ms.saturating_mul(1_000),
            ..DispatchConfig::default()
        },
        strategy,
        device_prior: device_prior(&config.place)?,
        run: RunConfig {
            cpu_lanes: lanes,
            // A job that is alone gets the machine; the system's scheduler shares it when lanes compete.
            threads_per_lane: or(config.run.threads_per_lane, cores.min(16)),
            realtime_threads: or(config.run.realtime_threads, cores.min(4)),
            niceness: config.run.niceness,
            max_spare_lanes: config.run.max_spare_lanes,
            spare_after_ms: config.run.spare_after_ms,
            inline_max_us: config.run.inline_max_us as f64,
            inline_realtime_max_us: config.run.inline_realtime_max_us as f64,
            derived_bytes: config.run.derived_bytes,
            auto_cpu_devices: config.devices.auto_cpu_devices,
        },
        node: node(config),
    })
}

fn device_prior(place: &Place) -> Result<DevicePrior, StartError> {
    if place.device_work_per_us == 0 || place.device_bytes_per_us == 0 {
        return Err(StartError(
            "place.device_work_per_us and place.device_bytes_per_us must be at least 1".into(),
        ));
    }
    Ok(DevicePrior {
        overhead_us: place.device_overhead_us as f64,
        work_per_us: place.device_work_per_us as f64,
        bytes_per_us: place.device_bytes_per_us as f64,
    })
}

/// The settings of the datasets.
fn catalog_config(config: &Config) -> Result<CatalogConfig, StartError> {
    let d = &config.datasets;
    if d.max_segments == 0 || d.max_columns == 0 {
        return Err(StartError("datasets.max_segments and datasets.max_columns must be at least 1".into()));
    }
    Ok(CatalogConfig {
        memory_bytes: d.memory_bytes,
        max_columns: d.max_columns,
        max_rows: d.max_rows,
        max_segments: d.max_segments,
        max_per_tenant: d.max_per_tenant,
        fresh_id: crate::http::random_id,
        now: unix_now,
    })
}

/// Deletes the datasets of tenants that are gone: a later tenant of that name must not find them.
pub(crate) fn drop_orphans(stores: &Arc<dyn Stores>, catalog: &Catalog) -> Result<(), StoreError> {
    for tenant in catalog.tenants() {
        if stores.tenants().get(&tenant)?.is_none() {
            tracing::info!(tenant, "the tenant is gone; its datasets are deleted");
            catalog.delete_all(&tenant).map_err(|e| StoreError::Io(e.to_string()))?;
        }
    }
    Ok(())
}

/// The machine's memory, from the kernel.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:"))
        .and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.map_or(ASSUMED_MEMORY_BYTES, |k| k * 1024)
}

fn node(config: &Config) -> String {
    if !config.store.node.is_empty() {
        return config.store.node.clone();
    }
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "node".into(), |n| n.trim().to_string())
}

/// A service whose parts run; HTTP comes on top.
pub struct Service {
    /// What handlers reach.
    pub state: Arc<AppState>,
    /// The key of `serve --dev`.
    pub dev_key: Option<String>,
}

/// Starts every part but HTTP. Devices come as they are found, each in a process that `workers` starts.
///
/// # Errors
/// When a part does not start, with what to do about it.
pub fn start(
    config: Config,
    registry: Registry,
    dev: bool,
    workers: Option<Launch>,
) -> Result<Service, StartError> {
    let stores: Arc<dyn Stores> = Arc::new(
        DataDir::open_exclusive(Path::new(&config.store.data_dir))
            .map_err(|e| StartError::because("store.data_dir", e))?
            .mapping(offload_devices::host::map_file),
    );
    let dev_key =
        if dev { Some(dev_key(&stores).map_err(|e| StartError::because("the dev key", e))?) } else { None };
    let directory = Arc::new(Directory::new(Arc::clone(&stores)));
    directory.refresh().map_err(|e| StartError::because("the store", e))?;
    let tokens = Arc::new(
        Tokens::new(config.auth.clone(), Arc::clone(&directory))
            .map_err(|e| StartError::because("signing keys", e))?,
    );
    let audit = Arc::new(
        AuditWriter::start(
            Arc::clone(&stores),
            AuditWriterConfig {
                flush_interval: Duration::from_millis(config.settle.audit_flush_ms),
                queue_records_max: config.settle.audit_queue_records,
                retention: Duration::from_secs(config.settle.audit_retention_days.saturating_mul(86_400)),
                rows_max: config.settle.audit_max_rows,
                ..AuditWriterConfig::default()
            },
            || {
                u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros())
                    .unwrap_or(0)
            },
        )
        .map_err(|e| StartError::because("the audit log", e))?,
    );
    let catalog = Catalog::open(catalog_config(&config)?, Arc::clone(&stores))
        .map_err(|e| StartError::because("the datasets", e))?;
    drop_orphans(&stores, &catalog).map_err(|e| StartError::because("the datasets", e))?;
    let metrics = Arc::new(Metrics::default());
    let registry = Arc::new(registry);
    let sink = Arc::clone(&audit);
    let pipeline = Pipeline::start(
        pipeline_config(&config)?,
        &registry,
        Vec::new(),
        metrics.clone(),
        Box::new(move |record| sink.record(record)),
        Some(Arc::clone(&catalog)),
    )
    .map_err(|e| StartError::because("the pipeline", e))?;
    let devices = DeviceSearch::start(&config, workers, &pipeline)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let codec =
        Codec::start(cores, config.run.niceness / 4).map_err(|e| StartError::because("threads", e))?;
    let vault = vault(&config)?;
    let tasks = TaskDesk::new(node(&config));
    let state = Arc::new(AppState {
        vault,
        tasks,
        config,
        registry,
        pipeline,
        devices,
        catalog,
        directory,
        tokens,
        rates: Rates::default(),
        metrics,
        audit,
        codec,
        pages: Pages::default(),
        inflight_bytes: AtomicU64::new(0),
        draining: AtomicBool::new(false),
    });
    TaskDesk::start(&state).map_err(|e| StartError::because("the tasks", e))?;
    crate::callbacks::start(&state).map_err(|e| StartError::because("callbacks", e))?;
    watch_stores(&state).map_err(|e| StartError::because("the store's watch", e))?;
    Ok(Service { state, dev_key })
}

/// The vault that the settings name.
///
/// # Errors
/// When its key cannot be read or made.
pub fn vault(config: &Config) -> Result<Vault, StartError> {
    let path = match config.store.seal_key.as_str() {
        "" => Path::new(&config.store.data_dir).join("seal.key"),
        path => path.into(),
    };
    Vault::open(&path).map_err(|e| StartError::because("store.seal_key", e))
}

/// Keeps the directory fresh and the signing keys rotated, on a thread that ends with the service.
fn watch_stores(state: &Arc<AppState>) -> std::io::Result<()> {
    let pause = Duration::from_millis(state.config.auth.refresh_ms);
    let weak = Arc::downgrade(state);
    std::thread::Builder::new().name("store-watch".into()).spawn(move || {
        let mut healthy = true;
        loop {
            std::thread::sleep(pause);
            let Some(state) = weak.upgrade() else { return };
            let before = state.directory.generation();
            let result = state.directory.refresh().and_then(|()| {
                if before != state.directory.generation() {
                    drop_orphans(state.directory.stores(), &state.catalog)?;
                }
                let hourly = unix_now().is_multiple_of(3_600);
                if hourly || before != state.directory.generation() {
                    state.tokens.maintain()
                } else {
                    Ok(())
                }
            });
            match result {
                Err(e) if healthy => {
                    tracing::error!(error = %e, "the store does not answer; what is in memory serves on");
                    healthy = false;
                }
                Ok(()) if !healthy => {
                    tracing::info!("the store answers again");
                    healthy = true;
                }
                _ => {}
            }
        }
    })?;
    Ok(())
}

/// A fresh key for the tenant `dev`, which is made when it is not there; the key of the last start is revoked.
fn dev_key(stores: &Arc<dyn Stores>) -> Result<String, StoreError> {
    let now = unix_now();
    if stores.tenants().get(DEV_TENANT)?.is_none() {
        let mut tenant = Tenant::new(DEV_TENANT, now);
        tenant.quota = Quota {
            max_priority: offload_api::Priority::Realtime,
            max_requests_per_minute: 100_000_000,
            ..Quota::default()
        };
        stores.tenants().create(&tenant)?;
    }
    for key in stores.keys().list(DEV_TENANT, None, usize::MAX)?.items {
        if key.name == DEV_KEY && key.revoked_at.is_none() {
            stores.keys().revoke(&key.key_id, now)?;
        }
    }
    let (key, text) = new_key(KeyRequest {
        tenant_id: DEV_TENANT.into(),
        user_id: "developer".into(),
        name: DEV_KEY.into(),
        scopes: known_scopes().iter().map(ToString::to_string).collect(),
        expires_at: None,
    })?;
    stores.keys().create(&key)?;
    Ok(text)
}
