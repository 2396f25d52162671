//! Tenants, keys and the audit log over HTTP and by the command line.

use super::{MULTIPLY, product};
use crate::service::{Folder, Service, assert_within, comes, run, run_well};
use crate::wire::Reply;
use serde_json::{Value as Json, json};
use std::time::Duration;

const TENANTS: &str = "/api/v1/tenants";

fn put(service: &Service, path: &str, body: &Json) -> Reply {
    service.call("PUT", path, &[("x-api-key", &service.key)], body.to_string().as_bytes())
}

#[test]
fn tenants_are_made_read_changed_and_deleted() {
    let service = Service::start(&[]);
    let made = service.post(TENANTS, &json!({"id": "acme", "name": "Acme"})).expect(201);
    assert_within(
        &made,
        &json!({"id": "acme", "revision": 1, "suspended": false,
        "quota": {"max_concurrent_tasks": 10, "max_requests_per_minute": 1000, "max_priority": "high"}}),
    );
    service.post(TENANTS, &json!({"id": "acme"})).fails(409, "conflict");
    for bad in [
        json!({"id": "Not Allowed"}),
        json!({"id": ""}),
        json!({"id": "../x"}),
        json!({"name": "without an id"}),
        json!({"id": "b", "quota": {"max_tasks": 1}}),
        json!({"id": "b", "quota": {"max_priority": "urgent"}}),
        json!({"id": "b", "surprise": 1}),
        json!([]),
    ] {
        service.post(TENANTS, &bad).fails(400, "invalid_request");
    }
    let path = "/api/v1/tenants/acme";
    assert_eq!(service.ask("GET", path).expect(200), made);
    let list = service.ask("GET", TENANTS).expect(200);
    let ids: Vec<&str> =
        list["tenants"].as_array().expect("a list").iter().filter_map(|t| t["id"].as_str()).collect();
    assert_eq!(ids, ["acme", "dev"]);
    let page = service.ask("GET", "/api/v1/tenants?limit=1").expect(200);
    let cursor = page["next"].as_str().expect("a cursor");
    let rest = service.ask("GET", &format!("/api/v1/tenants?limit=1&cursor={cursor}")).expect(200);
    assert_within(&rest["tenants"], &json!([{"id": "dev"}]));

    // Compare and set: who read an older revision must read again.
    let mut mine = made.clone();
    mine["name"] = "Mine".into();
    assert_within(&put(&service, path, &mine).expect(200), &json!({"name": "Mine", "revision": 2}));
    let mut theirs = made;
    theirs["name"] = "Theirs".into();
    put(&service, path, &theirs).fails(409, "conflict");
    assert_eq!(service.ask("GET", path).expect(200)["name"], "Mine");
    theirs["id"] = "other".into();
    assert_eq!(put(&service, path, &theirs).fails(400, "invalid_request")["details"]["pointer"], "/id");
    theirs["id"] = "ghost".into();
    put(&service, "/api/v1/tenants/ghost", &theirs).fails(404, "not_found");

    let key = service.post("/api/v1/tenants/acme/keys", &json!({"name": "k", "scopes": ["gpu:matrix"]}));
    let key = key.expect(201)["api_key"].as_str().expect("a key").to_string();
    service.post_as(&key, MULTIPLY, &product()).expect(200);
    service.ask("DELETE", path).expect(200);
    service.ask("DELETE", path).fails(404, "not_found");
    service.ask("GET", path).fails(404, "not_found");
    service.post_as(&key, MULTIPLY, &product()).fails(401, "unauthenticated");
}

#[test]
fn a_keys_text_is_shown_once_and_kept_nowhere() {
    let service = Service::start(&[]);
    service.post(TENANTS, &json!({"id": "acme"})).expect(201);
    let keys = "/api/v1/tenants/acme/keys";
    let asked = json!({"name": "reports", "user_id": "alice", "scopes": ["gpu:matrix"]});
    let made = service.post(keys, &asked).expect(201);
    let text = made["api_key"].as_str().expect("the text");
    assert!(text.starts_with("hgo_") && text.len() >= 4 + 43, "256 bits and a prefix: {}", text.len());
    assert_within(&made, &asked);
    assert_eq!(made["last_four"].as_str(), text.get(text.len() - 4..));
    let list = service.ask("GET", keys).expect(200);
    assert_eq!(list["keys"][0]["key_id"], made["key_id"]);
    assert!(!list.to_string().contains(text) && !list.to_string().contains("hash"), "{list}");
    for entry in std::fs::read_dir(service.folder.path().join("data")).expect("the data directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("readable");
            assert!(!bytes.windows(text.len()).any(|w| w == text.as_bytes()), "{}", path.display());
        }
    }
    let scopes = service.post(keys, &json!({"name": "x", "scopes": ["gpu:matrx"]}));
    let e = scopes.fails(400, "invalid_request");
    assert!(e["message"].as_str().is_some_and(|m| m.contains("gpu:matrix")), "{e}");
    service.post("/api/v1/tenants/ghost/keys", &asked).fails(404, "not_found");
    let id = made["key_id"].as_str().expect("an id");
    // A key of another tenant is not there.
    service.ask("DELETE", &format!("/api/v1/tenants/dev/keys/{id}")).fails(404, "not_found");
    service.post_as(text, MULTIPLY, &product()).expect(200);
    let past = service.post(keys, &json!({"name": "old", "scopes": ["gpu:matrix"], "expires_at": 1}));
    let past = past.expect(201)["api_key"].as_str().expect("a key").to_string();
    service.post_as(&past, MULTIPLY, &product()).fails(401, "unauthenticated");
}

#[test]
fn the_command_line_administers_beside_a_running_service() {
    let service = Service::start(&[("AUTH__REFRESH_MS", "50")]);
    let folder = &service.folder;
    run_well(folder, &["tenants", "create", "acme", "--quota", r#"{"max_concurrent_tasks": 3}"#], "");
    let shown: Json =
        serde_json::from_str(&run_well(folder, &["tenants", "show", "acme"], "")).expect("json");
    assert_within(&shown, &json!({"id": "acme", "quota": {"max_concurrent_tasks": 3}}));
    assert_eq!(service.ask("GET", "/api/v1/tenants/acme").expect(200), shown);
    let printed = run_well(
        folder,
        &["keys", "create", "--tenant", "acme", "--name", "cli", "--scopes", "gpu:matrix"],
        "",
    );
    let key = printed.lines().find_map(|l| l.strip_prefix("api key: ")).expect("a key");
    service.post_as(key, MULTIPLY, &product()).expect(200);
    assert!(run_well(folder, &["keys", "list", "--tenant", "acme"], "").contains("live"));
    // A quota changed by another process holds soon.
    run_well(folder, &["tenants", "set-quota", "acme", r#"{"allowed_families": ["graph"]}"#], "");
    let refused = || service.post_as(key, MULTIPLY, &product()).status == 403;
    assert!(comes(Duration::from_secs(5), refused));
    assert!(run_well(folder, &["tenants", "list"], "").lines().any(|l| l == "acme"));
    run_well(folder, &["tenants", "delete", "acme"], "");
    assert!(comes(Duration::from_secs(5), || service.post_as(key, MULTIPLY, &product()).status == 401));

    let folder = Folder::new();
    for (arguments, stdin) in [
        (&["tenants", "show", "nobody"][..], ""),
        (&["tenants", "create", "UPPER"], ""),
        (&["keys", "revoke", "key_0000000000000000"], ""),
        (&["keys", "create", "--tenant", "nobody", "--name", "x"], ""),
        (&["keys", "import", "--tenant", "nobody", "--name", "x"], "short"),
    ] {
        let output = run(&folder, arguments, stdin);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.starts_with("heliosdb-gpu-offload: ") && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn every_workload_leaves_an_audit_record() {
    let service = Service::start(&[("SETTLE__AUDIT_FLUSH_MS", "20")]);
    let (key_id, key) = service.tenant("acme", json!({}), &["gpu:matrix"]);
    let id = [("x-api-key", key.as_str()), ("x-request-id", "audited-1")];
    service.call("POST", MULTIPLY, &id, product().to_string().as_bytes()).expect(200);
    let id = [("x-api-key", key.as_str()), ("x-request-id", "audited-2")];
    let singular = json!({"a": [[1, 2], [2, 4]]}).to_string();
    service.call("POST", "/api/v1/workloads/matrix/inverse", &id, singular.as_bytes()).expect(422);
    let query = |q: &str| service.ask("GET", &format!("/api/v1/audit?tenant_id=acme{q}")).expect(200);
    let both = || query("")["records"].as_array().is_some_and(|r| r.len() == 2);
    assert!(comes(Duration::from_secs(10), both));
    assert_within(
        &query("&status=200")["records"],
        &json!([{"request_id": "audited-1", "key_id": key_id, "workload_type": "matrix_multiply",
                 "status": 200, "cache_hit": false, "device_id": null}]),
    );
    assert_within(
        &query("&workload_type=matrix_inverse")["records"],
        &json!([{"request_id": "audited-2", "status": 422, "error": "unprocessable"}]),
    );
    assert_eq!(service.ask("GET", "/api/v1/audit?tenant_id=ghost").expect(200)["records"], json!([]));
    service.ask("GET", "/api/v1/audit?tenant=acme").fails(400, "invalid_request");
}
