//! The worker process: opens one device and serves its lanes until the service is gone.

use super::channel::Channel;
use super::header::Header;
use super::job::{JobServer, Shared};
use super::protocol::{Ask, Reply};
use crate::discover::{self, Options};
use offload_core::Registry;
use offload_core::device::{DeviceError, DeviceHost, InProcess, LanePriority};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, getpid, kill_process, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// What a worker is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServeOptions {
    /// How its device is opened.
    pub open: Options,
    /// Percent of the device's memory that inputs may take which are kept there between jobs.
    pub resident_percent: u8,
    /// Bytes of host memory for what device paths make of inputs (the rows of a graph) and that is kept between jobs.
    pub derived_bytes: u64,
    /// Bytes of a lane's shared memory that are kept between jobs.
    pub keep_bytes: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            open: Options::default(),
            resident_percent: 50,
            derived_bytes: 1 << 30,
            keep_bytes: 256 << 20,
        }
    }
}

/// Serves the device of this name until the service closes the connection, which is standard input. The service
/// gives this process no other descriptor than that and its standard error.
///
/// # Errors
/// When standard input is no such connection, or the service says what no service says.
pub fn serve(registry: &'static Registry, selector: &str, options: &ServeOptions) -> Result<(), String> {
    // Should the service die, this process is to end even in the midst of a driver's call. It may have died already;
    // then the socket tells.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| format!("the parent's death: {e}"))?;
    close_inherited();
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(|e| format!("standard input: {e}"))?;
    watch(socket.try_clone().map_err(|e| format!("standard input: {e}"))?)?;
    let mut control = Channel::over(socket).map_err(|e| format!("standard input is no socket: {e}"))?;
    let reply = |control: &Channel, reply: Reply| {
        control.send(&reply, &[]).map_err(|e| format!("the service does not read: {e}"))
    };
    let device = match discover::open(selector, &options.open) {
        Ok(device) => device,
        Err(e) => return reply(&control, Reply::Ready(Err(e))),
    };
    let descriptor = device.descriptor().clone();
    let resident_bytes = descriptor.memory_bytes / 100 * u64::from(options.resident_percent.min(100));
    let host =
        InProcess::with_residents(Arc::clone(&device), resident_bytes).with_derived(options.derived_bytes);
    let shared = Arc::new(Shared { registry, device, host, keep_bytes: options.keep_bytes });
    reply(&control, Reply::Ready(Ok(descriptor)))?;
    loop {
        match control.receive::<Ask>(None) {
            Ok((Ask::Health, _)) => reply(&control, Reply::Health(shared.device.health()))?,
            Ok((Ask::OpenLane(priority), fds)) => {
                reply(&control, Reply::Opened(open_lane(&shared, priority, fds)))?;
            }
            Ok((Ask::Exit, _)) | Err(super::channel::ReceiveError::Closed) => end_process(),
            Err(e) => return Err(format!("{e:?}")),
        }
    }
}

fn open_lane(shared: &Arc<Shared>, priority: LanePriority, fds: Vec<OwnedFd>) -> Result<(), DeviceError> {
    let call = |e: io::Error| DeviceError::Call(format!("a lane: {e}"));
    let mut fds = fds.into_iter();
    let (Some(socket), Some(header)) = (fds.next(), fds.next()) else {
        return Err(DeviceError::Call("a lane without its socket".into()));
    };
    let channel = Channel::over(socket).map_err(call)?;
    let header = Header::open(header).map_err(call)?;
    let lane = shared.host.open(priority)?;
    let server = JobServer::new(Arc::clone(shared), lane, header.into_context(), channel);
    let serve = move || {
        if let Err(e) = server.serve() {
            tracing::error!(error = %e, "a lane ends");
        }
    };
    std::thread::Builder::new().name(format!("lane-{priority:?}")).spawn(serve).map_err(call)?;
    Ok(())
}

/// Closes what whoever started the service left open for its children.
fn close_inherited() {
    let Ok(listing) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = listing.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    // The listing was open itself, and is no more.
    let still = |fd: &i32| *fd > 2 && std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
    for fd in open.into_iter().filter(still) {
        // SAFETY: it is open, and this is the first thing that the process does, so nothing of its own uses it.
        unsafe { rustix::io::close(fd) };
    }
}

/// Ends the process as soon as the service is gone, whatever its other threads are stuck in.
fn watch(socket: OwnedFd) -> Result<(), String> {
    let watch = move || loop {
        let mut watched = [PollFd::new(&socket, PollFlags::RDHUP)];
        match poll(&mut watched, None) {
            Ok(_) if watched[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) => {
                end_process()
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => end_process(),
        }
    };
    std::thread::Builder::new().name("service-watch".into()).spawn(watch).map_err(|e| e.to_string())?;
    Ok(())
}

/// Ends this process at once. A driver's clean-up at exit can hang on a device that does; the system's own cannot.
pub(super) fn end_process() -> ! {
    loop {
        let _ = kill_process(getpid(), Signal::KILL);
        std::thread::park();
    }
}
