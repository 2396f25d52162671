//! `serve`: listens, and drains when it is told to stop.

use crate::config::Config;
use crate::http::{AppState, routes};
use crate::service::{self, StartError};
use actix_cors::Cors;
use actix_web::middleware::Condition;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use offload_core::Registry;
use offload_devices::worker::Launch;
use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Blocking threads of each worker, for bodies too large for the worker itself.
const BLOCKING_THREADS: usize = 8;

/// Runs the service until SIGTERM or SIGINT, and returns once it has drained. `workers` starts the processes that
/// drive devices.
///
/// # Errors
/// When it does not start, with what to do about it.
pub fn serve(
    config: Config,
    registry: Registry,
    dev: bool,
    workers: Option<Launch>,
) -> Result<(), StartError> {
    start_log(&config)?;
    let listener = TcpListener::bind(&config.server.listen)
        .map_err(|e| StartError::because(&config.server.listen, e))?;
    let address = listener.local_addr().map_err(|e| StartError::because("the listener", e))?;
    if dev && !address.ip().is_loopback() {
        return Err(StartError(format!("--dev listens on loopback only, not on {address}")));
    }
    let service = service::start(config, registry, dev, workers)?;
    let state = service.state;
    actix_web::rt::System::new().block_on(async move {
        let data = Data::from(state.clone());
        let settings = state.config.server.clone();
        let origins = settings.cors_allowed_origins.clone();
        let mut server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
                .configure(routes)
        })
        .disable_signals()
        .backlog(4096)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .max_connections(settings.max_connections)
        // A client that closes its side has gone, and its work with it; half-closed clients are too rare to wait for.
        .h1_allow_half_closed(false)
        .keep_alive(Duration::from_secs(settings.keep_alive_seconds))
        .client_request_timeout(Duration::from_millis(settings.header_timeout_ms))
        .shutdown_timeout(settings.drain_timeout_ms.div_ceil(1000).max(1));
        if settings.workers > 0 {
            server = server.workers(settings.workers);
        }
        // Detecting HTTP/2 waits for the first bytes without a limit of time, so it is asked for.
        let bound =
            if settings.http2_cleartext { server.listen_auto_h2c(listener) } else { server.listen(listener) };
        let mut server = bound.map_err(|e| StartError::because("the listener", e))?;
        if !settings.unix_socket.is_empty() {
            // The data directory's lock says that no other server of it runs, so a socket left behind is stale.
            let _ = std::fs::remove_file(&settings.unix_socket);
            server = server
                .bind_uds(&settings.unix_socket)
                .map_err(|e| StartError::because(&settings.unix_socket, e))?;
        }
        let mut out = std::io::stdout();
        // Whoever started us may have closed its end; the service runs all the same.
        if let Some(key) = &service.dev_key {
            let _ = writeln!(out, "api key: {key}");
        }
        let _ = writeln!(out, "listening on http://{address}");
        if !state.config.server.unix_socket.is_empty() {
            let _ = writeln!(out, "listening on unix:{}", state.config.server.unix_socket);
        }
        let _ = out.flush();
        let server = server.run();
        let handle = server.handle();
        let running = actix_web::rt::spawn(server);
        stop_signal().await.map_err(|e| StartError::because("signals", e))?;
        tracing::info!("draining");
        state.draining.store(true, Ordering::Relaxed);
        let patience = Duration::from_millis(state.config.server.drain_timeout_ms);
        let shared = state.clone();
        let drained = actix_web::web::block(move || drain(&shared, patience)).await.unwrap_or(false);
        handle.stop(true).await;
        let _ = running.await;
        let audit = state.audit.clone();
        let _ = actix_web::web::block(move || audit.flush(Duration::from_secs(5))).await;
        if !state.config.server.unix_socket.is_empty() {
            let _ = std::fs::remove_file(&state.config.server.unix_socket);
        }
        if drained {
            tracing::info!("drained");
            Ok(())
        } else {
            Err(StartError(format!("work was still running {} ms after the signal", patience.as_millis())))
        }
    })
}

/// Callers get their answers; tasks go back into the store, for whoever runs next.
fn drain(state: &AppState, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    state.tasks.stop();
    let drained = state.pipeline.drain(patience);
    // What is not given back in time is given back by the next start.
    while !state.tasks.is_idle() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    drained
}

async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    Ok(())
}

fn cors(origins: &[String]) -> Cors {
    let mut cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers(["authorization", "content-type", "x-api-key", "x-request-id", "idempotency-key"])
        .expose_headers(["x-request-id", "RateLimit", "RateLimit-Policy", "Retry-After", "Location"])
        .max_age(600);
    for origin in origins {
        cors = if origin == "*" { cors.allow_any_origin() } else { cors.allowed_origin(origin) };
    }
    cors
}

fn start_log(config: &Config) -> Result<(), StartError> {
    use tracing_subscriber::{filter::LevelFilter, prelude::*};
    let filter = log_filter(&config.log.level)?;
    // The filter decides alone.
    let builder = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(std::io::stderr);
    let started = if config.log.format == "json" {
        builder.json().flatten_event(true).finish().with(filter).try_init()
    } else {
        builder.finish().with(filter).try_init()
    };
    started.map_err(|e| StartError::because("the log", e))
}

/// A level, and levels of modules: `info,offload_pipeline=debug`.
fn log_filter(level: &str) -> Result<tracing_subscriber::filter::Targets, StartError> {
    // A lone word that is no level would be taken for a module, and all else be silent.
    let lone = level.split(',').filter(|part| !part.contains('='));
    for word in lone {
        let known = word.trim().parse::<tracing_subscriber::filter::LevelFilter>();
        known.map_err(|e| StartError::because("log.level", format!("`{word}`: {e}")))?;
    }
    level.parse().map_err(|e| StartError::because("log.level", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_modules() {
        for good in ["info", "WARN", "off", "info,offload_pipeline=debug", "offload_server::http=trace,error"]
        {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        for bad in ["inof", "info,offload_pipeline", "info,offload_pipeline=loud"] {
            let Err(why) = log_filter(bad) else { panic!("{bad} was taken") };
            assert!(why.to_string().contains("log.level"), "{why}");
        }
    }
}
