//! The HTTP edge: bytes in, pipeline, bytes out. Only this module knows status numbers and headers.

mod admin;
mod batch;
mod body;
mod codec;
mod docs;
mod exchange;
mod identify;
mod meta;
pub mod openapi;
mod render;
mod state;
mod submit;

pub use codec::Codec;
pub use state::AppState;

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

/// Every route. What the contract has at the root stands below the base path as well.
pub fn routes(app: &mut web::ServiceConfig) {
    for base in ["", BASE] {
        let at = |path: &str| format!("{base}{path}");
        app.route(&at("/health/live"), web::get().to(meta::live))
            .route(&at("/health/ready"), web::get().to(meta::ready))
            .route(&at("/.well-known/jwks.json"), web::get().to(meta::jwks))
            .route(&at("/metrics"), web::get().to(meta::metrics))
            .route(&at("/openapi.json"), web::get().to(meta::openapi))
            .route(&at("/docs"), web::get().to(docs::page));
    }
    app.route("/", web::get().to(docs::root));
    app.service(
        web::scope(BASE)
            .service(resource("/auth/token").route(web::post().to(meta::token)))
            .service(resource("/workloads/batch").route(web::post().to(batch::submit)))
            .service(resource("/workloads/{family}/{operation}").route(web::post().to(submit::submit)))
            .service(resource("/operations").route(web::get().to(meta::operations)))
            .service(resource("/devices").route(web::get().to(meta::devices)))
            .service(resource("/cost-model").route(web::get().to(meta::cost_model)))
            .service(resource("/cache").route(web::delete().to(admin::drop_cache)))
            .service(resource("/cache/invalidate").route(web::post().to(admin::invalidate)))
            .service(resource("/audit").route(web::get().to(admin::audit)))
            .service(
                resource("/tenants")
                    .route(web::get().to(admin::list_tenants))
                    .route(web::post().to(admin::create_tenant)),
            )
            .service(
                resource("/tenants/{tenant}")
                    .route(web::get().to(admin::get_tenant))
                    .route(web::put().to(admin::update_tenant))
                    .route(web::delete().to(admin::delete_tenant)),
            )
            .service(
                resource("/tenants/{tenant}/keys")
                    .route(web::get().to(admin::list_keys))
                    .route(web::post().to(admin::create_key)),
            )
            .service(resource("/tenants/{tenant}/keys/{key}").route(web::delete().to(admin::revoke_key)))
            .default_service(web::to(exchange::not_found)),
    );
    app.default_service(web::to(exchange::not_found));
}

fn resource(path: &str) -> actix_web::Resource {
    web::resource(path).default_service(web::to(exchange::method_not_allowed))
}
