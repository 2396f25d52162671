//! HTTP that is none, and senders that never come to an end.

use super::{GOOD, MAX_BODY_BYTES, MULTIPLY, Siege, TIMEOUT_MS};
use std::time::{Duration, Instant};

/// Stands for a connection that ends without an answer.
const CLOSED: u16 = 0;

#[test]
fn broken_http_is_answered_or_cut_off() {
    let siege = Siege::lay();
    let key = &siege.service.key;
    let post = |headers: &str, body: &str| {
        format!("POST {MULTIPLY} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n{headers}\r\n{body}").into_bytes()
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();
    let get_with =
        |headers: &str| format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{headers}\r\n").into_bytes();
    let many: String = (0..10_000).map(|i| format!("x-{i}: 1\r\n")).collect();
    let good = std::str::from_utf8(GOOD).expect("utf-8");
    let smuggled = "0\r\n\r\nGET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("10 GB announced", post("content-length: 10000000000\r\n", "{"), &[413]),
        ("2^64 bytes announced", post("content-length: 18446744073709551616\r\n", "{"), &[400]),
        ("2^64 - 1 bytes announced", post("content-length: 18446744073709551615\r\n", "{"), &[400, 413]),
        ("content-length -1", post("content-length: -1\r\n", "{}"), &[400]),
        ("content-length +2", post("content-length: +2\r\n", "{}"), &[400]),
        ("content-length 1e1", post("content-length: 1e1\r\n", "{}"), &[400]),
        ("content-length x", post("content-length: x\r\n", "{}"), &[400]),
        ("content-length twice", post("content-length: 2\r\ncontent-length: 3\r\n", "{}"), &[400]),
        ("content-length as a list", post("content-length: 2, 2\r\n", "{}"), &[400]),
        (
            "both lengths",
            post(&format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", smuggled.len()), smuggled),
            &[400],
        ),
        (
            "both lengths, the other way",
            post("transfer-encoding: chunked\r\ncontent-length: 5\r\n", smuggled),
            &[400],
        ),
        ("an unknown transfer-encoding", post("transfer-encoding: magic\r\n", "0\r\n\r\n"), &[400, 501]),
        ("chunked and then not", post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"), &[400, 501]),
        (
            "chunked twice",
            post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
            &[400],
        ),
        ("xchunked", post("transfer-encoding: xchunked\r\n", "0\r\n\r\n"), &[400, 501]),
        ("a chunk of 2^68", post("transfer-encoding: chunked\r\n", "100000000000000000\r\n{"), &[400]),
        (
            "a chunk of 2^64 - 1",
            post("transfer-encoding: chunked\r\n", "ffffffffffffffff\r\n{"),
            &[400, 408, 413],
        ),
        ("a negative chunk", post("transfer-encoding: chunked\r\n", "-1\r\n{}\r\n0\r\n\r\n"), &[400]),
        (
            "a chunk size that is none",
            post("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "a chunk longer than it says",
            post("transfer-encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n"),
            &[400],
        ),
        ("a header of 64 KB", get_with(&format!("x-junk: {}\r\n", "j".repeat(65_536))), &[200, 431]),
        ("a header of 1 MB", get_with(&format!("x-junk: {}\r\n", "j".repeat(1 << 20))), &[431]),
        ("10000 headers", get_with(&many), &[431]),
        ("a space before the colon", get_with("x-a : 1\r\n"), &[400]),
        ("a header without a colon", get_with("nonsense\r\n"), &[400]),
        ("a folded header", get_with("x-a: 1\r\n 2\r\n"), &[400]),
        ("a zero byte in a header", get_with("x-a: \0\r\n"), &[400]),
        ("a line break in a header", get_with("x-a: 1\rx-b: 2\r\n"), &[400]),
        ("a method of symbols", b"<GET> / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[400]),
        ("an unknown method", b"BREW /health/live HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[405]),
        ("a method in lowercase", b"get /health/live HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[400, 405]),
        (
            "a method of 10 KB",
            format!("{} / HTTP/1.1\r\nhost: x\r\n\r\n", "G".repeat(10_000)).into_bytes(),
            &[400, 404, 405],
        ),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec(), &[400]),
        ("HTTP/3", b"GET / HTTP/3.0\r\nhost: x\r\n\r\n".to_vec(), &[400, 505]),
        ("no HTTP", b"hello\r\n\r\n".to_vec(), &[400]),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), &[400]),
        (
            "HTTP/2 that is none",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense nonsense".to_vec(),
            &[400],
        ),
        ("a way out", get("/docs/../../etc/passwd"), &[404]),
        ("a way out, escaped", get("/docs/%2e%2e/%2e%2e/etc/passwd"), &[404]),
        ("a way out, escaped twice", get("/docs/%252e%252e/etc/passwd"), &[404]),
        ("a way out by slashes", get("/docs/..%2f..%2fetc%2fpasswd"), &[404]),
        ("a way out backwards", get("/docs/..\\..\\etc\\passwd"), &[400, 404]),
        ("a doubled slash", get("//health/live"), &[404]),
        ("an escaped zero byte", get("/docs%00.html"), &[404]),
        ("a zero byte", get("/docs\0"), &[400]),
        ("a broken escape", get("/%zz"), &[400, 404]),
        ("an escape that is no UTF-8", get("/api/v1/tenants/%ff%fe"), &[400, 401, 404]),
        ("a path of 60 KB", get(&format!("/{}", "p".repeat(60_000))), &[404, 414, 431]),
        ("a path of 1 MB", get(&format!("/{}", "p".repeat(1 << 20))), &[414, 431]),
        ("no path", b"GET  HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[400]),
        ("a star", b"GET * HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[400, 404]),
        ("somebody else's host", get("http://169.254.169.254/latest/meta-data"), &[400, 404]),
        ("a tunnel", b"CONNECT example.org:443 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[400, 404, 405]),
        ("a body that never comes", post("content-length: 1000\r\n", good), &[408]),
    ];
    for (name, bytes, statuses) in &cases {
        let mut connection = siege.service.connect();
        // The answer may come, and the connection end, before everything is sent.
        let _ = connection.send(bytes);
        let reply = connection.receive();
        let status = reply.as_ref().map_or(CLOSED, |r| r.status);
        assert!(statuses.contains(&status), "{name}: {status}, wanted {statuses:?}: {reply:?}");
        if let Some(reply) = reply.filter(|r| r.status >= 400) {
            assert!(!reply.text().contains("root:") && reply.body.len() < 2048, "{name}: {}", reply.text());
        }
        if name.starts_with("both lengths") {
            assert!(connection.receive().is_none(), "{name}: the smuggled request was answered");
        }
    }
    siege.withstood();
}

#[test]
fn senders_without_end_are_cut_off() {
    let siege = Siege::lay();
    let limit = Duration::from_millis(TIMEOUT_MS) + Duration::from_secs(20);
    let byte_by_byte = |text: Vec<u8>| text.into_iter().cycle().map(|b| vec![b]);
    let pause = Duration::from_millis(100);

    // Headers at ten bytes a second.
    let start = Instant::now();
    let mut slow = siege.service.connect();
    let pieces = std::iter::once(b"GET /health/live HTTP/1.1\r\n".to_vec());
    assert!(!slow.send_until_answered(pieces.chain(byte_by_byte(b"x-a: 1\r\n".to_vec())).take(1000), pause));
    assert!(slow.receive().is_none_or(|r| r.status == 408));
    assert!(start.elapsed() < limit, "{:?}", start.elapsed());

    // A body at ten bytes a second.
    let head = siege.bytes(&[], &vec![b' '; 100_000]);
    let head = head[..head.len() - 100_000].to_vec();
    let start = Instant::now();
    let mut slow = siege.service.connect();
    let pieces = std::iter::once(head).chain(byte_by_byte(vec![b' ']));
    assert!(!slow.send_until_answered(pieces.take(1000), pause));
    let e = slow.receive().expect("an answer").fails(408, "timeout");
    assert_eq!(e["details"]["raised_by"], "server.body_timeout_ms", "{e}");
    assert!(start.elapsed() < limit, "{:?}", start.elapsed());
    assert!(slow.closes(limit), "the rest of the body has no reader");

    // Chunks for ever, and one chunk for ever.
    let key = &siege.service.key;
    let head = format!(
        "POST {MULTIPLY} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 65_536], b"\r\n".to_vec()].concat();
    let most = 16 * MAX_BODY_BYTES / 65_536;
    for (first, piece) in [
        (head.clone(), chunk),
        (head.clone() + "ffffffffffff\r\n", vec![b' '; 65_536]),
        (head.clone(), b"1\r\n \r\n".repeat(10_000)),
    ] {
        let mut endless = siege.service.connect();
        let pieces = std::iter::once(first.into_bytes()).chain(std::iter::repeat_n(piece, most));
        assert!(!endless.send_until_answered(pieces, Duration::ZERO), "16 times the limit was taken");
        let e = endless.receive().expect("an answer").fails(413, "payload_too_large");
        assert_eq!(e["details"]["raised_by"], "server.max_body_bytes", "{e}");
    }

    // Many at once that do nothing do not keep others out.
    let idle: Vec<_> = (0..500).map(|_| siege.service.connect()).collect();
    siege.post(MULTIPLY, GOOD).expect(200);
    drop(idle);
    // A sender that goes away in the middle of its body.
    for _ in 0..50 {
        let mut gone = siege.service.connect();
        let _ = gone.send(&siege.bytes(&[], GOOD)[..200]);
    }
    siege.withstood();
}

/// The HTTP library gives up on a name of more than 65535 bytes; that must cost its sender the connection, and
/// nobody else anything.
#[test]
fn a_header_name_without_end_costs_only_its_sender() {
    let mut siege = Siege::lay();
    let bytes = format!("GET /health/live HTTP/1.1\r\nhost: x\r\n{}: 1\r\n\r\n", "x".repeat(100_000));
    for _ in 0..20 {
        let mut bystander = siege.service.connect();
        let mut connection = siege.service.connect();
        let _ = connection.send(bytes.as_bytes());
        assert!(connection.receive().is_none_or(|r| [400, 431].contains(&r.status)));
        bystander.request("GET", "/health/live", &[], b"").expect(200);
    }
    siege.post(MULTIPLY, GOOD).expect(200);
    assert!(siege.service.is_running());
    siege.service.terminate();
    assert_eq!(siege.service.wait().code(), Some(0));
}
