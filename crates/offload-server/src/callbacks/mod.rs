//! Telling others how their tasks ended: signed, with patience, and only where that is allowed.

mod connect;
mod deliver;
pub mod signature;
mod target;

pub use deliver::start;
pub use target::{Rules, Target};

use crate::auth::Vault;
use crate::config;
use offload_pipeline::records::{Quota, StoreError, Stores};

/// What secrets are sealed for.
fn purpose(tenant: &str) -> String {
    format!("webhook secret of {tenant}")
}

/// The rules for a tenant's callbacks.
pub fn rules<'a>(settings: &config::Callbacks, quota: &'a Quota) -> Rules<'a> {
    Rules { hosts: quota.callback_hosts.as_deref(), allow_http: settings.allow_http }
}

/// The tenant's secret, made when it has none.
///
/// # Errors
/// When the store or the vault fails.
pub fn secret(stores: &dyn Stores, vault: &Vault, tenant: &str) -> Result<Vec<u8>, StoreError> {
    let callbacks = stores.callbacks();
    let sealed = match callbacks.secret(tenant)? {
        Some(sealed) => sealed,
        None => callbacks.secret_or_store(tenant, &sealed_secret(vault, tenant)?.1)?,
    };
    vault.unseal(&purpose(tenant), sealed).map_err(|e| StoreError::Corrupt(e.to_string()))
}

/// A new secret for the tenant, in place of the one it had.
///
/// # Errors
/// When the store or the vault fails.
pub fn replace_secret(stores: &dyn Stores, vault: &Vault, tenant: &str) -> Result<Vec<u8>, StoreError> {
    let (secret, sealed) = sealed_secret(vault, tenant)?;
    stores.callbacks().replace_secret(tenant, &sealed)?;
    Ok(secret)
}

fn sealed_secret(vault: &Vault, tenant: &str) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let secret = signature::new_secret().map_err(|e| StoreError::Io(e.to_string()))?;
    let sealed = vault.seal(&purpose(tenant), &secret).map_err(|e| StoreError::Io(e.to_string()))?;
    Ok((secret, sealed))
}
