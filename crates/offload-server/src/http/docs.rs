//! The API reference page: one file, no network, rendered from openapi.json in the browser.

use super::exchange::Exchange;
use actix_web::{HttpRequest, HttpResponse};

const PAGE: &str = include_str!("docs.html");

/// `GET /docs`.
pub async fn page(request: HttpRequest) -> HttpResponse {
    Exchange::begin(&request).answer(200, "text/html; charset=utf-8", PAGE)
}

/// `GET /`: the reference, until there is a console.
pub async fn root() -> HttpResponse {
    HttpResponse::Found().insert_header(("Location", "/docs")).finish()
}
