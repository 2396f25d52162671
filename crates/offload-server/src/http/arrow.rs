//! Submissions and answers as Arrow IPC streams.

use super::body::Media;
use super::chunks::Chunks;
use super::render;
use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;
use actix_web::web::{Bytes, Query};
use offload_api::arrow::{MEDIA_TYPE, encode};
use offload_api::{ApiError, ErrorCode, Invalid};
use offload_pipeline::settle::{Answer, Outcome};
use std::time::Instant;

/// Parameters that a query string may have.
const MAX_PARAMETERS: usize = 256;

/// What the query string says: scalars and options.
///
/// # Errors
/// When it is malformed.
pub fn parameters(request: &HttpRequest) -> Result<Vec<(String, String)>, ApiError> {
    let Query(pairs) = Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(|_| Invalid::new("", "the query string is malformed"))?;
    if pairs.len() > MAX_PARAMETERS {
        let message =
            format!("the query string has {} parameters, the limit is {MAX_PARAMETERS}", pairs.len());
        return Err(Invalid::new("", message).into());
    }
    Ok(pairs)
}

/// Whether the answer is to be a stream: one gets back what one sent unless one asks for something else.
pub fn wanted(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    let mut media = accept.split(',').map(|m| m.split(';').next().unwrap_or_default().trim());
    if media.clone().any(|m| m.eq_ignore_ascii_case(MEDIA_TYPE)) {
        return true;
    }
    Media::is_arrow(request) && media.any(|m| matches!(m, "*/*" | "application/*" | ""))
}

/// The streams of an answer; what it says beside its outputs is metadata of the first schema.
///
/// # Errors
/// `unprocessable` when an output does not fit the format.
pub fn answer(
    answer: &Answer,
    outcome: &Outcome,
    request_id: &str,
    received: Instant,
) -> Result<Chunks, ApiError> {
    let mut members = vec![b'{'];
    render::parameters(answer, outcome, request_id, received, Instant::now(), &mut members);
    members.push(b'}');
    let members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&members).unwrap_or_default();
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let metadata = members.into_iter().map(|(name, value)| (name, text(value))).collect();
    let buffers = encode(&answer.outputs, metadata)
        .map_err(|e| ApiError::new(ErrorCode::Unprocessable, format!("the outputs do not fit arrow: {e}")))?;
    Ok(Chunks::new(buffers.into_iter().map(Bytes::from_owner)))
}
