//! A worker process as the service holds it: started, asked, killed, and asked why it ended.

use super::channel::{Channel, ReceiveError};
use super::header::Header;
use super::protocol::{Ask, Reply};
use super::seen::Seen;
use super::spawn::spawn;
use offload_core::device::{Descriptor, DeviceError, Health, LanePriority};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Characters of a worker's line that go to the log.
const MAX_LINE: u64 = 4096;
/// How long the system may take to tell that a process ended whose connection has closed.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// How long its connections may take to close one after the other.
const END_MOMENT: Duration = Duration::from_millis(30);
/// Pause between looks at a process that has closed its standard error and not ended.
const REAP_PAUSE: Duration = Duration::from_millis(5);

/// A worker process.
pub(super) struct Process {
    child: Mutex<Child>,
    control: Mutex<Channel>,
    /// Why it is no longer used; the first reason stays.
    condemned: Mutex<Option<String>>,
    dead: AtomicBool,
    seen: Seen,
    ended: Mutex<Option<ExitStatus>>,
    ending: Condvar,
}

impl Process {
    /// Starts a worker and waits until its device is open.
    pub(super) fn start(
        mut command: Command,
        device: &str,
        patience: Duration,
    ) -> Result<(Arc<Process>, Descriptor), DeviceError> {
        let call = |e: std::io::Error| DeviceError::Call(format!("the worker does not start: {e}"));
        let (ours, theirs) = Channel::pair().map_err(call)?;
        command.stdin(theirs.into_socket()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn(command).map_err(call)?;
        let stderr = child.stderr.take();
        let process = Arc::new(Process {
            child: Mutex::new(child),
            control: Mutex::new(ours),
            condemned: Mutex::new(None),
            dead: AtomicBool::new(false),
            seen: Seen::default(),
            ended: Mutex::new(None),
            ending: Condvar::new(),
        });
        let (watched, name) = (Arc::clone(&process), device.to_owned());
        let watch = move || watched.follow(stderr, &name);
        if let Err(e) = std::thread::Builder::new().name(format!("worker-{device}")).spawn(watch) {
            process.kill("no thread to watch it");
            return Err(call(e));
        }
        match process.reply(patience) {
            Ok(Reply::Ready(Ok(descriptor))) => Ok((process, descriptor)),
            Ok(Reply::Ready(Err(e))) => {
                process.kill("its device does not open");
                Err(e)
            }
            Ok(_) => Err(process.lost("the worker's first word is not that it is ready")),
            Err(e) => Err(e),
        }
    }

    /// The inputs of its jobs.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Asks how the device is.
    pub(super) fn health(&self, patience: Duration) -> Result<Health, DeviceError> {
        match self.ask(&Ask::Health, &[], patience)? {
            Reply::Health(health) => health,
            _ => Err(self.lost("the worker answers something else than it was asked")),
        }
    }

    /// Opens a lane.
    pub(super) fn open_lane(
        &self,
        priority: LanePriority,
        patience: Duration,
    ) -> Result<(Channel, Header), DeviceError> {
        let call = |e: std::io::Error| DeviceError::Call(format!("a lane does not open: {e}"));
        let (ours, theirs) = Channel::pair().map_err(call)?;
        let header = Header::create().map_err(call)?;
        let fds = [theirs.as_fd(), header.as_fd()];
        match self.ask(&Ask::OpenLane(priority), &fds, patience)? {
            Reply::Opened(opened) => opened.map(|()| (ours, header)),
            _ => Err(self.lost("the worker answers something else than it was asked")),
        }
    }

    fn ask(
        &self,
        ask: &Ask,
        fds: &[std::os::fd::BorrowedFd<'_>],
        patience: Duration,
    ) -> Result<Reply, DeviceError> {
        let mut control = lock(&self.control);
        if let Err(e) = control.send(ask, fds) {
            return Err(self.lost(&format!("the worker does not listen: {e}")));
        }
        self.reply_on(&mut control, patience)
    }

    fn reply(&self, patience: Duration) -> Result<Reply, DeviceError> {
        self.reply_on(&mut lock(&self.control), patience)
    }

    fn reply_on(&self, control: &mut Channel, patience: Duration) -> Result<Reply, DeviceError> {
        match control.receive(Some(Instant::now() + patience)) {
            Ok((reply, _)) => Ok(reply),
            Err(ReceiveError::Closed) => Err(self.lost("the worker closed its connection")),
            Err(ReceiveError::TimedOut) => {
                Err(self.lost(&format!("the worker did not answer within {} ms", patience.as_millis())))
            }
            Err(ReceiveError::Garbage(what)) => {
                Err(self.lost(&format!("the worker speaks no sense: {what}")))
            }
        }
    }

    /// Gives the process up and says why, which is how it ended where it did that by itself.
    pub(super) fn lost(&self, why: &str) -> DeviceError {
        // Whoever is killed has no reason of its own, so the process may first say what its end was.
        let by_itself = if lock(&self.condemned).is_none() { self.await_end() } else { None };
        let why =
            by_itself.map_or_else(|| why.to_owned(), |status| format!("the worker {}", describe(status)));
        DeviceError::Lost(self.kill(&why))
    }

    /// Kills the process, unless it has ended; every lane of it then answers with the reason, which comes back.
    pub(super) fn kill(&self, why: &str) -> String {
        let reason = lock(&self.condemned).get_or_insert_with(|| why.to_owned()).clone();
        self.dead.store(true, Ordering::Relaxed);
        // It was not waited for where it still runs, so its number is nobody else's.
        let _ = lock(&self.child).kill();
        reason
    }

    /// Whether it is given up.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Whether the system says that it has ended.
    pub(super) fn has_ended(&self) -> bool {
        lock(&self.ended).is_some()
    }

    /// Waits for its end until then; whether it came.
    pub(super) fn await_end_until(&self, until: Instant) -> bool {
        let mut ended = lock(&self.ended);
        while ended.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            ended = self.ending.wait_timeout(ended, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        lock(&self.child).id()
    }

    /// Waits for its end: a moment in any case, longer where its connection has closed.
    fn await_end(&self) -> Option<ExitStatus> {
        let start = Instant::now();
        let mut ended = lock(&self.ended);
        while ended.is_none() {
            let waited = start.elapsed();
            if waited >= END_PATIENCE || (waited >= END_MOMENT && !self.closes()) {
                return None;
            }
            ended = self.ending.wait_timeout(ended, REAP_PAUSE).unwrap_or_else(PoisonError::into_inner).0;
        }
        *ended
    }

    /// Whether the process is about to end: the system has closed its connection.
    fn closes(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Ok(control) = self.control.try_lock() else { return true };
        let mut watched = [PollFd::new(&*control, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut watched, Some(&now)).is_ok_and(|n| n > 0)
    }

    /// Takes the worker's words into the log until it ends.
    fn follow(&self, stderr: Option<impl Read>, device: &str) {
        if let Some(stderr) = stderr {
            let mut reader = BufReader::new(stderr);
            let mut line = Vec::new();
            while reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line);
                tracing::info!(device, pid = self.pid(), "worker: {}", text.trim_end());
                line.clear();
            }
        }
        let status = loop {
            match lock(&self.child).try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) => {}
                Err(_) => break None,
            }
            std::thread::sleep(REAP_PAUSE);
        };
        self.dead.store(true, Ordering::Relaxed);
        *lock(&self.ended) = status;
        self.ending.notify_all();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The thread that follows it holds it until it has ended; this is for the one whose thread did not start.
        let _ = lock(&self.child).kill();
        let _ = lock(&self.child).try_wait();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(11), _) => "was ended by a segmentation fault".into(),
        (Some(6), _) => "aborted".into(),
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, code) => format!("ended with code {}", code.unwrap_or(-1)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is complete between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
