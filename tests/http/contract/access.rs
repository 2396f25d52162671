//! Who may do what, how much of it, and how fast a credential dies.

use super::{MULTIPLY, product, product_with};
use crate::service::{Service, assert_within, comes, run_well};
use serde_json::json;
use std::time::Duration;

#[test]
fn both_credentials_work_and_nothing_else() {
    let service = Service::start(&[]);
    let token = format!("bearer {}", service.token(&service.key));
    let body = product().to_string();
    let post = |headers: &[(&str, &str)]| service.call("POST", MULTIPLY, headers, body.as_bytes());
    post(&[("x-api-key", &service.key)]).expect(200);
    post(&[("authorization", &token)]).expect(200);
    for headers in [
        &[][..],
        &[("x-api-key", "hgo_wrong")],
        &[("x-api-key", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer x.y.z")],
        &[("authorization", "Basic ZGV2OmRldg==")],
        &[("authorization", &token), ("x-api-key", &service.key)],
    ] {
        let reply = post(headers);
        let e = reply.fails(401, "unauthenticated");
        assert!(
            reply.header("www-authenticate").is_some_and(|h| h.starts_with("Bearer")),
            "{headers:?}: {e}"
        );
    }
    let wrong = json!({"api_key": "hgo_wrong"}).to_string();
    service.call("POST", "/api/v1/auth/token", &[], wrong.as_bytes()).fails(401, "unauthenticated");
    for open in [
        "/health/live",
        "/health/ready",
        "/openapi.json",
        "/docs",
        "/.well-known/jwks.json",
        "/metrics",
        "/api/v1/health/live",
        "/api/v1/openapi.json",
        "/api/v1/.well-known/jwks.json",
    ] {
        assert_eq!(service.call("GET", open, &[], b"").status, 200, "{open}");
    }
    for closed in ["/operations", "/devices", "/cost-model", "/tenants", "/audit"] {
        service.call("GET", &format!("/api/v1{closed}"), &[], b"").fails(401, "unauthenticated");
    }
}

#[test]
fn scopes_families_and_quotas_hold() {
    let service = Service::start(&[]);
    let (_, vectors) = service.tenant("vectors", json!({}), &["gpu:vector"]);
    let e = service.post_as(&vectors, MULTIPLY, &product()).fails(403, "insufficient_scope");
    assert_within(&e, &json!({"details": {"scope": "gpu:matrix"}}));
    assert!(e["message"].as_str().is_some_and(|m| m.contains("gpu:matrix")), "{e}");
    let token = format!("Bearer {}", service.token(&vectors));
    let by_token = service.call("POST", MULTIPLY, &[("authorization", &token)], b"{}");
    by_token.fails(403, "insufficient_scope");
    for (method, path) in [("GET", "/api/v1/tenants"), ("GET", "/api/v1/audit")] {
        let reply = service.call(method, path, &[("x-api-key", &vectors)], b"");
        assert_eq!(reply.fails(403, "insufficient_scope")["details"]["scope"], "gpu:admin");
    }

    let (_, graphs) = service.tenant("graphs", json!({"allowed_families": ["graph"]}), &["gpu:matrix"]);
    service.post_as(&graphs, MULTIPLY, &product()).fails(403, "workload_not_allowed");

    let (_, small) = service.tenant("small", json!({"max_host_memory_bytes": 32768}), &["gpu:matrix"]);
    service.post_as(&small, MULTIPLY, &product()).expect(200);
    let (column, row) = (vec![[1]; 100], [vec![1; 100]]);
    let e = service.post_as(&small, MULTIPLY, &json!({"a": column, "b": row})).fails(403, "quota_exceeded");
    assert_within(&e, &json!({"retryable": false, "details": {"limit_bytes": 32768}}));
    // 100 by 100 numbers of 8 bytes at the least.
    assert!(e["details"]["needed_bytes"].as_u64() >= Some(80_000), "{e}");
}

#[test]
fn a_minute_holds_so_many_requests() {
    let service = Service::start(&[]);
    let (_, key) = service.tenant("slow", json!({"max_requests_per_minute": 5}), &["gpu:matrix"]);
    let mut ok = 0;
    for left in (0..5).rev() {
        let reply = service.post_as(&key, MULTIPLY, &product());
        reply.expect(200);
        assert!(reply.header("ratelimit-policy").is_some_and(|p| p.contains("q=5") && p.contains("w=60")));
        let limit = reply.header("ratelimit").expect("RateLimit");
        assert!(limit.contains(&format!("r={left}")), "{limit}");
        ok += 1;
    }
    let refused = service.post_as(&key, MULTIPLY, &product());
    let e = refused.fails(429, "rate_limited");
    assert_eq!((ok, &e["retryable"]), (5, &json!(true)));
    let seconds: u64 = refused.header("retry-after").expect("Retry-After").parse().expect("seconds");
    // A token comes back every 12 s.
    assert!((1..=12).contains(&seconds), "{seconds}");
    assert!(e["retry_after_ms"].as_u64().is_some_and(|ms| ms <= 12_000), "{e}");
    assert!(refused.header("ratelimit").is_some_and(|l| l.contains("r=0")));
    service.post(MULTIPLY, &product()).expect(200);
}

#[test]
fn a_revoked_keys_tokens_die_with_it() {
    const REFRESH_MS: u64 = 200;
    let service = Service::start(&[("AUTH__REFRESH_MS", "200")]);
    let (by_http, http_key) = service.tenant("acme", json!({}), &["gpu:matrix"]);
    let other = service.post("/api/v1/tenants/acme/keys", &json!({"name": "n", "scopes": ["gpu:matrix"]}));
    let other = other.expect(201);
    let (by_cli, cli_key) = (other["key_id"].as_str().expect("id"), other["api_key"].as_str().expect("key"));
    let (http_token, cli_token) = (service.token(&http_key), service.token(cli_key));
    let status = |token: &str, key: &str| {
        let bearer = format!("Bearer {token}");
        let body = product_with(json!({"cache": true})).to_string();
        let by_token = service.call("POST", MULTIPLY, &[("authorization", &bearer)], body.as_bytes()).status;
        (by_token, service.post_as(key, MULTIPLY, &product()).status)
    };
    assert_eq!((status(&http_token, &http_key), status(&cli_token, cli_key)), ((200, 200), (200, 200)));

    let shown = service.ask("DELETE", &format!("/api/v1/tenants/acme/keys/{by_http}")).expect(200);
    assert!(shown["revoked_at"].is_u64(), "{shown}");
    assert_eq!(status(&http_token, &http_key), (401, 401), "revoked here, dead at once");
    assert_eq!(status(&cli_token, cli_key), (200, 200), "the tenant's other key lives on");

    // Another process revokes: dead within the refresh. A second more is for the machine, not for the service.
    run_well(&service.folder, &["keys", "revoke", by_cli], "");
    let limit = Duration::from_millis(REFRESH_MS + 1000);
    assert!(comes(limit, || status(&cli_token, cli_key) == (401, 401)));
    assert_eq!(status(&cli_token, cli_key), (401, 401), "and it stays dead");
}

#[test]
fn a_suspended_tenant_is_refused_until_it_is_not() {
    let service = Service::start(&[]);
    let (_, key) = service.tenant("acme", json!({}), &["gpu:matrix"]);
    let bearer = format!("Bearer {}", service.token(&key));
    let body = product().to_string();
    let both = || {
        let token = service.call("POST", MULTIPLY, &[("authorization", &bearer)], body.as_bytes());
        (service.post_as(&key, MULTIPLY, &product()).status, token.status)
    };
    assert_eq!(both(), (200, 200));
    for (suspended, wanted) in [(true, (401, 401)), (false, (200, 200))] {
        let mut tenant = service.ask("GET", "/api/v1/tenants/acme").expect(200);
        tenant["suspended"] = suspended.into();
        let body = tenant.to_string();
        let headers = [("x-api-key", service.key.as_str())];
        service.call("PUT", "/api/v1/tenants/acme", &headers, body.as_bytes()).expect(200);
        assert_eq!(both(), wanted);
    }
}
