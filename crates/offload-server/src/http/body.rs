//! Bodies: bounded while they stream in, bounded again while they are decompressed.

use super::AppState;
use super::aligned::Aligned;
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use offload_api::{ApiError, ErrorCode, Memory};
use serde_json::json;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A share of `server.max_inflight_body_bytes`, given back on drop.
struct Share<'a> {
    total: &'a AtomicU64,
    bytes: u64,
}

impl Share<'_> {
    fn grow(&mut self, bytes: u64, limit: u64) -> Result<(), ApiError> {
        if self.total.fetch_add(bytes, Ordering::Relaxed) + bytes > limit {
            self.total.fetch_sub(bytes, Ordering::Relaxed);
            return Err(ApiError::new(ErrorCode::Overloaded, "too many large bodies are being received")
                .with_details(json!({"limit_bytes": limit, "raised_by": "server.max_inflight_body_bytes"}))
                .retry_after_ms(1000));
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
    Zstd,
}

/// What a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// JSON text.
    Json,
    /// A head of JSON and tensors behind it. Clients of the protocol name no type, or say JSON.
    Tensors,
    /// An Arrow IPC stream.
    Arrow,
}

impl Media {
    /// Whether the request says that its body is an Arrow stream.
    pub fn is_arrow(request: &HttpRequest) -> bool {
        media_type(request).is_some_and(|m| m.eq_ignore_ascii_case(offload_api::arrow::MEDIA_TYPE))
    }

    fn check(self, request: &HttpRequest) -> Result<(), ApiError> {
        let Some(media) = media_type(request) else { return Ok(()) };
        let is = |wanted: &str| media.eq_ignore_ascii_case(wanted);
        let suffix = media.len().checked_sub("+json".len()).and_then(|at| media.get(at..));
        let json = is("application/json") || suffix.is_some_and(|s| s.eq_ignore_ascii_case("+json"));
        let (fits, wanted) = match self {
            Media::Json => (json, "application/json"),
            Media::Tensors => {
                (json || is("application/octet-stream"), "application/json or application/octet-stream")
            }
            Media::Arrow => (is(offload_api::arrow::MEDIA_TYPE), offload_api::arrow::MEDIA_TYPE),
        };
        if fits {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            format!("the content-type must be {wanted}, it is {}", &media[..media.floor_char_boundary(100)]),
        ))
    }
}

/// What the request says its body is, in the letters that it chose.
fn media_type(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}

/// Where the bytes of a body go.
trait Sink {
    fn len(&self) -> usize;
    fn push(&mut self, bytes: &[u8]);
}

impl Sink for BytesMut {
    fn len(&self) -> usize {
        BytesMut::len(self)
    }
    fn push(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for Aligned {
    fn len(&self) -> usize {
        Aligned::len(self)
    }
    fn push(&mut self, bytes: &[u8]) {
        Aligned::push(self, bytes);
    }
}

/// A body of JSON, decompressed.
///
/// # Errors
/// `payload_too_large`, `unsupported_media_type`, `timeout` when it does not arrive, `invalid_request` when it
/// does not decompress, `overloaded`.
pub async fn read(state: &AppState, request: &HttpRequest, payload: Payload) -> Result<Bytes, ApiError> {
    Media::Json.check(request)?;
    let (encoding, declared) = (encoding(request)?, declared(state, request)?);
    let body = BytesMut::with_capacity(usize::try_from(declared.min(1 << 20)).unwrap_or(0));
    let body = receive(state, payload, declared, body).await?.freeze();
    let Some(encoding) = encoding else { return Ok(body) };
    let limit = state.config.server.max_decoded_bytes;
    let unpack = move || decompress(&body, encoding, limit, 0).map(Bytes::from_owner);
    unpack_where(state, declared, unpack).await?
}

/// A body of tensors, decompressed, in which byte `place` is aligned. Each byte is copied once from what the socket
/// gave, or decompressed to where it stays.
///
/// # Errors
/// As [`read`].
pub async fn read_aligned(
    state: &AppState,
    request: &HttpRequest,
    payload: Payload,
    media: Media,
    place: usize,
) -> Result<Arc<dyn Memory>, ApiError> {
    media.check(request)?;
    let (encoding, declared) = (encoding(request)?, declared(state, request)?);
    let Some(encoding) = encoding else {
        let capacity = usize::try_from(declared).unwrap_or(0);
        let body = Aligned::new(capacity, place);
        return Ok(Arc::new(receive(state, payload, declared, body).await?));
    };
    let body = BytesMut::with_capacity(usize::try_from(declared).unwrap_or(0));
    let body = receive(state, payload, declared, body).await?.freeze();
    let limit = state.config.server.max_decoded_bytes;
    let unpack = move || decompress(&body, encoding, limit, place).map(|b| Arc::new(b) as Arc<dyn Memory>);
    unpack_where(state, declared, unpack).await?
}

/// Decompresses on the codec's threads, except what is quickly done.
async fn unpack_where<T: Send + 'static>(
    state: &AppState,
    declared: u64,
    unpack: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    // Even a bomb this small cannot pass the limit before it is noticed; the reader never holds more.
    if (1..4096).contains(&declared) { Ok(unpack()) } else { state.codec.run(unpack).await }
}

fn encoding(request: &HttpRequest) -> Result<Option<Encoding>, ApiError> {
    let value = request.headers().get(CONTENT_ENCODING).and_then(|v| v.to_str().ok());
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("identity" | "") => Ok(None),
        Some("gzip" | "x-gzip") => Ok(Some(Encoding::Gzip)),
        Some("deflate") => Ok(Some(Encoding::Deflate)),
        Some("zstd") => Ok(Some(Encoding::Zstd)),
        Some(_) => Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "the content-encoding must be identity, gzip, deflate or zstd",
        )),
    }
}

/// The length that the request declares, or 0.
fn declared(state: &AppState, request: &HttpRequest) -> Result<u64, ApiError> {
    let value = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let declared = value.and_then(|l| l.parse::<u64>().ok()).unwrap_or(0);
    let limit = state.config.server.max_body_bytes;
    if declared > limit { Err(too_large(declared, limit, "server.max_body_bytes")) } else { Ok(declared) }
}

/// Receives what comes into `body`.
async fn receive<S: Sink>(
    state: &AppState,
    mut payload: Payload,
    declared: u64,
    mut body: S,
) -> Result<S, ApiError> {
    let config = &state.config.server;
    let limit = config.max_body_bytes;
    let mut share = Share { total: &state.inflight_bytes, bytes: 0 };
    share.grow(declared, config.max_inflight_body_bytes)?;
    let receive = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| {
                ApiError::new(ErrorCode::InvalidRequest, "the body broke off before its end")
                    .with_details(json!({"pointer": ""}))
            })?;
            let total = (body.len() + chunk.len()) as u64;
            if total > limit {
                return Err(too_large(total, limit, "server.max_body_bytes"));
            }
            let grown = total.saturating_sub(share.bytes);
            share.grow(grown, config.max_inflight_body_bytes)?;
            body.push(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(Duration::from_millis(config.body_timeout_ms), receive).await {
        Ok(received) => received.map(|()| body),
        Err(_) => Err(ApiError::new(
            ErrorCode::Timeout,
            format!("the body did not arrive within {}ms", config.body_timeout_ms),
        )
        .with_details(json!({"raised_by": "server.body_timeout_ms"}))),
    }
}

fn decompress(body: &[u8], encoding: Encoding, limit: u64, place: usize) -> Result<Aligned, ApiError> {
    let broken = |what: &str| {
        ApiError::new(ErrorCode::InvalidRequest, format!("the body is no valid {what}"))
            .with_details(json!({"pointer": ""}))
    };
    let read = |reader: &mut dyn Read, what: &str| {
        let mut out = Aligned::new(body.len(), place);
        let n = std::io::copy(&mut reader.take(limit + 1), &mut out).map_err(|_| broken(what))?;
        if n > limit {
            return Err(too_large(n, limit, "server.max_decoded_bytes"));
        }
        Ok(out)
    };
    match encoding {
        Encoding::Gzip => read(&mut flate2::read::MultiGzDecoder::new(body), "gzip"),
        // RFC 9110 means zlib by deflate; some send it bare.
        Encoding::Deflate if body.first().is_some_and(|b| b & 0x0f == 8) => {
            read(&mut flate2::read::ZlibDecoder::new(body), "deflate")
        }
        Encoding::Deflate => read(&mut flate2::read::DeflateDecoder::new(body), "deflate"),
        Encoding::Zstd => {
            let mut reader = zstd::stream::read::Decoder::new(body).map_err(|_| broken("zstd"))?;
            // A frame may ask for a window of gigabytes before its first byte; 8 MiB is what RFC 8878 wants of all.
            reader.window_log_max(23).map_err(|_| broken("zstd"))?;
            read(&mut reader, "zstd")
        }
    }
}

fn too_large(bytes: u64, limit: u64, key: &str) -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        format!("the body has {bytes} bytes or more, the limit is {limit}"),
    )
    .with_details(json!({"limit_bytes": limit, "raised_by": key}))
}
