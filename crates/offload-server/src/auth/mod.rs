//! Who is calling: API keys, tokens made from them, and the directory of tenants behind both.

mod directory;
mod keys;
mod scopes;
mod tokens;
mod vault;

pub use directory::{Directory, Identity};
pub use keys::{KeyRequest, import_key, new_key};
pub use scopes::{ADMIN, DATASETS, METRICS, known_scopes};
pub use tokens::{TokenError, Tokens};
pub use vault::{Vault, VaultError};

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
