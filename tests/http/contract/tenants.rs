//! Two tenants that do and name everything alike share nothing.

use super::MULTIPLY;
use crate::service::{Service, comes};
use crate::wire::Reply;
use serde_json::{Value as Json, json};
use std::time::Duration;

const SCOPES: &[&str] = &["gpu:matrix", "gpu:vector", "gpu:datasets"];

/// Names and values that nobody but their tenant is told of.
const SECRETS: &[&str] = &["very-private", "secret-order", "161803"];

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

    /// All that an answer says, but for the time it was made and how many requests are left.
    fn told(&self, method: &str, path: &str, body: &Json) -> (u16, Vec<(String, String)>, String) {
        let reply = self.ask(method, path, &[], body);
        let mut headers = reply.headers.clone();
        headers.retain(|(name, _)| !["date", "ratelimit", "connection"].contains(&name.as_str()));
        headers.sort_unstable();
        (reply.status, headers, reply.text())
    }
}

#[test]
fn equal_names_inputs_and_keys_of_two_tenants_never_meet() {
    let service = Service::start(&[("LOG__LEVEL", "debug")]);
    let tenant = |id: &str| Tenant { service: &service, key: service.tenant(id, json!({}), SCOPES).1 };
    let (a, b, c) = (tenant("very-private-a"), tenant("very-private-b"), tenant("very-private-c"));

    // Equal inputs: the other's result is no hit, one's own is.
    let product = json!({"inputs": {"a": [[1, 2], [3, 4]], "b": [[5, 6], [7, 8]]}, "cache": true});
    for (who, hits) in [(&a, [false, true]), (&b, [false, true])] {
        for hit in hits {
            assert_eq!(who.ask("POST", MULTIPLY, &[], &product).expect(200)["cache_hit"], hit);
        }
    }

    // Equal names of datasets: each its own rows, and a result over them is no other's.
    let path = "/api/v1/datasets/secret-plans";
    let named = json!({"inputs": {"a": {"dataset": "secret-plans", "column": "v"}, "b": [[1, 0], [0, 1]]},
                       "cache": true});
    let rows = |x: f64| json!({"columns": {"v": [[x, 0.0], [0.0, x]]}});
    // What a third tenant is told of the name, before anybody has it.
    let newest = format!("{path}?version=1");
    let asks = [
        ("GET", path, Json::Null),
        ("GET", newest.as_str(), Json::Null),
        ("PATCH", path, rows(3.0)),
        ("DELETE", path, Json::Null),
        ("DELETE", "/api/v1/cache?dataset=secret-plans", Json::Null),
        ("POST", MULTIPLY, named.clone()),
        ("GET", "/api/v1/datasets", Json::Null),
    ];
    let told = || asks.each_ref().map(|(method, path, body)| c.told(method, path, body));
    let before = told();
    assert!(before.iter().filter(|(status, ..)| *status == 404).count() >= 4, "{before:?}");
    for (who, x) in [(&a, 161_803.0), (&b, 2.0)] {
        who.ask("PUT", path, &[], &rows(x)).expect(201);
    }
    assert_eq!(told(), before, "a name is told apart once another tenant has it");
    for (who, x) in [(&a, 161_803.0), (&b, 2.0)] {
        let answer = who.ask("POST", MULTIPLY, &[], &named).expect(200);
        assert_eq!((&answer["cache_hit"], answer["result"][0][0].as_f64()), (&json!(false), Some(x)));
    }
    a.ask("PUT", "/api/v1/datasets/only-a-has", &[], &rows(161_803.0)).expect(201);
    a.ask("DELETE", "/api/v1/datasets/only-a-has", &[], &Json::Null).expect(200);
    a.ask("DELETE", path, &[], &Json::Null).expect(200);
    let (gone, never) = (a.get(path), a.get("/api/v1/datasets/other-plans"));
    gone.fails(404, "not_found");
    let shown = |reply: &Reply| reply.text().replace("secret-plans", "NAME").replace("other-plans", "NAME");
    assert_eq!(shown(&gone), shown(&never));
    assert_eq!(a.get("/api/v1/datasets").expect(200)["datasets"], json!([]));
    assert_eq!(b.get("/api/v1/datasets").expect(200)["datasets"][0]["name"], "secret-plans");

    // Equal idempotency keys: a task each, which the other does not see.
    let submit = |who: &Tenant| {
        let reply =
            who.ask("POST", &format!("{MULTIPLY}/async"), &[("idempotency-key", "secret-order")], &product);
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
    // One's own key is free for another body, whatever the other made of it.
    let other = json!({"inputs": {"a": [[2]], "b": [[3]]}});
    let one = |who: &Tenant, body: &Json| {
        who.ask("POST", &format!("{MULTIPLY}/async"), &[("idempotency-key", "secret-order-2")], body)
    };
    one(&a, &product).expect(202);
    one(&b, &other).expect(202);
    one(&b, &product).fails(422, "unprocessable");
    // Another tenant's task is answered to the byte as one that never was, however it is asked for.
    let absent = format!("task_{}", "f".repeat(32));
    for (method, rest) in [
        ("GET", ""),
        ("GET", "/result"),
        ("GET", "/stream"),
        ("GET", "/ws"),
        ("DELETE", ""),
        ("POST", "/retry"),
        ("POST", "/ticket"),
    ] {
        let told = |task: &str| b.told(method, &format!("/api/v1/tasks/{task}{rest}"), &Json::Null);
        let foreign = told(&ta);
        assert_eq!(foreign.0, 404, "{method} {rest}");
        assert_eq!(foreign, told(&absent), "{method} {rest}");
    }
    assert_eq!(a.get(&format!("/api/v1/tasks/{ta}")).expect(200)["status"], "completed");
    for (who, own, foreign) in [(&a, &ta, &tb), (&b, &tb, &ta)] {
        let listed = who.get("/api/v1/tasks").expect(200).to_string();
        assert!(listed.contains(own) && !listed.contains(foreign), "{listed}");
    }
    assert_eq!(c.get("/api/v1/tasks").expect(200)["tasks"], json!([]));
    c.get("/api/v1/audit").fails(403, "insufficient_scope");

    // Neither is named where others look.
    let metrics = service.ask("GET", "/metrics").text();
    for name in SECRETS.iter().copied().chain(["secret-plans", "only-a-has", "task_"]) {
        assert!(!metrics.contains(name), "{name} stands in {metrics}");
    }
    // The log has a line for each request here, and of a request no more than its path and what was wrong with it: no
    // tenant but in the administrator's paths, no task or dataset but in the paths of those who asked for it.
    let log = service.log();
    assert!(log.lines().filter(|line| line.contains("alike")).count() > 30, "{log}");
    for line in log.lines().filter(|line| !line.contains("/api/v1/tenants")) {
        let secrets = SECRETS.iter().copied().chain([a.key.as_str(), &b.key, &c.key]);
        secrets.for_each(|secret| assert!(!line.contains(secret), "{secret} stands in {line}"));
        for name in ["only-a-has", &ta, &tb] {
            assert_eq!(line.matches(name).count(), line.matches(&format!("/{name}")).count(), "{line}");
        }
    }
}
