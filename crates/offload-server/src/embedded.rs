//! The service within another process, on a free port of loopback: for demonstrations and tests.

use crate::config::Config;
use crate::http::{AppState, routes};
use crate::service::{self, StartError};
use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use offload_core::Registry;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long work may go on when the owner leaves.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running service, with a key of its tenant `dev`; it ends with this value.
pub struct Embedded {
    address: SocketAddr,
    key: String,
    state: Arc<AppState>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts a service with these settings, without devices; where it listens is not one of them.
    ///
    /// # Errors
    /// When it does not start, with what to do about it.
    pub fn start(config: Config, registry: Registry) -> Result<Embedded, StartError> {
        let failed = |e: std::io::Error| StartError::because("the listener", e);
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let started = service::start(config, registry, true, None)?;
        let (state, key) = (started.state, started.dev_key.unwrap_or_default());
        let data = Data::from(Arc::clone(&state));
        let (sender, handles) = mpsc::channel();
        let thread = std::thread::Builder::new().name("embedded".into()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || App::new().app_data(data.clone()).configure(routes);
                let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(1);
                match server.listen(listener).map(HttpServer::run) {
                    Ok(server) => {
                        // Whoever waits for it is there until it is sent.
                        let _ = sender.send(server.handle());
                        let _ = server.await;
                    }
                    Err(e) => tracing::error!(error = %e, "the embedded service does not listen"),
                }
            });
        });
        let thread = thread.map_err(|e| StartError::because("threads", e))?;
        let handle = handles.recv().map_err(|e| StartError::because("the listener", e))?;
        Ok(Embedded { address, key, state, handle, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key of the tenant `dev`.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.state.tasks.stop();
        self.state.pipeline.drain(PATIENCE);
        // The command is sent when it is made; the server's thread ends when it has obeyed.
        drop(self.handle.stop(true));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
