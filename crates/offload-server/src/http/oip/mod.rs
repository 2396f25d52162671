//! The Open Inference Protocol, version 2: every operation is the model `{family}.{operation}`.

mod about;
mod infer;

pub(super) use infer::head_bytes;
pub(crate) use infer::located;

use super::exchange;
use actix_web::web;

/// The routes below `/v2`, which itself stands below `base`.
pub fn routes(app: &mut web::ServiceConfig, base: &str) {
    let mut scope = web::scope(&format!("{base}/v2"))
        .service(super::resource!("", get => about::server))
        .service(super::resource!("/health/live", get => super::meta::live))
        .service(super::resource!("/health/ready", get => super::meta::ready))
        .service(super::resource!("/repository/index", post => about::index));
    for model in ["/models/{model}", "/models/{model}/versions/{version}"] {
        let at = |path: &str| format!("{model}{path}");
        scope = scope
            .service(super::resource!(at(""), get => about::metadata))
            .service(super::resource!(at("/ready"), get => about::ready))
            .service(super::resource!(at("/config"), get => about::config))
            .service(super::resource!(at("/infer"), post => infer::infer));
    }
    app.service(scope.default_service(web::to(exchange::not_found)));
}
