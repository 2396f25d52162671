//! Launches that a lane records as a graph of the driver's, and starts as one.

use super::driver::{Address, Opaque};
use super::lane::Lane;
use super::memory::synchronize;
use offload_core::device::{DeviceError, Handle, Recording};
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

/// `off`: everything is launched one by one, so that a card can be measured with and without.
const SWITCH: &str = "HELIOSDB_GPU_GRAPHS";

/// Calls that cannot be recorded are refused in the recording thread, and other threads go on.
const THREAD_LOCAL: c_int = 1;

/// The next number of a recording, of whatever lane.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What a lane has recorded, and records.
pub(super) struct Recordings {
    enabled: bool,
    /// Where memory lies that is named by what is being recorded.
    now: Option<Places>,
    kept: HashMap<Recording, Kept>,
    /// Whether it was said why nothing is recorded.
    said: bool,
}

/// A graph that can be started, and where the memory lies that it was made for.
struct Kept {
    executable: Opaque,
    places: Places,
}

type Places = HashMap<Handle, Address>;

impl Recordings {
    pub(super) fn new() -> Recordings {
        let enabled = std::env::var_os(SWITCH).is_none_or(|value| value != "off");
        Recordings { enabled, now: None, kept: HashMap::new(), said: false }
    }

    /// Whether what is launched is noted instead of run.
    pub(super) fn is_on(&self) -> bool {
        self.now.is_some()
    }

    /// A launch, copy or fill names this memory.
    pub(super) fn names(&mut self, handle: Handle, at: Address) {
        if let Some(places) = &mut self.now {
            places.insert(handle, at);
        }
    }
}

impl Lane {
    pub(super) fn begin(&mut self) -> Result<bool, DeviceError> {
        self.enter()?;
        let driver = self.shared.driver;
        let Some(graphs) = driver.graphs.filter(|_| self.recordings.enabled) else { return Ok(false) };
        // SAFETY: the stream is the lane's own, and one thread at a time uses it.
        let began = driver.check("begin a graph", unsafe { (graphs.begin)(self.stream, THREAD_LOCAL) });
        self.noted(began)?;
        self.recordings.now = Some(Places::new());
        Ok(true)
    }

    pub(super) fn end(&mut self, keep: bool) -> Result<Option<Recording>, DeviceError> {
        let driver = self.shared.driver;
        let (Some(places), Some(graphs)) = (self.recordings.now.take(), driver.graphs) else {
            return Err(DeviceError::Call("nothing is being recorded".into()));
        };
        self.enter()?;
        let mut graph: Opaque = std::ptr::null_mut();
        // SAFETY: `graph` outlives the call; the stream is the lane's own.
        let ended = driver.check("end a graph", unsafe { (graphs.end)(self.stream, &raw mut graph) });
        if let Err(e) = self.noted(ended) {
            self.destroy(graph);
            // A stream that still notes what it is given refuses to be waited for; it must not be used any more.
            return Err(match synchronize(&driver, self.stream) {
                Err(left) if !e.is_sticky() => DeviceError::Lost(format!("{e}; {left}")),
                _ => e,
            });
        }
        if !keep || graph.is_null() {
            self.destroy(graph);
            return Ok(None);
        }
        let mut executable: Opaque = std::ptr::null_mut();
        // SAFETY: `executable` outlives the call; the graph came from the driver and is destroyed once, below. What can be
        // started does not depend on it.
        let code = unsafe { (graphs.instantiate)(&raw mut executable, graph, 0) };
        self.destroy(graph);
        self.noted(driver.check("instantiate a graph", code))?;
        let recording = Recording(NEXT.fetch_add(1, Ordering::Relaxed));
        self.recordings.kept.insert(recording, Kept { executable, places });
        Ok(Some(recording))
    }

    pub(super) fn start(&mut self, recording: Recording) -> Result<(), DeviceError> {
        self.enter()?;
        let driver = self.shared.driver;
        let (Some(graphs), Some(kept)) = (driver.graphs, self.recordings.kept.get(&recording)) else {
            return Err(DeviceError::Call(format!("there is no recording {}", recording.0)));
        };
        let memory = self.shared.memory();
        for (handle, at) in &kept.places {
            if memory.place(*handle)?.0 != *at {
                return Err(DeviceError::Call("memory of a recording has moved".into()));
            }
        }
        drop(memory);
        // SAFETY: every launch in it was held against its declaration when it was recorded, and its memory is still there.
        let started = driver.check("start a graph", unsafe { (graphs.launch)(kept.executable, self.stream) });
        self.noted(started)
    }

    pub(super) fn drop_recording(&mut self, recording: Recording) {
        if let Some(kept) = self.recordings.kept.remove(&recording)
            && let Some(graphs) = self.shared.driver.graphs
            && self.enter().is_ok()
        {
            // SAFETY: it came from the driver, and is destroyed once; the caller has waited for its replays.
            unsafe { (graphs.destroy_executable)(kept.executable) };
        }
    }

    /// Gives up all that is recorded, or is being recorded.
    pub(super) fn drop_recordings(&mut self) {
        if self.recordings.is_on() {
            // What the driver says of it changes nothing: the stream goes too.
            let _ = self.end(false);
        }
        let kept: Vec<Recording> = self.recordings.kept.keys().copied().collect();
        for recording in kept {
            self.drop_recording(recording);
        }
    }

    fn destroy(&self, graph: Opaque) {
        if let Some(graphs) = self.shared.driver.graphs
            && !graph.is_null()
        {
            // SAFETY: it came from the driver, and every graph comes here once.
            unsafe { (graphs.destroy)(graph) };
        }
    }

    /// Says once in the log why launches are made one by one, which costs time and no answers.
    fn noted(&mut self, result: Result<(), DeviceError>) -> Result<(), DeviceError> {
        if let Err(error) = &result
            && !error.is_sticky()
            && !std::mem::replace(&mut self.recordings.said, true)
        {
            tracing::warn!(%error, "launches are not recorded and are made one by one");
        }
        result
    }
}
