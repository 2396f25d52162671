//! The stores in memory: for tests, and for a service that may forget.

mod audit;
mod datasets;
mod records;

use crate::sqlite::{self, tasks::TaskTables};
use audit::Trail;
use datasets::{Catalogue, Pieces};
use offload_pipeline::records::{
    ApiKey, Audit, Callbacks, Datasets, Keys, Segments, SigningKey, SigningKeys, StoreError, Stores, Tasks,
    Tenant, Tenants,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle to stores in memory; a clone is another handle to the same ones, as another node would have.
#[derive(Clone)]
pub struct MemoryStores {
    state: Arc<Mutex<State>>,
    trail: Arc<Mutex<Trail>>,
    /// In SQLite as well, without a file: their queries are what is worth testing.
    tasks: Arc<TaskTables>,
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
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn new() -> Result<Self, StoreError> {
        Ok(MemoryStores {
            state: Arc::default(),
            trail: Arc::default(),
            catalogue: Arc::default(),
            pieces: Arc::default(),
            tasks: Arc::new(sqlite::tasks_in_memory()?),
        })
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

    fn tasks(&self) -> &dyn Tasks {
        &*self.tasks
    }

    fn callbacks(&self) -> &dyn Callbacks {
        &*self.tasks
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
