//! The service as a whole, over a socket: whatever is asked, it answers, and never with a failure of its own. And the
//! addresses that its tenants have it call.

use super::operations::registry;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use offload_server::callbacks::{Rules, Target};
use offload_server::config::Layers;
use offload_server::embedded::Embedded;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

/// The most that a body may become.
const DECODED_BYTES: &str = "65536";

fn service() -> &'static Embedded {
    static SERVICE: LazyLock<Embedded> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("hgo-fuzz-service-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut layers = Layers::default();
        let folder = folder.to_string_lossy();
        for (key, value) in [
            ("store.data_dir", folder.as_ref()),
            ("log.level", "error"),
            ("server.max_body_bytes", DECODED_BYTES),
            ("server.max_decoded_bytes", DECODED_BYTES),
        ] {
            layers.text(key, value, "the fuzzing").expect("a setting");
        }
        Embedded::start(layers.build().expect("settings"), registry()).expect("a service")
    });
    &SERVICE
}

/// What stands before the body: method, path with its query, and headers, a line each.
fn head(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let end = bytes.windows(2).position(|w| w == b"\n\n")?;
    let (lines, body) = (&bytes[..end], &bytes[end + 2..]);
    let mut lines = lines.split(|b| *b == b'\n');
    let (first, mut head) = (lines.next()?, Vec::new());
    let mut words = first.split(|b| *b == b' ');
    let (method, path) = (words.next()?, words.next()?);
    let known = [&b"GET"[..], b"POST", b"PUT", b"PATCH", b"DELETE"];
    if !known.contains(&method) || path.first() != Some(&b'/') {
        return None;
    }
    // Tenants and their keys stay as they are, or the key of these requests would go; shutting out is no failure.
    if path.windows(7).any(|w| w == b"tenants") {
        return None;
    }
    head.extend_from_slice(method);
    head.push(b' ');
    for b in path {
        if b.is_ascii_graphic() { head.push(*b) } else { write!(head, "%{b:02x}").ok()? }
    }
    head.extend_from_slice(b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    for line in lines {
        // What is no header is answered before any of this is reached, and a length of one's own only waits.
        let name = line.split(|b| *b == b':').next()?.to_ascii_lowercase();
        let is_header = line.contains(&b':')
            && !name.is_empty()
            && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && line.iter().all(|b| (0x20..0x7f).contains(b))
            && ![&b"content-length"[..], b"transfer-encoding", b"connection", b"host", b"expect", b"upgrade"]
                .contains(&&name[..]);
        if is_header {
            head.extend_from_slice(line);
            head.extend_from_slice(b"\r\n");
        }
    }
    write!(head, "x-api-key: {}\r\ncontent-length: {}\r\n\r\n", service().key(), body.len()).ok()?;
    Some((head, body))
}

pub(crate) fn request(bytes: &[u8]) -> bool {
    let Some((head, body)) = head(bytes) else { return false };
    let mut socket = TcpStream::connect(service().address()).expect("the service listens");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    // It may answer before it has read all, and close.
    let _ = socket.write_all(&[&head[..], body].concat());
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let status = answer.get(9..12).and_then(|s| std::str::from_utf8(s).ok()?.parse::<u16>().ok());
    let Some(status) = status else { panic!("no answer: {read:?}, {}", answer.escape_ascii()) };
    assert!(status != 500 && status != 408, "{}", answer.escape_ascii());
    // Whether it was done what was asked says nothing of the format.
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let json = br#"{"a":[[1,2],[3,4]],"b":[[1],[2]]}"#;
    let post = |headers: &str, body: &[u8]| {
        [b"POST /api/v1/workloads/matrix/multiply\n", headers.as_bytes(), b"\n", body].concat()
    };
    let gzip = |body: &[u8]| {
        let mut w = GzEncoder::new(Vec::new(), Compression::best());
        w.write_all(body).and_then(|()| w.finish()).expect("memory")
    };
    let zlib = |body: &[u8]| {
        let mut w = ZlibEncoder::new(Vec::new(), Compression::best());
        w.write_all(body).and_then(|()| w.finish()).expect("memory")
    };
    // A frame of one raw block: magic, a header that says 5 bytes, the block.
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x21, 0x09, 0x01, 0x00][..], json].concat();
    let spaces = [&json[..], &vec![b' '; 40_000]].concat();
    let mut seeds = vec![
        post("content-type: application/json\n", json),
        post("content-encoding: gzip\n", &gzip(json)),
        post("content-encoding: gzip\naccept-encoding: gzip\n", &gzip(&spaces)),
        post("content-encoding: deflate\n", &zlib(json)),
        post("content-encoding: zstd\n", &zstd),
    ];
    for text in [
        "POST /api/v1/workloads/batch\n\n{\"priority\":\"low\",\"workloads\":[{\"type\":\"matrix\",\"operation\":\"multiply\",\"inputs\":{\"a\":[[1]],\"b\":[[2]]}},{\"type\":\"matrix\",\"operation\":\"multiply\",\"inputs\":{\"a\":{\"$result\":{\"index\":0,\"output\":\"result\"}},\"b\":[[3]]}}]}",
        "POST /v2/models/matrix.multiply/infer\n\n{\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP64\",\"shape\":[1,1],\"data\":[1]},{\"name\":\"b\",\"datatype\":\"FP64\",\"shape\":[1,1],\"data\":[2]}]}",
        "POST /v2/models/matrix.multiply/infer\ninference-header-content-length: 122\n\n{\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP64\",\"shape\":[1,1],\"data\":[1]},{\"name\":\"b\",\"datatype\":\"FP64\",\"shape\":[1,1],\"data\":[2]}]}",
        "GET /api/v1/tasks?status=queued&type=matrix/multiply&cursor=5.x&limit=3\n\n",
        "GET /api/v1/tasks/abc/stream?ticket=AAAA\nlast-event-id: 1-20\n\n",
        "GET /api/v1/datasets?cursor=a&limit=1\n\n",
        "PUT /api/v1/datasets/d?key=id&version=1\nif-match: \"7\"\n\n{\"columns\":{\"id\":[1,2],\"t\":[\"a\",\"b\"]}}",
        "PUT /api/v1/datasets/d\n\n{\"columns\":{\"id\":[1,2],\"t\":[\"a\",\"b\"]},\"key\":\"id\"}",
        "PATCH /api/v1/datasets/d\n\n{\"columns\":{\"id\":[2,3],\"t\":[\"c\",\"d\"]},\"mode\":\"upsert\"}",
        "GET /api/v1/audit?cursor=5.1&limit=2&from=1&until=9&status=200\n\n",
        "POST /api/v1/cache/invalidate\n\n{\"table\":\"public.t\",\"version\":3}",
        "POST /api/v1/auth/token\n\n{\"api_key\":\"hgo_x\"}",
        "GET /api/v1/operations\nauthorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.AA\n\n",
        "GET /api/v1/dead-letters?limit=2\n\n",
    ] {
        seeds.push(text.as_bytes().to_vec());
    }
    seeds
}

pub(crate) fn callback_url(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let hosts = ["heliosdb".to_owned(), "*.corp.example".to_owned(), "10.0.0.7".to_owned()];
    let listed = Target::parse(text, Rules { hosts: Some(&hosts), allow_http: true });
    if let Ok(target) = &listed {
        let host = target.url().host_str().unwrap_or_default().trim_end_matches('.');
        assert!(
            ["heliosdb", "10.0.0.7"].contains(&host) || host.ends_with(".corp.example"),
            "{host} is not listed"
        );
    }
    let Ok(target) = Target::parse(text, Rules { hosts: None, allow_http: false }) else {
        return listed.is_ok();
    };
    let url = target.url();
    assert!(url.scheme() == "https" && url.username().is_empty() && url.password().is_none());
    let host = url.host_str().unwrap_or_default();
    // What the standard library knows of addresses, apart from what the rules say.
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            assert!(
                !(ip.is_loopback()
                    || ip.is_private()
                    || ip.is_link_local()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_broadcast()),
                "{ip}"
            );
        }
        Ok(IpAddr::V6(ip)) => {
            let inside =
                ip.to_ipv4().is_some_and(|ip| ip.is_loopback() || ip.is_private() || ip.is_link_local());
            assert!(
                !(inside
                    || ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local()),
                "{ip}"
            );
        }
        Err(_) => {
            assert!(host.contains('.') && !host.trim_end_matches('.').ends_with(".localhost"), "{host}")
        }
    }
    true
}

pub(crate) fn callback_seeds() -> Vec<Vec<u8>> {
    [
        "https://hooks.example.com:8443/a?b=c",
        "https://8.8.8.8/x",
        "https://[2606:4700::1111]/x",
        "http://heliosdb/ml/callback",
        "https://a.b.corp.example/x",
        "https://10.0.0.7/x",
    ]
    .map(|s| s.as_bytes().to_vec())
    .into()
}
