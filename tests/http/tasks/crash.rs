//! What was promised is kept, whatever the process meets.

use super::callbacks::{Receiver, header};
use super::{LIMIT, MULTIPLY_ASYNC, SVD_ASYNC, at, end, long, status, submit};
use crate::service::{Folder, Service, comes};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SETTINGS: &[(&str, &str)] = &[
    ("CALLBACKS__ALLOW_HTTP", "true"),
    ("CALLBACKS__FIRST_RETRY_MS", "50"),
    ("CALLBACKS__MAX_RETRY_MS", "500"),
    ("CALLBACKS__TIMEOUT_MS", "300"),
    ("CALLBACKS__MAX_ATTEMPTS", "1000"),
    ("TASKS__MAX_RESTARTS", "1000"),
];

/// Tasks of which submissions are repeated, so that some repetition meets the other side of a crash.
const KEYS: u64 = 40;

/// The product of this task, which tells it from every other.
fn body(number: u64, callback: &str) -> Json {
    json!({"inputs": {"a": [[number, 1], [0, 1]], "b": [[1, 0], [0, number]]}, "callback_url": callback,
           "cache": false})
}

fn result(number: u64) -> Json {
    json!([[number, number], [0, number]])
}

/// What clients were told: the task by the number of its submission.
#[derive(Default)]
struct Told {
    tasks: Mutex<BTreeMap<u64, String>>,
    promises: AtomicU64,
}

/// Submits until told to stop: new tasks, and old ones again.
fn client(
    address: std::net::SocketAddr,
    key: &str,
    callback: &str,
    told: &Told,
    next: &AtomicU64,
    stop: &AtomicBool,
) {
    let mut turn = 0u64;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let fresh = turn.is_multiple_of(3);
        let number = if fresh { next.fetch_add(1, Ordering::Relaxed) } else { turn % KEYS };
        let Ok(mut connection) = crate::wire::Connection::tcp(address) else { return };
        let name = format!("order-{number}");
        let headers = [("x-api-key", key), ("idempotency-key", name.as_str())];
        let bytes = crate::wire::request(
            "POST",
            MULTIPLY_ASYNC,
            &headers,
            body(number, callback).to_string().as_bytes(),
        );
        if connection.send(&bytes).is_err() {
            return;
        }
        let Some(reply) = connection.receive() else { return };
        if reply.status == 202 {
            let id = reply.json()["task_id"].as_str().expect("a task").to_string();
            told.promises.fetch_add(1, Ordering::Relaxed);
            let before = told.tasks.lock().expect("told").insert(number, id.clone());
            assert!(before.is_none_or(|b| b == id), "the same key is another task");
        }
    }
}

/// Kills the process at random moments while clients submit tasks and receivers are told of ends. The number of
/// kills is `HGO_CRASHES`, 12 unless it is set.
#[test]
fn nothing_promised_is_lost_however_often_the_process_dies() {
    let crashes: u64 = std::env::var("HGO_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let receiver = Receiver::start(&["204 No Content"]);
    let callback = receiver.url();
    let mut service = Service::start(SETTINGS);
    let quota = json!({"callback_hosts": ["127.0.0.1"], "max_queued_tasks": 100_000,
                       "max_requests_per_minute": 10_000_000});
    let key = service.tenant("hooks", quota, &["gpu:matrix"]).1;
    let (told, next) = (Told::default(), AtomicU64::new(KEYS));
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for _ in 0..crashes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (pause, stop) = (Duration::from_millis(20 + state % 400), AtomicBool::new(false));
        let (address, started) = (service.address, Instant::now());
        let folder = std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| client(address, &key, &callback, &told, &next, &stop));
            }
            std::thread::sleep(pause.saturating_sub(started.elapsed()));
            let folder = service.kill();
            stop.store(true, Ordering::Relaxed);
            folder
        });
        service = Service::over(folder, SETTINGS, &[]);
    }
    let told = told.tasks.into_inner().expect("told");
    assert!(told.len() as u64 > crashes, "{} tasks were promised", told.len());
    let document = |id: &str| service.call("GET", &at(id), &[("x-api-key", key.as_str())], b"").expect(200);
    for (number, id) in &told {
        let mut seen = Json::Null;
        let done = comes(LIMIT, || {
            seen = document(id);
            seen["status"] == "completed"
        });
        assert!(done, "{seen}");
        assert_eq!(seen["result"], result(*number), "{seen}");
    }
    let ids: BTreeSet<&String> = told.values().collect();
    assert_eq!(ids.len(), told.len(), "different submissions are different tasks");
    // Every end is told, each time the same, and under one id.
    let all_told = comes(Duration::from_secs(120), || {
        let got = receiver.got.lock().expect("got");
        let tasks: BTreeSet<String> = got.iter().filter_map(|(_, body)| task_of(body)).collect();
        ids.iter().all(|id| tasks.contains(*id))
    });
    assert!(all_told, "some ends of {} were never told", told.len());
    let got = receiver.got.lock().expect("got");
    let mut by_task: BTreeMap<String, BTreeSet<(String, Vec<u8>)>> = BTreeMap::new();
    for (head, body) in got.iter() {
        let id = header(head, "webhook-id").expect("an id").to_string();
        by_task.entry(task_of(body).expect("a task")).or_default().insert((id, body.clone()));
    }
    assert!(by_task.values().all(|told| told.len() == 1), "an end was told in two ways");
    println!("{crashes} crashes, {} tasks, {} deliveries", told.len(), got.len());
}

fn task_of(body: &[u8]) -> Option<String> {
    let document: Json = serde_json::from_slice(body).ok()?;
    Some(document["task_id"].as_str()?.to_string())
}

#[test]
fn a_running_task_runs_again_after_a_crash_and_after_a_stop() {
    let mut service = Service::start(&[]);
    let key = service.tenant("a", json!({}), &["gpu:matrix"]).1;
    let submit_long = |service: &Service, n| {
        let promise = service.post_as(&key, SVD_ASYNC, &long(n)).expect(202);
        promise["task_id"].as_str().expect("a task").to_string()
    };
    let ask = |service: &Service, task: &str| {
        service.call("GET", &at(task), &[("x-api-key", key.as_str())], b"").expect(200)
    };
    let task = submit_long(&service, 700);
    assert!(comes(LIMIT, || ask(&service, &task)["status"] == "running"));
    service = Service::over(service.kill(), &[], &[]);
    assert!(comes(LIMIT, || ask(&service, &task)["status"] == "completed"));
    assert_eq!(ask(&service, &task)["attempts"], 2);

    let task = submit_long(&service, 1500);
    assert!(comes(LIMIT, || ask(&service, &task)["status"] == "running"));
    service.terminate();
    service.wait();
    let mut service = Service::over(service.leave(), &[], &[]);
    assert!(comes(Duration::from_secs(60), || ask(&service, &task)["status"] == "completed"));
    assert_eq!(ask(&service, &task)["attempts"], 1, "a task that was given back has not failed");
    assert!(service.is_running());
}

#[test]
fn a_task_whose_key_was_revoked_does_not_run() {
    let mut service = Service::start(&[("TASKS__MAX_RUNNING", "1")]);
    let (id, key) = service.tenant("a", json!({}), &["gpu:matrix"]);
    let (_, other) =
        (0, service.post("/api/v1/tenants/a/keys", &json!({"name": "x", "scopes": []})).expect(201));
    let other = other["api_key"].as_str().expect("a key").to_string();
    let busy = submit(&service, SVD_ASYNC, &long(1500));
    assert!(comes(LIMIT, || status(&service, &busy) == "running"));
    let promise = service.post_as(&key, MULTIPLY_ASYNC, &super::product()).expect(202);
    let task = promise["task_id"].as_str().expect("a task").to_string();
    service.ask("DELETE", &format!("/api/v1/tenants/a/keys/{id}")).expect(200);
    service.ask("DELETE", &at(&busy)).expect(200);
    let mut document = Json::Null;
    assert!(comes(LIMIT, || {
        document = service.call("GET", &at(&task), &[("x-api-key", other.as_str())], b"").expect(200);
        document["status"] == "failed"
    }));
    assert_eq!(document["error"]["error"], "unauthenticated", "{document}");
    assert!(service.is_running());
}

#[test]
fn a_process_that_dies_too_often_over_a_task_gives_it_up() {
    let settings = &[("TASKS__MAX_RESTARTS", "2")];
    let mut service = Service::start(settings);
    let key = service.tenant("a", json!({}), &["gpu:matrix"]).1;
    let promise = service.post_as(&key, SVD_ASYNC, &long(1500)).expect(202);
    let task = promise["task_id"].as_str().expect("a task").to_string();
    let ask =
        |service: &Service| service.call("GET", &at(&task), &[("x-api-key", key.as_str())], b"").expect(200);
    for _ in 0..3 {
        assert!(comes(LIMIT, || ask(&service)["status"] == "running"));
        service = Service::over(service.kill(), settings, &[]);
    }
    assert!(comes(LIMIT, || ask(&service)["status"] == "dead_letter"), "{}", ask(&service));
    let letters =
        service.call("GET", "/api/v1/tasks?status=dead_letter", &[("x-api-key", key.as_str())], b"");
    assert_eq!(letters.expect(200)["tasks"].as_array().map(Vec::len), Some(1));
    let path = format!("{}/retry", at(&task));
    let again = service.call("POST", &path, &[("x-api-key", key.as_str())], b"").expect(200);
    assert_eq!(again["status"], "queued");
    assert!(comes(LIMIT, || ask(&service)["status"] == "running"));
    drop::<Folder>(service.kill());
}

/// A disk without room refuses what it cannot keep, keeps what it promised, and is well when there is room.
#[test]
fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = crate::service::SmallDisk::mount(12 << 20) else {
        println!("skipped: this user may not mount a small disk");
        return;
    };
    let service = Service::over(disk.folder(), &[], &[]);
    let task = submit(&service, MULTIPLY_ASYNC, &super::product());
    end(&service, &task);
    let filler = disk.fill();
    let mut refused = 0;
    for _ in 0..20 {
        let reply = service.post(MULTIPLY_ASYNC, &long_text());
        if reply.status == 202 {
            continue;
        }
        refused += 1;
        assert!(reply.status == 503 || reply.status == 507, "{}", reply.text());
        let body = reply.json();
        assert_eq!(body["error"], "storage_full", "{body}");
    }
    assert!(refused > 0, "a full disk took everything");
    // What needs no disk still works.
    service.post("/api/v1/workloads/matrix/multiply", &super::product()).expect(200);
    drop(filler);
    let task = submit(&service, MULTIPLY_ASYNC, &super::product());
    assert_eq!(end(&service, &task)["status"], "completed");
}

/// A request of some hundred kilobytes.
fn long_text() -> Json {
    let row = vec![0.123_456_789; 200];
    json!({"inputs": {"a": vec![row.clone(); 200], "b": vec![row; 200]}})
}
