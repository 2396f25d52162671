//! The stores in memory: for tests, and for a service that may forget.

mod audit;
mod datasets;
mod records;

use audit::Trail;
use datasets::{Catalogue, Pieces};
use offload_pipeline::records::{
    ApiKey, Audit, Datasets, Keys, Segments, SigningKey, SigningKeys, StoreError, Stores, Tenant, Tenants,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle to stores in memory; a clone is another handle to the same ones, as another node would have.
#[derive(Clone, Default)]
pub struct MemoryStores {
    state: Arc<Mutex<State>>,
    trail: Arc<Mutex<Trail>>,
    catalogue: Arc<Mutex<Catalogue>>,
    pieces: Arc<Mutex<Pieces>>,
}

#[derive(Default)]
struct State {
    tenants: BTreeMap<String, Tenant>,
    keys: BTreeMap<String, ApiKey>,
    /// Oldest first.
    signing_keys: Vec<SigningKey>,
    changes: u64,
}

impl MemoryStores {
    /// Empty stores.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stores for MemoryStores {
    fn tenants(&self) -> &dyn Tenants {
        self
    }

    fn keys(&self) -> &dyn Keys {
        self
    }

    fn signing_keys(&self) -> &dyn SigningKeys {
        self
    }

    fn audit(&self) -> &dyn Audit {
        self
    }

    fn datasets(&self) -> &dyn Datasets {
        self
    }

    fn segments(&self) -> &dyn Segments {
        self
    }

    fn change_counter(&self) -> Result<u64, StoreError> {
        Ok(self.state().changes)
    }
}
