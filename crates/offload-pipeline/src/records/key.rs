//! API keys: what a tenant's users authenticate with.

use super::{Page, StoreError, check_identifier, check_label, check_storable};
use serde::Serialize;

/// An API key, without its secret: that was shown once and is nowhere stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// The public name: `key_` and 16 characters of `[a-z0-9]`.
    pub key_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Who uses it, in the tenant's words; may be empty.
    pub user_id: String,
    /// What it is for, in the tenant's words; may be empty.
    pub name: String,
    /// What it may do: `gpu:matrix`, …
    pub scopes: Vec<String>,
    /// [`hash_key`] of the whole key text. Not serialised: nobody outside needs it.
    #[serde(skip)]
    pub hash: [u8; 32],
    /// The last four characters of the key text, so that a human can tell keys apart.
    pub last_four: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds from which it is refused; none means never.
    pub expires_at: Option<u64>,
    /// Unix seconds from which it is refused because someone said so.
    pub revoked_at: Option<u64>,
    /// Grows by one with every change; 1 when created.
    pub revision: u64,
}

/// What is stored and looked up instead of a key. Not a slow hash, on purpose: the key is 256 random bits, so
/// there is nothing to guess, and this runs on every request.
pub fn hash_key(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

impl ApiKey {
    /// Whether it is accepted at that time (unix seconds): neither expired nor revoked.
    pub fn is_live(&self, now: u64) -> bool {
        self.expires_at.is_none_or(|t| now < t) && self.revoked_at.is_none_or(|t| now < t)
    }

    /// Whether this is the hash, compared in constant time.
    pub fn has_hash(&self, hash: &[u8; 32]) -> bool {
        // blake3's own comparison is the constant-time one; that of arrays is not.
        blake3::Hash::from_bytes(self.hash) == blake3::Hash::from_bytes(*hash)
    }

    /// Refuses what no store may hold.
    pub fn check(&self) -> Result<(), StoreError> {
        let suffix = self.key_id.strip_prefix("key_").unwrap_or_default();
        if suffix.len() != 16 || !suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(StoreError::Invalid(
                "key_id must be key_ and 16 characters of a-z and 0-9".to_owned(),
            ));
        }
        check_identifier("tenant_id", &self.tenant_id, "_-")?;
        check_label("user_id", &self.user_id)?;
        check_label("name", &self.name)?;
        check_label("last_four", &self.last_four)?;
        if self.scopes.len() > 64 {
            return Err(StoreError::Invalid("scopes has more than 64 entries".to_owned()));
        }
        self.scopes.iter().try_for_each(|s| check_identifier("scopes", s, ":_-"))?;
        check_storable("created_at", self.created_at)?;
        check_storable("expires_at", self.expires_at.unwrap_or(0))?;
        check_storable("revoked_at", self.revoked_at.unwrap_or(0))
    }
}

/// The API keys.
pub trait Keys: Send + Sync {
    /// Stores a new key at revision 1, whatever revision was given, and answers it as stored.
    /// [`StoreError::AlreadyExists`] if its id or its hash is taken, [`StoreError::NotFound`] if there is no
    /// such tenant.
    fn create(&self, key: &ApiKey) -> Result<ApiKey, StoreError>;

    /// The key whose text has that hash, if there is one, live or not: see [`ApiKey::is_live`].
    fn by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError>;

    /// The key of that id, if there is one, live or not.
    fn get(&self, key_id: &str) -> Result<Option<ApiKey>, StoreError>;

    /// A tenant's keys, oldest first, at most `limit`, from `cursor` on; none for a tenant that is not there.
    fn list(&self, tenant_id: &str, cursor: Option<&str>, limit: usize) -> Result<Page<ApiKey>, StoreError>;

    /// Refuses the key from `at` (unix seconds) on, and answers it as stored. Needs no revision, since order does
    /// not matter: of several revocations the earliest holds, and one that changes nothing is not an error.
    /// [`StoreError::NotFound`] if there is no such key.
    fn revoke(&self, key_id: &str, at: u64) -> Result<ApiKey, StoreError>;
}
