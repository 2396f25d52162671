//! Connections that say nothing, or not enough.

use super::{Service, TIMEOUT_MS};
use std::time::{Duration, Instant};

#[test]
fn a_connection_without_a_request_is_closed_after_the_time_for_headers() {
    let service = Service::start(&[("SERVER__HEADER_TIMEOUT_MS", &TIMEOUT_MS.to_string())]);
    let patience = Duration::from_millis(10 * TIMEOUT_MS);
    for sent in ["", "GET /health/live HTTP/1.1\r\nHost: x\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut connection = service.connect();
        connection.send(sent.as_bytes()).expect("it connects");
        // What it may say before it closes is a 408 or a 400.
        let start = Instant::now();
        while !connection.closes(patience) {
            assert!(start.elapsed() < patience, "still open after {sent:?}");
            connection.receive();
        }
    }
    service.ask("GET", "/health/live").expect(200);
}
