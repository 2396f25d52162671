//! A bare Actix server that reads a body and answers so many bytes: what the service is measured against.

use crate::config::Config;
use crate::service::StartError;
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

/// Largest body read.
const MAX_BODY_BYTES: usize = 1 << 30;

/// Runs the echo until it is killed.
///
/// # Errors
/// When it does not start.
pub fn run(config: &Config, answer_bytes: usize) -> Result<(), StartError> {
    let because = |what: &'static str| move |e: std::io::Error| StartError::because(what, e);
    let listener = TcpListener::bind(&config.server.listen).map_err(because("listen"))?;
    let address = listener.local_addr().map_err(because("listen"))?;
    let answer = Bytes::from(vec![b' '; answer_bytes]);
    actix_web::rt::System::new().block_on(async move {
        let mut server = HttpServer::new(move || {
            let answer = answer.clone();
            App::new().app_data(web::PayloadConfig::new(MAX_BODY_BYTES)).default_service(web::to(
                move |_body: Bytes| {
                    let answer = answer.clone();
                    async move { HttpResponse::Ok().content_type("application/json").body(answer) }
                },
            ))
        })
        .workers(config.server.workers.max(1))
        // As long as the service: on a busy machine its turn may take longer than a connection would wait here.
        .keep_alive(Duration::from_secs(config.server.keep_alive_seconds))
        .listen_auto_h2c(listener)
        .map_err(because("listen"))?;
        if !config.server.unix_socket.is_empty() {
            server = server.bind_uds(&config.server.unix_socket).map_err(because("unix socket"))?;
        }
        // Whoever started us reads the address from here; when it is gone, nobody needs it.
        let _ = writeln!(std::io::stdout(), "listening on http://{address}");
        server.run().await.map_err(because("serve"))
    })
}
