//! Callbacks: signed, tried again, given up, and never sent inside.

use super::{MULTIPLY_ASYNC, product};
use crate::service::{Service, comes};
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Head and body of a request.
type Told = (String, Vec<u8>);

/// A receiver that answers with these statuses in turn, then with the last.
pub struct Receiver {
    address: SocketAddr,
    pub got: Arc<Mutex<Vec<Told>>>,
}

impl Receiver {
    pub fn start(statuses: &'static [&'static str]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let got = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&got);
        std::thread::spawn(move || {
            let mut answered = 0;
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.set_read_timeout(Some(LIMIT));
                // A sender that died on the way has told nothing.
                let Some(told) = read(&mut stream) else { continue };
                sink.lock().expect("got").push(told);
                let status = statuses.get(answered).or(statuses.last()).copied().unwrap_or("204 No Content");
                answered += 1;
                let _ = stream.write_all(
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes(),
                );
            }
        });
        Receiver { address, got }
    }

    pub fn url(&self) -> String {
        format!("http://{}/gpu/callback?token=very-secret", self.address)
    }

    fn count(&self) -> usize {
        self.got.lock().expect("got").len()
    }
}

/// Head and body of a request, when all of it comes.
fn read(stream: &mut TcpStream) -> Option<Told> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let Ok(n @ 1..) = stream.read(&mut chunk) else { return None };
        bytes.extend_from_slice(&chunk[..n]);
        let Some(split) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
        let length: usize = header(&head, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        if bytes.len() >= split + 4 + length {
            return Some((head, bytes[split + 4..].to_vec()));
        }
    }
}

pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|l| {
        let (n, v) = l.split_once(':')?;
        n.eq_ignore_ascii_case(name).then(|| v.trim())
    })
}

const QUICK: &[(&str, &str)] = &[
    ("CALLBACKS__ALLOW_HTTP", "true"),
    ("CALLBACKS__FIRST_RETRY_MS", "20"),
    ("CALLBACKS__MAX_ATTEMPTS", "3"),
];

/// A tenant that may call back to this machine, and its key.
fn tenant(service: &Service) -> String {
    service.tenant("hooks", json!({"callback_hosts": ["127.0.0.1"]}), &["gpu:matrix"]).1
}

fn with_callback(url: &str) -> Json {
    let mut body = product();
    body["callback_url"] = url.into();
    body
}

fn submit_as(service: &Service, key: &str, body: &Json) -> String {
    let promise = service.post_as(key, MULTIPLY_ASYNC, body).expect(202);
    promise["task_id"].as_str().expect("a task").to_string()
}

#[test]
fn the_end_is_told_signed_and_once() {
    let service = Service::start(QUICK);
    let key = tenant(&service);
    let secret = service.ask("POST", "/api/v1/tenants/hooks/webhook-secret").expect(201);
    let secret = secret["secret"].as_str().expect("a secret").to_string();
    assert!(secret.starts_with("whsec_"), "{secret}");
    let receiver = Receiver::start(&["200 OK"]);
    let task = submit_as(&service, &key, &with_callback(&receiver.url()));
    assert!(comes(LIMIT, || receiver.count() == 1));
    let (head, body) = receiver.got.lock().expect("got")[0].clone();
    assert!(head.starts_with("POST /gpu/callback?token=very-secret HTTP/1.1"), "{head}");
    let document: Json = serde_json::from_slice(&body).expect("json");
    assert_eq!((&document["task_id"], &document["status"]), (&json!(task), &json!("completed")));
    assert_eq!(document["result"], json!([[19, 22], [43, 50]]));
    let id = header(&head, "webhook-id").expect("an id");
    let timestamp = header(&head, "webhook-timestamp").expect("a time");
    let wanted = crate::jose::webhook_signature(&secret, id, timestamp, &body);
    assert_eq!(header(&head, "webhook-signature"), Some(wanted.as_str()));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(receiver.count(), 1);
    // What addresses and secrets hold is on no disk and in no log.
    assert!(!service.log().contains("very-secret"));
    for file in std::fs::read_dir(service.folder.path().join("data")).expect("the data") {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        assert!(!bytes.windows(11).any(|w| w == b"very-secret"));
        assert!(!bytes.windows(20).any(|w| w == &secret.as_bytes()[6..26]));
    }
}

#[test]
fn a_receiver_that_fails_is_tried_again_under_the_same_id() {
    let service = Service::start(QUICK);
    let key = tenant(&service);
    let receiver = Receiver::start(&["500 Internal Server Error", "302 Found", "204 No Content"]);
    submit_as(&service, &key, &with_callback(&receiver.url()));
    assert!(comes(LIMIT, || receiver.count() == 3));
    let got = receiver.got.lock().expect("got").clone();
    let ids: Vec<_> = got.iter().map(|(head, _)| header(head, "webhook-id").map(str::to_string)).collect();
    assert!(ids.iter().all(|id| id.is_some() && *id == ids[0]), "{ids:?}");
    assert!(got.iter().all(|(_, body)| *body == got[0].1), "the same is told each time");
    let letters = service.ask("GET", "/api/v1/dead-letters").expect(200);
    assert_eq!(letters["callbacks"], json!([]));
}

#[test]
fn a_receiver_that_never_answers_well_is_a_dead_letter() {
    let service = Service::start(QUICK);
    let key = tenant(&service);
    let receiver = Receiver::start(&["503 Service Unavailable"]);
    let task = submit_as(&service, &key, &with_callback(&receiver.url()));
    let mut letters = Json::Null;
    assert!(comes(LIMIT, || {
        letters = service.ask("GET", "/api/v1/dead-letters").expect(200);
        letters["callbacks"].as_array().is_some_and(|l| !l.is_empty())
    }));
    let letter = &letters["callbacks"][0];
    assert_eq!((&letter["task_id"], &letter["attempts"]), (&json!(task), &json!(3)));
    assert_eq!(letter["error"], "the receiver answered 503");
    assert_eq!(receiver.count(), 3);
    let (_, other) = service.tenant("other", json!({}), &["gpu:matrix"]);
    let theirs =
        service.call("GET", "/api/v1/dead-letters", &[("x-api-key", other.as_str())], b"").expect(200);
    assert_eq!(theirs["callbacks"], json!([]));
    let gone = Receiver::start(&["410 Gone"]);
    submit_as(&service, &key, &with_callback(&gone.url()));
    assert!(comes(LIMIT, || {
        let letters = service.ask("GET", "/api/v1/dead-letters").expect(200);
        letters["callbacks"].as_array().is_some_and(|l| l.len() == 2)
    }));
    assert_eq!(gone.count(), 1);
}

#[test]
fn nothing_is_sent_inside() {
    let service = Service::start(QUICK);
    let receiver = Receiver::start(&["200 OK"]);
    let port = receiver.address.port();
    // The tenant dev has no list, so inside hosts are not for it.
    let refused = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.0.0.1:{port}/"),
        format!("http://0177.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://LOCALHOST.:{port}/"),
        format!("http://a.localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://[::ffff:7f00:1]:{port}/"),
        format!("http://[64:ff9b::7f00:1]:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://[fd00:ec2::254]/".into(),
        "http://100.100.100.200/".into(),
        "http://10.0.0.1/".into(),
        "http://192.168.0.1/".into(),
        "http://[fe80::1]/".into(),
        "http://user:pass@example.com/".into(),
        "file:///etc/passwd".into(),
        "gopher://example.com/".into(),
        "//example.com/".into(),
        "http://example.com@127.0.0.1/".into(),
        format!("http://①②⑦.0.0.1:{port}/"),
    ];
    for url in &refused {
        let reply = service.post(MULTIPLY_ASYNC, &with_callback(url));
        assert_eq!((url, reply.status), (url, 400));
        assert_eq!(reply.fails(400, "invalid_request")["details"]["pointer"], "/callback_url");
    }
    // Metadata addresses are refused even when they are on the list.
    let quota = json!({"callback_hosts": ["169.254.169.254", "127.0.0.1"]});
    let (_, key) = service.tenant("listed", quota, &["gpu:matrix"]);
    let body = with_callback("http://169.254.169.254/latest/");
    service.post_as(&key, MULTIPLY_ASYNC, &body).fails(400, "invalid_request");
    let body = with_callback("http://example.com/");
    service.post_as(&key, MULTIPLY_ASYNC, &body).fails(400, "invalid_request");
    assert_eq!(receiver.count(), 0);
}
