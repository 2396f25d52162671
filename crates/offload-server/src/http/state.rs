//! What every handler can reach.

use crate::auth::{Directory, Tokens, Vault};
use crate::config::Config;
use crate::devices::DeviceSearch;
use crate::metrics::Metrics;
use crate::tasks::TaskDesk;
use offload_core::Registry;
use offload_pipeline::admit::RateLimiter;
use offload_pipeline::data::Catalog;
use offload_pipeline::engine::Pipeline;
use offload_pipeline::records::AuditWriter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Requests per minute of each tenant and key, and attempts of each address to get a token.
#[derive(Default)]
pub struct Rates {
    /// By tenant.
    pub tenants: RateLimiter,
    /// By key.
    pub keys: RateLimiter,
    /// By address.
    pub tokens: RateLimiter,
}

/// The parts of a running service.
pub struct AppState {
    /// The settings.
    pub config: Config,
    /// The operations.
    pub registry: Arc<Registry>,
    /// The stages.
    pub pipeline: Arc<Pipeline>,
    /// What the search for devices found.
    pub devices: Arc<DeviceSearch>,
    /// The datasets.
    pub catalog: Arc<Catalog>,
    /// Tenants and keys.
    pub directory: Arc<Directory>,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// Requests per minute.
    pub rates: Rates,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// The audit log.
    pub audit: Arc<AuditWriter>,
    /// What keeps secrets on the disk.
    pub vault: Vault,
    /// The tasks that run here.
    pub tasks: TaskDesk,
    /// Threads for large bodies.
    pub codec: super::Codec,
    /// Documents of the registry.
    pub pages: super::Pages,
    /// Bytes of bodies being received.
    pub inflight_bytes: AtomicU64,
    /// The service is shutting down.
    pub draining: AtomicBool,
}
