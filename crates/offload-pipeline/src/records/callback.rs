//! Callbacks: the ends of tasks that somebody wants to be told.

use super::{Page, StoreError};

/// A callback that is to be delivered now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCallback {
    /// Stays the same over all attempts; receivers tell repetitions by it.
    pub webhook_id: String,
    /// Whose.
    pub tenant_id: String,
    /// Which task's end.
    pub task_id: String,
    /// Where; sealed.
    pub url: Vec<u8>,
    /// Deliveries begun, this one included.
    pub attempts: u32,
    /// Proves the claim.
    pub token: u64,
}

/// A callback that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadCallback {
    /// Its id.
    pub webhook_id: String,
    /// Whose.
    pub tenant_id: String,
    /// Which task's end.
    pub task_id: String,
    /// Deliveries tried.
    pub attempts: u32,
    /// Unix milliseconds of the last.
    pub at_ms: u64,
    /// Why the last failed, fit for the tenant.
    pub error: String,
}

/// How a delivery went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Done,
    /// It is tried again from this time on (Unix milliseconds), because of this.
    Again(u64, String),
    /// It is given up, because of this.
    Dead(String),
}

/// The callbacks. They come to be when a task ends ([`super::Tasks::end`]).
pub trait Callbacks: Send + Sync {
    /// Claims callbacks that are due, at most `limit`, for `lease_ms`.
    fn claim_due(&self, now_ms: u64, lease_ms: u64, limit: usize) -> Result<Vec<DueCallback>, StoreError>;

    /// Records how deliveries went, all or none of them; one whose token is old is not recorded.
    fn record(&self, deliveries: &[(DueCallback, Delivery)], at_ms: u64) -> Result<(), StoreError>;

    /// Callbacks that were given up, of a tenant or of all, newest first.
    fn dead(
        &self,
        tenant_id: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeadCallback>, StoreError>;

    /// The tenant's secret for signatures, sealed.
    fn secret(&self, tenant_id: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Stores the tenant's secret if it has none yet, and answers the one that is stored.
    fn secret_or_store(&self, tenant_id: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Replaces the tenant's secret.
    fn replace_secret(&self, tenant_id: &str, sealed: &[u8]) -> Result<(), StoreError>;
}
