//! Making API keys. The text is shown once; only its hash is kept.

use super::{known_scopes, unix_now};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offload_api::nearest;
use offload_pipeline::records::{ApiKey, StoreError, hash_key};

/// What every generated key starts with, so that scanners recognise a leaked one.
const PREFIX: &str = "hgo_";
/// The shortest text that may be imported as a key.
const MIN_IMPORT_BYTES: usize = 16;

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// Whose.
    pub tenant_id: String,
    /// Which user's.
    pub user_id: String,
    /// What for.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// Unix seconds after which it is dead.
    pub expires_at: Option<u64>,
}

/// A new key: its record, and its text, which is not kept anywhere.
///
/// # Errors
/// When a scope does not exist, or the system gives no randomness.
pub fn new_key(request: KeyRequest) -> Result<(ApiKey, String), StoreError> {
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?));
    Ok((record(request, &text)?, text))
}

/// A key whose text was made elsewhere.
///
/// # Errors
/// When the text is too short to be a secret, or as [`new_key`].
pub fn import_key(request: KeyRequest, text: &str) -> Result<ApiKey, StoreError> {
    if text.len() < MIN_IMPORT_BYTES || text.len() > 512 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(StoreError::Invalid(format!(
            "a key has {MIN_IMPORT_BYTES} to 512 printable ascii characters without spaces"
        )));
    }
    record(request, text)
}

fn record(request: KeyRequest, text: &str) -> Result<ApiKey, StoreError> {
    for scope in &request.scopes {
        if !known_scopes().contains(&scope.as_str()) {
            let hint = nearest(scope, known_scopes().iter().copied())
                .map(|n| format!("; did you mean {n}?"))
                .unwrap_or_default();
            return Err(StoreError::Invalid(format!("there is no scope {scope}{hint}")));
        }
    }
    let id: String = random::<8>()?.iter().map(|b| format!("{b:02x}")).collect();
    let last_four = text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_string();
    Ok(ApiKey {
        key_id: format!("key_{id}"),
        tenant_id: request.tenant_id,
        user_id: request.user_id,
        name: request.name,
        scopes: request.scopes,
        hash: hash_key(text),
        last_four,
        created_at: unix_now(),
        expires_at: request.expires_at,
        revoked_at: None,
        revision: 0,
    })
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| StoreError::Io("the system gives no randomness".into()))?;
    Ok(bytes)
}
