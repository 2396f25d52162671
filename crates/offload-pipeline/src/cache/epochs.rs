//! How far each tenant's tables have moved, as far as the service was told.

use offload_api::DependsOn;
use offload_core::TenantId;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// How far a table has moved. The incarnation is random, so an epoch that was lost and made anew never equals
/// an old one: what was cached under the old one is missed, never revived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    pub(super) incarnation: u64,
    pub(super) counter: u64,
}

/// Tables held before those that were only named are forgotten.
const MAX_TABLES: usize = 65_536;

/// A job depends on a version that was superseded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table {table} is at version {current}, the request depends on {asked}")]
pub struct StaleVersion {
    /// The table.
    pub table: String,
    /// The version the request names.
    pub asked: u64,
    /// The version the service was told of.
    pub current: u64,
}

/// The epochs of all tables that were named.
#[derive(Default)]
pub struct Epochs {
    tables: Mutex<HashMap<(TenantId, String), Epoch>>,
    random: RandomState,
}

impl Epochs {
    fn fresh(&self, tenant: &TenantId, table: &str) -> Epoch {
        // RandomState is keyed at random per process; the time makes incarnations within it differ as well.
        Epoch {
            incarnation: self.random.hash_one((tenant.as_str(), table, std::time::Instant::now())),
            counter: 0,
        }
    }

    /// The table has changed; returns its version from now on: `version` when that is ahead of what was known.
    pub fn raise(&self, tenant: &TenantId, table: &str, version: Option<u64>) -> u64 {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch =
            tables.entry((tenant.clone(), table.to_string())).or_insert_with(|| self.fresh(tenant, table));
        epoch.counter = epoch.counter.saturating_add(1).max(version.unwrap_or(0));
        epoch.counter
    }

    /// Everything of a tenant has changed.
    pub fn raise_all(&self, tenant: &TenantId) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, epoch) in tables.iter_mut().filter(|((t, _), _)| t == tenant) {
            epoch.counter = epoch.counter.saturating_add(1);
        }
    }

    /// The epochs of the tables a job depends on.
    ///
    /// # Errors
    /// When the job names a version that was superseded.
    pub fn resolve(
        &self,
        tenant: &TenantId,
        depends_on: &[DependsOn],
    ) -> Result<Vec<(DependsOn, Epoch)>, StaleVersion> {
        if depends_on.is_empty() {
            return Ok(Vec::new());
        }
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.len() >= MAX_TABLES {
            // A table that never changed is known by name alone; forgetting it costs a miss. Versions that the
            // service was told stay, because an older one must be recognised.
            tables.retain(|_, epoch| epoch.counter > 0);
        }
        depends_on
            .iter()
            .map(|d| {
                let epoch = *tables
                    .entry((tenant.clone(), d.table.clone()))
                    .or_insert_with(|| self.fresh(tenant, &d.table));
                if let Some(asked) = d.version.as_ref().and_then(serde_json::Value::as_u64)
                    && asked < epoch.counter
                {
                    return Err(StaleVersion { table: d.table.clone(), asked, current: epoch.counter });
                }
                Ok((d.clone(), epoch))
            })
            .collect()
    }
}
