//! What the service says about itself: tokens, health, figures, operations, devices.

use super::exchange::Exchange;
use super::submit::blocking;
use super::{AppState, body, identify};
use crate::auth::METRICS;
use crate::metrics::TaskFigures;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use offload_api::{ApiError, ErrorCode, Invalid};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Attempts to get a token per minute and address.
const TOKEN_ATTEMPTS_PER_MINUTE: u32 = 600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    api_key: String,
}

/// `POST /auth/token`.
pub async fn token(request: HttpRequest, payload: Payload, state: Data<AppState>) -> HttpResponse {
    let exchange = Exchange::begin(&request);
    match issue(&state, &request, payload).await {
        Ok(body) => exchange.json(200, &body),
        Err(e) => exchange.error(e),
    }
}

async fn issue(state: &AppState, request: &HttpRequest, payload: Payload) -> Result<Json, ApiError> {
    let peer = request.peer_addr().map_or_else(|| "unix".into(), |a| a.ip().to_string());
    let rate = state.rates.tokens.take(&peer, TOKEN_ATTEMPTS_PER_MINUTE, Instant::now());
    if !rate.allowed {
        return Err(ApiError::new(
            ErrorCode::RateLimited,
            "too many attempts to get a token from this address",
        )
        .retry_after_ms(rate.retry_after_ms));
    }
    let body = body::read(state, request, payload).await?;
    let asked: TokenRequest = serde_json::from_slice(&body).map_err(|e| {
        Invalid::new("", format!("the body must be {{\"api_key\": …}}: {}", offload_api::json::describe(&e)))
    })?;
    let identity =
        state.directory.by_text(&asked.api_key).map_err(|e| identify::store_error(&e))?.ok_or_else(|| {
            ApiError::new(ErrorCode::Unauthenticated, "the api key is unknown, revoked or expired")
        })?;
    let (token, expires_in) = state.tokens.issue(&identity).map_err(|e| identify::store_error(&e))?;
    Ok(json!({"token": token, "expires_in": expires_in}))
}

/// `GET /.well-known/jwks.json`.
pub async fn jwks(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    Exchange::begin(&request).json(200, &state.tokens.jwks())
}

/// `GET /health/live`: the process answers.
pub async fn live(request: HttpRequest) -> HttpResponse {
    Exchange::begin(&request).json(200, &json!({"status": "live"}))
}

/// `GET /health/ready`: the service takes work.
pub async fn ready(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let exchange = Exchange::begin(&request);
    if state.draining.load(Ordering::Relaxed) {
        return exchange.error(
            ApiError::new(ErrorCode::Overloaded, "the service is shutting down").retry_after_ms(1000),
        );
    }
    exchange.json(200, &json!({"status": "ready"}))
}

/// `GET /metrics`: open on loopback, else by scope.
pub async fn metrics(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    let local = request.peer_addr().is_none_or(|a| a.ip().to_canonical().is_loopback());
    if !local
        && !state.config.server.metrics_open
        && let Err(e) = identify::caller_with(&state, &request, &mut exchange, METRICS)
    {
        return exchange.error(e);
    }
    let shared = state.clone();
    let open = blocking(move || shared.directory.stores().tasks().open_count()).await;
    let tasks = TaskFigures {
        running: state.tasks.running(),
        // A store that does not answer is no reason to tell nothing of the rest.
        open: open.ok().and_then(Result::ok),
    };
    // Each device is asked how it is, and one that is ill takes its time.
    let shared = state.clone();
    let render = move || {
        shared.metrics.render(&shared.pipeline, &shared.catalog.stats(), &tasks, shared.audit.dropped())
    };
    match blocking(render).await {
        Ok(text) => exchange.answer(200, "text/plain; version=0.0.4; charset=utf-8", text),
        Err(e) => exchange.error(e),
    }
}

/// `GET /openapi.json`.
pub async fn openapi(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let exchange = Exchange::begin(&request);
    page(&exchange, state, |state| state.pages.openapi(&state.registry)).await
}

/// `GET /operations`: the catalogue with schemas and examples.
pub async fn operations(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    if let Err(e) = identify::caller(&state, &request, &mut exchange) {
        return exchange.error(e);
    }
    page(&exchange, state, |state| state.pages.operations(&state.registry)).await
}

async fn page(exchange: &Exchange, state: Data<AppState>, of: fn(&AppState) -> Bytes) -> HttpResponse {
    match blocking(move || of(&state)).await {
        Ok(page) => exchange.answer(200, "application/json", page),
        Err(e) => exchange.error(e),
    }
}

/// `GET /cost-model`: what each operation was learned to cost.
pub async fn cost_model(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    if let Err(e) = identify::caller(&state, &request, &mut exchange) {
        return exchange.error(e);
    }
    let operations: Vec<Json> = state
        .registry
        .iter()
        .map(|r| {
            json!({"workload_type": r.workload_type, "device": "cpu", "work_unit": r.about.work_unit,
                   "ns_per_work": state.pipeline.prices().ns_per_work(r)})
        })
        .collect();
    exchange.json(200, &json!({"operations": operations}))
}
