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
pub use state::AppState;
pub use submit::operation;

use actix_web::web;
use std::fmt::Write;

/// The base path of the contract.
pub const BASE: &str = "/api/v1";

/// A fresh id of 128 random bits, in hexadecimal.
pub fn random_id() -> String {
    let mut bytes = [0u8; 16];
    // Without randomness ids repeat, which is bad for reading logs and for nothing else.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(32), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
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

/// Every route. What the contract has at the root stands below the base path as well.
pub fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::scope(&format!("{BASE}/workloads"))
            .service(resource!("/batch", post => batch::submit))
            .service(resource!("/batch/async", post => tasks::submit_batch))
            .service(resource!("/{family}/{operation}", post => submit::submit))
            .service(resource!("/{family}/{operation}/async", post => tasks::submit))
            .default_service(web::to(exchange::not_found)),
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
