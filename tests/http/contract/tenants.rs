//! Two tenants that do and name everything alike share nothing.

use super::MULTIPLY;
use crate::service::{Service, comes};
use crate::wire::Reply;
use serde_json::{Value as Json, json};
use std::time::Duration;

const SCOPES: &[&str] = &["gpu:matrix", "gpu:vector", "gpu:datasets"];

/// A tenant of the service, who always sends the same request id.
struct Tenant<'s> {
    service: &'s Service,
    key: String,
}

impl Tenant<'_> {
    fn ask(&self, method: &str, path: &str, more: &[(&str, &str)], body: &Json) -> Reply {
        let mut headers = vec![("x-api-key", self.key.as_str()), ("x-request-id", "alike")];
        headers.extend_from_slice(more);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.service.call(method, path, &headers, body.as_bytes())
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], &Json::Null)
    }
}

#[test]
fn equal_names_inputs_and_keys_of_two_tenants_never_meet() {
    let service = Service::start(&[]);
    let tenant = |id: &str| Tenant { service: &service, key: service.tenant(id, json!({}), SCOPES).1 };
    let (a, b) = (tenant("very-private-a"), tenant("very-private-b"));

    // Equal inputs: the other's result is no hit, one's own is.
    let product = json!({"inputs": {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}, "cache": true});
    for (who, hits) in [(&a, [false, true]), (&b, [false, true])] {
        for hit in hits {
            assert_eq!(who.ask("POST", MULTIPLY, &[], &product).expect(200)["cache_hit"], hit);
        }
    }

    // Equal names of datasets: each its own rows, and a result over them is no other's.
    let path = "/api/v1/datasets/secret-plans";
    for (who, x) in [(&a, 1.0), (&b, 2.0)] {
        who.ask("PUT", path, &[], &json!({"columns": {"v": [[x, 0.0], [0.0, x]]}})).expect(201);
    }
    let named = json!({"inputs": {"a": {"dataset": "secret-plans", "column": "v"}, "b": [[1, 0], [0, 1]]},
                       "cache": true});
    for (who, x) in [(&a, 1.0), (&b, 2.0)] {
        let answer = who.ask("POST", MULTIPLY, &[], &named).expect(200);
        assert_eq!((&answer["cache_hit"], answer["result"][0][0].as_f64()), (&json!(false), Some(x)));
    }
    a.ask("DELETE", path, &[], &Json::Null).expect(200);
    let (gone, never) = (a.get(path), a.get("/api/v1/datasets/other-plans"));
    gone.fails(404, "not_found");
    let shown = |reply: &Reply| reply.text().replace("secret-plans", "NAME").replace("other-plans", "NAME");
    assert_eq!(shown(&gone), shown(&never));
    assert_eq!(a.get("/api/v1/datasets").expect(200)["datasets"], json!([]));
    assert_eq!(b.get("/api/v1/datasets").expect(200)["datasets"][0]["name"], "secret-plans");

    // Equal idempotency keys: a task each, which the other does not see.
    let submit = |who: &Tenant| {
        let reply = who.ask("POST", &format!("{MULTIPLY}/async"), &[("idempotency-key", "one")], &product);
        reply.expect(202)["task_id"].as_str().expect("a task").to_string()
    };
    let (ta, tb) = (submit(&a), submit(&b));
    assert_ne!(ta, tb);
    assert_eq!(submit(&a), ta);
    let done = |who: &Tenant, task: &str| {
        comes(Duration::from_secs(30), || {
            who.get(&format!("/api/v1/tasks/{task}")).expect(200)["status"] == "completed"
        })
    };
    assert!(done(&a, &ta) && done(&b, &tb));
    let (foreign, absent) =
        (b.get(&format!("/api/v1/tasks/{ta}")), b.get(&format!("/api/v1/tasks/task_{}", "f".repeat(32))));
    foreign.fails(404, "not_found");
    assert_eq!(foreign.body, absent.body);
    let listed = b.get("/api/v1/tasks").expect(200).to_string();
    assert!(listed.contains(&tb) && !listed.contains(&ta), "{listed}");

    // Neither is named where others look.
    let metrics = service.ask("GET", "/metrics").text();
    for name in ["very-private", "secret-plans", "task_"] {
        assert!(!metrics.contains(name), "{name} stands in {metrics}");
    }
}
