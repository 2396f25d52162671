//! The HTTP edge: bytes in, pipeline, bytes out. Only this module knows status numbers and headers.

mod admin;
mod aligned;
mod arrow;
pub(crate) mod batch;
mod body;
mod chunks;
mod codec;
mod datasets;
mod devices;
mod docs;
mod exchange;
mod identify;
mod meta;
mod oip;
pub mod openapi;
mod pages;
pub(crate) mod render;
mod state;
mod stream;
mod submit;
mod tasks;

pub use codec::Codec;
pub use identify::store_error;
pub(crate) use oip::located;
pub use pages::Pages;
pub use state::{AppState, Rates};
pub use submit::operation;

use actix_web::http::Method;
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use std::cell::RefCell;

/// The base path of the contract.
pub const BASE: &str = "/api/v1";

/// Random bytes that are drawn at once: drawing costs far more than using them.
const DRAWN_BYTES: usize = 1024;

/// Drawn and not yet used, and how many of them are used.
struct Drawn([u8; DRAWN_BYTES], usize);

/// A fresh id of 128 random bits, in hexadecimal.
pub fn random_id() -> String {
    thread_local! {
        static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn([0; DRAWN_BYTES], DRAWN_BYTES)) };
    }
    DRAWN.with_borrow_mut(|Drawn(bytes, used)| {
        if *used + 16 > DRAWN_BYTES {
            // Without randomness ids repeat, which is bad for reading logs and for nothing else.
            let _ = aws_lc_rs::rand::fill(bytes);
            *used = 0;
        }
        let id = &bytes[*used..*used + 16];
        *used += 16;
        let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
        id.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
    })
}

/// A resource with a handler per method; HEAD goes where GET goes, and every other method is told what there is.
macro_rules! resource {
    ($path:expr, $($method:ident => $handler:expr),+) => {{
        let mut allow: Vec<&'static str> = Vec::new();
        let mut resource = web::resource($path);
        $(
            resource = resource.route(web::$method().to($handler));
            allow.push(stringify!($method));
            if stringify!($method) == "get" {
                resource = resource.route(web::head().to($handler));
                allow.push("head");
            }
        )+
        let allow = allow.join(", ").to_uppercase();
        resource.default_service(web::to(move |request| exchange::method_not_allowed(request, allow.clone())))
    }};
}
use resource;

/// `/{family}/{operation}`, and the same with `/async`, within the scope of work. Actix would match a pattern for these by a
/// regular expression, which takes longer than a small operation.
async fn workload(request: HttpRequest, payload: Payload, state: Data<AppState>) -> HttpResponse {
    let mut parts = request.match_info().unprocessed().split('/').skip(1);
    let (family, name, end, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    let operation = match (family, name, end, more) {
        (Some(family), Some(name), None | Some("async"), None) if !family.is_empty() && !name.is_empty() => {
            (family.to_owned(), name.to_owned())
        }
        _ => return exchange::not_found(request).await,
    };
    let waits = end.is_none();
    if request.method() != Method::POST {
        return exchange::method_not_allowed(request, "POST".into()).await;
    }
    if waits {
        submit::submit(request, operation, payload, state).await
    } else {
        tasks::submit(request, operation, payload, state).await
    }
}

/// Every route. What the contract has at the root stands below the base path as well.
pub fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::scope(&format!("{BASE}/workloads"))
            .service(resource!("/batch", post => batch::submit))
            .service(resource!("/batch/async", post => tasks::submit_batch))
            .default_service(web::to(workload)),
    );
    for base in ["", BASE] {
        let at = |path: &str| format!("{base}{path}");
        app.service(resource!(at("/health/live"), get => meta::live))
            .service(resource!(at("/health/ready"), get => meta::ready))
            .service(resource!(at("/.well-known/jwks.json"), get => meta::jwks))
            .service(resource!(at("/metrics"), get => meta::metrics))
            .service(resource!(at("/openapi.json"), get => meta::openapi))
            .service(resource!(at("/docs"), get => docs::page));
    }
    app.service(resource!("/", get => docs::root));
    oip::routes(app, "");
    oip::routes(app, BASE);
    app.service(
        web::scope(BASE)
            .service(resource!("/auth/token", post => meta::token))
            .service(resource!("/operations", get => meta::operations))
            .service(resource!("/devices", get => devices::list))
            .service(resource!("/devices/{device}/drain", post => devices::drain))
            .service(resource!("/devices/{device}/resume", post => devices::resume))
            .service(resource!("/cost-model", get => meta::cost_model))
            .service(resource!("/cache", delete => admin::drop_cache))
            .service(resource!("/cache/invalidate", post => admin::invalidate))
            .service(resource!("/tasks", get => tasks::list))
            .service(resource!("/tasks/{task}", get => tasks::get, delete => tasks::cancel))
            .service(resource!("/tasks/{task}/result", get => tasks::result))
            .service(resource!("/tasks/{task}/retry", post => tasks::retry))
            .service(resource!("/tasks/{task}/ticket", post => tasks::ticket))
            .service(resource!("/tasks/{task}/stream", get => stream::events))
            .service(resource!("/tasks/{task}/ws", get => stream::socket))
            .service(resource!("/dead-letters", get => tasks::dead_letters))
            .service(resource!("/datasets", get => datasets::list))
            .service(resource!("/datasets/{name}", get => datasets::describe, put => datasets::put,
                patch => datasets::change, delete => datasets::delete))
            .service(resource!("/audit", get => admin::audit))
            .service(resource!("/tenants", get => admin::list_tenants, post => admin::create_tenant))
            .service(resource!("/tenants/{tenant}",
                get => admin::get_tenant, put => admin::update_tenant, delete => admin::delete_tenant))
            .service(resource!("/tenants/{tenant}/webhook-secret", post => tasks::webhook_secret))
            .service(resource!("/tenants/{tenant}/keys", get => admin::list_keys, post => admin::create_key))
            .service(resource!("/tenants/{tenant}/keys/{key}", delete => admin::revoke_key))
            .default_service(web::to(exchange::not_found)),
    );
    app.default_service(web::to(exchange::not_found));
}
