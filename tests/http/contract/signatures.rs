//! Tokens, checked with nothing of the service but its published keys.

use crate::jose::{decode, rs256_holds};
use crate::service::{Folder, Service, assert_within};
use serde_json::{Value as Json, json};
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn the_published_keys_verify_a_token() {
    let folder = Folder::new();
    let mut service = Service::over(folder, &[], &[]);
    let (key_id, key) = service.tenant("acme", json!({}), &["gpu:matrix", "gpu:vector"]);
    let token = service.token(&key);
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let part = |i: usize| -> Json { serde_json::from_slice(&decode(parts[i])).expect("json") };

    let header = part(0);
    assert_within(&header, &json!({"alg": "RS256", "typ": "JWT"}));
    let jwks = service.call("GET", "/.well-known/jwks.json", &[], b"").expect(200);
    let keys = jwks["keys"].as_array().expect("keys");
    let jwk = keys.iter().find(|k| k["kid"] == header["kid"]).expect("the token's key is published");
    assert_within(jwk, &json!({"kty": "RSA", "use": "sig", "alg": "RS256", "e": "AQAB"}));
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(jwk.get(private).is_none(), "{private} is private");
    }
    let n = decode(jwk["n"].as_str().expect("n"));
    assert!(n.len() >= 256, "at least 2048 bits");
    let signed = format!("{}.{}", parts[0], parts[1]);
    assert!(rs256_holds(&n, signed.as_bytes(), &decode(parts[2])));
    assert!(
        !rs256_holds(&n, format!("{signed}x").as_bytes(), &decode(parts[2])),
        "the check itself can fail"
    );

    let claims = part(1);
    assert_within(
        &claims,
        &json!({"tenant_id": "acme", "key_id": key_id, "scopes": ["gpu:matrix", "gpu:vector"],
                "iss": "heliosdb-gpu-offload", "aud": "heliosdb-gpu-offload"}),
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let time = |name: &str| claims[name].as_u64().expect("seconds");
    assert!(time("nbf") <= now && now.abs_diff(time("iat")) <= 60 && time("exp") == time("iat") + 3600);
    assert!(claims["user_id"].is_string());

    // The key pair is kept: a token outlives a restart.
    service.terminate();
    service.wait();
    let folder = std::mem::replace(&mut service.folder, Folder::new());
    let again = Service::over(folder, &[], &[]);
    let bearer = format!("Bearer {token}");
    again.call("GET", "/api/v1/operations", &[("authorization", &bearer)], b"").expect(200);
    assert_ne!(again.key, service.key);
    let old = again.call("GET", "/api/v1/operations", &[("x-api-key", &service.key)], b"");
    old.fails(401, "unauthenticated");
}
