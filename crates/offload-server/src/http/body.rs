//! Bodies: bounded while they stream in, bounded again while they are decompressed.

use super::AppState;
use actix_web::HttpRequest;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use offload_api::{ApiError, ErrorCode};
use serde_json::json;
use std::io::Read;
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

/// The body, decompressed.
///
/// # Errors
/// `payload_too_large`, `unsupported_media_type`, `timeout` when it does not arrive, `invalid_request` when it
/// does not decompress, `overloaded`.
pub async fn read(state: &AppState, request: &HttpRequest, mut payload: Payload) -> Result<Bytes, ApiError> {
    let config = &state.config.server;
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
    let content_type = header("content-type").unwrap_or("application/json");
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media != "application/json" && !media.ends_with("+json") {
        return Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            format!("the content-type must be application/json, it is {}", &media[..media.len().min(100)]),
        ));
    }
    let encoding = match header("content-encoding").map(str::to_ascii_lowercase).as_deref() {
        None | Some("identity" | "") => None,
        Some("gzip" | "x-gzip") => Some(Encoding::Gzip),
        Some("deflate") => Some(Encoding::Deflate),
        Some("zstd") => Some(Encoding::Zstd),
        Some(_) => {
            return Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                "the content-encoding must be identity, gzip, deflate or zstd",
            ));
        }
    };
    let limit = config.max_body_bytes;
    let declared = header("content-length").and_then(|l| l.parse::<u64>().ok()).unwrap_or(0);
    if declared > limit {
        return Err(too_large(declared, limit, "server.max_body_bytes"));
    }
    let mut share = Share { total: &state.inflight_bytes, bytes: 0 };
    share.grow(declared, config.max_inflight_body_bytes)?;
    let mut body = BytesMut::with_capacity(usize::try_from(declared.min(1 << 20)).unwrap_or(0));
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
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(Duration::from_millis(config.body_timeout_ms), receive).await {
        Ok(received) => received?,
        Err(_) => {
            return Err(ApiError::new(
                ErrorCode::Timeout,
                format!("the body did not arrive within {}ms", config.body_timeout_ms),
            )
            .with_details(json!({"raised_by": "server.body_timeout_ms"})));
        }
    }
    let body = body.freeze();
    let Some(encoding) = encoding else { return Ok(body) };
    let limit = config.max_decoded_bytes;
    if body.len() < 4096 {
        // Even a bomb this small cannot pass the limit before it is noticed; the reader below never holds more.
        return decompress(&body, encoding, limit).map(Bytes::from);
    }
    state.codec.run(move || decompress(&body, encoding, limit)).await?.map(Bytes::from)
}

fn decompress(body: &[u8], encoding: Encoding, limit: u64) -> Result<Vec<u8>, ApiError> {
    let broken = |what: &str| {
        ApiError::new(ErrorCode::InvalidRequest, format!("the body is no valid {what}"))
            .with_details(json!({"pointer": ""}))
    };
    let read = |reader: &mut dyn Read, what: &str| {
        let mut out = Vec::new();
        let n = reader.take(limit + 1).read_to_end(&mut out).map_err(|_| broken(what))?;
        if n as u64 > limit {
            return Err(too_large(n as u64, limit, "server.max_decoded_bytes"));
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
