//! RS256 tokens (RFC 7519, with the advice of RFC 8725: algorithm pinned, issuer, audience and times checked).

use super::{Directory, Identity, unix_now};
use crate::config::Auth;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use offload_pipeline::admit::Caller;
use offload_pipeline::records::{SigningKey, StoreError};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex, PoisonError};

/// Seconds that clocks may differ.
const LEEWAY: u64 = 5;
/// The longest token looked at.
const MAX_TOKEN_BYTES: usize = 8192;
/// Verified tokens kept in memory.
const CACHED_TOKENS: usize = 16_384;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    tenant_id: String,
    user_id: String,
    key_id: String,
    scopes: Vec<String>,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
}

/// Why a token was refused. The caller learns the kind, the log nothing of the token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is no token of this service, or not any more.
    #[error("{0}")]
    Invalid(&'static str),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone)]
struct Verified {
    key_id: String,
    caller: Arc<Caller>,
    exp: u64,
    generation: u64,
}

/// Makes and verifies tokens.
pub struct Tokens {
    config: Auth,
    directory: Arc<Directory>,
    verified: Cache<[u8; 32], Verified>,
    signing: Mutex<Vec<SigningKey>>,
}

impl Tokens {
    /// Tokens over the directory's signing keys; the first key is made when there is none.
    ///
    /// # Errors
    /// When the store does not answer, or no key can be made.
    pub fn new(config: Auth, directory: Arc<Directory>) -> Result<Tokens, StoreError> {
        let tokens =
            Tokens { config, directory, verified: Cache::new(CACHED_TOKENS), signing: Mutex::default() };
        tokens.maintain()?;
        Ok(tokens)
    }

    /// Makes a new signing key when the current one is due, forgets expired ones, and reads what other nodes made.
    ///
    /// # Errors
    /// When the store does not answer, or no key can be made.
    pub fn maintain(&self) -> Result<(), StoreError> {
        let now = unix_now();
        let store = self.directory.stores().signing_keys();
        let keys = store.list()?;
        let newest = keys.iter().max_by_key(|k| k.not_before);
        let overlap = self.overlap();
        let due = newest.is_none_or(|k| k.retire_at <= now + overlap);
        if due {
            // The first key signs at once; a successor is published before it signs, so that verifiers know it.
            let not_before = newest.map_or(now, |k| k.retire_at.max(now).min(now + overlap));
            let key = self.make_key(now, not_before)?;
            match store.insert_if_newest(newest.map(|k| k.kid.as_str()), &key) {
                Ok(()) => tracing::info!(kid = %key.kid, "made a signing key"),
                // Another node was first; its key serves as well.
                Err(StoreError::Conflict) => {}
                Err(e) => return Err(e),
            }
        }
        store.delete_expired(now)?;
        let keys = store.list()?;
        let mut held = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
        if held.iter().map(|k| &k.kid).ne(keys.iter().map(|k| &k.kid)) {
            self.verified.clear();
            *held = keys;
        }
        Ok(())
    }

    /// Seconds before its retirement at which a key's successor is published.
    fn overlap(&self) -> u64 {
        (self.config.rotate_after_days * 86_400 / 10).clamp(60, 3_600)
    }

    fn make_key(&self, now: u64, not_before: u64) -> Result<SigningKey, StoreError> {
        let failed = |what: &str| StoreError::Io(format!("no signing key: {what}"));
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| failed("generation"))?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed("encoding"))?;
        let public: PublicKeyComponents<Vec<u8>> = pair.public_key().into();
        let (n, e) = (URL_SAFE_NO_PAD.encode(&public.n), URL_SAFE_NO_PAD.encode(&public.e));
        let retire_at = not_before + self.config.rotate_after_days * 86_400;
        Ok(SigningKey {
            // RFC 7638 is the thumbprint's shape; any stable name of the public key would do.
            kid: blake3::hash(n.as_bytes()).to_hex()[..16].to_string(),
            private_pkcs8_der: der.as_ref().to_vec(),
            n,
            e,
            created_at: now,
            not_before,
            retire_at,
            expires_at: retire_at + self.config.token_ttl_seconds + 2 * LEEWAY,
        })
    }

    /// A token for the holder of a key, and the seconds it lives.
    ///
    /// # Errors
    /// When there is no signing key.
    pub fn issue(&self, identity: &Identity) -> Result<(String, u64), StoreError> {
        let now = unix_now();
        let ttl = identity.key.expires_at.map_or(self.config.token_ttl_seconds, |at| {
            self.config.token_ttl_seconds.min(at.saturating_sub(now))
        });
        let failed = |what: &str| StoreError::Io(format!("no token: {what}"));
        let key = {
            let keys = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
            keys.iter().find(|k| k.signs(now)).cloned().ok_or_else(|| failed("no key may sign now"))?
        };
        let claims = Claims {
            iss: self.config.issuer.clone(),
            aud: self.config.audience.clone(),
            sub: identity.key.user_id.clone(),
            tenant_id: identity.key.tenant_id.clone(),
            user_id: identity.key.user_id.clone(),
            key_id: identity.key.key_id.clone(),
            scopes: identity.key.scopes.clone(),
            iat: now,
            nbf: now,
            exp: now + ttl,
            jti: crate::http::random_id(),
        };
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": key.kid});
        let claims = serde_json::to_string(&claims).map_err(|_| failed("encoding"))?;
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let pair =
            KeyPair::from_pkcs8(&key.private_pkcs8_der).map_err(|_| failed("the stored key is unusable"))?;
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| failed("signing"))?;
        Ok((format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)), ttl))
    }

    /// Who a token speaks for: its scopes, as far as its key still has them. A revoked key's tokens die with it.
    ///
    /// # Errors
    /// When the token does not hold, or the store does not answer.
    pub fn verify(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid("the token is too long"));
        }
        let digest = *blake3::hash(token.as_bytes()).as_bytes();
        let generation = self.directory.generation();
        if let Some(v) = self.verified.get(&digest)
            && v.generation == generation
            && unix_now() < v.exp + LEEWAY
        {
            // The key may have expired by time alone, which no change of the store tells.
            return match self.directory.by_id(&v.key_id)? {
                Some(_) => Ok(v.caller),
                None => Err(TokenError::Invalid("the token's key is revoked or expired")),
            };
        }
        let claims = self.check(token)?;
        let identity = self
            .directory
            .by_id(&claims.key_id)?
            .filter(|i| i.key.tenant_id == claims.tenant_id)
            .ok_or(TokenError::Invalid("the token's key is revoked or expired"))?;
        let scopes: Vec<String> =
            claims.scopes.into_iter().filter(|s| identity.key.scopes.contains(s)).collect();
        let caller = if scopes == identity.key.scopes {
            identity.caller
        } else {
            Arc::new(Caller::new(
                identity.caller.tenant.clone(),
                claims.user_id,
                claims.key_id.clone(),
                scopes,
                identity.caller.quota.clone(),
            ))
        };
        let verified =
            Verified { key_id: claims.key_id, caller: Arc::clone(&caller), exp: claims.exp, generation };
        self.verified.insert(digest, verified);
        Ok(caller)
    }

    fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let header =
            jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid("malformed token"))?;
        if header.alg != Algorithm::RS256 {
            return Err(TokenError::Invalid("the token is not signed with RS256"));
        }
        let kid = header.kid.ok_or(TokenError::Invalid("the token names no key"))?;
        let decoding = {
            let keys = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
            let key = keys
                .iter()
                .find(|k| k.kid == kid && k.verifies(unix_now()))
                .ok_or(TokenError::Invalid("the token's signing key is unknown"))?;
            DecodingKey::from_rsa_components(&key.n, &key.e)
                .map_err(|_| TokenError::Invalid("the token's signing key is unusable"))?
        };
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        jsonwebtoken::decode::<Claims>(token, &decoding, &validation).map(|t| t.claims).map_err(|e| {
            TokenError::Invalid(match e.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => "the token has expired",
                jsonwebtoken::errors::ErrorKind::ImmatureSignature => "the token is not valid yet",
                jsonwebtoken::errors::ErrorKind::InvalidSignature => "the token's signature is wrong",
                _ => "the token's claims do not hold",
            })
        })
    }

    /// The public keys (RFC 7517).
    pub fn jwks(&self) -> Json {
        let now = unix_now();
        let keys = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<Json> = keys
            .iter()
            .filter(|k| k.verifies(now))
            .map(|k| json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.kid, "n": k.n, "e": k.e}))
            .collect();
        json!({"keys": keys})
    }
}
