//! The real binary under load: started, asked over raw sockets, stopped by its signal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Service {
    child: Child,
    folder: PathBuf,
    pub address: String,
    pub key: String,
}

impl Service {
    pub fn start(name: &str) -> Service {
        let folder = std::env::temp_dir().join(format!("hgo-latency-{name}-{}", std::process::id()));
        let mut child = Command::new(env!("CARGO_BIN_EXE_heliosdb-gpu-offload"))
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&folder)
            .env("HELIOSDB_GPU__LOG__LEVEL", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut value =
            |prefix: &str| lines.next().unwrap().unwrap().strip_prefix(prefix).unwrap().to_string();
        let (key, address) = (value("api key: "), value("listening on http://"));
        Service { child, folder, address, key }
    }

    /// A key of a tenant of its own.
    pub fn tenant(&self, id: &str) -> String {
        let run = |arguments: &[&str]| {
            let out = Command::new(env!("CARGO_BIN_EXE_heliosdb-gpu-offload"))
                .args(arguments)
                .arg("--data-dir")
                .arg(&self.folder)
                .output()
                .unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stdout).unwrap()
        };
        run(&["tenants", "create", id, "--quota", r#"{"max_requests_per_minute": 1000000}"#]);
        let out = run(&["keys", "create", "--tenant", id, "--name", "load"]);
        out.lines().find_map(|l| l.strip_prefix("api key: ")).unwrap().to_string()
    }

    pub fn request(&self, key: &str, path: &str, body: &str) -> Vec<u8> {
        format!(
            "POST /api/v1/workloads/{path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        stream
    }

    /// Processor seconds of the service so far.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |i: usize| fields[i].parse::<f64>().unwrap();
        // utime and stime, in hundredths of a second on Linux.
        (ticks(11) + ticks(12)) / 100.0
    }

    pub fn get(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// A figure of /metrics.
    pub fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics");
        let line = text.lines().find(|l| l.strip_prefix(name).is_some_and(|r| r.starts_with(' ')));
        line.unwrap_or_else(|| panic!("{name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Sends a request and reads its answer: status, body, milliseconds from the last byte sent.
pub fn exchange(stream: &mut TcpStream, request: &[u8]) -> (u16, String, f64) {
    stream.write_all(request).unwrap();
    let sent = Instant::now();
    let mut got = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let n = stream.read(&mut chunk).unwrap();
        assert!(n > 0, "closed after {}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&chunk[..n]);
        let Some(head) = got.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&got[..head]).to_ascii_lowercase();
        let length: usize =
            text.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        if got.len() >= head + 4 + length {
            let ms = sent.elapsed().as_secs_f64() * 1e3;
            let status = text[9..12].parse().unwrap();
            return (status, String::from_utf8_lossy(&got[head + 4..]).into_owned(), ms);
        }
    }
}

/// A square matrix of single digits.
pub fn matrix(n: usize, seed: u64) -> String {
    let mut state = seed;
    let rows: Vec<String> = (0..n)
        .map(|_| {
            let row: Vec<String> = (0..n)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((state >> 33) % 10).to_string()
                })
                .collect();
            format!("[{}]", row.join(","))
        })
        .collect();
    format!("[{}]", rows.join(","))
}

/// Hundredths of a second that a hypervisor took from this machine's processors so far; 0 where the kernel does not say.
pub fn stolen() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default();
    all.split_whitespace().nth(8).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}
