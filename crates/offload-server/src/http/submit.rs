//! `POST /workloads/{family}/{operation}`.

use super::body;
use super::codec::LARGE_BYTES;
use super::exchange::Exchange;
use super::{AppState, identify, render};
use actix_web::web::{Bytes, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use offload_api::json::{Decoded, decode_request};
use offload_api::{ApiError, ErrorCode, Style};
use offload_core::{Registered, Registry};
use offload_pipeline::admit::{Caller, Request};
use offload_pipeline::engine::Ticket;
use offload_pipeline::settle::Outcome;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// The operation of that name.
///
/// # Errors
/// `unknown_operation`, with the nearest name.
pub fn find(registry: &Registry, family: &str, name: &str) -> Result<&'static Registered, ApiError> {
    registry.find(family, name).ok_or_else(|| {
        let nearest = registry.nearest(family, name);
        let hint = nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default();
        let shown: String = format!("{family}/{name}").chars().take(128).collect();
        ApiError::new(ErrorCode::UnknownOperation, format!("there is no operation {shown}{hint}"))
            .with_details(json!({"nearest": nearest.into_iter().collect::<Vec<_>>()}))
    })
}

/// Handles a submission.
pub async fn submit(
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    match run(&state, &request, &path, payload, &mut exchange).await {
        Ok(body) => exchange.answer(200, "application/json", body),
        Err(e) => exchange.error(e),
    }
}

async fn run(
    state: &Data<AppState>,
    request: &HttpRequest,
    (family, name): &(String, String),
    payload: Payload,
    exchange: &mut Exchange,
) -> Result<Vec<u8>, ApiError> {
    let caller = identify::caller(state, request, exchange)?;
    let operation = find(&state.registry, family, name)?;
    state.pipeline.gate().authorize(&caller, operation)?;
    let body = body::read(state, request, payload).await?;
    let received = Instant::now();
    let id = exchange.id.clone();
    // Decoding and hashing a large body takes milliseconds, which this thread's other connections must not wait.
    let (style, ticket, outcome) = if body.len() > LARGE_BYTES {
        let shared = state.clone();
        state
            .codec
            .run(move || decode(caller, operation, &body, id, received).map(|r| start(&shared, r)))
            .await??
    } else {
        let decoded = decode(caller, operation, &body, id, received)?;
        // Columns that are on the disk, and tests of many rows, take their time as well.
        if state.pipeline.gate().at_once(&decoded.caller, &decoded.inputs) {
            start(state, decoded)
        } else {
            let shared = state.clone();
            blocking(move || start(&shared, decoded)).await?
        }
    };
    let outcome = outcome.await.map_err(|_| ApiError::new(ErrorCode::Internal, "the job was lost"))?;
    ticket.answered();
    let answer = match &outcome.result {
        Ok(answer) => answer,
        Err(e) => return Err(e.clone()),
    };
    if answer.outputs.bytes() as usize > LARGE_BYTES {
        let id = exchange.id.clone();
        let render = move || match &outcome.result {
            Ok(answer) => render::answer(answer, &outcome, style, &id, received),
            Err(e) => Err(e.clone()),
        };
        return state.codec.run(render).await?;
    }
    render::answer(answer, &outcome, style, &exchange.id, received)
}

type Started = (Style, Ticket, oneshot::Receiver<Outcome>);

fn decode(
    caller: Arc<Caller>,
    operation: &'static Registered,
    body: &Bytes,
    id: String,
    received: Instant,
) -> Result<Request, ApiError> {
    let Decoded { style, options, inputs } = decode_request(body, &operation.schema)?;
    let decode = received.elapsed();
    Ok(Request { id, caller, operation, options, style, inputs, received, decode })
}

fn start(state: &AppState, request: Request) -> Started {
    let style = request.style;
    let (sender, outcome) = oneshot::channel();
    // A receiver that is gone belongs to a connection that is gone.
    let ticket = state.pipeline.submit(request, Box::new(move |o| drop(sender.send(o))));
    (style, ticket, outcome)
}

/// Runs `f` on a thread that may block.
///
/// # Errors
/// `overloaded` when there is none, which happens while shutting down.
pub async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    actix_web::web::block(f)
        .await
        .map_err(|_| ApiError::new(ErrorCode::Overloaded, "no thread for the request").retry_after_ms(1000))
}
