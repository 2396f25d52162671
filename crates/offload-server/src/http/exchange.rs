//! One request and its answer: the id, the headers every answer has, and the one body of every failure.

use super::chunks::Chunks;
use super::random_id;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use offload_api::{ApiError, ErrorCode};
use offload_pipeline::admit::RateDecision;
use serde_json::json;
use std::time::Instant;

/// The longest request id taken from a caller.
const MAX_ID_BYTES: usize = 128;

/// A request being answered.
pub struct Exchange {
    /// Its id: the caller's `x-request-id`, or a fresh one.
    pub id: String,
    /// When its head was there.
    pub started: Instant,
    request: HttpRequest,
    rate: Option<RateDecision>,
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static RATE_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static RATE: HeaderName = HeaderName::from_static("ratelimit");

impl Exchange {
    /// The exchange of this request.
    pub fn begin(request: &HttpRequest) -> Exchange {
        let id = request.headers().get(&REQUEST_ID).and_then(|v| v.to_str().ok()).filter(|id| {
            !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(|b| b.is_ascii_graphic())
        });
        Exchange {
            id: id.map_or_else(random_id, str::to_string),
            started: Instant::now(),
            request: request.clone(),
            rate: None,
        }
    }

    /// The caller's rate, to be told with the answer.
    pub fn set_rate(&mut self, rate: RateDecision) {
        self.rate = Some(rate);
    }

    fn builder(&self, status: u16) -> HttpResponseBuilder {
        let mut builder =
            HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            builder.insert_header((REQUEST_ID.clone(), id));
        }
        if let Some(rate) = &self.rate {
            let policy = format!("\"default\";q={};w=60", rate.limit);
            let left = format!("\"default\";r={};t={}", rate.remaining, rate.reset_s);
            builder.insert_header((RATE_POLICY.clone(), policy)).insert_header((RATE.clone(), left));
        }
        builder
    }

    fn log(&self, status: u16, error: Option<&ApiError>) {
        let us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (id, method, path) = (&self.id, self.request.method().as_str(), self.request.path());
        let what = format_args!("{method:.16} {path:.256}");
        match error {
            None => {
                tracing::debug!(target: "access", request_id = %id, trace_id = self.trace(), status, us, "{what}")
            }
            Some(e) => {
                tracing::info!(target: "access", request_id = %id, trace_id = self.trace(), status, us,
                                      error = e.error.name(), message = %e.message, "{what}")
            }
        }
    }

    /// The trace's id in W3C's trace context: version-trace-parent-flags.
    fn trace(&self) -> Option<&str> {
        let context = self.request.headers().get("traceparent")?.to_str().ok()?;
        context.split('-').nth(1).filter(|t| t.len() == 32)
    }

    /// Whether failures are wanted as RFC 9457 has them.
    fn problem_json(&self) -> bool {
        let accept = self.request.headers().get(ACCEPT).and_then(|v| v.to_str().ok());
        accept.is_some_and(|a| a.contains("application/problem+json"))
    }

    /// An answer with this body.
    pub fn answer(
        &self,
        status: u16,
        content_type: &'static str,
        body: impl Into<actix_web::web::Bytes>,
    ) -> HttpResponse {
        self.log(status, None);
        self.builder(status).content_type(content_type).body(body.into())
    }

    /// An answer without a body.
    pub fn empty(&self, status: u16) -> HttpResponse {
        self.log(status, None);
        self.builder(status).finish()
    }

    /// An answer that goes on as long as the stream does. No cache may keep it, and no proxy hold it back.
    pub fn stream<E: Into<Box<dyn std::error::Error>> + 'static>(
        &self,
        content_type: &'static str,
        stream: impl futures_util::Stream<Item = Result<actix_web::web::Bytes, E>> + 'static,
    ) -> HttpResponse {
        self.log(200, None);
        self.builder(200)
            .content_type(content_type)
            .insert_header(("Cache-Control", "no-store"))
            .insert_header(("X-Accel-Buffering", "no"))
            .streaming(stream)
    }

    /// An answer of several pieces, with further headers.
    pub fn chunks(
        &self,
        content_type: &'static str,
        headers: &[(&'static str, String)],
        body: Chunks,
    ) -> HttpResponse {
        self.log(200, None);
        let mut builder = self.builder(200);
        builder.content_type(content_type);
        for (name, value) in headers {
            builder.insert_header((*name, value.as_str()));
        }
        builder.body(body)
    }

    /// An answer of this JSON.
    pub fn json(&self, status: u16, body: &serde_json::Value) -> HttpResponse {
        self.answer(status, "application/json", body.to_string())
    }

    /// The answer of a failure.
    pub fn error(&self, mut error: ApiError) -> HttpResponse {
        error.request_id.clone_from(&self.id);
        let status = error.error.status();
        self.log(status, Some(&error));
        let mut builder = self.builder(status);
        if let Some(ms) = error.retry_after_ms {
            builder.insert_header(("Retry-After", ms.div_ceil(1000).max(1).to_string()));
        }
        if status == 401 {
            builder.insert_header(("WWW-Authenticate", "Bearer"));
        }
        // The rest of a body nobody will read ends with its connection.
        if status == 413 || status == 408 {
            builder.force_close();
        }
        if self.problem_json() {
            // RFC 9457; the page of the code is its type.
            let mut body = json!({
                "type": format!("/docs#error-{}", error.error.name()),
                "title": error.error.name(),
                "status": status,
                "detail": error.message,
                "instance": self.id,
            });
            if let (Some(body), Ok(serde_json::Value::Object(own))) =
                (body.as_object_mut(), serde_json::to_value(&error))
            {
                body.extend(own);
            }
            return builder.content_type("application/problem+json").body(body.to_string());
        }
        builder.content_type("application/json").body(serde_json::to_string(&error).unwrap_or_default())
    }
}

/// The answer of a path that is not there.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    let exchange = Exchange::begin(&request);
    exchange.error(ApiError::new(ErrorCode::NotFound, "there is nothing at this path"))
}

/// The answer of a path that has no such method, with those it has.
pub async fn method_not_allowed(request: HttpRequest, allow: String) -> HttpResponse {
    let exchange = Exchange::begin(&request);
    let mut answer = exchange.error(ApiError::new(
        ErrorCode::MethodNotAllowed,
        format!("the method is not allowed here; there is {allow}"),
    ));
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        answer.headers_mut().insert(actix_web::http::header::ALLOW, allow);
    }
    answer
}
