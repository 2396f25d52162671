//! `POST /workloads/{family}/{operation}`, in JSON or as Arrow streams.

use super::body::{self, Media};
use super::chunks::Chunks;
use super::codec::LARGE_BYTES;
use super::exchange::Exchange;
use super::{AppState, arrow, identify, render};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use offload_api::json::{Decoded, decode_request};
use offload_api::{ApiError, ErrorCode, Invalid};
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
pub fn operation(registry: &Registry, family: &str, name: &str) -> Result<&'static Registered, ApiError> {
    registry.find(family, name).ok_or_else(|| {
        let nearest = registry.nearest(family, name);
        let hint = nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default();
        let shown: String = format!("{family}/{name}").chars().take(128).collect();
        ApiError::new(ErrorCode::UnknownOperation, format!("there is no operation {shown}{hint}"))
            .with_details(json!({"nearest": nearest.into_iter().collect::<Vec<_>>()}))
    })
}

/// The operation of that name, and whether the caller may run it: asked before a body is read.
///
/// # Errors
/// `unknown_operation`, `insufficient_scope` or `workload_not_allowed`.
pub fn permitted(
    state: &AppState,
    caller: &Caller,
    family: &str,
    name: &str,
) -> Result<&'static Registered, ApiError> {
    let operation = operation(&state.registry, family, name)?;
    state.pipeline.gate().authorize(caller, operation)?;
    Ok(operation)
}

/// Handles a submission.
pub async fn submit(
    request: HttpRequest,
    path: (String, String),
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    match run(&state, &request, &path, payload, &mut exchange).await {
        Ok(Sent::Json(body)) => exchange.answer(200, "application/json", body),
        Ok(Sent::Arrow(body)) => exchange.chunks(offload_api::arrow::MEDIA_TYPE, &[], body),
        Err(e) => exchange.error(e),
    }
}

/// A body that answers a submission.
enum Sent {
    Json(Vec<u8>),
    Arrow(Chunks),
}

async fn run(
    state: &Data<AppState>,
    request: &HttpRequest,
    (family, name): &(String, String),
    payload: Payload,
    exchange: &mut Exchange,
) -> Result<Sent, ApiError> {
    let caller = identify::caller(state, request, exchange)?;
    let operation = permitted(state, &caller, family, name)?;
    let job = |received| Job { caller, operation, id: exchange.id.clone(), received };
    let received;
    let (style, outcome) = if Media::is_arrow(request) {
        let parameters = arrow::parameters(request)?;
        let body = body::read_aligned(state, request, payload, Media::Arrow, 0).await?;
        received = Instant::now();
        let bytes = (*body).as_ref().len();
        let decode = move || {
            let decoded = offload_api::arrow::decode_request(&body, &parameters, &operation.schema)?;
            let style = decoded.style;
            Ok((decoded, style))
        };
        perform(state, job(received), bytes, decode).await?
    } else {
        let body = body::read(state, request, payload).await?;
        received = Instant::now();
        let bytes = body.len();
        let decode = move || {
            let decoded = decode_request(&body, &operation.schema)?;
            let style = decoded.style;
            Ok((decoded, style))
        };
        perform(state, job(received), bytes, decode).await?
    };
    let answer = match &outcome.result {
        Ok(answer) => answer,
        Err(e) => return Err(e.clone()),
    };
    if arrow::wanted(request) {
        return arrow::answer(answer, &outcome, &exchange.id, received).map(Sent::Arrow);
    }
    if answer.outputs.bytes() as usize > LARGE_BYTES {
        let id = exchange.id.clone();
        let render = move || match &outcome.result {
            Ok(answer) => render::answer(answer, &outcome, style, &id, received),
            Err(e) => Err(e.clone()),
        };
        return state.codec.run(render).await?.map(Sent::Json);
    }
    render::answer(answer, &outcome, style, &exchange.id, received).map(Sent::Json)
}

/// A request whose body is there and not yet decoded.
pub struct Job {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// For what.
    pub operation: &'static Registered,
    /// Under which id.
    pub id: String,
    /// When the body was there.
    pub received: Instant,
}

/// Decodes a body of so many bytes and runs what it asks for. `decode` may give something else to keep for the answer.
///
/// # Errors
/// What is wrong with the body; whatever comes later is the outcome's.
pub async fn perform<K: Send + 'static>(
    state: &Data<AppState>,
    job: Job,
    bytes: usize,
    decode: impl FnOnce() -> Result<(Decoded, K), Invalid> + Send + 'static,
) -> Result<(K, Outcome), ApiError> {
    // Decoding and hashing a large body takes milliseconds, which this thread's other connections must not wait.
    let (kept, (ticket, outcome)) = if bytes > LARGE_BYTES {
        let shared = state.clone();
        let run = move || decoded(job, decode).map(|(request, kept)| (kept, start(&shared, request)));
        state.codec.run(run).await??
    } else {
        let (request, kept) = decoded(job, decode)?;
        // Columns that are on the disk, and tests of many rows, take their time as well.
        let started = if state.pipeline.gate().at_once(&request.caller, &request.inputs) {
            start(state, request)
        } else {
            let shared = state.clone();
            blocking(move || start(&shared, request)).await?
        };
        (kept, started)
    };
    let outcome = outcome.await.map_err(|_| ApiError::new(ErrorCode::Internal, "the job was lost"))?;
    ticket.answered();
    Ok((kept, outcome))
}

fn decoded<K>(
    job: Job,
    decode: impl FnOnce() -> Result<(Decoded, K), Invalid>,
) -> Result<(Request, K), ApiError> {
    let (Decoded { style, options, inputs }, kept) = decode()?;
    let Job { caller, operation, id, received } = job;
    if options.callback_url.is_some() {
        return Err(callback_of_no_task());
    }
    let decode = received.elapsed();
    Ok((Request { id, caller, operation, options, style, inputs, received, decode }, kept))
}

fn start(state: &AppState, request: Request) -> (Ticket, oneshot::Receiver<Outcome>) {
    let (sender, outcome) = oneshot::channel();
    // A receiver that is gone belongs to a connection that is gone.
    let ticket = state.pipeline.submit(request, Box::new(move |o| drop(sender.send(o))));
    (ticket, outcome)
}

/// Who asked for a callback waits for the answer already.
pub fn callback_of_no_task() -> ApiError {
    Invalid::new("/callback_url", "callback_url is for tasks; submit to the path with /async at its end")
        .into()
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
