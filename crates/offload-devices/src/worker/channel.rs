//! Messages over a Unix socket pair: JSON behind a length, with file descriptors beside it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes of one message at most. What is large travels in shared memory; texts of errors are the longest here.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Descriptors that may come with one message.
const MAX_FDS: usize = 4;
/// The head of a message: its length, and how many descriptors come with it.
const HEAD_BYTES: usize = 8;
/// How long the other end may leave a full socket unread.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long whoever waits stays awake: many answers come sooner, and a core that has gone to sleep takes tens of
/// microseconds to wake.
const AWAKE: Duration = Duration::from_micros(50);
/// What is read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Why nothing was received.
#[derive(Debug)]
pub(super) enum ReceiveError {
    /// The other end is gone.
    Closed,
    /// Nothing came in time; what came of a message is kept.
    TimedOut,
    /// What came is no message.
    Garbage(String),
}

/// One end of a connection.
pub(super) struct Channel {
    socket: OwnedFd,
    buffer: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Channel {
    /// Two ends.
    pub(super) fn pair() -> io::Result<(Channel, Channel)> {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        Ok((Channel::over(a)?, Channel::over(b)?))
    }

    /// The end that is this socket.
    pub(super) fn over(socket: OwnedFd) -> io::Result<Channel> {
        set_socket_timeout(&socket, Timeout::Send, Some(SEND_TIMEOUT))?;
        Ok(Channel { socket, buffer: Vec::new(), fds: VecDeque::new() })
    }

    /// The socket, to hand it to another process.
    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Sends a message.
    pub(super) fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut bytes = vec![0; HEAD_BYTES];
        serde_json::to_writer(&mut bytes, message)?;
        let length = bytes.len() - HEAD_BYTES;
        if length > MAX_MESSAGE_BYTES || fds.len() > MAX_FDS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
        }
        bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
        bytes[4..HEAD_BYTES].copy_from_slice(&(fds.len() as u32).to_le_bytes());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut sent = 0;
        while sent < bytes.len() {
            let mut control = SendAncillaryBuffer::new(&mut space);
            if sent == 0 && !fds.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(fds));
            }
            let rest = [IoSlice::new(&bytes[sent..])];
            match sendmsg(&self.socket, &rest, &mut control, SendFlags::NOSIGNAL) {
                Ok(n) => sent += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Waits for a message, for ever when no time is given.
    pub(super) fn receive<T: DeserializeOwned>(
        &mut self,
        until: Option<Instant>,
    ) -> Result<(T, Vec<OwnedFd>), ReceiveError> {
        loop {
            if let Some((length, fds)) = self.head()? {
                let end = HEAD_BYTES + length;
                if self.buffer.len() >= end && self.fds.len() >= fds {
                    let message = serde_json::from_slice(&self.buffer[HEAD_BYTES..end])
                        .map_err(|e| ReceiveError::Garbage(e.to_string()))?;
                    self.buffer.drain(..end);
                    return Ok((message, self.fds.drain(..fds).collect()));
                }
            }
            self.await_bytes(until)?;
            self.read_more()?;
        }
    }

    fn head(&self) -> Result<Option<(usize, usize)>, ReceiveError> {
        let Some((head, _)) = self.buffer.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [a, b, c, d, e, f, g, h] = *head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let fds = u32::from_le_bytes([e, f, g, h]) as usize;
        if length > MAX_MESSAGE_BYTES || fds > MAX_FDS {
            return Err(ReceiveError::Garbage(format!("a message of {length} bytes with {fds} descriptors")));
        }
        Ok(Some((length, fds)))
    }

    /// Returns when there is something to read, or the other end is gone.
    fn await_bytes(&self, until: Option<Instant>) -> Result<(), ReceiveError> {
        let start = Instant::now();
        while start.elapsed() < AWAKE {
            let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
            if poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0) {
                return Ok(());
            }
            // Others may have work for this core.
            std::thread::yield_now();
        }
        let Some(until) = until else { return Ok(()) };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut watched, Some(&left)) {
                Ok(0) => return Err(ReceiveError::TimedOut),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(ReceiveError::Closed),
            }
        }
    }

    fn read_more(&mut self) -> Result<(), ReceiveError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let old = self.buffer.len();
        self.buffer.resize(old + CHUNK_BYTES, 0);
        let read = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut self.buffer[old..])],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        self.buffer.truncate(old + read.as_ref().map_or(0, |r| r.bytes));
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        match read {
            Ok(read) if read.bytes == 0 => Err(ReceiveError::Closed),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(_) => Err(ReceiveError::Closed),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
