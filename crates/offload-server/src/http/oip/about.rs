//! What the service and its models are.

use super::Model;
use crate::http::exchange::Exchange;
use crate::http::{AppState, identify, submit};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use offload_api::{ApiError, ErrorCode, oip};
use offload_core::{Registered, Registry};
use serde_json::{Value as Json, json};

/// What models run on, as the protocol names platforms.
const PLATFORM: &str = "heliosdb_gpu_offload";

/// `GET /v2`: open, like the health of the service.
pub async fn server(request: HttpRequest) -> HttpResponse {
    Exchange::begin(&request).json(
        200,
        &json!({"name": "heliosdb-gpu-offload", "version": env!("CARGO_PKG_VERSION"),
                "extensions": ["binary_tensor_data", "model_configuration", "parameters"]}),
    )
}

/// The operation that a path names.
///
/// # Errors
/// `unknown_operation`, or `not_found` for a version that is not the operation's.
pub(super) fn operation(registry: &Registry, model: &Model) -> Result<&'static Registered, ApiError> {
    let (family, name) = model.name.split_once('.').unwrap_or((&model.name, ""));
    let operation = submit::operation(registry, family, name)?;
    match &model.version {
        Some(version) if *version != operation.about.version.to_string() => Err(ApiError::new(
            ErrorCode::NotFound,
            format!("{} has the version {} alone", operation.full_name, operation.about.version),
        )),
        _ => Ok(operation),
    }
}

/// An answer about a model.
fn about(
    request: &HttpRequest,
    model: &Model,
    state: &AppState,
    say: impl FnOnce(&Registered) -> Json,
) -> HttpResponse {
    let mut exchange = Exchange::begin(request);
    let found =
        identify::caller(state, request, &mut exchange).and_then(|_| operation(&state.registry, model));
    match found {
        Ok(operation) => exchange.json(200, &say(operation)),
        Err(e) => exchange.error(e),
    }
}

/// `GET /v2/models/{model}`.
pub(super) fn metadata(request: &HttpRequest, model: &Model, state: &AppState) -> HttpResponse {
    about(request, model, state, |r| {
        oip::metadata(&r.full_name, r.about.version, PLATFORM, &r.schema, &r.about.outputs)
    })
}

/// `GET /v2/models/{model}/config`.
pub(super) fn config(request: &HttpRequest, model: &Model, state: &AppState) -> HttpResponse {
    about(request, model, state, |r| {
        oip::config(&r.full_name, r.about.version, PLATFORM, &r.schema, &r.about.outputs)
    })
}

/// `GET /v2/models/{model}/ready`: an operation that is there takes work.
pub(super) fn ready(request: &HttpRequest, model: &Model, state: &AppState) -> HttpResponse {
    about(request, model, state, |r| json!({"name": r.full_name, "ready": true}))
}

/// `POST /v2/repository/index`: every model. What the body asks for makes no difference, all of them are ready.
pub async fn index(request: HttpRequest, state: Data<AppState>) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    if let Err(e) = identify::caller(&state, &request, &mut exchange) {
        return exchange.error(e);
    }
    let models: Vec<Json> = state
        .registry
        .iter()
        .map(|r| json!({"name": r.full_name, "version": r.about.version.to_string(), "state": "READY"}))
        .collect();
    exchange.json(200, &models.into())
}
