//! Forged, stolen and dead credentials.

use super::{GOOD, MULTIPLY, Siege};
use crate::jose::{decode, encode, hmac_sha256};
use crate::wire::{Reply, request};
use serde_json::{Value as Json, json};

/// The public key as the PEM text that a verifier would hold.
fn pem(n: &[u8]) -> String {
    const BEFORE: [u8; 33] = [
        0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
        0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00,
    ];
    let der = [&BEFORE[..], n, &[2, 3, 1, 0, 1]].concat();
    let text = encode(&der).replace('-', "+").replace('_', "/");
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).expect("ascii")).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

fn token(header: &Json, claims: &Json, sign: impl Fn(&str) -> Vec<u8>) -> String {
    let signed =
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = encode(&sign(&signed));
    format!("{signed}.{signature}")
}

#[test]
fn no_forged_token_or_dead_key_is_taken() {
    let mut siege = Siege::lay();
    let real = siege.token.clone();
    let parts: Vec<&str> = real.split('.').collect();
    let header: Json = serde_json::from_slice(&decode(parts[0])).expect("a header");
    let claims: Json = serde_json::from_slice(&decode(parts[1])).expect("claims");
    let signature = decode(parts[2]);
    let jwks = siege.service.call("GET", "/.well-known/jwks.json", &[], b"").expect(200);
    let n_text = jwks["keys"][0]["n"].as_str().expect("n").to_string();
    let n = decode(&n_text);

    let changed = |of: &Json, name: &str, value: Json| {
        let mut out = of.clone();
        out[name] = value;
        out
    };
    let alg = |name: &str| changed(&header, "alg", json!(name));
    let keep = |_: &str| signature.clone();
    let nothing = |_: &str| Vec::new();
    let later = claims["exp"].as_u64().expect("exp") + 1_000_000;
    let mut no_kid = header.clone();
    no_kid.as_object_mut().expect("an object").remove("kid");
    let embedded = changed(&header, "jwk", jwks["keys"][0].clone());
    let remote = changed(&header, "jku", json!("http://127.0.0.1:1/jwks.json"));
    let critical = changed(&header, "crit", json!(["exp"]));

    let mut forged: Vec<(String, String)> = vec![
        ("none".into(), token(&alg("none"), &claims, nothing)),
        ("none, signed".into(), token(&alg("none"), &claims, keep)),
        ("None".into(), token(&alg("None"), &claims, nothing)),
        ("no kid".into(), token(&no_kid, &claims, keep)),
        (
            "a kid that is not there".into(),
            token(&changed(&header, "kid", json!("0000000000000000")), &claims, keep),
        ),
        (
            "a kid that is a path".into(),
            token(&changed(&header, "kid", json!("../../../dev/null")), &claims, keep),
        ),
        (
            "a kid that is a query".into(),
            token(&changed(&header, "kid", json!("' OR '1'='1")), &claims, keep),
        ),
        ("a key of its own".into(), token(&embedded, &changed(&claims, "tenant_id", json!("x")), keep)),
        ("a key from elsewhere".into(), token(&remote, &claims, keep)),
        ("critical headers".into(), token(&critical, &claims, keep)),
        ("later".into(), token(&header, &changed(&claims, "exp", json!(later)), keep)),
        ("another tenant".into(), token(&header, &changed(&claims, "tenant_id", json!("acme")), keep)),
        ("more scopes".into(), token(&header, &changed(&claims, "scopes", json!(["gpu:admin", "x"])), keep)),
        ("RS384".into(), token(&alg("RS384"), &claims, keep)),
        ("PS256".into(), token(&alg("PS256"), &claims, keep)),
        ("ES256".into(), token(&alg("ES256"), &claims, keep)),
        ("no signature".into(), token(&header, &claims, nothing)),
        ("zeros".into(), token(&header, &claims, |_| vec![0; 256])),
        ("ones".into(), token(&header, &claims, |_| [vec![0; 255], vec![1]].concat())),
        ("cut".into(), format!("{}.{}.{}", parts[0], parts[1], encode(&signature[..128]))),
        ("lengthened".into(), format!("{real}AAAA")),
        ("two parts".into(), format!("{}.{}", parts[0], parts[1])),
        ("four parts".into(), format!("{real}.{}", parts[2])),
        ("dots".into(), "..".into()),
        ("padding".into(), format!("{real}==")),
        ("spaces inside".into(), format!("{} .{}.{}", parts[0], parts[1], parts[2])),
        ("the key".into(), siege.service.key.clone()),
        ("100 KB".into(), "a".repeat(100_000)),
        (
            "a header as deep as it gets".into(),
            format!("{}.{}.{}", encode("[".repeat(5000).as_bytes()), parts[1], parts[2]),
        ),
        (
            "claims as deep as they get".into(),
            format!("{}.{}.{}", parts[0], encode("[".repeat(5000).as_bytes()), parts[2]),
        ),
        ("no token".into(), String::new()),
    ];
    let pem_text = pem(&n);
    let der = [pem_text.as_bytes(), pem_text.trim().as_bytes()];
    let secrets: [(&str, &[u8]); 6] = [
        ("the modulus", &n),
        ("the modulus's text", n_text.as_bytes()),
        ("the PEM", der[0]),
        ("the PEM without its last line break", der[1]),
        ("the kid", header["kid"].as_str().expect("kid").as_bytes()),
        ("nothing", b""),
    ];
    for (name, secret) in secrets {
        let signed = token(&alg("HS256"), &claims, |text| hmac_sha256(secret, text.as_bytes()).to_vec());
        forged.push((format!("HS256 with {name}"), signed));
        let hidden = token(&header, &claims, |text| hmac_sha256(secret, text.as_bytes()).to_vec());
        forged.push((format!("RS256 said, HS256 done, with {name}"), hidden));
    }
    let post = |headers: &[(&str, &str)]| siege.service.call("POST", MULTIPLY, headers, GOOD);
    let refused = |name: &str, reply: Reply| {
        assert_eq!(reply.status, 401, "{name}: {}", reply.text());
        let e = reply.fails(401, "unauthenticated");
        assert!(!e.to_string().contains(&real) && reply.body.len() < 1024, "{name}: {e}");
    };
    for (name, text) in &forged {
        refused(name, post(&[("authorization", &format!("Bearer {text}"))]));
    }
    // The genuine one, last: none of the forgeries has spoiled it, and it has been in the cache all along.
    post(&[("authorization", &format!("Bearer {real}"))]).expect(200);

    let key = siege.service.key.clone();
    let (short, long) = (key[..key.len() - 1].to_string(), format!("{key}A"));
    let huge = "k".repeat(100_000);
    let upper = key.to_uppercase();
    for text in [&*short, &long, &upper, &huge, "' OR 1=1 --", "hgo_", "*", "null"] {
        refused(&text[..text.len().min(20)], post(&[("x-api-key", text)]));
    }
    let bearer = format!("Bearer {real}");
    refused("both", post(&[("authorization", &bearer), ("x-api-key", &key)]));
    refused("two keys", post(&[("x-api-key", &key), ("x-api-key", "hgo_other")]));
    refused("two tokens", post(&[("authorization", &bearer), ("authorization", "Bearer x.y.z")]));
    refused("basic", post(&[("authorization", &bearer.replace("Bearer", "Basic"))]));
    refused("digest", post(&[("authorization", "Digest username=dev")]));
    refused("a cookie", post(&[("cookie", &format!("token={real}; api_key={key}"))]));
    refused(
        "a query",
        siege.service.call("POST", &format!("{MULTIPLY}?api_key=x&access_token={real}"), &[], GOOD),
    );
    for name in ["x-api-key", "authorization"] {
        let head = format!("POST {MULTIPLY} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n{name}: Bearer ");
        let bytes = [head.as_bytes(), "schlüssel\u{1f511}".as_bytes(), b"\r\n\r\n{}"].concat();
        let mut connection = siege.service.connect();
        connection.send(&bytes).expect("sent");
        refused("non-ascii", connection.receive().expect("an answer"));
    }

    // Dead keys, and the tokens made from them while they lived.
    let (id, text) = siege.service.tenant("acme", json!({}), &["gpu:matrix"]);
    let before = format!("Bearer {}", siege.service.token(&text));
    siege.service.post_as(&text, MULTIPLY, &json!({"a": [[1]], "b": [[1]]})).expect(200);
    siege.service.ask("DELETE", &format!("/api/v1/tenants/acme/keys/{id}")).expect(200);
    refused("revoked", post(&[("x-api-key", &text)]));
    refused("the revoked key's token", post(&[("authorization", &before)]));
    let expired = json!({"name": "x", "scopes": ["gpu:matrix"], "expires_at": 1_000_000_000});
    let expired = siege.service.post("/api/v1/tenants/acme/keys", &expired).expect(201);
    let expired = expired["api_key"].as_str().expect("a key").to_string();
    refused("expired", post(&[("x-api-key", &expired)]));
    let asked = json!({"api_key": expired}).to_string();
    refused(
        "a token for the expired",
        siege.service.call("POST", "/api/v1/auth/token", &[], asked.as_bytes()),
    );
    // Nobody without credentials makes the service wait for a body.
    let mut connection = siege.service.connect();
    let head = request("POST", MULTIPLY, &[], &vec![b' '; 1 << 20]);
    connection.send(&head[..200]).expect("sent");
    refused("before the body", connection.receive().expect("an answer"));

    siege.secrets.extend([text, before.replace("Bearer ", ""), expired]);
    siege.withstood();
}
