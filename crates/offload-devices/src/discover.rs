//! Which devices this machine has, and why others are absent.
//!
//! Loading a driver can crash a process, so the service asks a worker process to do this.

use crate::opencl;
use crate::test_device::{Faults, TestDevice};
use crate::vendor;
use offload_core::device::{Backend, Descriptor, Device, DeviceError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// How devices are opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Where compiled kernels are kept; nowhere when absent.
    pub kernel_cache: Option<PathBuf>,
    /// What makes machine code for NVIDIA's cards.
    pub compiler: CudaCompiler,
    /// Where a pack of kernels for them may be, see [`Pack`](crate::kernels::Pack); the first that is there is meant.
    pub kernel_packs: Vec<PathBuf>,
    /// Bytes of memory that jobs may take of each device; all that is free, less headroom, when absent.
    pub memory_bytes: Option<u64>,
    /// Whether OpenCL devices that are CPUs count.
    pub allow_cpu_opencl: bool,
    /// The device that is opened is the only one that its driver shows to this process, which is started with this value
    /// of [`VISIBLE_DEVICES`]: `MIG-…` for a slice of a card. Absent where devices are told apart by their number.
    pub visible: Option<String>,
    /// Memory of a test device, in bytes.
    pub test_memory_bytes: u64,
    /// Where a test device fails; see [`Faults::parse`].
    pub test_faults: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            kernel_cache: None,
            compiler: CudaCompiler::default(),
            kernel_packs: Vec::new(),
            memory_bytes: None,
            allow_cpu_opencl: false,
            visible: None,
            test_memory_bytes: 256 << 20,
            test_faults: String::new(),
        }
    }
}

/// The variable that says which of NVIDIA's devices a process sees.
pub const VISIBLE_DEVICES: &str = "CUDA_VISIBLE_DEVICES";

/// What makes machine code for NVIDIA's cards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CudaCompiler {
    /// NVRTC where it is installed and knows the card, else the pack of kernels.
    #[default]
    Auto,
    /// NVRTC, and nothing without it.
    Nvrtc,
    /// The pack of kernels, though NVRTC may be there.
    Pack,
}

/// A driver's devices in its own order, or why it has none.
type List = fn(&Options) -> Result<Vec<Descriptor>, String>;
/// Opens one of them by its place in that order.
type Open = fn(u32, &Options) -> Result<Arc<dyn Device>, DeviceError>;

/// The drivers, in order of preference: a card seen through two of them belongs to the first.
const DRIVERS: &[(Backend, List, Open)] = &[
    (Backend::Cuda, vendor::list_cuda, vendor::open_cuda),
    (Backend::Rocm, vendor::list_rocm, vendor::open_rocm),
    (Backend::OpenCl, opencl::list, opencl::open),
];

/// A device that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundDevice {
    /// `cuda:0`, as [`open`] takes it.
    pub selector: String,
    /// What is known of it.
    pub descriptor: Descriptor,
    /// What [`Options::visible`] has to be to open it.
    pub visible: Option<String>,
}

impl FoundDevice {
    /// The options with which this device is opened.
    pub fn options(&self, options: &Options) -> Options {
        Options { visible: self.visible.clone(), ..options.clone() }
    }
}

/// A driver or device that is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// `cuda`, or `opencl:1`.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// What this machine has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Devices, numbered from 0.
    pub devices: Vec<FoundDevice>,
    /// Drivers and devices that are not used.
    pub absent: Vec<Absent>,
}

/// A driver's devices, or why it has none.
pub type Listed = Result<Vec<Descriptor>, String>;

/// Bytes that jobs may take of a slice with so much memory, as far as that is known before it is opened.
pub fn usable_bytes(memory_bytes: u64, options: &Options) -> u64 {
    vendor::planned_bytes(vendor::capacity_bytes(memory_bytes, options))
}

/// The drivers, in order of preference.
pub fn drivers() -> impl Iterator<Item = Backend> {
    DRIVERS.iter().map(|(backend, ..)| *backend)
}

/// One driver's devices in its own order.
///
/// # Errors
/// Why it has none.
pub fn list(backend: Backend, options: &Options) -> Listed {
    let driver = DRIVERS.iter().find(|(b, ..)| *b == backend);
    driver.map_or_else(|| Err("there is no such driver".into()), |(_, list, _)| list(options))
}

/// Looks through every driver, in this process.
pub fn discover(options: &Options) -> Found {
    merge(drivers().map(|backend| (backend, list(backend, options))).collect(), options)
}

/// The devices of all drivers, each once.
pub fn merge(listed: Vec<(Backend, Listed)>, options: &Options) -> Found {
    let mut found = Found::default();
    for (backend, listed) in listed {
        let devices = match listed {
            Ok(devices) => devices,
            Err(reason) => {
                found.absent.push(Absent { what: backend.name().into(), reason });
                continue;
            }
        };
        // A process sees one slice, and no whole card beside it, so where there are slices each process is told what to see.
        let by_name = devices.iter().any(|d| d.slices.is_some());
        for (ordinal, mut descriptor) in devices.into_iter().enumerate() {
            let selector = format!("{}:{ordinal}", backend.name());
            let same = found
                .devices
                .iter()
                .find(|d| d.descriptor.pci.is_some() && d.descriptor.pci == descriptor.pci)
                .map(|d| d.selector.clone());
            if let Some(other) = same {
                let reason = format!("the same card as {other}");
                found.absent.push(Absent { what: selector, reason });
            } else if descriptor.slices.as_ref().is_some_and(Vec::is_empty) {
                let reason = "in MIG mode, and without a slice".into();
                found.absent.push(Absent { what: selector, reason });
            } else if descriptor.is_cpu && !options.allow_cpu_opencl {
                let reason = "a CPU; set devices.allow_cpu_opencl to use it".into();
                found.absent.push(Absent { what: selector, reason });
            } else {
                descriptor.id = found.devices.len() as u32;
                let visible = descriptor.uuid.clone().filter(|_| by_name);
                found.devices.push(FoundDevice { selector, descriptor, visible });
            }
        }
    }
    found
}

/// Opens a device by its selector: `cuda:0`, `opencl:1`, `test:0`.
///
/// # Errors
/// [`DeviceError::Unsupported`] when there is no such device; otherwise the driver's reason.
pub fn open(selector: &str, options: &Options) -> Result<Arc<dyn Device>, DeviceError> {
    let unknown = || DeviceError::Unsupported(format!("no device {selector}"));
    let (driver, ordinal) = selector.split_once(':').ok_or_else(unknown)?;
    let ordinal: u32 = ordinal.parse().map_err(|_| unknown())?;
    if driver == Backend::Test.name() {
        let faults = Faults::parse(&options.test_faults).map_err(DeviceError::Unsupported)?;
        let device = TestDevice::new(ordinal, options.test_memory_bytes, faults);
        // It stands for the slice that its process was started for.
        let seen = options.visible.as_ref().and_then(|_| std::env::var(VISIBLE_DEVICES).ok());
        return Ok(Arc::new(device.named(seen)));
    }
    let (.., open) = DRIVERS.iter().find(|(b, ..)| b.name() == driver).ok_or_else(unknown)?;
    open(ordinal, options)
}
