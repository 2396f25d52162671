//! Tasks across crashes, stops and a full disk.

use super::{LIMIT, MULTIPLY_ASYNC, SVD_ASYNC, at, end, long, status, submit};
use crate::datasets::{changed, keyed, patch, path, put, values};
use crate::service::{Folder, Service, comes};
use serde_json::{Value as Json, json};
use std::time::Duration;

#[test]
fn a_running_task_runs_again_after_a_crash_and_after_a_stop() {
    let mut service = Service::start(&[]);
    let key = service.tenant("a", json!({}), &["gpu:matrix"]).1;
    let submit_long = |service: &Service, n| {
        let promise = service.post_as(&key, SVD_ASYNC, &long(n)).expect(202);
        promise["task_id"].as_str().expect("a task").to_string()
    };
    let ask = |service: &Service, task: &str| {
        service.call("GET", &at(task), &[("x-api-key", key.as_str())], b"").expect(200)
    };
    let task = submit_long(&service, 700);
    assert!(comes(LIMIT, || ask(&service, &task)["status"] == "running"));
    service = Service::over(service.kill(), &[], &[]);
    assert!(comes(LIMIT, || ask(&service, &task)["status"] == "completed"));
    assert_eq!(ask(&service, &task)["attempts"], 2);

    let task = submit_long(&service, 1500);
    assert!(comes(LIMIT, || ask(&service, &task)["status"] == "running"));
    service.terminate();
    service.wait();
    let mut service = Service::over(service.leave(), &[], &[]);
    assert!(comes(Duration::from_secs(60), || ask(&service, &task)["status"] == "completed"));
    assert_eq!(ask(&service, &task)["attempts"], 1, "a task that was given back has not failed");
    assert!(service.is_running());
}

#[test]
fn a_task_whose_key_was_revoked_does_not_run() {
    let mut service = Service::start(&[("TASKS__MAX_RUNNING", "1")]);
    let (id, key) = service.tenant("a", json!({}), &["gpu:matrix"]);
    let (_, other) =
        (0, service.post("/api/v1/tenants/a/keys", &json!({"name": "x", "scopes": []})).expect(201));
    let other = other["api_key"].as_str().expect("a key").to_string();
    let busy = submit(&service, SVD_ASYNC, &long(1500));
    assert!(comes(LIMIT, || status(&service, &busy) == "running"));
    let promise = service.post_as(&key, MULTIPLY_ASYNC, &super::product()).expect(202);
    let task = promise["task_id"].as_str().expect("a task").to_string();
    service.ask("DELETE", &format!("/api/v1/tenants/a/keys/{id}")).expect(200);
    service.ask("DELETE", &at(&busy)).expect(200);
    let mut document = Json::Null;
    assert!(comes(LIMIT, || {
        document = service.call("GET", &at(&task), &[("x-api-key", other.as_str())], b"").expect(200);
        document["status"] == "failed"
    }));
    assert_eq!(document["error"]["error"], "unauthenticated", "{document}");
    assert!(service.is_running());
}

#[test]
fn a_process_that_dies_too_often_over_a_task_gives_it_up() {
    let settings = &[("TASKS__MAX_RESTARTS", "2")];
    let mut service = Service::start(settings);
    let key = service.tenant("a", json!({}), &["gpu:matrix"]).1;
    let promise = service.post_as(&key, SVD_ASYNC, &long(1500)).expect(202);
    let task = promise["task_id"].as_str().expect("a task").to_string();
    let ask =
        |service: &Service| service.call("GET", &at(&task), &[("x-api-key", key.as_str())], b"").expect(200);
    for _ in 0..3 {
        assert!(comes(LIMIT, || ask(&service)["status"] == "running"));
        service = Service::over(service.kill(), settings, &[]);
    }
    assert!(comes(LIMIT, || ask(&service)["status"] == "dead_letter"), "{}", ask(&service));
    let letters =
        service.call("GET", "/api/v1/tasks?status=dead_letter", &[("x-api-key", key.as_str())], b"");
    assert_eq!(letters.expect(200)["tasks"].as_array().map(Vec::len), Some(1));
    let path = format!("{}/retry", at(&task));
    let again = service.call("POST", &path, &[("x-api-key", key.as_str())], b"").expect(200);
    assert_eq!(again["status"], "queued");
    assert!(comes(LIMIT, || ask(&service)["status"] == "running"));
    drop::<Folder>(service.kill());
}

/// A disk without room refuses what it cannot keep, keeps what it promised, and is well when there is room.
#[test]
fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = crate::service::SmallDisk::mount(12 << 20) else {
        println!("skipped: this user may not mount a small disk");
        return;
    };
    let service = Service::over(disk.folder(), &[], &[]);
    let task = submit(&service, MULTIPLY_ASYNC, &super::product());
    end(&service, &task);
    put(&service, "d", &keyed(&[1, 2], &[0.5, 0.25])).expect(201);
    let filler = disk.fill();
    let full = |reply: &crate::wire::Reply| {
        assert!(reply.status == 503 || reply.status == 507, "{}", reply.text());
        assert_eq!(reply.json()["error"], "storage_full", "{}", reply.text());
    };
    let mut refused = 0;
    for _ in 0..20 {
        let reply = service.post(MULTIPLY_ASYNC, &long_text());
        if reply.status != 202 {
            refused += 1;
            full(&reply);
        }
    }
    assert!(refused > 0, "a full disk took everything");
    // Writes of datasets are refused whole: neither a version nor a row of them is there.
    let rows = vec![vec![0.5; 200]; 500];
    full(&put(&service, "e", &json!({"columns": {"m": rows}})));
    full(&put(&service, "d", &json!({"columns": {"m": rows}})));
    let wide: Vec<i64> = (3..20_000).collect();
    full(&patch(&service, "d", &changed(&wide, &vec![0.125; wide.len()])));
    service.ask("GET", &path("e")).fails(404, "not_found");
    assert_eq!(service.ask("GET", &path("d")).expect(200)["version"], 1);
    // What needs no disk still works.
    service.post("/api/v1/workloads/matrix/multiply", &super::product()).expect(200);
    assert_eq!(values(&service, "d", "m"), json!([[0.5], [0.25]]));
    drop(filler);
    let task = submit(&service, MULTIPLY_ASYNC, &super::product());
    assert_eq!(end(&service, &task)["status"], "completed");
    let after = patch(&service, "d", &changed(&[3], &[0.125])).expect(200);
    assert_eq!(after["version"], 2);
    assert_eq!(values(&service, "d", "m"), json!([[0.5], [0.25], [0.125]]));
    put(&service, "e", &json!({"columns": {"m": rows}})).expect(201);
    // A refused write left no file behind.
    let files = std::fs::read_dir(service.folder.path().join("data/datasets")).expect("a folder").count();
    assert_eq!(files as u64, after["segments"].as_u64().expect("a count") + 1);
}

/// A request of some hundred kilobytes.
fn long_text() -> Json {
    let row = vec![0.123_456_789; 200];
    json!({"inputs": {"a": vec![row.clone(); 200], "b": vec![row; 200]}})
}
