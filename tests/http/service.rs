//! The service as a process: started on a free port with a data directory of its own, stopped by its id.

use crate::wire::{Connection, Reply};
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

pub const BINARY: &str = env!("CARGO_BIN_EXE_heliosdb-gpu-offload");
/// How long a start or a stop may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder that goes with its owner.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hgo-http-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a temporary folder");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The binary with these arguments on the data directory, and nothing of the surrounding settings.
pub fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("HELIOSDB_GPU__")) {
        command.env_remove(name);
    }
    command.args(arguments).arg("--data-dir").arg(folder.path().join("data"));
    command
}

/// Runs an administrative command to its end.
pub fn run(folder: &Folder, arguments: &[&str], stdin: &str) -> Output {
    let mut child = command(folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("stdin").write_all(stdin.as_bytes()).expect("stdin is read");
    child.wait_with_output().expect("the binary ends")
}

/// As [`run`], and it must succeed; gives its standard output.
pub fn run_well(folder: &Folder, arguments: &[&str], stdin: &str) -> String {
    let output = run(folder, arguments, stdin);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A running service.
pub struct Service {
    child: Child,
    pub folder: Folder,
    pub address: SocketAddr,
    /// The key of the tenant `dev`, which may do everything.
    pub key: String,
    log: Arc<Mutex<Vec<u8>>>,
    log_reader: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    /// A service with these settings, as `SECTION__KEY` and value.
    pub fn start(settings: &[(&str, &str)]) -> Service {
        Service::over(Folder::new(), settings, &[])
    }

    /// A service over a folder that may hold data already.
    pub fn over(folder: Folder, settings: &[(&str, &str)], arguments: &[&str]) -> Service {
        Service::within(folder, settings, arguments, &[])
    }

    /// As [`Service::over`], with more variables of the environment.
    pub fn within(
        folder: Folder,
        settings: &[(&str, &str)],
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Service {
        let mut command = command(&folder, &["serve", "--dev", "--listen", "127.0.0.1:0"]);
        command.args(arguments).env("HELIOSDB_GPU__SERVER__DRAIN_TIMEOUT_MS", "2000");
        for (name, value) in settings {
            command.env(format!("HELIOSDB_GPU__{name}"), value);
        }
        command.envs(environment.iter().copied());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the service starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (mut stderr, sink) = (child.stderr.take().expect("stderr"), Arc::clone(&log));
        let log_reader = std::thread::spawn(move || {
            let mut chunk = [0; 65536];
            while let Ok(n @ 1..) = stderr.read(&mut chunk) {
                sink.lock().expect("the log").extend_from_slice(&chunk[..n]);
            }
        });
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
        let (mut key, mut address) = (None, None);
        let end = Instant::now() + LIMIT;
        while key.is_none() || address.is_none() {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    key = key.or(line.strip_prefix("api key: ").map(str::to_string));
                    let at = line.strip_prefix("listening on http://").and_then(|a| a.parse().ok());
                    address = address.or(at);
                }
                Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    panic!("no start: {}", String::from_utf8_lossy(&log.lock().expect("the log")));
                }
            }
        }
        let (key, address) = (key.expect("a key"), address.expect("an address"));
        // Keep the pipe's reader alive: the service may print more.
        std::thread::spawn(move || lines.iter().for_each(drop));
        Service { child, folder, address, key, log, log_reader: Some(log_reader) }
    }

    pub fn connect(&self) -> Connection {
        Connection::tcp(self.address).expect("the service accepts")
    }

    /// One request on a connection of its own.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.connect().request(method, path, headers, body)
    }

    /// A POST of JSON with the key of the tenant `dev`.
    pub fn post(&self, path: &str, body: &Json) -> Reply {
        self.post_as(&self.key, path, body)
    }

    /// A POST of JSON with this key.
    pub fn post_as(&self, key: &str, path: &str, body: &Json) -> Reply {
        self.call("POST", path, &[("x-api-key", key)], body.to_string().as_bytes())
    }

    /// A request without a body, with the key of the tenant `dev`.
    pub fn ask(&self, method: &str, path: &str) -> Reply {
        self.call(method, path, &[("x-api-key", &self.key)], b"")
    }

    /// A token for this key.
    pub fn token(&self, key: &str) -> String {
        let body = json!({"api_key": key}).to_string();
        let reply = self.call("POST", "/api/v1/auth/token", &[], body.as_bytes());
        reply.expect(200)["token"].as_str().expect("a token").to_string()
    }

    /// A tenant with this quota, and a key of it: the key's id and text.
    pub fn tenant(&self, id: &str, quota: Json, scopes: &[&str]) -> (String, String) {
        self.post("/api/v1/tenants", &json!({"id": id, "quota": quota})).expect(201);
        let path = format!("/api/v1/tenants/{id}/keys");
        let key = self.post(&path, &json!({"name": "test", "scopes": scopes})).expect(201);
        let text = |name: &str| key[name].as_str().expect("a text").to_string();
        (text("key_id"), text("api_key"))
    }

    /// What the service has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().expect("the log")).into_owned()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let status =
            Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|s| s.success()), "SIGTERM is sent");
    }

    /// Ends the process as a crash would, and leaves its folder to the next.
    pub fn kill(&mut self) -> Folder {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.leave()
    }

    /// Leaves the folder of a process that has ended to the next.
    pub fn leave(&mut self) -> Folder {
        std::mem::replace(&mut self.folder, Folder(PathBuf::new()))
    }

    /// Waits for the end; also closes the log.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                if let Some(reader) = self.log_reader.take() {
                    let _ = reader.join();
                }
                return status;
            }
            assert!(Instant::now() < end, "the service does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.is_running() {
            let id = self.child.id().to_string();
            let _ = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id]).status();
            let end = Instant::now() + Duration::from_secs(10);
            while self.is_running() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the service's log ended with:");
            tail.iter().rev().for_each(|l| eprintln!("  {l}"));
        }
    }
}

/// A disk of a few megabytes.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where mounting is not allowed.
    pub fn mount(bytes: u64) -> Option<SmallDisk> {
        let folder = Folder::new();
        let path = folder.0.clone();
        std::mem::forget(folder);
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).status();
        let disk = SmallDisk(path);
        mounted.is_ok_and(|s| s.success()).then_some(disk)
    }

    /// A folder on it.
    pub fn folder(&self) -> Folder {
        let path = self.0.join("service");
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    /// Takes all the room until the answer is dropped.
    pub fn fill(&self) -> Folder {
        let path = self.0.join("filler");
        std::fs::create_dir(&path).expect("a folder");
        let mut file = std::fs::File::create(path.join("file")).expect("a file");
        let (large, small) = ([0u8; 65536], [0u8; 512]);
        while file.write_all(&large).is_ok() {}
        while file.write_all(&small).is_ok() {}
        Folder(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a service may still be going down on it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Waits until `done`, at most `limit`; says whether it came.
pub fn comes(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every member of `wanted` is in `got` and equal to it; numbers are equal as values, and `got` may have more.
#[track_caller]
pub fn assert_within(got: &Json, wanted: &Json) {
    fn within(got: &Json, wanted: &Json) -> bool {
        match (got, wanted) {
            (Json::Object(g), Json::Object(w)) => {
                w.iter().all(|(k, v)| g.get(k).is_some_and(|x| within(x, v)))
            }
            (Json::Array(g), Json::Array(w)) => {
                g.len() == w.len() && g.iter().zip(w).all(|(a, b)| within(a, b))
            }
            (Json::Number(g), Json::Number(w)) => g.as_f64() == w.as_f64(),
            _ => got == wanted,
        }
    }
    assert!(within(got, wanted), "{got}\nshould hold\n{wanted}");
}
