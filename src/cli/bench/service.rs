//! The service over real sockets, beside a bare echo of as many bytes: what a request costs beyond HTTP itself.
//!
//! Both run as processes of their own with one worker thread, and are asked in turn.

use super::wire::{Connection, request};
use super::{Figure, progress};
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const CONNECTIONS: usize = 8;
const LATENCY_REQUESTS: usize = 2_000;
const BURST: Duration = Duration::from_millis(1_000);

/// A server process, killed when dropped.
pub(super) struct Server {
    child: Child,
    pub address: String,
    pub key: String,
    folder: std::path::PathBuf,
}

impl Server {
    pub fn start(arguments: &[&str], name: &str) -> Result<Server, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("heliosdb-bench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let socket = folder.join("socket");
        let child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--unix"])
            .arg(&socket)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .env("HELIOSDB_GPU__SERVER__WORKERS", "1")
            .env("HELIOSDB_GPU__LOG__LEVEL", "warn")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut server = Server { child, address: String::new(), key: "none".into(), folder };
        let out = server.child.stdout.take().ok_or("the server has no output")?;
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some(key) = line.strip_prefix("api key: ") {
                server.key = key.into();
            } else if let Some(address) = line.strip_prefix("listening on http://") {
                server.address = address.into();
                return Ok(server);
            }
        }
        Err("the server did not start".into())
    }

    fn socket(&self) -> String {
        self.folder.join("socket").display().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whatever fails here, the processes and the folder are temporary.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Microseconds of the processors that a process has had, by Linux's count of each of its threads; nothing elsewhere.
fn processor_us(process: u32) -> Option<f64> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let of = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    Some(threads.flatten().map(of).sum::<Option<f64>>()? / 1e3)
}

/// Microseconds of single requests, one after the other.
fn latency(address: &str, bytes: &[u8]) -> std::io::Result<Vec<f64>> {
    let mut connection = Connection::awake(address)?;
    let mut all = Vec::with_capacity(LATENCY_REQUESTS);
    for i in 0..LATENCY_REQUESTS + 200 {
        let start = Instant::now();
        connection.exchange(bytes)?;
        if i >= 200 {
            all.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(all)
}

/// Requests per second over several connections at once, and microseconds of the processors that each took of the server.
fn burst(server: &Server, bytes: &[u8]) -> std::io::Result<(f64, Option<f64>)> {
    let before = processor_us(server.child.id());
    let start = Instant::now();
    let rate = throughput(&server.address, bytes)?;
    let requests = rate * start.elapsed().as_secs_f64();
    let busy =
        processor_us(server.child.id()).zip(before).map(|(now, before)| (now - before) / requests.max(1.0));
    Ok((rate, busy))
}

/// Requests per second over several connections at once.
fn throughput(address: &str, bytes: &[u8]) -> std::io::Result<f64> {
    let start = Instant::now();
    let counts: Vec<std::io::Result<usize>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::open(address)?;
                    let mut n = 0;
                    while start.elapsed() < BURST {
                        connection.exchange(bytes)?;
                        n += 1;
                    }
                    Ok(n)
                })
            })
            .collect();
        let lost = || Err(std::io::Error::other("a connection's thread panicked"));
        handles.into_iter().map(|h| h.join().unwrap_or_else(|_| lost())).collect()
    });
    let total: usize = counts.into_iter().sum::<std::io::Result<usize>>()?;
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The same dot product by the service and by a Triton server with the model `dot` (scripts/triton_peer.py), asked in
/// turns by the same bytes of the protocol both speak.
pub fn beside_triton(triton: &str) -> Result<Vec<Figure>, Box<dyn Error>> {
    let service = Server::start(&["serve", "--dev"], "protocol")?;
    let list = |x: &dyn Fn(usize) -> String| (0..128).map(x).collect::<Vec<_>>().join(",");
    let body = format!(
        "{{\"inputs\":[{{\"name\":\"a\",\"datatype\":\"FP64\",\"shape\":[1,128],\"data\":[{}]}},\
         {{\"name\":\"b\",\"datatype\":\"FP64\",\"shape\":[128,1],\"data\":[{}]}}]}}",
        list(&|i| format!("{}.5", i % 10)),
        list(&|i| format!("{}.25", i % 7)),
    );
    let ours = request("/v2/models/matrix.multiply/infer", &service.key, &body);
    let theirs = request("/v2/models/dot/infer", "none", &body);
    let sides = [(service.address.as_str(), &ours), (triton, &theirs)];
    let names = [
        "dot 128 over /v2, requests on 8 connections",
        "the same bytes to Triton, 8 connections",
        "dot 128 over /v2, p50 over TCP",
        "the same bytes to Triton, p50 over TCP",
    ];
    let bar = progress("triton", ROUNDS);
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (i, (address, bytes)) in sides.into_iter().enumerate() {
            samples[i].push(throughput(address, bytes)?);
            samples[2 + i].push(median(latency(address, bytes)?));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let units = ["req/s", "req/s", "us", "us"];
    Ok(samples.into_iter().zip(names).zip(units).map(|((s, name), unit)| Figure::of(name, unit, s)).collect())
}

/// Measures a dot product of 128 (a 1×128 by 128×1 multiply, never cached) and the echo.
pub fn measure() -> Result<Vec<Figure>, Box<dyn Error>> {
    let service = Server::start(&["serve", "--dev"], "service")?;
    let row: Vec<String> = (0..128).map(|i| format!("{}.5", i % 10)).collect();
    let column: Vec<String> = (0..128).map(|i| format!("[{}.25]", i % 7)).collect();
    let body = format!("{{\"a\":[[{}]],\"b\":[{}],\"cache\":false}}", row.join(","), column.join(","));
    let work = request("/api/v1/workloads/matrix/multiply", &service.key, &body);
    let length = Connection::open(&service.address)?.exchange(&work)?;
    let echo = Server::start(&["echo", "--answer-bytes", &length.to_string()], "echo")?;
    let same = request("/api/v1/workloads/matrix/multiply", &service.key, &body);
    let hit = request(
        "/api/v1/workloads/matrix/multiply",
        &service.key,
        &body.replace("\"cache\":false", "\"cache\":true"),
    );
    let bar = progress("service", ROUNDS);
    let names = [
        "dot 128, requests on 8 connections",
        "echo of the same bytes, 8 connections",
        "dot 128, p50 over TCP",
        "echo, p50 over TCP",
        "dot 128, p50 over a Unix socket",
        "echo, p50 over a Unix socket",
        "cache hit of dot 128, p50 over TCP",
        "added to the echo over TCP, p50",
        "added to the echo over a Unix socket, p50",
        "dot 128, processor time of the server for each",
        "echo, processor time of the server for each",
    ];
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    for _ in 0..ROUNDS {
        let ((rate, busy), (echo_rate, echo_busy)) = (burst(&service, &work)?, burst(&echo, &same)?);
        let round = [
            rate,
            echo_rate,
            median(latency(&service.address, &work)?),
            median(latency(&echo.address, &same)?),
            median(latency(&service.socket(), &work)?),
            median(latency(&echo.socket(), &same)?),
            median(latency(&service.address, &hit)?),
        ];
        for (all, value) in samples.iter_mut().zip(round) {
            all.push(value);
        }
        samples[7].push(round[2] - round[3]);
        samples[8].push(round[4] - round[5]);
        samples[9].extend(busy);
        samples[10].extend(echo_busy);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let unit = |i: usize| if i < 2 { "req/s" } else { "us" };
    let measured = samples.into_iter().enumerate().filter(|(_, samples)| !samples.is_empty());
    Ok(measured.map(|(i, samples)| Figure::of(names[i], unit(i), samples)).collect())
}
