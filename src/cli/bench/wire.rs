//! The least HTTP client that can measure: keep-alive, one request at a time, nothing allocated per request.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

/// A stream of either kind.
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Reads what is there; where the stream does not wait, asks until something is.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let read = match self {
                Stream::Tcp(s) => s.read(buffer),
                Stream::Unix(s) => s.read(buffer),
            };
            match read {
                Err(e) if e.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                read => return read,
            }
        }
    }
}

/// A connection that sends one prepared request again and again.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    start: std::ops::Range<usize>,
}

impl Connection {
    /// Connects to `127.0.0.1:port`, or to a socket's path.
    pub fn open(address: &str) -> Result<Connection> {
        let stream = if address.starts_with('/') {
            Stream::Unix(UnixStream::connect(address)?)
        } else {
            let tcp = TcpStream::connect(address)?;
            tcp.set_nodelay(true)?;
            Stream::Tcp(tcp)
        };
        Ok(Connection { stream, buffer: vec![0; 64 * 1024], start: 0..0 })
    }

    /// The same, awake while it waits for an answer: how long it takes to wake a client on this machine is no matter of the
    /// service. Its requests must fit the socket's buffer.
    pub fn awake(address: &str) -> Result<Connection> {
        let connection = Connection::open(address)?;
        match &connection.stream {
            Stream::Tcp(s) => s.set_nonblocking(true)?,
            Stream::Unix(s) => s.set_nonblocking(true)?,
        }
        Ok(connection)
    }

    /// The first bytes of the last answer's body.
    pub fn body_start(&self) -> &[u8] {
        &self.buffer[self.start.clone()]
    }

    /// Sends the request and reads its answer, which must be a 200 or a 201; returns the length of its body.
    pub fn exchange(&mut self, request: &[u8]) -> Result<usize> {
        let broken = |what: String| Error::new(ErrorKind::InvalidData, what);
        match &mut self.stream {
            Stream::Tcp(s) => s.write_all(request)?,
            Stream::Unix(s) => s.write_all(request)?,
        }
        let mut have = 0;
        loop {
            let n = self.stream.read(&mut self.buffer[have..])?;
            if n == 0 {
                return Err(broken("the connection was closed, or the answer is too long".into()));
            }
            have += n;
            let got = &self.buffer[..have];
            let Some(head) = got.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&got[..head]);
            if !text.starts_with("HTTP/1.1 20") {
                return Err(broken(String::from_utf8_lossy(got).into_owned()));
            }
            let length = text
                .lines()
                .find_map(|l| {
                    l.to_ascii_lowercase().strip_prefix("content-length:").map(|v| v.trim().parse::<usize>())
                })
                .and_then(|l| l.ok())
                .ok_or_else(|| broken("the answer has no content-length".into()))?;
            let end = head + 4 + length;
            if have < self.buffer.len().min(end) {
                continue;
            }
            self.start = head + 4..have;
            // The rest is only counted.
            let mut rest = vec![0; (end - have).min(1 << 20)];
            while have < end {
                let part = rest.len().min(end - have);
                let n = self.stream.read(&mut rest[..part])?;
                if n == 0 {
                    return Err(broken("the connection was closed within an answer".into()));
                }
                have += n;
            }
            return Ok(length);
        }
    }
}

/// A POST of this JSON.
pub fn request(path: &str, key: &str, body: &str) -> Vec<u8> {
    post(path, key, "Content-Type: application/json\r\n", body.as_bytes())
}

/// A POST of these bytes with further headers, each ended by its line break.
pub fn post(path: &str, key: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    send("POST", path, key, headers, body)
}

/// The same by another method.
pub fn send(method: &str, path: &str, key: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
