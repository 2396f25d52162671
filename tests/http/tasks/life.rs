//! From the promise to the end, and what a caller may do on the way.

use super::{
    BATCH_ASYNC, LIMIT, MULTIPLY_ASYNC, SVD_ASYNC, at, end, long, product, status, submit, submit_with_key,
};
use crate::service::{Service, assert_within, comes};
use serde_json::json;

#[test]
fn a_task_is_promised_and_kept_in_the_shape_of_its_request() {
    let service = Service::start(&[]);
    let reply = service.post(MULTIPLY_ASYNC, &product());
    let promise = reply.expect(202);
    assert_within(&promise, &json!({"status": "queued", "priority": "medium"}));
    assert!(promise["estimated_completion_ms"].as_u64() >= Some(1) && promise["position_in_queue"].is_u64());
    let task = promise["task_id"].as_str().expect("a task");
    assert!(task.starts_with("task_"), "{task}");
    assert_eq!(reply.header("location"), Some(at(task).as_str()));

    let document = end(&service, task);
    let wanted = json!({"task_id": task, "status": "completed", "progress": 1, "result": [[19, 22], [43, 50]],
                        "gpu_time_us": 0, "attempts": 1, "workload_type": "matrix_multiply", "device": "cpu"});
    assert_within(&document, &wanted);
    let result = service.ask("GET", &format!("{}/result", at(task))).expect(200);
    assert_within(&result, &json!({"result": [[19, 22], [43, 50]]}));

    let flat = submit(&service, SVD_ASYNC, &json!({"a": [[2, 0], [0, 1]]}));
    assert_within(&end(&service, &flat), &json!({"status": "completed", "s": [2, 1]}));

    let items = json!({"workloads": [
        {"type": "matrix", "operation": "multiply", "inputs": product()["inputs"]},
        {"type": "matrix", "operation": "inverse", "inputs": {"a": [[1, 2], [2, 4]]}},
        {"type": "matrix", "operation": "transpose", "inputs": {"a": {"$result": {"index": 0, "output": "result"}}}}]});
    let batch = submit(&service, BATCH_ASYNC, &items);
    let document = end(&service, &batch);
    assert_within(&document, &json!({"status": "completed", "workload_type": "batch"}));
    assert_within(&document["results"][2], &json!({"index": 2, "result": [[19, 43], [22, 50]]}));
    assert_eq!(document["results"][1]["error"]["error"], "unprocessable");
}

#[test]
fn a_request_that_can_never_run_is_refused_at_once() {
    let service = Service::start(&[]);
    let ragged = json!({"inputs": {"a": [[1, 2], [3]], "b": [[1]]}});
    service.post(MULTIPLY_ASYNC, &ragged).fails(400, "invalid_request");
    service.post("/api/v1/workloads/matrix/nothing/async", &product()).fails(404, "unknown_operation");
    service.post(BATCH_ASYNC, &json!({"workloads": []})).fails(400, "invalid_request");
    let (_, key) = service.tenant("narrow", json!({}), &["gpu:graph"]);
    service.post_as(&key, MULTIPLY_ASYNC, &product()).fails(403, "insufficient_scope");
    let mut called = product();
    called["callback_url"] = "https://example.com/x".into();
    let refused = service.post("/api/v1/workloads/matrix/multiply", &called).fails(400, "invalid_request");
    assert_eq!(refused["details"]["pointer"], "/callback_url");
    assert_eq!(service.ask("GET", "/api/v1/tasks").expect(200)["tasks"], json!([]));
}

#[test]
fn a_task_without_an_answer_fails_with_the_reason() {
    let service = Service::start(&[]);
    let task = submit(&service, "/api/v1/workloads/matrix/inverse/async", &json!({"a": [[1, 2], [2, 4]]}));
    let document = end(&service, &task);
    assert_eq!(document["status"], "failed");
    assert_within(&document["error"], &json!({"error": "unprocessable", "details": {"reason": "singular"}}));
    service.ask("GET", &format!("{}/result", at(&task))).fails(409, "conflict");
    service.ask("POST", &format!("{}/retry", at(&task))).fails(409, "conflict");
    service.ask("DELETE", &at(&task)).fails(409, "conflict");

    let mut short = long(600);
    short["timeout_ms"] = 30.into();
    let late = submit(&service, SVD_ASYNC, &short);
    let document = end(&service, &late);
    assert_within(&document, &json!({"status": "failed", "error": {"error": "timeout"}}));
    assert_eq!(document["error"]["message"], "Workload exceeded 30ms timeout");
}

#[test]
fn a_key_makes_a_submission_one() {
    let service = Service::start(&[]);
    let first = submit_with_key(&service, MULTIPLY_ASYNC, "order-1", &product()).expect(202);
    let again = submit_with_key(&service, MULTIPLY_ASYNC, "order-1", &product()).expect(202);
    assert_eq!(again["task_id"], first["task_id"]);
    end(&service, first["task_id"].as_str().expect("a task"));
    let later = submit_with_key(&service, MULTIPLY_ASYNC, "order-1", &product()).expect(202);
    assert_eq!((&later["task_id"], &later["status"]), (&first["task_id"], &json!("completed")));
    let mut other = product();
    other["inputs"]["a"][0][0] = 2.into();
    let refused = submit_with_key(&service, MULTIPLY_ASYNC, "order-1", &other).fails(422, "unprocessable");
    assert_eq!(refused["details"]["reason"], "idempotency_key_reused");
    submit_with_key(&service, SVD_ASYNC, "order-1", &json!({"a": [[1]]})).fails(422, "unprocessable");
    submit_with_key(&service, MULTIPLY_ASYNC, &"k".repeat(300), &product()).fails(400, "invalid_request");
    let (_, key) = service.tenant("other", json!({}), &["gpu:matrix"]);
    let headers = [("x-api-key", key.as_str()), ("idempotency-key", "order-1")];
    let theirs = service.call("POST", MULTIPLY_ASYNC, &headers, product().to_string().as_bytes()).expect(202);
    assert_ne!(theirs["task_id"], first["task_id"]);
}

#[test]
fn tasks_are_listed_newest_first_and_filtered() {
    let service = Service::start(&[]);
    let ids: Vec<String> = (0..5).map(|_| submit(&service, MULTIPLY_ASYNC, &product())).collect();
    ids.iter().for_each(|id| drop(end(&service, id)));
    let failed = submit(&service, "/api/v1/workloads/matrix/inverse/async", &json!({"a": [[0]]}));
    end(&service, &failed);
    let mut listed = Vec::new();
    let mut path = "/api/v1/tasks?limit=2&status=completed".to_string();
    loop {
        let page = service.ask("GET", &path).expect(200);
        let tasks = page["tasks"].as_array().expect("tasks");
        assert!(tasks.iter().all(|t| t["status"] == "completed" && t.get("result").is_none()), "{page}");
        listed.extend(tasks.iter().map(|t| t["task_id"].as_str().expect("an id").to_string()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/tasks?limit=2&status=completed&cursor={next}");
    }
    listed.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(listed, sorted);
    let inverses = service.ask("GET", "/api/v1/tasks?type=matrix/inverse").expect(200);
    assert_eq!(inverses["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(inverses["tasks"][0]["error"]["error"], "unprocessable");
    let refused = service.ask("GET", "/api/v1/tasks?status=complete").fails(400, "invalid_request");
    assert!(refused["message"].as_str().is_some_and(|m| m.contains("did you mean completed?")), "{refused}");
    service.ask("GET", "/api/v1/tasks?colour=red").fails(400, "invalid_request");
}

#[test]
fn a_cancelled_task_stops_and_stays_cancelled() {
    let service = Service::start(&[]);
    let task = submit(&service, SVD_ASYNC, &long(1500));
    assert!(comes(LIMIT, || status(&service, &task) == "running"));
    let cancelled = service.ask("DELETE", &at(&task)).expect(200);
    assert_within(&cancelled, &json!({"task_id": task, "status": "cancelled"}));
    assert_eq!(service.ask("DELETE", &at(&task)).expect(200)["status"], "cancelled");
    assert_eq!(status(&service, &task), "cancelled");
    // The lanes are free again before the work could have ended.
    assert!(comes(LIMIT, || {
        let metrics = service.ask("GET", "/metrics").text();
        metrics.contains("heliosdb_gpu_running_jobs 0\n")
            && metrics.contains("heliosdb_gpu_tasks_running 0\n")
    }));
    assert_eq!(status(&service, &task), "cancelled");
}

#[test]
fn another_tenants_task_is_not_there() {
    let service = Service::start(&[]);
    let (_, key) = service.tenant("other", json!({}), &["gpu:matrix"]);
    let mine = submit(&service, MULTIPLY_ASYNC, &product());
    end(&service, &mine);
    let (absent, id) = (format!("task_{}", "0".repeat(32)), ("x-request-id", "the-same"));
    for (method, tail) in [
        ("GET", ""),
        ("GET", "/result"),
        ("GET", "/stream"),
        ("DELETE", ""),
        ("POST", "/retry"),
        ("POST", "/ticket"),
    ] {
        let ask = |task: &str| {
            service.call(method, &format!("{}{tail}", at(task)), &[("x-api-key", key.as_str()), id], b"")
        };
        let (foreign, nothing) = (ask(&mine), ask(&absent));
        foreign.fails(404, "not_found");
        assert_eq!(foreign.body, nothing.body, "{method} {tail}");
    }
    let listed = service.call("GET", "/api/v1/tasks", &[("x-api-key", key.as_str())], b"").expect(200);
    assert_eq!(listed["tasks"], json!([]));
    assert_eq!(status(&service, &mine), "completed");
}

#[test]
fn a_large_result_is_a_link() {
    let service =
        Service::start(&[("TASKS__INLINE_RESULT_BYTES", "400"), ("TASKS__MAX_RESULT_BYTES", "4000")]);
    let ones = |n: usize| vec![vec![1.25; n]; n];
    let multiply = |n: usize| json!({"inputs": {"a": ones(n), "b": ones(n)}});
    let task = submit(&service, MULTIPLY_ASYNC, &multiply(12));
    let document = end(&service, &task);
    assert!(document.get("result").is_none(), "{document}");
    let link = document["result_url"].as_str().expect("a link");
    assert_eq!(service.ask("GET", link).expect(200)["result"][11][11], 18.75);
    let task = submit(&service, MULTIPLY_ASYNC, &multiply(60));
    let document = end(&service, &task);
    assert_within(&document, &json!({"status": "failed", "error": {"error": "payload_too_large"}}));
    assert_eq!(document["error"]["details"]["raised_by"], "tasks.max_result_bytes");
}

#[test]
fn a_tenants_queue_of_tasks_is_bounded() {
    let service = Service::start(&[("TASKS__MAX_RUNNING", "1")]);
    let (_, key) = service.tenant("small", json!({"max_queued_tasks": 3}), &["gpu:matrix"]);
    let slow = long(900);
    let mut refused = None;
    for _ in 0..8 {
        let reply = service.post_as(&key, SVD_ASYNC, &slow);
        if reply.status != 202 {
            refused = Some(reply);
            break;
        }
    }
    let reply = refused.expect("a queue that is full");
    reply.fails(429, "quota_busy");
    assert!(reply.header("retry-after").is_some());
}
