//! Inference requests as tasks: kept as they came, read again when they run, answered in JSON.

use super::{HEAD_LENGTH, bytes, infer};
use crate::service::{Service, comes};
use crate::wire::Reply;
use serde_json::{Value as Json, json};
use std::time::Duration;

const ASYNC: &str = "/api/v1/workloads/matrix/multiply/async";

/// `[[1, 2], [3, 4]]` and `b`, as binary tensors; `more` stands beside them in the head.
fn product(b: [f32; 4], more: &Json) -> (Json, Vec<u8>) {
    let input = |name| json!({"name": name, "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": 16}});
    let mut head = json!({"inputs": [input("a"), input("b")]});
    for (name, value) in more.as_object().expect("an object") {
        head[name] = value.clone();
    }
    (head, [bytes(&[1.0, 2.0, 3.0, 4.0]), bytes(&b)].concat())
}

/// Submits under an idempotency key.
fn submit(service: &Service, api_key: &str, name: &str, (head, tail): &(Json, Vec<u8>)) -> Reply {
    let head = head.to_string();
    let length = head.len().to_string();
    let headers = [("x-api-key", api_key), (HEAD_LENGTH, length.as_str()), ("idempotency-key", name)];
    service.call("POST", ASYNC, &headers, &[head.as_bytes(), tail].concat())
}

#[test]
fn binary_tensors_become_a_task_that_outlives_the_process() {
    let settings = &[("TASKS__MAX_RUNNING", "1")];
    let mut service = Service::start(settings);
    let key = service.tenant("a", json!({}), &["gpu:matrix"]).1;
    let id = |promise: &Reply| promise.expect(202)["task_id"].as_str().expect("a task").to_string();
    // Something long runs first, so that the task lies on the disk alone when the process dies.
    let busy = id(&service.post_as(&key, "/api/v1/workloads/matrix/svd/async", &crate::tasks::long(900)));
    let first = product([5.0, 6.0, 7.0, 8.0], &json!({"parameters": {"timeout_ms": 60_000}}));
    let task = id(&submit(&service, &key, "one", &first));
    assert_eq!(id(&submit(&service, &key, "one", &first)), task, "the same request is the same task");
    let second = product([5.0, 6.0, 7.0, 9.0], &json!({"parameters": {"timeout_ms": 60_000}}));
    let reused = submit(&service, &key, "one", &second).fails(422, "unprocessable");
    assert_eq!(reused["details"]["reason"], "idempotency_key_reused");
    service = Service::over(service.kill(), settings, &[]);
    let ask = |method: &str, task: &str| {
        service.call(method, &format!("/api/v1/tasks/{task}"), &[("x-api-key", key.as_str())], b"")
    };
    ask("DELETE", &busy).expect(200);
    let mut document = Json::Null;
    assert!(
        comes(Duration::from_secs(30), || {
            document = ask("GET", &task).expect(200);
            document["status"] == "completed"
        }),
        "{document}"
    );
    assert_eq!(document["result"], json!([[19, 22], [43, 50]]));
}

#[test]
fn what_is_wrong_with_tensors_is_said_before_they_become_a_task() {
    let service = Service::start(&[]);
    let refused = |more: &Json, cut: usize| {
        let (head, tail) = product([0.0; 4], more);
        infer(&service, ASYNC, &[], &head, &tail[..tail.len() - cut]).fails(400, "invalid_request")
    };
    refused(&json!({}), 4);
    let outputs = refused(&json!({"outputs": [{"name": "result"}]}), 0);
    assert_eq!(outputs["details"]["pointer"], "/outputs", "{outputs}");
    let inner = json!([
        {"name": "a", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": 16}},
        {"name": "b", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}},
    ]);
    let shapes = refused(&json!({"inputs": inner}), 0);
    assert_eq!(shapes["details"]["pointer"], "/inputs/1", "{shapes}");
    let inside = refused(&json!({"parameters": {"callback_url": "http://127.0.0.1/"}}), 0);
    assert_eq!(inside["details"]["pointer"], "/callback_url", "{inside}");
    // A batch is JSON.
    let headers = [
        ("x-api-key", service.key.as_str()),
        (HEAD_LENGTH, "2"),
        ("content-type", "application/octet-stream"),
    ];
    let batch = service.call("POST", "/api/v1/workloads/batch/async", &headers, b"{}");
    batch.fails(415, "unsupported_media_type");
    assert_eq!(service.ask("GET", "/api/v1/tasks").expect(200)["tasks"], json!([]));
}
