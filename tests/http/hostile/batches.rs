//! Batches, unknown operations and bodies of other routes.

use super::{Siege, nested};
use serde_json::Value as Json;

const BATCH: &str = "/api/v1/workloads/batch";
const DEPTH: usize = 100_000;

fn item(inputs: &str) -> String {
    format!(r#"{{"type": "matrix", "operation": "transpose", "inputs": {inputs}}}"#)
}

fn batch(items: &str) -> String {
    format!(r#"{{"workloads": [{items}]}}"#)
}

#[test]
fn hostile_batches_fail_as_a_whole_or_item_by_item() {
    let siege = Siege::lay();
    let one = item(r#"{"a": [[1]]}"#);
    for (name, body) in [
        ("1001 items", batch(&vec![one.as_str(); 1001].join(","))),
        ("100000 empty items", batch(&vec!["0"; DEPTH].join(","))),
        ("no list", r#"{"workloads": null}"#.into()),
        ("a text", r#"{"workloads": "matrix"}"#.into()),
        ("an unknown field", r#"{"workloads": [], "callbak": 1}"#.into()),
        ("deep beside", format!(r#"{{"workloads": [], "priority": {}}}"#, nested("[", "", "]", DEPTH))),
        ("deep at the top", nested("[", "", "]", DEPTH)),
        ("deep instead of a list", format!(r#"{{"workloads": {}}}"#, "[".repeat(DEPTH))),
        ("100000 fields", format!("{{{}}}", vec![r#""":0"#; DEPTH].join(","))),
        ("nothing", String::new()),
        ("half a list", r#"{"workloads": ["#.into()),
        ("lists twice", format!(r#"{{"workloads": [{one}], "workloads": []}}"#)),
    ] {
        let reply = siege.post(BATCH, body.as_bytes());
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        reply.fails(400, "invalid_request");
    }
    let reference =
        |index: &str| item(&format!(r#"{{"a": {{"$result": {{"index": {index}, "output": "result"}}}}}}"#));
    for (name, hostile) in [
        ("itself", reference("0")),
        ("a later one", reference("1")),
        ("far away", reference("18446744073709551615")),
        ("beyond", reference("18446744073709551616")),
        ("before the first", reference("-1")),
        ("in between", reference("0.5")),
        ("arrays", item(&format!(r#"{{"a": {}}}"#, nested("[", "1", "]", 100)))),
        ("objects", item(&format!(r#"{{"a": {}}}"#, nested(r#"{"a":"#, "1", "}", 100)))),
        ("no object", item("[]")),
        ("1e400", item(r#"{"a": [[1e400]]}"#)),
        ("type 5", r#"{"type": 5, "operation": "transpose", "inputs": {"a": [[1]]}}"#.into()),
        (
            "extra",
            r#"{"type": "matrix", "operation": "transpose", "inputs": {"a": [[1]]}, "device": "gpu"}"#.into(),
        ),
        ("null", "null".into()),
    ] {
        let answer = siege.post(BATCH, batch(&format!("{hostile},{one}")).as_bytes()).expect(200);
        let results: &Vec<Json> = answer["results"].as_array().expect("results");
        assert_eq!(results[0]["error"]["error"], "invalid_request", "{name}: {answer}");
        assert_eq!(results[1]["result"][0][0], 1.0, "{name}: {answer}");
    }
    // As deep as it gets: refused in place or as a whole, but refused.
    for inputs in [nested("[", "1", "]", DEPTH), nested(r#"{"a":"#, "1", "}", DEPTH)] {
        let reply =
            siege.post(BATCH, batch(&format!("{},{one}", item(&format!(r#"{{"a": {inputs}}}"#)))).as_bytes());
        assert!(reply.status == 400 || reply.json()["results"][0]["error"]["error"] == "invalid_request");
    }
    // A chain of a thousand dependent items neither overflows the stack nor takes a thread each.
    let chain: Vec<String> =
        (0..1000).map(|i| if i == 0 { one.clone() } else { reference(&(i - 1).to_string()) }).collect();
    let answer = siege.post(BATCH, batch(&chain.join(",")).as_bytes()).expect(200);
    assert_eq!(answer["results"][999]["result"][0][0], 1.0);
    siege.withstood();
}

#[test]
fn other_routes_refuse_what_they_do_not_know() {
    let siege = Siege::lay();
    let deep = nested("[", "", "]", DEPTH);
    for (path, body, status, code) in [
        ("/api/v1/workloads/matrix/nonsense", "{}", 404, "unknown_operation"),
        ("/api/v1/workloads/%00/%00", "{}", 404, "unknown_operation"),
        ("/api/v1/workloads/%F0%9F%92%A9/multiply", "{}", 404, "unknown_operation"),
        ("/api/v1/auth/token", "", 400, "invalid_request"),
        ("/api/v1/auth/token", "[]", 400, "invalid_request"),
        ("/api/v1/auth/token", r#"{"api_key": 5}"#, 400, "invalid_request"),
        ("/api/v1/auth/token", r#"{"api_key": null}"#, 400, "invalid_request"),
        ("/api/v1/auth/token", r#"{"api_key": "x", "ttl": 1e9}"#, 400, "invalid_request"),
        ("/api/v1/auth/token", r#"{"api_key": "\ud800"}"#, 400, "invalid_request"),
        ("/api/v1/auth/token", r#"{"api_key": "' OR 1=1 --"}"#, 401, "unauthenticated"),
        ("/api/v1/auth/token", r#"{"api_key": ""}"#, 401, "unauthenticated"),
        ("/api/v1/auth/token", &deep, 400, "invalid_request"),
        ("/api/v1/cache/invalidate", &deep, 400, "invalid_request"),
        ("/api/v1/cache/invalidate", r#"{"table": "t", "version": -1}"#, 400, "invalid_request"),
        ("/api/v1/cache/invalidate", r#"{"table": ""}"#, 400, "invalid_request"),
        ("/api/v1/tenants", &deep, 400, "invalid_request"),
        ("/api/v1/tenants", r#"{"id": "a'; DROP TABLE tenants; --"}"#, 400, "invalid_request"),
        ("/api/v1/tenants", r#"{"id": "x", "quota": {"max_host_memory_bytes": -1}}"#, 400, "invalid_request"),
        (
            "/api/v1/tenants",
            r#"{"id": "x", "quota": {"max_host_memory_bytes": 1e30}}"#,
            400,
            "invalid_request",
        ),
        ("/api/v1/tenants/dev/keys", r#"{"name": "x", "scopes": "gpu:admin"}"#, 400, "invalid_request"),
        ("/api/v1/tenants/dev/keys", r#"{"name": "x", "scopes": ["\u0000"]}"#, 400, "invalid_request"),
    ] {
        let reply = siege.post(path, body.as_bytes());
        assert_eq!(reply.status, status, "{path} {}: {}", &body[..body.len().min(60)], reply.text());
        reply.fails(status, code);
    }
    let long = format!(r#"{{"api_key": "{}"}}"#, "k".repeat(1 << 20));
    siege.post("/api/v1/auth/token", long.as_bytes()).fails(401, "unauthenticated");
    for (query, status) in [
        ("tenants?limit=-1", 400),
        ("tenants?limit=99999999999999999999", 400),
        ("audit?status=70000", 400),
        ("audit?from_us=x", 400),
        ("cache?table=", 405),
    ] {
        assert_eq!(siege.service.ask("GET", &format!("/api/v1/{query}")).status, status, "{query}");
    }
    siege.withstood();
}
