//! Tenants, keys and signing keys in memory.

use super::MemoryStores;
use crate::cursor::{decode, encode, page, page_limit};
use offload_pipeline::records::{ApiKey, Keys, Page, SigningKey, SigningKeys, StoreError, Tenant, Tenants};
use std::collections::btree_map::Entry;
use std::ops::Bound;

impl Tenants for MemoryStores {
    fn create(&self, tenant: &Tenant) -> Result<Tenant, StoreError> {
        tenant.check()?;
        let mut state = self.state();
        let Entry::Vacant(entry) = state.tenants.entry(tenant.id.clone()) else {
            return Err(StoreError::AlreadyExists);
        };
        let stored = entry.insert(Tenant { revision: 1, ..tenant.clone() }).clone();
        state.changes += 1;
        Ok(stored)
    }

    fn get(&self, id: &str) -> Result<Option<Tenant>, StoreError> {
        Ok(self.state().tenants.get(id).cloned())
    }

    fn list(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Tenant>, StoreError> {
        let limit = page_limit(limit);
        let after = (Bound::Excluded(cursor.unwrap_or_default()), Bound::Unbounded);
        let items =
            self.state().tenants.range::<str, _>(after).take(limit + 1).map(|(_, t)| t.clone()).collect();
        Ok(page(items, limit, |tenant: &Tenant| tenant.id.clone()))
    }

    fn update(&self, tenant: &Tenant) -> Result<Tenant, StoreError> {
        tenant.check()?;
        let mut state = self.state();
        let stored = state.tenants.get_mut(&tenant.id).ok_or(StoreError::NotFound)?;
        if stored.revision != tenant.revision {
            return Err(StoreError::Conflict);
        }
        let revision = stored.revision + 1;
        *stored = Tenant { revision, created_at: stored.created_at, ..tenant.clone() };
        let stored = stored.clone();
        state.changes += 1;
        Ok(stored)
    }

    fn delete(&self, id: &str, revision: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.tenants.get(id).ok_or(StoreError::NotFound)?.revision != revision {
            return Err(StoreError::Conflict);
        }
        state.tenants.remove(id);
        state.keys.retain(|_, key| key.tenant_id != id);
        state.changes += 1;
        drop(state);
        self.tasks.forget_tenant(id)
    }
}

impl Keys for MemoryStores {
    fn create(&self, key: &ApiKey) -> Result<ApiKey, StoreError> {
        key.check()?;
        let mut state = self.state();
        if state.keys.contains_key(&key.key_id) || state.keys.values().any(|k| k.has_hash(&key.hash)) {
            return Err(StoreError::AlreadyExists);
        }
        if !state.tenants.contains_key(&key.tenant_id) {
            return Err(StoreError::NotFound);
        }
        let key = ApiKey { revision: 1, ..key.clone() };
        state.keys.insert(key.key_id.clone(), key.clone());
        state.changes += 1;
        Ok(key)
    }

    fn by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.state().keys.values().find(|key| key.has_hash(hash)).cloned())
    }

    fn get(&self, key_id: &str) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.state().keys.get(key_id).cloned())
    }

    fn list(&self, tenant_id: &str, cursor: Option<&str>, limit: usize) -> Result<Page<ApiKey>, StoreError> {
        let limit = page_limit(limit);
        let after = cursor.map(decode).transpose()?.unwrap_or((0, ""));
        let state = self.state();
        let mut items: Vec<&ApiKey> = state
            .keys
            .values()
            .filter(|key| key.tenant_id == tenant_id && (key.created_at, key.key_id.as_str()) > after)
            .collect();
        items.sort_by_key(|key| (key.created_at, key.key_id.as_str()));
        let items = items.into_iter().take(limit + 1).cloned().collect();
        Ok(page(items, limit, |key: &ApiKey| encode(key.created_at, &key.key_id)))
    }

    fn revoke(&self, key_id: &str, at: u64) -> Result<ApiKey, StoreError> {
        let mut state = self.state();
        let key = state.keys.get_mut(key_id).ok_or(StoreError::NotFound)?;
        if key.revoked_at.is_some_and(|earlier| earlier <= at) {
            return Ok(key.clone());
        }
        key.revoked_at = Some(at.min(i64::MAX as u64));
        key.revision += 1;
        let key = key.clone();
        state.changes += 1;
        Ok(key)
    }
}

impl SigningKeys for MemoryStores {
    fn list(&self) -> Result<Vec<SigningKey>, StoreError> {
        Ok(self.state().signing_keys.iter().rev().cloned().collect())
    }

    fn insert(&self, key: &SigningKey) -> Result<(), StoreError> {
        key.check()?;
        let mut state = self.state();
        if state.signing_keys.iter().any(|k| k.kid == key.kid) {
            return Err(StoreError::AlreadyExists);
        }
        state.signing_keys.push(key.clone());
        state.changes += 1;
        Ok(())
    }

    fn insert_if_newest(&self, newest: Option<&str>, key: &SigningKey) -> Result<(), StoreError> {
        key.check()?;
        let mut state = self.state();
        if state.signing_keys.last().map(|k| k.kid.as_str()) != newest {
            return Err(StoreError::Conflict);
        }
        if state.signing_keys.iter().any(|k| k.kid == key.kid) {
            return Err(StoreError::AlreadyExists);
        }
        state.signing_keys.push(key.clone());
        state.changes += 1;
        Ok(())
    }

    fn delete(&self, kid: &str) -> Result<(), StoreError> {
        let mut state = self.state();
        let index = state.signing_keys.iter().position(|k| k.kid == kid).ok_or(StoreError::NotFound)?;
        state.signing_keys.remove(index);
        state.changes += 1;
        Ok(())
    }

    fn delete_expired(&self, now: u64) -> Result<u64, StoreError> {
        let mut state = self.state();
        let before = state.signing_keys.len();
        state.signing_keys.retain(|key| key.verifies(now));
        let removed = (before - state.signing_keys.len()) as u64;
        state.changes += u64::from(removed > 0);
        Ok(removed)
    }
}
