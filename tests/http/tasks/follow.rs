//! Event streams and web sockets.

use super::{LIMIT, MULTIPLY_ASYNC, SVD_ASYNC, at, end, long, product, status, submit};
use crate::service::{Service, comes};
use crate::wire::Reply;
use serde_json::{Value as Json, json};

/// However large the result, it is in the last event.
const INLINE: &[(&str, &str)] = &[("TASKS__INLINE_RESULT_BYTES", "100000000")];

/// The events of a stream that has ended: id and data.
fn events(reply: &Reply) -> Vec<(String, Json)> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    reply
        .text()
        .split("\n\n")
        .filter(|block| !block.is_empty() && !block.starts_with(':'))
        .map(|block| {
            let line = |name: &str| {
                block
                    .lines()
                    .find_map(|l| l.strip_prefix(name))
                    .unwrap_or_else(|| panic!("{block}"))
                    .to_string()
            };
            (line("id: "), serde_json::from_str(&line("data: ")).expect("json"))
        })
        .collect()
}

fn stream(service: &Service, task: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("x-api-key", service.key.as_str())];
    all.extend_from_slice(headers);
    service.call("GET", &format!("{}/stream", at(task)), &all, b"")
}

#[test]
fn a_stream_tells_progress_and_ends_with_the_result() {
    let service = Service::start(INLINE);
    let task = submit(&service, SVD_ASYNC, &long(900));
    let told = events(&stream(&service, &task, &[]));
    let (last, steps) = told.split_last().expect("an event");
    assert_eq!(last.0, "end");
    assert_eq!((&last.1["status"], &last.1["task_id"]), (&json!("completed"), &json!(task)));
    assert_eq!(last.1["result"]["s"].as_array().map(Vec::len), Some(900));
    assert!(!steps.is_empty(), "a task of a second is seen running");
    let progress: Vec<f64> = steps.iter().map(|(_, d)| d["progress"].as_f64().expect("a number")).collect();
    assert!(progress.windows(2).all(|w| w[0] <= w[1]) && progress.iter().all(|p| (0.0..=1.0).contains(p)));
    assert!(steps.iter().any(|(_, d)| d["status"] == "running"), "{steps:?}");
    let mut ids: Vec<&String> = told.iter().map(|(id, _)| id).collect();
    ids.dedup();
    assert_eq!(ids.len(), told.len(), "every event has an id of its own");
}

#[test]
fn a_stream_goes_on_where_it_broke_off() {
    let service = Service::start(&[]);
    let task = submit(&service, MULTIPLY_ASYNC, &product());
    end(&service, &task);
    let whole = events(&stream(&service, &task, &[]));
    assert_eq!(whole.len(), 1, "{whole:?}");
    assert_eq!(whole[0].1["result"], json!([[19, 22], [43, 50]]));
    let resumed = events(&stream(&service, &task, &[("last-event-id", "1-500")]));
    assert_eq!(resumed, whole);
    assert_eq!(stream(&service, &task, &[("last-event-id", "end")]).status, 204);
    // What was told is not told again.
    let slow = submit(&service, SVD_ASYNC, &long(900));
    let told = events(&stream(&service, &slow, &[("last-event-id", "1-9999")]));
    assert!(told.iter().all(|(id, _)| id == "end" || id == "1-10001"), "{told:?}");
}

#[test]
fn a_ticket_follows_one_task_without_credentials() {
    let service = Service::start(&[]);
    let (task, other) =
        (submit(&service, MULTIPLY_ASYNC, &product()), submit(&service, MULTIPLY_ASYNC, &product()));
    end(&service, &task);
    let ticket = service.ask("POST", &format!("{}/ticket", at(&task))).expect(200);
    assert_eq!(ticket["expires_in"], 60);
    let ticket = ticket["ticket"].as_str().expect("a ticket");
    let with = |task: &str, ticket: &str| {
        service.call("GET", &format!("{}/stream?ticket={ticket}", at(task)), &[], b"")
    };
    assert_eq!(events(&with(&task, ticket)).len(), 1);
    with(&other, ticket).fails(401, "unauthenticated");
    with(&task, "AAAA").fails(401, "unauthenticated");
    service.call("GET", &at(&task), &[], b"").fails(401, "unauthenticated");
    assert!(!service.log().contains(ticket), "a ticket is not logged");
}

#[test]
fn a_cancelled_task_ends_its_stream() {
    let service = Service::start(&[]);
    let task = submit(&service, SVD_ASYNC, &long(1500));
    assert!(comes(LIMIT, || status(&service, &task) == "running"));
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| events(&stream(&service, &task, &[])));
        service.ask("DELETE", &at(&task)).expect(200);
        let told = follower.join().expect("a follower");
        assert_eq!(told.last().map(|(_, d)| d["status"].clone()), Some(json!("cancelled")));
    });
}

#[test]
fn streams_are_bounded() {
    let service = Service::start(&[("TASKS__MAX_STREAMS", "0")]);
    let task = submit(&service, MULTIPLY_ASYNC, &product());
    stream(&service, &task, &[]).fails(503, "overloaded");
}

/// RFC 6455 by hand: the handshake of its example, and text frames from the server.
#[test]
fn a_web_socket_tells_the_same() {
    let service = Service::start(INLINE);
    let task = submit(&service, SVD_ASYNC, &long(600));
    let mut connection = service.connect();
    let head = format!(
        "GET {}/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nx-api-key: {}\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        at(&task),
        service.key
    );
    connection.send(head.as_bytes()).expect("sent");
    let bytes = connection.drain();
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&bytes[..split]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    let (mut frames, mut rest) = (Vec::new(), &bytes[split..]);
    while rest.len() >= 2 {
        let (opcode, short) = (rest[0] & 15, usize::from(rest[1]));
        let (length, at) = match short {
            126 => (usize::from(rest[2]) << 8 | usize::from(rest[3]), 4),
            127 => (u64::from_be_bytes(rest[2..10].try_into().expect("eight bytes")) as usize, 10),
            short => (short, 2),
        };
        frames.push((opcode, rest[at..at + length].to_vec()));
        rest = &rest[at + length..];
    }
    let (close, texts) = frames.split_last().expect("frames");
    assert_eq!(close.0, 8, "the last frame closes");
    let texts: Vec<Json> = texts
        .iter()
        .filter(|(opcode, _)| *opcode == 1)
        .map(|(_, text)| serde_json::from_slice(text).expect("json"))
        .collect();
    assert_eq!(texts.last().map(|t| t["status"].clone()), Some(json!("completed")));
    assert_eq!(texts.last().and_then(|t| t["result"]["s"].as_array()).map(Vec::len), Some(600));
    let plain = service.ask("GET", &format!("{}/ws", at(&task)));
    plain.fails(400, "invalid_request");
}
