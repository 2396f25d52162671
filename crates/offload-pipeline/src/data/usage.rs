//! What each tenant's living versions take of its quota.

use offload_api::{ApiError, ErrorCode};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes by tenant.
#[derive(Debug, Default)]
pub(super) struct Usage(Mutex<HashMap<String, u64>>);

/// Bytes of a tenant's quota, given back on drop.
#[derive(Debug)]
pub(super) struct Share {
    usage: Arc<Usage>,
    tenant: String,
    bytes: u64,
}

impl Usage {
    /// Takes bytes whatever the quota is: they are on the disk already.
    pub(super) fn hold(self: &Arc<Self>, tenant: &str, bytes: u64) -> Share {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = all.entry(tenant.to_owned()).or_insert(0);
        *used = used.saturating_add(bytes);
        Share { usage: Arc::clone(self), tenant: tenant.to_owned(), bytes }
    }

    /// Takes bytes that are to be written.
    ///
    /// # Errors
    /// `quota_exceeded` with the figures, when the tenant would have more than `limit`.
    pub(super) fn reserve(self: &Arc<Self>, tenant: &str, bytes: u64, limit: u64) -> Result<Share, ApiError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = all.entry(tenant.to_owned()).or_insert(0);
        let total = used.saturating_add(bytes);
        if total > limit {
            let message = format!(
                "the datasets would take {total} bytes with every version that is still read, the tenant's quota is {limit}"
            );
            return Err(ApiError::new(ErrorCode::QuotaExceeded, message).with_details(json!({
                "needed_bytes": bytes, "used_bytes": *used, "limit_bytes": limit,
                "raised_by": "tenant quota max_dataset_bytes"})));
        }
        *used = total;
        drop(all);
        Ok(Share { usage: Arc::clone(self), tenant: tenant.to_owned(), bytes })
    }

    /// Bytes of a tenant.
    pub(super) fn of(&self, tenant: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied().unwrap_or(0)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.usage.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = all.get_mut(&self.tenant) {
            *used = used.saturating_sub(self.bytes);
            if *used == 0 {
                all.remove(&self.tenant);
            }
        }
    }
}
