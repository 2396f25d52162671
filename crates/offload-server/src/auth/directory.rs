//! Tenants and keys as the request path sees them: in memory, and dropped when the store has changed.

use super::unix_now;
use offload_core::TenantId;
use offload_pipeline::admit::Caller;
use offload_pipeline::records::{ApiKey, StoreError, Stores, hash_key};
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys kept in memory.
const CACHED_KEYS: usize = 16_384;

/// A live key and the caller it makes.
#[derive(Clone)]
pub struct Identity {
    /// The key.
    pub key: Arc<ApiKey>,
    /// The caller, with the key's scopes.
    pub caller: Arc<Caller>,
}

/// The directory. Its answers are as old as `auth.refresh_ms` at most where another process changes the store.
pub struct Directory {
    stores: Arc<dyn Stores>,
    by_hash: Cache<[u8; 32], Identity>,
    by_id: Cache<String, Identity>,
    seen: AtomicU64,
}

impl Directory {
    /// The directory over these stores.
    pub fn new(stores: Arc<dyn Stores>) -> Directory {
        Directory {
            stores,
            by_hash: Cache::new(CACHED_KEYS),
            by_id: Cache::new(CACHED_KEYS),
            seen: AtomicU64::new(u64::MAX),
        }
    }

    /// The stores behind it.
    pub fn stores(&self) -> &Arc<dyn Stores> {
        &self.stores
    }

    /// How often what it holds was dropped; what is derived from it is as old as this number.
    pub fn generation(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    /// Drops what it holds when the store has changed. Called often, and after every change made here.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn refresh(&self) -> Result<(), StoreError> {
        let counter = self.stores.change_counter()?;
        if self.seen.swap(counter, Ordering::AcqRel) != counter {
            self.by_hash.clear();
            self.by_id.clear();
        }
        Ok(())
    }

    /// Who holds the key of this text; nobody when it is unknown, dead, or its tenant is suspended.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn by_text(&self, text: &str) -> Result<Option<Identity>, StoreError> {
        let hash = hash_key(text);
        if let Some(found) = self.by_hash.get(&hash) {
            return Ok(live(found));
        }
        let Some(key) = self.stores.keys().by_hash(&hash)? else { return Ok(None) };
        // The index found it by its hash; the comparison that counts takes the same time wherever they differ.
        if !key.has_hash(&hash) {
            return Ok(None);
        }
        self.identify(key)
    }

    /// Who holds the key of this id, as by [`by_text`](Self::by_text).
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn by_id(&self, key_id: &str) -> Result<Option<Identity>, StoreError> {
        if let Some(found) = self.by_id.get(key_id) {
            return Ok(live(found));
        }
        match self.stores.keys().get(key_id)? {
            Some(key) => self.identify(key),
            None => Ok(None),
        }
    }

    fn identify(&self, key: ApiKey) -> Result<Option<Identity>, StoreError> {
        let before = self.generation();
        let Some(tenant) = self.stores.tenants().get(&key.tenant_id)? else { return Ok(None) };
        if tenant.suspended {
            return Ok(None);
        }
        let caller = Caller::new(
            TenantId::new(&key.tenant_id),
            key.user_id.clone(),
            key.key_id.clone(),
            key.scopes.clone(),
            tenant.quota,
        );
        let identity = Identity { key: Arc::new(key), caller: Arc::new(caller) };
        // A change between the reads and here must not be hidden by what was read before it.
        if self.generation() == before {
            self.by_hash.insert(identity.key.hash, identity.clone());
            self.by_id.insert(identity.key.key_id.clone(), identity.clone());
        }
        Ok(live(identity))
    }
}

fn live(identity: Identity) -> Option<Identity> {
    identity.key.is_live(unix_now()).then_some(identity)
}
