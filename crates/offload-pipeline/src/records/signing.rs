//! The keys that tokens are signed with, and their rotation.

use super::{StoreError, check_label, check_storable};
use std::fmt;

/// A key pair. It signs from `not_before` until `retire_at`; it verifies, and is published, until `expires_at`.
/// Never changed after it was stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// What the token's header names.
    pub kid: String,
    /// PKCS #8, DER. Never printed.
    pub private_pkcs8_der: Vec<u8>,
    /// The public modulus as in a JWK: base64url without padding.
    pub n: String,
    /// The public exponent as in a JWK: base64url without padding.
    pub e: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds from which it signs: later than its publication, so that verifiers know it first.
    pub not_before: u64,
    /// Unix seconds from which it no longer signs.
    pub retire_at: u64,
    /// Unix seconds from which it is no longer published: past `retire_at` by at least a token's life.
    pub expires_at: u64,
}

impl SigningKey {
    /// Whether it may sign at that time (unix seconds). The first of [`SigningKeys::list`] that may, does.
    pub fn signs(&self, now: u64) -> bool {
        self.not_before <= now && now < self.retire_at
    }

    /// Whether it verifies, and is published, at that time (unix seconds).
    pub fn verifies(&self, now: u64) -> bool {
        now < self.expires_at
    }

    /// Refuses what no store may hold.
    pub fn check(&self) -> Result<(), StoreError> {
        let invalid = |what: &str| Err(StoreError::Invalid(what.to_owned()));
        check_label("kid", &self.kid)?;
        if self.kid.is_empty() {
            return invalid("kid is empty");
        }
        if self.private_pkcs8_der.len() > 64 << 10 || self.n.len() > 64 << 10 || self.e.len() > 64 << 10 {
            return invalid("the key is longer than 65536 bytes");
        }
        if self.not_before > self.retire_at || self.retire_at > self.expires_at {
            return invalid("not_before, retire_at and expires_at must be in this order");
        }
        check_storable("created_at", self.created_at)?;
        check_storable("expires_at", self.expires_at)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("private_pkcs8_der", &format_args!("***"))
            .field("created_at", &self.created_at)
            .field("not_before", &self.not_before)
            .field("retire_at", &self.retire_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The signing keys.
pub trait SigningKeys: Send + Sync {
    /// All of them, newest first. Newest is the last stored, not the one with the latest time: clocks differ.
    fn list(&self) -> Result<Vec<SigningKey>, StoreError>;

    /// Stores a key that someone brought, as the newest. [`StoreError::AlreadyExists`] if its kid is taken.
    fn insert(&self, key: &SigningKey) -> Result<(), StoreError>;

    /// Stores the key as the newest, if `newest` is the kid of the newest until now (none: there is no key yet).
    /// [`StoreError::Conflict`] otherwise: another node has rotated, so read its key and use that. This is the
    /// whole of rotation: nodes that rotate at once end with one new key.
    fn insert_if_newest(&self, newest: Option<&str>, key: &SigningKey) -> Result<(), StoreError>;

    /// Removes a key at once, as after a leak. [`StoreError::NotFound`] if it is not there.
    fn delete(&self, kid: &str) -> Result<(), StoreError>;

    /// Removes the keys that no longer verify at that time (unix seconds), and answers how many.
    fn delete_expired(&self, now: u64) -> Result<u64, StoreError>;
}
