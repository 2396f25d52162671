//! Who is calling, and whether it calls too often: both before a body is read.

use super::AppState;
use super::exchange::Exchange;
use crate::auth::TokenError;
use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderName};
use offload_api::{ApiError, ErrorCode};
use offload_pipeline::admit::Caller;
use offload_pipeline::records::StoreError;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The caller, within its rate.
///
/// # Errors
/// `unauthenticated`, `rate_limited`, or `overloaded` while the service shuts down.
pub fn caller(
    state: &AppState,
    request: &HttpRequest,
    exchange: &mut Exchange,
) -> Result<Arc<Caller>, ApiError> {
    let caller = authenticate(state, request)?;
    if state.draining.load(Ordering::Relaxed) {
        return Err(ApiError::new(ErrorCode::Overloaded, "the service is shutting down").retry_after_ms(1000));
    }
    let now = exchange.started;
    let per_minute = caller.quota.max_requests_per_minute;
    // The key's bucket has the tenant's size: it shares the tenant's minute, and one key alone cannot exceed it.
    let tenant = state.rates.tenants.take(caller.tenant.as_str(), per_minute, now);
    let decision = if tenant.allowed {
        let key = state.rates.keys.take(&caller.key, per_minute, now);
        if key.allowed { tenant } else { key }
    } else {
        tenant
    };
    exchange.set_rate(decision);
    if decision.allowed {
        return Ok(caller);
    }
    Err(ApiError::new(ErrorCode::RateLimited, format!("more than {per_minute} requests in a minute"))
        .with_details(json!({"limit": per_minute, "raised_by": "tenant quota max_requests_per_minute"}))
        .retry_after_ms(decision.retry_after_ms))
}

/// The caller, when it has this scope.
///
/// # Errors
/// As [`caller`], and `insufficient_scope`.
pub fn caller_with(
    state: &AppState,
    request: &HttpRequest,
    exchange: &mut Exchange,
    scope: &str,
) -> Result<Arc<Caller>, ApiError> {
    let caller = caller(state, request, exchange)?;
    if caller.has(scope) {
        return Ok(caller);
    }
    Err(ApiError::new(ErrorCode::InsufficientScope, format!("the scope {scope} is missing"))
        .with_details(json!({"scope": scope})))
}

fn authenticate(state: &AppState, request: &HttpRequest) -> Result<Arc<Caller>, ApiError> {
    let refused = |message: &str| ApiError::new(ErrorCode::Unauthenticated, message);
    let text = |name: &HeaderName| {
        let mut values = request.headers().get_all(name);
        let value = values.next();
        // A proxy may have looked at the other one.
        if values.next().is_some() {
            return Err(refused("send one credential, not several"));
        }
        value.map(|v| v.to_str().map_err(|_| refused("the credentials are not printable ascii"))).transpose()
    };
    match (text(&AUTHORIZATION)?, text(&API_KEY)?) {
        (Some(_), Some(_)) => Err(refused("send authorization or x-api-key, not both")),
        (Some(value), None) => {
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(refused("the authorization scheme must be Bearer"));
            }
            state.tokens.verify(token.trim()).map_err(|e| match e {
                TokenError::Invalid(why) => refused(why),
                TokenError::Store(e) => store_error(&e),
            })
        }
        (None, Some(key)) => match state.directory.by_text(key) {
            Ok(Some(identity)) => Ok(identity.caller),
            Ok(None) => Err(refused("the api key is unknown, revoked or expired")),
            Err(e) => Err(store_error(&e)),
        },
        (None, None) => Err(refused("send a token as authorization: Bearer, or a key as x-api-key")),
    }
}

/// What a caller learns of a store's failure; the log gets the cause.
pub fn store_error(e: &StoreError) -> ApiError {
    match e {
        StoreError::Conflict => {
            ApiError::new(ErrorCode::Conflict, "the record was changed meanwhile; read it again")
        }
        StoreError::NotFound => ApiError::new(ErrorCode::NotFound, "there is no such thing"),
        StoreError::AlreadyExists => ApiError::new(ErrorCode::Conflict, "it exists already"),
        StoreError::Invalid(text) => offload_api::Invalid::new("", text.clone()).into(),
        StoreError::Full => {
            tracing::error!("the store's disk is full");
            ApiError::new(ErrorCode::StorageFull, "the service's disk is full; nothing was changed")
                .retry_after_ms(10_000)
        }
        StoreError::Corrupt(_) | StoreError::Io(_) => {
            tracing::error!(error = %e, "the store failed");
            ApiError::new(ErrorCode::Internal, "the store failed; the log has the cause")
        }
    }
}
