//! A small HTTP/1.1 client that can also be wrong on purpose.

use serde_json::Value as Json;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than anything a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{}: no json ({e}): {}", self.status, self.text()))
    }

    /// The body as JSON, when the status is this one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Json {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The body of a failure with this status and code.
    #[track_caller]
    pub fn fails(&self, status: u16, code: &str) -> Json {
        let body = self.expect(status);
        assert_eq!(body["error"], code, "{body}");
        assert!(body["message"].as_str().is_some_and(|m| !m.is_empty()), "{body}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"), "{body}");
        assert!(body["retryable"].is_boolean(), "{body}");
        body
    }
}

trait Stream: Read + Write + Send {
    fn readable(&self) -> io::Result<bool>;
}

impl Stream for TcpStream {
    fn readable(&self) -> io::Result<bool> {
        self.set_nonblocking(true)?;
        let seen = self.peek(&mut [0]);
        self.set_nonblocking(false)?;
        Ok(!matches!(&seen, Err(e) if e.kind() == io::ErrorKind::WouldBlock))
    }
}

impl Stream for UnixStream {
    fn readable(&self) -> io::Result<bool> {
        Ok(false)
    }
}

/// One connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

impl Connection {
    pub fn tcp(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { stream: Box::new(stream), read: Vec::new() })
    }

    pub fn unix(path: &Path) -> io::Result<Connection> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream: Box::new(stream), read: Vec::new() })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends bytes in pieces until the other side answers or closes; `true` when all were sent.
    pub fn send_until_answered(&mut self, pieces: impl Iterator<Item = Vec<u8>>, pause: Duration) -> bool {
        for piece in pieces {
            if self.stream.readable().unwrap_or(true) || self.stream.write_all(&piece).is_err() {
                return false;
            }
            std::thread::sleep(pause);
        }
        true
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 65536];
        let n = self.stream.read(&mut chunk)?;
        self.read.extend_from_slice(&chunk[..n]);
        Ok(n)
    }

    /// The next answer; none when the connection ends instead.
    pub fn receive(&mut self) -> Option<Reply> {
        let head_len = loop {
            if let Some(at) = self.read.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if self.more().ok()? == 0 {
                return None;
            }
        };
        let head: Vec<u8> = self.read.drain(..head_len).collect();
        let head = String::from_utf8(head).expect("the head is text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .map(|l| l.split_once(':').expect("a header"))
            .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_string()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let size = usize::from_str_radix(line.trim(), 16).ok()?;
                let chunk = self.exactly(size + 2)?;
                reply.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = reply.header("content-length") {
            let length = length.parse().ok()?;
            reply.body = self.exactly(length)?;
        }
        Some(reply)
    }

    fn exactly(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.read.len() < n {
            if self.more().ok()? == 0 {
                return None;
            }
        }
        Some(self.read.drain(..n).collect())
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.read.iter().position(|b| *b == b'\n') {
                return String::from_utf8(self.read.drain(..=at).collect()).ok();
            }
            if self.more().ok()? == 0 {
                return None;
            }
        }
    }

    /// Whether the other side ends the connection within `limit`, sending nothing more.
    pub fn closes(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        self.read.is_empty() && matches!(self.more(), Ok(0) | Err(_)) && start.elapsed() < limit
    }

    /// Everything until the other side ends the connection.
    pub fn drain(&mut self) -> Vec<u8> {
        while matches!(self.more(), Ok(1..)) {}
        std::mem::take(&mut self.read)
    }

    /// Sends a request and gives its answer; the connection stays.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send(&request(method, path, headers, body)).expect("the request is sent");
        self.receive().expect("an answer")
    }
}

/// A well-formed request as bytes.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
    for (name, value) in headers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() || method != "GET" {
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type")) {
            out.extend_from_slice(b"content-type: application/json\r\n");
        }
        out.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}
