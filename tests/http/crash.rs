//! Nothing promised is lost, however often the process dies: killed at random moments while one tenant submits tasks,
//! repeats submissions, is called back and writes datasets, all at once.
//!
//! `HELIOSDB_TEST_CRASHES` is the number of kills, 30 when absent; `HELIOSDB_TEST_SEED` decides their moments.

use crate::datasets::path;
use crate::service::{Service, comes};
use crate::tasks::MULTIPLY_ASYNC;
use crate::tasks::callbacks::{Receiver, header};
use crate::wire::{Connection, Reply, request};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

const SETTINGS: &[(&str, &str)] = &[
    ("CALLBACKS__ALLOW_HTTP", "true"),
    ("CALLBACKS__FIRST_RETRY_MS", "50"),
    ("CALLBACKS__MAX_RETRY_MS", "500"),
    ("CALLBACKS__TIMEOUT_MS", "300"),
    ("CALLBACKS__MAX_ATTEMPTS", "1000"),
    ("TASKS__MAX_RESTARTS", "1000"),
];
const LIMIT: Duration = Duration::from_secs(120);
/// Tasks of which submissions are repeated, so that some repetition meets the other side of a crash.
const KEYS: u64 = 40;
/// Rows of the dataset that every write replaces.
const ROWS: usize = 5;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// A caller of the service, whichever process it is by now.
struct Client<'a> {
    address: SocketAddr,
    key: &'a str,
}

impl Client<'_> {
    /// An answer on this connection; none when the process is gone.
    fn ask(
        &self,
        on: &mut Connection,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &Json,
    ) -> Option<Reply> {
        let mut headers = vec![("x-api-key", self.key)];
        headers.extend_from_slice(more);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        on.send(&request(method, path, &headers, body.as_bytes())).ok()?;
        on.receive()
    }

    /// One request to a process that lives.
    fn call(&self, method: &str, path: &str, body: &Json) -> Reply {
        let mut connection = Connection::tcp(self.address).expect("the service accepts");
        self.ask(&mut connection, method, path, &[], body).expect("an answer")
    }

    /// The one column of a dataset as a job sees it, and its version before that.
    fn rows(&self, name: &str) -> (Vec<i64>, u64) {
        let version = self.call("GET", &path(name), &Json::Null).expect(200)["version"].as_u64();
        let inputs = json!({"a": {"dataset": name, "column": "m"}, "b": [[1]], "cache": false});
        let answer = self.call("POST", "/api/v1/workloads/matrix/multiply", &inputs).expect(200);
        let rows = answer["result"].as_array().expect("rows");
        let number = |r: &Json| r[0].as_f64().expect("a number") as i64;
        (rows.iter().map(number).collect(), version.expect("a version"))
    }
}

/// Submissions: new tasks, and old ones again.
#[derive(Default)]
struct Tasks {
    /// What clients were told: the task by the number of its submission.
    told: Mutex<BTreeMap<u64, String>>,
    next: AtomicU64,
    repeated: AtomicU64,
}

impl Tasks {
    /// The product of this task tells it from every other.
    fn body(number: u64, callback: &str) -> Json {
        json!({"inputs": {"a": [[number, 1], [0, 1]], "b": [[1, 0], [0, number]]}, "callback_url": callback,
               "cache": false})
    }

    fn result(number: u64) -> Json {
        json!([[number, number], [0, number]])
    }

    fn submit(&self, client: &Client<'_>, callback: &str, stop: &AtomicBool) {
        let Ok(mut connection) = Connection::tcp(client.address) else { return };
        for turn in 0u64.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let fresh = turn.is_multiple_of(3);
            let number = if fresh { self.next.fetch_add(1, Ordering::Relaxed) } else { turn % KEYS };
            let name = format!("order-{number}");
            let (more, body) = ([("idempotency-key", name.as_str())], Self::body(number, callback));
            let reply = client.ask(&mut connection, "POST", MULTIPLY_ASYNC, &more, &body);
            let Some(reply) = reply else { return };
            let id = reply.expect(202)["task_id"].as_str().expect("a task").to_string();
            let before = self.told.lock().expect("told").insert(number, id.clone());
            if let Some(before) = before {
                assert_eq!(before, id, "the same key is another task");
                self.repeated.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A dataset that one writer changes: by rows added, or by all rows replaced.
struct Written {
    name: &'static str,
    method: &'static str,
    /// The newest number whose write was acknowledged.
    newest: AtomicI64,
    version: AtomicU64,
}

impl Written {
    fn new(name: &'static str, method: &'static str) -> Written {
        Written { name, method, newest: AtomicI64::new(-1), version: AtomicU64::new(0) }
    }

    fn replaces(&self) -> bool {
        self.method == "PUT"
    }

    fn body(&self, number: i64) -> Json {
        let rows = vec![[number]; if self.replaces() { ROWS } else { 1 }];
        json!({"columns": {"m": rows}})
    }

    fn write(&self, client: &Client<'_>, stop: &AtomicBool) {
        let Ok(mut connection) = Connection::tcp(client.address) else { return };
        while !stop.load(Ordering::Relaxed) {
            let number = self.newest.load(Ordering::Relaxed) + 1;
            let reply = client.ask(&mut connection, self.method, &path(self.name), &[], &self.body(number));
            let Some(reply) = reply else { return };
            self.acknowledged(number, &reply);
        }
    }

    fn acknowledged(&self, number: i64, reply: &Reply) {
        assert!(reply.status == 200 || reply.status == 201, "{}", reply.text());
        let version = reply.json()["version"].as_u64().expect("a version");
        let before = self.version.swap(version, Ordering::Relaxed);
        assert!(version > before, "{} went from version {before} to {version}", self.name);
        self.newest.store(number, Ordering::Relaxed);
    }

    /// A write may have been done and its answer lost; never the other way round, and never a part of one.
    fn check(&self, client: &Client<'_>) {
        let (rows, version) = client.rows(self.name);
        let (newest, before) = (self.newest.load(Ordering::Relaxed), self.version.load(Ordering::Relaxed));
        assert!(version >= before, "{} fell from version {before} to {version}", self.name);
        let kept = rows.last().copied().unwrap_or(-1);
        let whole = if self.replaces() { vec![kept; ROWS] } else { (0..=kept).collect() };
        assert_eq!(rows, whole, "{}", self.name);
        let lost = kept != newest && kept != newest + 1;
        assert!(!lost, "{}: write {newest} was acknowledged, {kept} is there", self.name);
        assert_eq!(kept > newest, version > before, "{}: version {version} after {before}", self.name);
        self.newest.store(kept, Ordering::Relaxed);
        self.version.store(version, Ordering::Relaxed);
    }
}

/// No file of a dataset is left that no version has.
fn no_orphans(service: &Service, client: &Client<'_>, written: &[Written]) {
    let segments =
        |w: &Written| client.call("GET", &path(w.name), &Json::Null).expect(200)["segments"].as_u64();
    let wanted: u64 = written.iter().map(|w| segments(w).expect("a count")).sum();
    let folder = service.folder.path().join("data/datasets");
    let there: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(there.len() as u64, wanted, "{there:?}");
}

#[test]
fn nothing_promised_is_lost_however_often_the_process_dies() {
    let crashes = variable("HELIOSDB_TEST_CRASHES", 30);
    let seed = variable("HELIOSDB_TEST_SEED", 0x9E37_79B9_7F4A_7C15).max(1);
    println!("seed {seed}");
    let receiver = Receiver::start(&["204 No Content"]);
    let callback = receiver.url();
    let mut service = Service::start(SETTINGS);
    let quota = json!({"callback_hosts": ["127.0.0.1"], "max_queued_tasks": 100_000,
                       "max_requests_per_minute": 10_000_000});
    let key = service.tenant("all", quota, &["gpu:matrix", "gpu:datasets"]).1;
    let tasks = Tasks { next: AtomicU64::new(KEYS), ..Tasks::default() };
    let written = [Written::new("grown", "PATCH"), Written::new("replaced", "PUT")];
    let first = Client { address: service.address, key: &key };
    for w in &written {
        w.acknowledged(0, &first.call("PUT", &path(w.name), &w.body(0)));
    }
    let mut state = seed;
    for _ in 0..crashes {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (pause, stop) = (Duration::from_millis(20 + state % 400), AtomicBool::new(false));
        let client = Client { address: service.address, key: &key };
        let folder = std::thread::scope(|scope| {
            let (client, stop) = (&client, &stop);
            for _ in 0..2 {
                scope.spawn(|| tasks.submit(client, &callback, stop));
            }
            for w in &written {
                scope.spawn(|| w.write(client, stop));
            }
            std::thread::sleep(pause);
            let folder = service.kill();
            stop.store(true, Ordering::Relaxed);
            folder
        });
        service = Service::over(folder, SETTINGS, &[]);
        let client = Client { address: service.address, key: &key };
        written.iter().for_each(|w| w.check(&client));
        no_orphans(&service, &client, &written);
    }
    let client = Client { address: service.address, key: &key };
    let told = tasks.told.into_inner().expect("told");
    assert!(told.len() as u64 > crashes, "{} tasks were promised", told.len());
    for (number, id) in &told {
        let mut seen = Json::Null;
        let done = comes(LIMIT, || {
            seen = client.call("GET", &format!("/api/v1/tasks/{id}"), &Json::Null).expect(200);
            seen["status"] == "completed"
        });
        assert!(done, "{seen}");
        assert_eq!(seen["result"], Tasks::result(*number), "{seen}");
    }
    let ids: BTreeSet<&String> = told.values().collect();
    assert_eq!(ids.len(), told.len(), "different submissions are different tasks");
    deliveries(&receiver, &told);
    for w in &written {
        let number = w.newest.load(Ordering::Relaxed) + 1;
        w.acknowledged(number, &client.call(w.method, &path(w.name), &w.body(number)));
    }
    println!(
        "{crashes} kills: {} tasks, {} repeated submissions, {} deliveries, {} rows added, {} replacements",
        told.len(),
        tasks.repeated.into_inner(),
        receiver.got.lock().expect("got").len(),
        written[0].newest.load(Ordering::Relaxed),
        written[1].newest.load(Ordering::Relaxed),
    );
}

/// Every end is told, each time the same, and under an id that is no other task's.
fn deliveries(receiver: &Receiver, told: &BTreeMap<u64, String>) {
    let all_told = comes(LIMIT, || {
        let got = receiver.got.lock().expect("got");
        let tasks: BTreeSet<String> = got.iter().map(|(_, body)| task_of(body)).collect();
        told.values().all(|id| tasks.contains(id))
    });
    assert!(all_told, "some ends of {} were never told", told.len());
    let got = receiver.got.lock().expect("got");
    let (mut by_task, mut by_id) = (BTreeMap::new(), BTreeMap::new());
    for (head, body) in got.iter() {
        let (id, task) = (header(head, "webhook-id").expect("an id").to_string(), task_of(body));
        by_task.entry(task.clone()).or_insert_with(BTreeSet::new).insert((id.clone(), body.clone()));
        by_id.entry(id).or_insert_with(BTreeSet::new).insert(task);
    }
    assert!(by_task.values().all(|told| told.len() == 1), "an end was told in two ways");
    assert!(by_id.values().all(|tasks| tasks.len() == 1), "an id was two tasks'");
    for (number, id) in told {
        let bodies = by_task[id].iter().map(|(_, body)| serde_json::from_slice::<Json>(body).expect("json"));
        bodies.for_each(|told| assert_eq!(told["result"], Tasks::result(*number), "{told}"));
    }
}

fn task_of(body: &[u8]) -> String {
    let document: Json = serde_json::from_slice(body).expect("json");
    document["task_id"].as_str().expect("a task").to_string()
}
