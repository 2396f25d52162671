//! Making, changing and deleting datasets.

use super::{changed, keyed, patch, path, put, send, values};
use crate::service::{Service, assert_within};
use serde_json::json;

#[test]
fn rows_are_added_replaced_and_removed_and_each_change_is_a_version() {
    let service = Service::start(&[("DATASETS__MAX_SEGMENTS", "3")]);
    let made = put(&service, "docs", &keyed(&[1, 2, 3], &[10.0, 20.0, 30.0])).expect(201);
    assert_within(
        &made,
        &json!({"name": "docs", "version": 1, "rows": 3, "bytes": 36, "key": "id", "segments": 1,
                "schema": [{"name": "id", "type": "i64", "shape": []}, {"name": "m", "type": "f32", "shape": [1]}]}),
    );
    // By key where there is one: 2 is replaced in its place, 4 is new.
    let after = patch(&service, "docs", &changed(&[4, 2], &[40.0, 21.0])).expect(200);
    assert_within(&after, &json!({"version": 2, "rows": 4, "segments": 1}));
    assert_eq!(values(&service, "docs", "m"), json!([[10.0], [21.0], [30.0], [40.0]]));
    let mut body = changed(&[5], &[50.0]);
    body["mode"] = "append".into();
    assert_within(
        &patch(&service, "docs", &body).expect(200),
        &json!({"version": 3, "rows": 5, "segments": 2}),
    );
    let refused = patch(&service, "docs", &body).fails(409, "conflict");
    assert_within(&refused, &json!({"details": {"pointer": "/columns/id/0"}}));
    let gone = json!({"mode": "delete", "columns": {"id": [1, 99, 4]}});
    assert_within(
        &patch(&service, "docs", &gone).expect(200),
        &json!({"version": 4, "rows": 3, "segments": 1}),
    );
    assert_within(&patch(&service, "docs", &gone).expect(200), &json!({"version": 4, "rows": 3}));
    assert_eq!(values(&service, "docs", "m"), json!([[21.0], [30.0], [50.0]]));
    // New keys alone are appended; a segment too many puts all together.
    for (i, (id, segments)) in [(10, 2), (11, 3), (12, 1)].into_iter().enumerate() {
        let answer = patch(&service, "docs", &changed(&[id], &[id as f64])).expect(200);
        assert_within(&answer, &json!({"version": 5 + i, "segments": segments}));
    }
    assert_eq!(values(&service, "docs", "m"), json!([[21.0], [30.0], [50.0], [10.0], [11.0], [12.0]]));

    // A replacement goes on counting, and so does a dataset of the name after a deletion.
    assert_within(
        &put(&service, "docs", &json!({"columns": {"t": ["x"]}})).expect(201),
        &json!({"version": 8, "key": null}),
    );
    service.ask("DELETE", &path("docs")).expect(200);
    service.ask("GET", &path("docs")).fails(404, "not_found");
    service.ask("DELETE", &path("docs")).fails(404, "not_found");
    assert_within(&put(&service, "docs", &keyed(&[1], &[1.0])).expect(201), &json!({"version": 9}));
}

#[test]
fn a_change_made_for_another_version_is_refused() {
    let service = Service::start(&[]);
    put(&service, "d", &keyed(&[1], &[1.0])).expect(201);
    let key = service.key.clone();
    let matching = |version: &str| {
        let headers = [("x-api-key", key.as_str()), ("if-match", version)];
        service.call("PATCH", &path("d"), &headers, changed(&[2], &[2.0]).to_string().as_bytes())
    };
    assert_within(&matching("\"7\"").fails(409, "conflict"), &json!({"details": {"asked": 7, "current": 1}}));
    assert_within(&matching("\"1\"").expect(200), &json!({"version": 2}));
    let mut body = changed(&[3], &[3.0]);
    body["version"] = 1.into();
    patch(&service, "d", &body).fails(409, "conflict");
    service.ask("DELETE", &format!("{}?version=1", path("d"))).fails(409, "conflict");
    service.ask("DELETE", &format!("{}?version=2", path("d"))).expect(200);
}

#[test]
fn every_fault_is_named_where_it_is_and_changes_nothing() {
    let service = Service::start(&[("DATASETS__MAX_ROWS", "4"), ("DATASETS__MAX_COLUMNS", "2")]);
    put(&service, "d", &keyed(&[1, 2], &[1.0, 2.0])).expect(201);
    for (method, body, pointer, part) in [
        ("PUT", json!({"columns": {}}), "/columns", "no column"),
        ("PUT", json!({"columns": {"a": [1, 2], "b": [1]}}), "/columns/b", "1 rows"),
        ("PUT", json!({"columns": {"a": [1], "b": [1], "c": [1]}}), "/columns", "datasets.max_columns"),
        ("PUT", json!({"columns": {"a": [1, 2, 3, 4, 5]}}), "/columns", "datasets.max_rows"),
        ("PUT", json!({"columns": {"a b": [1]}}), "/columns/a b", "1 to 128 characters"),
        ("PUT", json!({"columns": {"id": [1]}, "key": "idd"}), "/key", "did you mean id"),
        ("PUT", json!({"columns": {"id": [1.5]}, "key": "id"}), "/key", "integers or texts"),
        ("PUT", json!({"columns": {"id": [1, 2, 1]}, "key": "id"}), "/columns/id/2", "twice"),
        ("PUT", json!({"columns": {"a": [[1, 2], [3]]}}), "/columns/a/1", "ragged"),
        ("PUT", json!({"columns": {"a": ["x", 1]}}), "/columns/a/1", "texts"),
        ("PUT", json!({"columns": {"a": [1]}, "source": {}}), "/source", "unknown field"),
        ("PATCH", json!({"columns": {"id": [3]}}), "/columns", "m is missing"),
        ("PATCH", json!({"columns": {"id": [3], "n": [[1]]}}), "/columns/n", "no column n"),
        ("PATCH", json!({"columns": {"id": [3], "m": [[1, 2]]}}), "/columns/m", "f32[2]"),
        ("PATCH", json!({"columns": {"id": [1.5], "m": [[1]]}}), "/columns/id/0", "integer"),
        (
            "PATCH",
            json!({"columns": {"id": [3, 4, 5], "m": [[1], [1], [1]]}}),
            "/columns",
            "datasets.max_rows",
        ),
        (
            "PATCH",
            json!({"mode": "delete", "columns": {"id": [1], "m": [[1]]}}),
            "/columns/m",
            "key column alone",
        ),
        ("PATCH", json!({"mode": "merge", "columns": {"id": [1], "m": [[1]]}}), "/mode", "one of append"),
    ] {
        let reply = send(&service, &service.key, method, &path("d"), &body).fails(400, "invalid_request");
        assert_eq!(reply["details"]["pointer"], pointer, "{body}: {reply}");
        assert!(reply["message"].as_str().is_some_and(|m| m.contains(part)), "{body}: {reply}");
    }
    service
        .call("PUT", &path("nan"), &[("x-api-key", &service.key)], br#"{"columns":{"a":[NaN]}}"#)
        .fails(400, "invalid_request");
    put(&service, "a%2Fb", &keyed(&[1], &[1.0])).fails(400, "invalid_request");
    patch(&service, "none", &changed(&[1], &[1.0])).fails(404, "not_found");
    let listed = service.ask("GET", "/api/v1/datasets").expect(200);
    assert_within(
        &listed,
        &json!({"datasets": [{"name": "d", "version": 1, "rows": 2}], "next": null, "used_bytes": 24}),
    );
}

#[test]
fn the_quota_counts_every_version_that_lives_and_refuses_before_a_byte_is_written() {
    let service = Service::start(&[]);
    let (_, key) = service.tenant("small", json!({"max_dataset_bytes": 100}), &["gpu:datasets"]);
    let rows = |n: usize| json!({"columns": {"x": vec![1; n]}});
    send(&service, &key, "PUT", &path("d"), &rows(6)).expect(201);
    let refused = send(&service, &key, "PUT", &path("e"), &rows(7)).fails(403, "quota_exceeded");
    assert_within(
        &refused,
        &json!({"retryable": false, "details": {"needed_bytes": 56, "used_bytes": 48, "limit_bytes": 100}}),
    );
    send(&service, &key, "PATCH", &path("d"), &rows(7)).fails(403, "quota_exceeded");
    send(&service, &key, "PATCH", &path("d"), &rows(6)).expect(200);
    let list = || service.call("GET", "/api/v1/datasets", &[("x-api-key", &key)], b"").expect(200);
    assert_within(&list(), &json!({"used_bytes": 96, "limit_bytes": 100}));
    service.call("DELETE", &path("d"), &[("x-api-key", &key)], b"").expect(200);
    assert_within(&list(), &json!({"used_bytes": 0, "datasets": []}));
    send(&service, &key, "PUT", &path("e"), &rows(7)).expect(201);
}

#[test]
fn a_tenant_sees_its_own_and_nothing_of_others() {
    let service = Service::start(&[]);
    let (_, red) = service.tenant("red", json!({}), &["gpu:datasets"]);
    let (_, blue) = service.tenant("blue", json!({}), &["gpu:datasets", "gpu:matrix"]);
    let (_, bare) = service.tenant("bare", json!({}), &["gpu:matrix"]);
    send(&service, &red, "PUT", &path("secret"), &keyed(&[1], &[1.0])).expect(201);
    let told = |key: &str, method: &str, path: &str, body: &serde_json::Value| {
        let headers = [("x-api-key", key), ("x-request-id", "same")];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let reply = service.call(method, path, &headers, &body);
        assert_eq!(reply.status, 404);
        reply.text()
    };
    let none = json!(null);
    for (method, body) in [("GET", none.clone()), ("DELETE", none), ("PATCH", changed(&[1], &[1.0]))] {
        let foreign = told(&blue, method, &path("secret"), &body);
        let absent = told(&blue, method, &path("nowhere"), &body).replace("nowhere", "secret");
        assert_eq!(foreign, absent, "{method}");
    }
    let job = |name: &str| json!({"a": {"dataset": name, "column": "m"}, "b": [[1]]});
    let foreign = told(&blue, "POST", super::MULTIPLY, &job("secret"));
    assert_eq!(foreign, told(&blue, "POST", super::MULTIPLY, &job("nowhere")).replace("nowhere", "secret"));
    let refused =
        send(&service, &bare, "PUT", &path("d"), &keyed(&[1], &[1.0])).fails(403, "insufficient_scope");
    assert_within(&refused, &json!({"details": {"scope": "gpu:datasets"}}));
    // A tenant that is made anew does not find what the one before it had.
    service.ask("DELETE", "/api/v1/tenants/red").expect(200);
    let (_, red) = service.tenant("red", json!({}), &["gpu:datasets"]);
    let listed = service.call("GET", "/api/v1/datasets", &[("x-api-key", &red)], b"").expect(200);
    assert_within(&listed, &json!({"datasets": [], "used_bytes": 0}));
}
