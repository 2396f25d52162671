//! A device offers memory, compilation and launches; operations bring everything else.
//!
//! [`Device`] and [`DeviceLane`] are what a backend implements. [`Gpu`] is what an operation's device path sees.
//! Every driver call returns a code; nothing here panics, and a missing driver is an error with its reason.

mod gpu;
mod host;
mod kernel;
mod library;
mod resident;
mod scrub;
mod slice;

pub use gpu::{Buffer, Gpu, GpuTimings, MOST_COMMANDS, PLAIN_ROUNDS, Rounds};
pub use host::{DeviceHost, DeviceJob, DeviceReport, InProcess, Isolation, JobLane};
pub use kernel::{
    Argument, Entry, Groups, IntoArgument, KernelElement, KernelSource, KernelText, Launch, ModuleId, start,
};
pub use library::{At, Blas, Gemm, Solver};
pub use resident::Residents;
pub use slice::{Slice, SliceUse, SliceView};

use crate::TenantId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A device's driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the variants say it")]
pub enum Backend {
    Cuda,
    Rocm,
    OpenCl,
    /// The fault-injecting device of tests and demonstrations.
    Test,
}

impl Backend {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Cuda => "cuda",
            Backend::Rocm => "rocm",
            Backend::OpenCl => "opencl",
            Backend::Test => "test",
        }
    }
}

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its number in this service.
    pub id: u32,
    /// What its vendor calls it.
    pub name: String,
    /// Its driver.
    pub backend: Backend,
    /// Bytes of device memory that jobs may use.
    pub memory_bytes: u64,
    /// Whether `f64` runs there.
    pub f64: bool,
    /// Its multiprocessors (compute units), where the driver tells; 1 otherwise.
    pub units: u32,
    /// Its generation as its vendor spells it (`sm_90`, `gfx942`); empty where there is no such thing.
    pub architecture: String,
    /// Its place on the bus (`0000:3b:00.0`), by which one card seen through two drivers is one device.
    pub pci: Option<String>,
    /// What its driver names it by, of a slice's worker the slice (`GPU-…`, `MIG-…`), where it has to be told apart by that.
    pub uuid: Option<String>,
    /// The slices that it is cut into; `None` for one that is whole.
    pub slices: Option<Vec<Slice>>,
    /// Whether it is host memory and cores in the guise of a device (PoCL, a test device): never chosen for speed.
    pub is_cpu: bool,
    /// The driver's version and the libraries that are loaded beside it.
    pub software: Vec<String>,
}

impl Descriptor {
    /// A device of this kind, of which nothing more is known.
    pub fn new(id: u32, name: impl Into<String>, backend: Backend, memory_bytes: u64) -> Descriptor {
        Descriptor {
            id,
            name: name.into(),
            backend,
            memory_bytes,
            f64: true,
            units: 1,
            architecture: String::new(),
            pci: None,
            uuid: None,
            slices: None,
            is_cpu: false,
            software: Vec::new(),
        }
    }
}

/// How a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Bytes of memory in use.
    pub memory_used_bytes: u64,
    /// Share of the last second in which it was busy, in percent, where the driver tells.
    pub utilization_percent: Option<u32>,
    /// In degrees Celsius, where the driver tells.
    pub temperature_celsius: Option<u32>,
    /// In watts, where the driver tells.
    pub power_watts: Option<u32>,
    /// Memory errors it could not correct since its driver was loaded, where the driver tells.
    pub uncorrected_errors: Option<u64>,
    /// Whether it is cut into slices (MIG), where it can be.
    pub mig: Option<bool>,
}

/// Why a device call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DeviceError {
    /// An allocation does not fit; the device is fine.
    #[error("device memory: {needed_bytes} bytes needed, {free_bytes} free")]
    OutOfMemory {
        /// Bytes asked for.
        needed_bytes: u64,
        /// Bytes that were free.
        free_bytes: u64,
    },
    /// A kernel did not compile.
    #[error("kernel does not compile: {0}")]
    Compile(String),
    /// The device has no such thing; another device may.
    #[error("not supported by the device: {0}")]
    Unsupported(String),
    /// All places for jobs like this one are taken now; the device is fine. The text is for the caller.
    #[error("{0}")]
    NoPlace(String),
    /// A call failed and the device may go on.
    #[error("device call failed: {0}")]
    Call(String),
    /// The context is poisoned or the device is gone: nothing more runs there before a restart.
    #[error("device lost: {0}")]
    Lost(String),
}

impl DeviceError {
    /// Whether nothing more can run on the device before it is restarted.
    pub fn is_sticky(&self) -> bool {
        matches!(self, DeviceError::Lost(_))
    }
}

/// Memory of a device, as its lane names it. Never dereferenced above the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub u64);

/// How urgent a lane's work is to the device's scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LanePriority {
    /// P0 work, which never waits behind a whole bulk job.
    High,
    /// Everything else.
    Normal,
}

/// A device, shared by its lanes.
pub trait Device: Send + Sync {
    /// What is known of it.
    fn descriptor(&self) -> &Descriptor;
    /// A stream of its own over the device's one allocator.
    ///
    /// # Errors
    /// When the driver refuses.
    fn open_lane(&self, priority: LanePriority) -> Result<Box<dyn DeviceLane>, DeviceError>;
    /// How it is; also the probe that ends a quarantine.
    ///
    /// # Errors
    /// When it does not answer.
    fn health(&self) -> Result<Health, DeviceError>;
    /// How often its memory was lost and the device came back, within this process. Handles of an earlier count are
    /// nobody's, and no handle is used again. A driver that never comes back without a new process stays at 0.
    fn generation(&self) -> u64 {
        0
    }
    /// Makes host memory quick to copy from and to, where the driver can. The caller keeps it mapped until
    /// [`unpin`](Self::unpin), and waits for its lanes before that.
    ///
    /// # Errors
    /// When the driver refuses; copies work all the same.
    fn pin(&self, _region: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }
    /// Ends [`pin`](Self::pin).
    ///
    /// # Errors
    /// When the driver refuses.
    fn unpin(&self, _region: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }
    /// Bytes of its memory that are handed out.
    fn used_bytes(&self) -> u64;
}

/// A stream of work on a device. Calls are ordered; only [`download`](Self::download),
/// [`synchronize`](Self::synchronize) and [`alloc`](Self::alloc) wait. Memory belongs to the device: a handle of one lane
/// is good in another once what wrote it has run.
pub trait DeviceLane: Send {
    /// Memory of this size for a tenant. It reads zero: what the driver gives is zeroed before it is handed out, and what
    /// comes back was zeroed by who gave it back.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] when it does not fit.
    fn alloc(&mut self, tenant: &TenantId, bytes: usize) -> Result<Handle, DeviceError>;
    /// Gives memory back that the caller has zeroed and waited for.
    fn free(&mut self, handle: Handle);
    /// Withdraws memory that could not be zeroed: it is never handed out again, and counted until the device is
    /// restarted. A driver that does nothing about it does just that.
    fn retire(&mut self, _handle: Handle) {}
    /// Zeroes what the lane's libraries may keep of the job that just ended, in stream order.
    ///
    /// # Errors
    /// When the driver refuses.
    fn scrub(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
    /// Copies host bytes to the device. They may be changed once the call returns, except where they lie in memory
    /// that the lane's host has pinned: then after the next wait.
    ///
    /// # Errors
    /// When the driver refuses.
    fn upload(&mut self, to: Handle, offset: usize, bytes: &[u8]) -> Result<(), DeviceError>;
    /// Copies device bytes to the host, and waits.
    ///
    /// # Errors
    /// When the driver refuses, or an earlier call of the lane failed.
    fn download(&mut self, from: Handle, offset: usize, bytes: &mut [u8]) -> Result<(), DeviceError>;
    /// Fills memory with one byte.
    ///
    /// # Errors
    /// When the driver refuses.
    fn set(&mut self, to: Handle, byte: u8) -> Result<(), DeviceError>;
    /// Copies `bytes` bytes within the device.
    ///
    /// # Errors
    /// When the driver refuses.
    fn copy(&mut self, from: At, to: At, bytes: usize) -> Result<(), DeviceError>;
    /// Compiles a kernel text, or finds it compiled.
    ///
    /// # Errors
    /// [`DeviceError::Compile`] with the compiler's log.
    fn compile(&mut self, source: &KernelSource) -> Result<ModuleId, DeviceError>;
    /// Starts a kernel.
    ///
    /// # Errors
    /// When the driver refuses.
    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), DeviceError>;
    /// Begins to record: until [`end_recording`](Self::end_recording), what is launched, copied within the device and set
    /// is noted and does not run, and everything else is refused. False where the lane does not record, which then has
    /// not begun.
    ///
    /// # Errors
    /// When the driver refuses; it has not begun then.
    fn begin_recording(&mut self) -> Result<bool, DeviceError> {
        Ok(false)
    }
    /// Ends it; what is started from here on runs. What was noted is the recording, if it is to be kept.
    ///
    /// # Errors
    /// When nothing was being recorded, or the driver makes nothing of it; there is no recording then.
    fn end_recording(&mut self, _keep: bool) -> Result<Option<Recording>, DeviceError> {
        Ok(None)
    }
    /// Starts all that was recorded, in its order.
    ///
    /// # Errors
    /// [`DeviceError::Call`] when nothing was started: the recording is none of this lane's, memory that it names is given
    /// back, or the driver refuses.
    fn replay(&mut self, recording: Recording) -> Result<(), DeviceError> {
        Err(DeviceError::Call(format!("there is no recording {}", recording.0)))
    }
    /// Gives up a recording whose replays have ended.
    fn forget(&mut self, _recording: Recording) {}
    /// Waits until everything has run.
    ///
    /// # Errors
    /// When something that was started failed.
    fn synchronize(&mut self) -> Result<(), DeviceError>;
    /// Notes the present point of the stream, to measure between two of them.
    ///
    /// # Errors
    /// When the driver refuses.
    fn mark(&mut self) -> Result<Mark, DeviceError>;
    /// The device's own time between two marks, both reached (after [`synchronize`](Self::synchronize)).
    ///
    /// # Errors
    /// When the driver refuses.
    fn between(&mut self, from: Mark, to: Mark) -> Result<Duration, DeviceError>;
    /// Dense matrix products, where the lane has them.
    fn blas(&mut self) -> Option<&mut dyn Blas>;
    /// The vendor's factorisations, where they are loaded.
    fn solver(&mut self) -> Option<&mut dyn Solver>;
}

/// What a lane has recorded. No other in the process has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recording(pub u64);

/// A point of a lane's stream. Marks are reused: one is good until the lane has made [`MARKS`] more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub u64);

/// How many marks of a lane are good at a time.
pub const MARKS: usize = 64;
