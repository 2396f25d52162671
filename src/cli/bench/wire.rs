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

/// A connection that sends one prepared request again and again.
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
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
        Ok(Connection { stream, buffer: vec![0; 64 * 1024] })
    }

    /// Sends the request and reads its answer, which must be a 200; returns the length of its body.
    pub fn exchange(&mut self, request: &[u8]) -> Result<usize> {
        let broken = |what: String| Error::new(ErrorKind::InvalidData, what);
        match &mut self.stream {
            Stream::Tcp(s) => s.write_all(request)?,
            Stream::Unix(s) => s.write_all(request)?,
        }
        let mut have = 0;
        loop {
            let n = match &mut self.stream {
                Stream::Tcp(s) => s.read(&mut self.buffer[have..])?,
                Stream::Unix(s) => s.read(&mut self.buffer[have..])?,
            };
            if n == 0 {
                return Err(broken("the connection was closed, or the answer is too long".into()));
            }
            have += n;
            let got = &self.buffer[..have];
            let Some(head) = got.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&got[..head]);
            if !text.starts_with("HTTP/1.1 200") {
                return Err(broken(String::from_utf8_lossy(got).into_owned()));
            }
            let length = text
                .lines()
                .find_map(|l| {
                    l.to_ascii_lowercase().strip_prefix("content-length:").map(|v| v.trim().parse::<usize>())
                })
                .and_then(|l| l.ok())
                .ok_or_else(|| broken("the answer has no content-length".into()))?;
            if have >= head + 4 + length {
                return Ok(length);
            }
        }
    }
}

/// A POST of this JSON.
pub fn request(path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
