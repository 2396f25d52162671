//! The service as a process: sockets, shutdown, exit codes.

use super::{MULTIPLY, product};
use crate::service::{Folder, Service, assert_within, comes, command, run};
use crate::wire::Connection;
use serde_json::json;
use std::time::Duration;

#[test]
fn a_signal_lets_accepted_work_end() {
    let mut service = Service::start(&[("SERVER__DRAIN_TIMEOUT_MS", "30000")]);
    let idle = service.connect();
    let mut used = service.connect();
    let headers = [("x-api-key", service.key.as_str())];
    // Half a second or so of work, in a body of a few bytes: n columns by n rows of ones.
    let n = 4000;
    let body = json!({"a": vec![[1]; n], "b": [vec![1; n]], "cache": false}).to_string();
    used.request("GET", "/health/ready", &headers, b"").expect(200);
    let mut busy = service.connect();
    busy.send(&crate::wire::request("POST", MULTIPLY, &headers, body.as_bytes())).expect("sent");
    let running = || {
        let text = service.call("GET", "/metrics", &[], b"").text();
        text.lines().any(|l| l.starts_with("heliosdb_gpu_running_jobs ") && !l.ends_with(" 0"))
    };
    // Rendering the answer takes longer than the work; either is in flight when the signal comes.
    let _ = comes(Duration::from_millis(200), running);
    service.terminate();
    // New work on an open connection is refused or the connection closed; never accepted and lost.
    if used.send(&crate::wire::request("POST", MULTIPLY, &headers, product().to_string().as_bytes())).is_ok()
        && let Some(reply) = used.receive()
        && reply.status != 200
    {
        assert_eq!(reply.fails(503, "overloaded")["retryable"], true);
        assert!(reply.header("retry-after").is_some());
    }
    let answer = busy.receive().expect("the accepted job is answered").expect(200);
    assert_eq!(answer["result"].as_array().map(Vec::len), Some(n));
    drop(idle);
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(Connection::tcp(service.address).is_err(), "nobody listens any more");
}

#[test]
fn a_unix_socket_serves_as_well() {
    let folder = Folder::new();
    let path = folder.path().join("s.sock");
    let text = path.to_str().expect("utf-8").to_string();
    // A socket left behind by a crash is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a stale socket"));
    let mut service = Service::over(folder, &[], &["--unix", &text]);
    let headers = [("x-api-key", service.key.as_str())];
    let mut connection = Connection::unix(&path).expect("the service accepts");
    for _ in 0..2 {
        let answer = connection.request("POST", MULTIPLY, &headers, product().to_string().as_bytes());
        assert_within(&answer.expect(200), &json!({"result": [[19, 22], [43, 50]]}));
    }
    let body = json!({"api_key": service.key}).to_string();
    connection.request("POST", "/api/v1/auth/token", &[], body.as_bytes()).expect(200);
    assert_eq!(connection.request("GET", "/metrics", &[], b"").status, 200);
    drop(connection);
    service.post(MULTIPLY, &product()).expect(200);
    service.terminate();
    assert_eq!(service.wait().code(), Some(0));
    assert!(!path.exists(), "the socket goes with the service");
}

#[test]
fn what_cannot_start_says_why_and_exits_with_its_code() {
    let service = Service::start(&[]);
    assert_ne!(service.address.port(), 0);
    let says = |output: std::process::Output, code: i32, words: &[&str]| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(words.iter().all(|w| text.contains(w)), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    };
    // A second service over the same data.
    let second = run(&service.folder, &["serve", "--dev", "--listen", "127.0.0.1:0"], "");
    says(second, 1, &["data_dir"]);
    service.post(MULTIPLY, &product()).expect(200);

    let folder = Folder::new();
    let taken = service.address.to_string();
    says(run(&folder, &["serve", "--dev", "--listen", &taken], ""), 1, &[&taken]);
    says(run(&folder, &["serve", "--dev", "--listen", "0.0.0.0:0"], ""), 1, &["loopback"]);
    for arguments in [&["serve", "--nonsense"][..], &["srve"], &["keys"], &["keys", "create"]] {
        says(run(&folder, arguments, ""), 2, &["Usage"]);
    }
    says(run(&folder, &["serve", "--log", "xml"], ""), 2, &["json, text"]);
    let mut misspelt = command(&folder, &["serve", "--dev", "--listen", "127.0.0.1:0"]);
    misspelt.env("HELIOSDB_GPU__CACHE__TTL_SECOND", "1");
    says(misspelt.output().expect("it ends"), 1, &["cache.ttl_seconds", "did you mean"]);
    let missing = run(&folder, &["serve", "--dev", "--config", "/does/not/exist.toml"], "");
    says(missing, 1, &["/does/not/exist.toml"]);
    assert_eq!(run(&folder, &["--version"], "").status.code(), Some(0));
    assert_eq!(run(&folder, &["config"], "").status.code(), Some(0));
}
