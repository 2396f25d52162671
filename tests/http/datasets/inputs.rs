//! Columns as inputs of jobs.

use super::{MULTIPLY, changed, keyed, patch, path, put, values};
use crate::service::{Folder, Service, assert_within, comes};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_column_is_an_input_in_every_kind_of_submission() {
    let service = Service::start(&[]);
    let columns = json!({"m": [[1, 2], [3, 4]], "d": [[5, 6], [7, 8]], "w": [1, 2], "t": ["a", "b"]});
    put(&service, "x", &json!({"columns": columns, "dtypes": {"d": "f64"}})).expect(201);
    let m = json!({"dataset": "x", "column": "m"});
    let product = json!([[19, 22], [43, 50]]);
    // Flat and enveloped; numbers beside the column take its type.
    for body in [
        json!({"a": m, "b": [[5, 6], [7, 8]]}),
        json!({"inputs": {"a": m, "b": [[5, 6], [7, 8]]}}),
        json!({"inputs": {"a": {"dataset": "x", "column": "m", "version": 1}, "b": [[5, 6], [7, 8]]}}),
        json!({"a": [[1, 2], [3, 4]], "b": {"dataset": "x", "column": "d"}}),
    ] {
        assert_within(&service.post(MULTIPLY, &body).expect(200), &json!({"result": product}));
    }
    let items = json!([
        {"type": "matrix", "operation": "multiply", "inputs": {"a": m, "b": [[5, 6], [7, 8]]}},
        {"type": "matrix", "operation": "multiply", "inputs": {"a": {"$result": {"index": 0, "output": "result"}}, "b": m}},
        {"type": "matrix", "operation": "multiply", "inputs": {"a": {"dataset": "y", "column": "m"}, "b": [[1]]}},
    ]);
    let batch = service.post("/api/v1/workloads/batch", &json!({"workloads": items})).expect(200);
    assert_within(
        &batch,
        &json!({"results": [{"result": product}, {"result": [[85, 126], [193, 286]]},
                            {"error": {"error": "not_found", "details": {"pointer": "/workloads/2/inputs/a"}}}]}),
    );
    for (reference, part) in [
        (json!({"dataset": "x", "column": "n"}), "did you mean"),
        (json!({"dataset": "x", "column": "w"}), "1 dimensions"),
        (json!({"dataset": "x", "column": "t"}), "texts"),
        (json!({"dataset": "x"}), "name one of m, d"),
        (json!({"dataset": "x", "column": "w", "ge": 1}), "a test gives a mask"),
        (json!({"dataset": "x", "colunm": "m"}), "unknown field"),
    ] {
        let body = json!({"inputs": {"a": reference, "b": [[1], [1]]}});
        let refused = service.post(MULTIPLY, &body).fails(400, "invalid_request");
        assert_eq!(refused["details"]["pointer"], "/inputs/a", "{refused}");
        assert!(refused["message"].as_str().is_some_and(|m| m.contains(part)), "{part}: {refused}");
    }
    let described = service.ask("GET", &path("x")).expect(200);
    assert_within(&described, &json!({"schema": [{"residency": "mapped"}, {"residency": "mapped"}, {}, {}]}));
    patch(&service, "x", &json!({"columns": {"m": [[0, 1]], "d": [[1, 0]], "w": [3], "t": ["c"]}}))
        .expect(200);
    service.post(MULTIPLY, &json!({"a": m, "b": [[1], [1]]})).expect(200);
    let described = service.ask("GET", &path("x")).expect(200);
    assert_within(&described, &json!({"schema": [{"residency": "memory"}, {"residency": "disk"}, {}, {}]}));
    let text = service.call("GET", "/metrics", &[], b"").text();
    assert!(text.contains("heliosdb_gpu_dataset_bytes{place=\"memory\"} 24"), "{text}");
}

#[test]
fn a_write_is_a_miss_and_a_superseded_version_is_stale() {
    let service = Service::start(&[]);
    put(&service, "d", &keyed(&[1, 2], &[1.0, 2.0])).expect(201);
    let at = |version: Option<u64>| {
        let mut a = json!({"dataset": "d", "column": "m"});
        if let Some(version) = version {
            a["version"] = version.into();
        }
        service.post(MULTIPLY, &json!({"a": a, "b": [[2]], "cache": true}))
    };
    assert_within(&at(None).expect(200), &json!({"result": [[2], [4]], "cache_hit": false}));
    assert_within(&at(Some(1)).expect(200), &json!({"result": [[2], [4]], "cache_hit": true}));
    patch(&service, "d", &changed(&[2], &[5.0])).expect(200);
    assert_within(&at(None).expect(200), &json!({"result": [[2], [10]], "cache_hit": false}));
    let stale = at(Some(1)).fails(409, "stale_version");
    assert_within(
        &stale,
        &json!({"retryable": true, "details": {"asked": 1, "current": 2, "pointer": "/a"}}),
    );
    at(Some(3)).fails(409, "stale_version");
    assert_within(&at(None).expect(200), &json!({"cache_hit": true}));
    service.ask("DELETE", "/api/v1/cache?dataset=d").expect(200);
    assert_within(&at(None).expect(200), &json!({"cache_hit": false}));
    // The same rows under the same name are another dataset once it was deleted.
    service.ask("DELETE", &path("d")).expect(200);
    put(&service, "d", &keyed(&[1, 2], &[1.0, 5.0])).expect(201);
    assert_within(&at(None).expect(200), &json!({"result": [[2], [10]], "cache_hit": false}));
}

#[test]
fn a_version_lives_until_the_job_on_it_has_ended() {
    let service = Service::start(&[]);
    let n = 1200;
    let rows = |x: f64| json!({"columns": {"m": vec![vec![x; n]; n]}});
    put(&service, "d", &rows(1.0)).expect(201);
    let body = json!({"a": {"dataset": "d"}, "b": {"dataset": "d"}, "cache": false}).to_string();
    let mut busy = service.connect();
    let headers = [("x-api-key", service.key.as_str())];
    busy.send(&crate::wire::request("POST", MULTIPLY, &headers, body.as_bytes())).expect("sent");
    let running = || {
        let text = service.call("GET", "/metrics", &[], b"").text();
        text.lines().any(|l| l.starts_with("heliosdb_gpu_running_jobs ") && !l.ends_with(" 0"))
    };
    let caught = comes(Duration::from_secs(5), running);
    put(&service, "d", &rows(2.0)).expect(201);
    let answer = busy.receive().expect("an answer").expect(200);
    // Whole rows of one version: had the job met the second, its values would be four times as large.
    if caught {
        assert_eq!(answer["result"][0][0], n as f64);
        assert_eq!(answer["result"][n - 1][n - 1], n as f64);
    }
    let files = || std::fs::read_dir(service.folder.path().join("data/datasets")).expect("a folder").count();
    assert!(
        comes(Duration::from_secs(10), || files() == 1),
        "the first version's file goes with its last reader"
    );
    assert_within(&service.ask("GET", "/api/v1/datasets").expect(200), &json!({"used_bytes": 4 * n * n}));
}

#[test]
fn a_restart_keeps_everything_and_a_broken_file_breaks_its_dataset_alone() {
    let mut service = Service::start(&[]);
    put(&service, "sound", &keyed(&[1, 2], &[1.0, 2.0])).expect(201);
    patch(&service, "sound", &changed(&[3], &[3.0])).expect(200);
    let before = service.ask("GET", &path("sound")).expect(200);
    put(&service, "broken", &keyed(&[7], &[0.125])).expect(201);
    service.terminate();
    assert_eq!(service.wait().code(), Some(0));
    let data = std::mem::replace(&mut service.folder, Folder::new());
    let folder = data.path().join("data/datasets");
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let file = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&file).expect("a file");
        let needle = 0.125f32.to_le_bytes();
        if let Some(at) = bytes.windows(4).position(|w| w == needle) {
            bytes[at] ^= 1;
            std::fs::write(&file, bytes).expect("written");
        }
    }
    std::fs::write(folder.join(format!("{}.segment", "0".repeat(32))), "left by a crash").expect("written");
    std::fs::write(folder.join("x.unfinished"), "left by a crash").expect("written");

    let service = Service::over(data, &[], &[]);
    let after = service.ask("GET", &path("sound")).expect(200);
    for field in ["version", "rows", "bytes", "key", "segments", "created_at", "updated_at"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(values(&service, "sound", "m"), json!([[1.0], [2.0], [3.0]]));
    let body = json!({"a": {"dataset": "broken", "column": "m"}, "b": [[1]]});
    let refused = service.post(MULTIPLY, &body).fails(500, "internal");
    assert!(!refused.to_string().contains("checksum"), "the cause is for the log: {refused}");
    // The log comes through a pipe of its own.
    assert!(comes(Duration::from_secs(10), || service.log().contains("checksum")), "{}", service.log());
    assert_eq!(std::fs::read_dir(service.folder.path().join("data/datasets")).expect("a folder").count(), 3);
    put(&service, "broken", &keyed(&[7], &[0.125])).expect(201);
    assert_eq!(values(&service, "broken", "m"), json!([[0.125]]));
}
