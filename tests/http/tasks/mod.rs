//! Tasks over HTTP: promised, followed, cancelled, retried, called back, and still there after a crash.

pub mod callbacks;
mod crash;
mod follow;
mod life;

use crate::service::{Service, comes};
use crate::wire::Reply;
use serde_json::{Value as Json, json};
use std::time::Duration;

pub const MULTIPLY_ASYNC: &str = "/api/v1/workloads/matrix/multiply/async";
const SVD_ASYNC: &str = "/api/v1/workloads/matrix/svd/async";
const BATCH_ASYNC: &str = "/api/v1/workloads/batch/async";
const LIMIT: Duration = Duration::from_secs(30);

/// Inputs whose product is `[[19, 22], [43, 50]]`.
fn product() -> Json {
    json!({"inputs": {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}})
}

/// The singular values of an n × n matrix without structure: work for a while.
pub fn long(n: u64) -> Json {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1 << 24) as f64
    };
    let rows: Vec<Vec<f64>> = (0..n).map(|_| (0..n).map(|_| next()).collect()).collect();
    json!({"inputs": {"a": rows}, "cache": false})
}

fn submit(service: &Service, path: &str, body: &Json) -> String {
    let promise = service.post(path, body).expect(202);
    promise["task_id"].as_str().expect("a task").to_string()
}

fn at(task: &str) -> String {
    format!("/api/v1/tasks/{task}")
}

fn status(service: &Service, task: &str) -> String {
    let document = service.ask("GET", &at(task)).expect(200);
    document["status"].as_str().expect("a status").to_string()
}

/// The document of a task once it is final.
#[track_caller]
fn end(service: &Service, task: &str) -> Json {
    let mut document = Json::Null;
    let ended = comes(LIMIT, || {
        document = service.ask("GET", &at(task)).expect(200);
        !["queued", "running"].contains(&document["status"].as_str().expect("a status"))
    });
    assert!(ended, "{document}");
    document
}

fn submit_with_key(service: &Service, path: &str, key: &str, body: &Json) -> Reply {
    let headers = [("x-api-key", service.key.as_str()), ("idempotency-key", key)];
    service.call("POST", path, &headers, body.to_string().as_bytes())
}
