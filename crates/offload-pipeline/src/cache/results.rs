//! Results in memory, bounded in bytes and age.

use super::{CacheKey, Epochs};
use crate::admit::Admitted;
use offload_api::{ApiError, DependsOn, DeviceChoice, ErrorCode, Record};
use offload_core::TenantId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bounds of the cache.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Bytes of all results together; 0 turns the cache off.
    pub max_bytes: u64,
    /// Seconds a result lives.
    pub ttl_seconds: u64,
    /// Seconds by workload type (`matrix_multiply`), where they differ.
    pub ttl_seconds_by_type: HashMap<String, u64>,
    /// Without a word from the caller, a job is cached when it is expected to take at least this long.
    pub auto_min_us: u64,
}

/// A result and where it was computed.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The outputs.
    pub outputs: Arc<Record>,
    /// The device that computed it; `None` is the CPU.
    pub device_id: Option<u32>,
    expires: Instant,
    generation: u64,
}

impl Cached {
    /// `cpu` or `gpu:<id>`.
    pub fn computed_on(&self) -> String {
        self.device_id.map_or_else(|| "cpu".into(), |id| format!("gpu:{id}"))
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<CacheKey, Cached> for Bytes {
    fn weight(&self, _: &CacheKey, v: &Cached) -> u64 {
        v.outputs.bytes() + 256
    }
}

/// A job that was not in the cache.
#[derive(Debug)]
pub struct Missed {
    admitted: Admitted,
    key: Option<CacheKey>,
    flight: Option<[u8; 32]>,
}

/// What a lookup gave.
#[derive(Debug)]
pub enum Lookup {
    /// The result is there.
    Hit(Admitted, Cached),
    /// The job must run.
    Miss(Missed),
}

/// Figures of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups that found a result.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Results held.
    pub entries: u64,
}

/// The cache of all tenants. Keys hold the tenant, so no tenant can reach another's.
pub struct Results {
    config: CacheConfig,
    cache: Cache<CacheKey, Cached, Bytes>,
    epochs: Epochs,
    /// Raised by "drop everything of this tenant": entries of an earlier generation are misses.
    generations: Mutex<HashMap<TenantId, u64>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Results {
    /// An empty cache.
    pub fn new(config: CacheConfig) -> Self {
        let cache = Cache::with_weighter(4096, config.max_bytes.max(1), Bytes);
        Results {
            config,
            cache,
            epochs: Epochs::default(),
            generations: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    fn generation(&self, tenant: &TenantId) -> u64 {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.get(tenant).copied().unwrap_or(0)
    }

    /// Whether a job is looked up and stored. Hashing a large input can cost more than computing: without a word
    /// from the caller, the expected time decides.
    fn wanted(&self, admitted: &Admitted) -> bool {
        if self.config.max_bytes == 0 {
            return false;
        }
        admitted.request().options.cache.unwrap_or_else(|| {
            // BLAKE3 hashes about a gigabyte per second and core.
            let hashed = admitted.plan().bytes_in.saturating_sub(admitted.resident_bytes());
            let hash_us = hashed as f64 / 1000.0;
            admitted.cpu_us() >= self.config.auto_min_us as f64 && admitted.cpu_us() > 4.0 * hash_us
        })
    }

    /// Looks a job up.
    ///
    /// # Errors
    /// `stale_version` when the job depends on a version that was superseded.
    pub fn lookup(&self, admitted: Admitted) -> Result<Lookup, ApiError> {
        let request = admitted.request();
        let tenant = &request.caller.tenant;
        let mut named = request.options.depends_on.clone();
        named.extend(
            admitted
                .origins()
                .iter()
                .map(|(_, o)| DependsOn { table: of_dataset(&o.dataset), version: None }),
        );
        let depends_on = self.epochs.resolve(tenant, &named).map_err(|e| {
            ApiError::new(ErrorCode::StaleVersion, e.to_string())
                .with_details(json!({"table": e.table, "asked": e.asked, "current": e.current}))
        })?;
        if !self.wanted(&admitted) {
            return Ok(Lookup::Miss(Missed { admitted, key: None, flight: None }));
        }
        let key = CacheKey::of(tenant, request.operation, admitted.inputs(), admitted.origins(), &depends_on);
        if let Some(found) = self.cache.get(&key)
            && found.expires > Instant::now()
            && found.generation == self.generation(tenant)
            && served_by(&request.options.device, found.device_id)
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Lookup::Hit(admitted, found));
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        // Jobs that differ only in where they must run share a result key but never a flight.
        let flight = match &request.options.device {
            DeviceChoice::Auto => key.0,
            other => *blake3::keyed_hash(&key.0, format!("{other:?}").as_bytes()).as_bytes(),
        };
        Ok(Lookup::Miss(Missed { admitted, key: Some(key), flight: Some(flight) }))
    }

    /// Keeps a result, unless everything of its tenant was dropped since `generation` was read.
    pub(crate) fn store(
        &self,
        key: CacheKey,
        tenant: &TenantId,
        workload_type: &str,
        outputs: Arc<Record>,
        device_id: Option<u32>,
        generation: u64,
    ) {
        let ttl =
            self.config.ttl_seconds_by_type.get(workload_type).copied().unwrap_or(self.config.ttl_seconds);
        if generation != self.generation(tenant) {
            return;
        }
        let expires = Instant::now() + Duration::from_secs(ttl);
        self.cache.insert(key, Cached { outputs, device_id, expires, generation });
    }

    /// The generation to store results of jobs admitted now under.
    pub(crate) fn current_generation(&self, tenant: &TenantId) -> u64 {
        self.generation(tenant)
    }

    /// A table of the tenant has changed; returns its version from now on.
    pub fn invalidate_table(&self, tenant: &TenantId, table: &str, version: Option<u64>) -> u64 {
        self.epochs.raise(tenant, table, version)
    }

    /// Drops what was computed from the tenant's dataset of that name. Nothing stale is ever served without it; it
    /// is for making room, and for trust.
    pub fn invalidate_dataset(&self, tenant: &TenantId, dataset: &str) {
        self.epochs.raise(tenant, &of_dataset(dataset), None);
    }

    /// Drops everything of the tenant.
    pub fn invalidate_all(&self, tenant: &TenantId) {
        *self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(tenant.clone())
            .or_insert(0) += 1;
        self.epochs.raise_all(tenant);
    }

    /// Figures so far.
    pub fn stats(&self) -> Stats {
        Stats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.cache.weight(),
            entries: self.cache.len() as u64,
        }
    }
}

/// The name among the tenant's tables under which a dataset's epoch is kept; no real table begins so.
fn of_dataset(name: &str) -> String {
    format!("\0dataset {name}")
}

/// Whether a result computed there may serve a request that wants it from `choice`.
fn served_by(choice: &DeviceChoice, device_id: Option<u32>) -> bool {
    match choice {
        DeviceChoice::Auto => true,
        DeviceChoice::Cpu => device_id.is_none(),
        DeviceChoice::Gpu => device_id.is_some(),
        DeviceChoice::Id(id) => device_id == Some(*id),
    }
}

impl Missed {
    pub(crate) fn admitted(&self) -> &Admitted {
        &self.admitted
    }
    pub(crate) fn flight(&self) -> Option<[u8; 32]> {
        self.flight
    }
    pub(crate) fn into_parts(self) -> (Admitted, Option<CacheKey>) {
        (self.admitted, self.key)
    }
}
