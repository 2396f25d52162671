//! `POST /v2/models/{model}/infer`.

use super::Model;
use super::about;
use crate::http::body::{self, Media};
use crate::http::chunks::{Chunks, Coding};
use crate::http::codec::LARGE_BYTES;
use crate::http::exchange::Exchange;
use crate::http::submit::{Job, perform};
use crate::http::{AppState, identify, render};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use offload_api::json::Decoded;
use offload_api::oip::{self, Chunk, Infer, Wanted};
use offload_api::{ApiError, ErrorCode, Invalid, Style};
use offload_core::Registered;
use offload_pipeline::settle::{Answer, Outcome};
use serde_json::json;
use std::time::Instant;

/// Where the head of a body ends and its tensors begin, in requests and answers.
const HEAD_LENGTH: &str = "inference-header-content-length";

/// Handles an inference request.
pub(super) async fn infer(
    request: HttpRequest,
    model: Model,
    payload: Payload,
    state: Data<AppState>,
) -> HttpResponse {
    let mut exchange = Exchange::begin(&request);
    match run(&state, &request, &model, payload, &mut exchange).await {
        Ok(sent) => {
            let mut headers = Vec::new();
            if let Some(length) = sent.head_bytes {
                headers.push((HEAD_LENGTH, length.to_string()));
            }
            if let Some(coding) = sent.coding {
                headers.push(("content-encoding", coding.name().to_string()));
            }
            let media =
                if sent.head_bytes.is_some() { "application/octet-stream" } else { "application/json" };
            exchange.chunks(media, &headers, sent.body)
        }
        Err(e) => exchange.error(e),
    }
}

/// An answer on its way.
struct Sent {
    body: Chunks,
    head_bytes: Option<usize>,
    coding: Option<Coding>,
}

async fn run(
    state: &Data<AppState>,
    request: &HttpRequest,
    model: &Model,
    payload: Payload,
    exchange: &mut Exchange,
) -> Result<Sent, ApiError> {
    let caller = identify::caller(state, request, exchange)?;
    let operation = about::operation(&state.registry, model)?;
    state.pipeline.gate().authorize(&caller, operation)?;
    let head = head_bytes(request)?;
    let body = body::read_aligned(state, request, payload, Media::Tensors, head.unwrap_or(0)).await?;
    let job = Job { caller, operation, id: exchange.id.clone(), received: Instant::now() };
    let received = job.received;
    let bytes = (*body).as_ref().len();
    let decode = move || {
        let Infer { id, options, inputs, wanted, pointers } =
            oip::decode(&body, head, &operation.schema, &operation.about.outputs)?;
        Ok((Decoded { style: Style::Envelope, options, inputs }, Request { id, wanted, pointers }))
    };
    let (asked, outcome) = perform(state, job, bytes, decode).await?;
    let coding = Coding::asked(request);
    let id = exchange.id.clone();
    let large = |answer: &Answer| answer.outputs.bytes() as usize > LARGE_BYTES;
    // Binary outputs are not touched; writing numbers as text and compressing take a thread's time.
    let laborious = coding.is_some() || asked.wanted.has_text();
    if laborious && outcome.result.as_ref().is_ok_and(large) {
        return state.codec.run(move || send(operation, &asked, &outcome, &id, received, coding)).await?;
    }
    send(operation, &asked, &outcome, &id, received, coding)
}

/// What an answer needs of its request.
struct Request {
    id: Option<String>,
    wanted: Wanted,
    pointers: Vec<(String, String)>,
}

/// How many bytes of the body are its head; none when no tensor is behind it.
///
/// # Errors
/// When the header is no number.
pub fn head_bytes(request: &HttpRequest) -> Result<Option<usize>, ApiError> {
    let Some(value) = request.headers().get(HEAD_LENGTH) else { return Ok(None) };
    let number = value.to_str().ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
    number
        .and_then(|v| v.parse().ok())
        .map(Some)
        .ok_or_else(|| Invalid::new("", format!("the header {HEAD_LENGTH} must be a number of bytes")).into())
}

fn send(
    operation: &Registered,
    asked: &Request,
    outcome: &Outcome,
    request_id: &str,
    received: Instant,
    coding: Option<Coding>,
) -> Result<Sent, ApiError> {
    let answer = outcome.result.as_ref().map_err(|e| located(e.clone(), &asked.pointers))?;
    let start = Instant::now();
    let about =
        oip::About { model: &operation.full_name, version: operation.about.version, id: asked.id.as_deref() };
    let parameters =
        |out: &mut Vec<u8>| render::parameters(answer, outcome, request_id, received, start, out);
    let encoded = oip::encode(&answer.outputs, &asked.wanted, &about, parameters).map_err(|e| {
        let message = format!("{e}; ask for it as binary data");
        ApiError::new(ErrorCode::Unprocessable, message)
            .with_details(json!({"reason": "not_finite", "output": e.output}))
    })?;
    let head_bytes = encoded.framed.then_some(encoded.head.len());
    let head = [Bytes::from(encoded.head)];
    let body = Chunks::new(head.into_iter().chain(encoded.tail.into_iter().map(Bytes::from_owner::<Chunk>)));
    let Some(coding) = coding else { return Ok(Sent { body, head_bytes, coding }) };
    let body =
        body.compressed(coding).map_err(|_| ApiError::new(ErrorCode::Internal, "compression failed"))?;
    Ok(Sent { body, head_bytes, coding: Some(coding) })
}

/// The error with its pointer as the request stands: inputs are in a list, and scalars may be parameters.
pub fn located(mut error: ApiError, pointers: &[(String, String)]) -> ApiError {
    let pointer = error.details.get("pointer").and_then(|p| p.as_str()).unwrap_or_default();
    let mut steps = pointer.strip_prefix("/inputs/").unwrap_or_default().splitn(2, '/');
    if let Some((_, at)) = steps.next().and_then(|name| pointers.iter().find(|(n, _)| n == name)) {
        let within = steps.next().map(|rest| format!("/{rest}")).unwrap_or_default();
        error.details["pointer"] = format!("{at}{within}").into();
    }
    error
}
