//! The calls of a vendor's driver that everything else stands on.

use super::search::{Library, functions};
use offload_core::device::{DeviceError, Health};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};

/// An address in device memory.
pub(super) type Address = u64;
/// A stream, an event, a module, a function or a context; meaningful to the driver alone.
pub(super) type Opaque = *mut c_void;

functions! {
    /// The calls that CUDA and HIP spell alike but for their names.
    pub(super) struct Calls {
        init: fn(c_uint) -> c_int;
        driver_version: fn(*mut c_int) -> c_int;
        device_count: fn(*mut c_int) -> c_int;
        device_get: fn(*mut c_int, c_int) -> c_int;
        device_name: fn(*mut c_char, c_int, c_int) -> c_int;
        device_memory: fn(*mut usize, c_int) -> c_int;
        device_pci: fn(*mut c_char, c_int, c_int) -> c_int;
        memory_info: fn(*mut usize, *mut usize) -> c_int;
        alloc: fn(*mut Address, usize) -> c_int;
        free: fn(Address) -> c_int;
        upload: fn(Address, *const c_void, usize, Opaque) -> c_int;
        download: fn(*mut c_void, Address, usize, Opaque) -> c_int;
        copy: fn(Address, Address, usize, Opaque) -> c_int;
        set: fn(Address, u8, usize, Opaque) -> c_int;
        pin: fn(*mut c_void, usize, c_uint) -> c_int;
        unpin: fn(*mut c_void) -> c_int;
        stream_priorities: fn(*mut c_int, *mut c_int) -> c_int;
        stream_create: fn(*mut Opaque, c_uint, c_int) -> c_int;
        stream_synchronize: fn(Opaque) -> c_int;
        stream_destroy: fn(Opaque) -> c_int;
        event_create: fn(*mut Opaque, c_uint) -> c_int;
        event_record: fn(Opaque, Opaque) -> c_int;
        event_elapsed: fn(*mut f32, Opaque, Opaque) -> c_int;
        event_destroy: fn(Opaque) -> c_int;
        module_load: fn(*mut Opaque, *const c_void) -> c_int;
        module_function: fn(*mut Opaque, Opaque, *const c_char) -> c_int;
        launch: fn(
            Opaque, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Opaque, *mut *mut c_void, *mut *mut c_void,
        ) -> c_int;
    }
}

functions! {
    /// What only CUDA has.
    struct CudaCalls {
        device_attribute: fn(*mut c_int, c_int, c_int) -> c_int;
        context_retain: fn(*mut Opaque, c_int) -> c_int;
        context_current: fn(Opaque) -> c_int;
        module_load_with: fn(*mut Opaque, *const c_void, c_uint, *mut c_int, *mut *mut c_void) -> c_int;
        error_name: fn(c_int, *mut *const c_char) -> c_int;
    }
}

functions! {
    /// What only HIP has.
    struct HipCalls {
        set_device: fn(c_int) -> c_int;
        error_name: fn(c_int) -> *const c_char;
    }
}

// SAFETY: a type; the call says why it is sound.
type UuidCall = unsafe extern "C" fn(*mut [u8; 16], c_int) -> c_int;

#[derive(Clone, Copy)]
enum Own {
    Cuda(CudaCalls),
    Hip(HipCalls),
}

functions! {
    /// The calls that record launches. A driver may lack them.
    pub(super) struct Graphs {
        begin: fn(Opaque, c_int) -> c_int;
        end: fn(Opaque, *mut Opaque) -> c_int;
        instantiate: fn(*mut Opaque, Opaque, c_ulonglong) -> c_int;
        launch: fn(Opaque, Opaque) -> c_int;
        destroy: fn(Opaque) -> c_int;
        destroy_executable: fn(Opaque) -> c_int;
    }
}

/// A loaded driver.
#[derive(Clone, Copy)]
pub(super) struct Driver {
    pub(super) calls: Calls,
    pub(super) graphs: Option<Graphs>,
    own: Own,
    /// CUDA's, from 11.4 on.
    uuid: Option<UuidCall>,
}

// SAFETY: a table of function pointers of libraries that are never unloaded; the drivers' calls may be made from any
// thread.
unsafe impl Send for Driver {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for Driver {}

/// A device's context as this process holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    handle: usize,
    device: c_int,
}

/// A place on the bus as it is compared: in lower case, with four digits of domain.
pub(super) fn bus_place(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    match text.split_once(':') {
        Some((domain, rest)) if domain.len() > 4 => format!("{}:{rest}", &domain[domain.len() - 4..]),
        _ => text,
    }
}

thread_local! {
    /// The context this thread made current last.
    static CURRENT: Cell<Option<Context>> = const { Cell::new(None) };
}

impl Driver {
    /// Loads `libcuda` and initialises it.
    ///
    /// # Errors
    /// What is missing, or what the driver answered.
    pub(super) fn cuda() -> Result<Driver, String> {
        let library = Library::open(&["libcuda.so.1", "libcuda.so"])?;
        let name = |field: &'static str| {
            match field {
                "init" => "cuInit",
                "driver_version" => "cuDriverGetVersion",
                "device_count" => "cuDeviceGetCount",
                "device_get" => "cuDeviceGet",
                "device_name" => "cuDeviceGetName",
                "device_memory" => "cuDeviceTotalMem_v2",
                "device_pci" => "cuDeviceGetPCIBusId",
                "memory_info" => "cuMemGetInfo_v2",
                "alloc" => "cuMemAlloc_v2",
                "free" => "cuMemFree_v2",
                "upload" => "cuMemcpyHtoDAsync_v2",
                "download" => "cuMemcpyDtoHAsync_v2",
                "copy" => "cuMemcpyDtoDAsync_v2",
                "set" => "cuMemsetD8Async",
                "pin" => "cuMemHostRegister_v2",
                "unpin" => "cuMemHostUnregister",
                "stream_priorities" => "cuCtxGetStreamPriorityRange",
                "stream_create" => "cuStreamCreateWithPriority",
                "stream_synchronize" => "cuStreamSynchronize",
                "stream_destroy" => "cuStreamDestroy_v2",
                "event_create" => "cuEventCreate",
                "event_record" => "cuEventRecord",
                "event_elapsed" => "cuEventElapsedTime",
                "event_destroy" => "cuEventDestroy_v2",
                "module_load" => "cuModuleLoadData",
                "module_function" => "cuModuleGetFunction",
                "launch" => "cuLaunchKernel",
                "device_attribute" => "cuDeviceGetAttribute",
                "context_retain" => "cuDevicePrimaryCtxRetain",
                "context_current" => "cuCtxSetCurrent",
                "module_load_with" => "cuModuleLoadDataEx",
                "error_name" => "cuGetErrorName",
                other => other,
            }
            .to_string()
        };
        let graph = |field: &'static str| {
            match field {
                "begin" => "cuStreamBeginCapture_v2",
                "end" => "cuStreamEndCapture",
                "instantiate" => "cuGraphInstantiateWithFlags",
                "launch" => "cuGraphLaunch",
                "destroy" => "cuGraphDestroy",
                "destroy_executable" => "cuGraphExecDestroy",
                other => other,
            }
            .to_string()
        };
        // SAFETY: these are the CUDA driver API's signatures.
        let (calls, own, graphs, uuid) = unsafe {
            let graphs = Graphs::load(&library, graph).ok();
            let uuid = library.function::<UuidCall>("cuDeviceGetUuid_v2").ok();
            (Calls::load(&library, name)?, CudaCalls::load(&library, name)?, graphs, uuid)
        };
        Driver { calls, graphs, own: Own::Cuda(own), uuid }.initialised()
    }

    /// Loads `libamdhip64` and initialises it.
    ///
    /// # Errors
    /// What is missing, or what the driver answered.
    pub(super) fn hip() -> Result<Driver, String> {
        let library =
            Library::open(&["libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", "libamdhip64.so"])?;
        let name = |field: &'static str| {
            match field {
                "init" => "hipInit",
                "driver_version" => "hipDriverGetVersion",
                "device_count" => "hipGetDeviceCount",
                "device_get" => "hipDeviceGet",
                "device_name" => "hipDeviceGetName",
                "device_memory" => "hipDeviceTotalMem",
                "device_pci" => "hipDeviceGetPCIBusId",
                "memory_info" => "hipMemGetInfo",
                "alloc" => "hipMalloc",
                "free" => "hipFree",
                "upload" => "hipMemcpyHtoDAsync",
                "download" => "hipMemcpyDtoHAsync",
                "copy" => "hipMemcpyDtoDAsync",
                "set" => "hipMemsetD8Async",
                "pin" => "hipHostRegister",
                "unpin" => "hipHostUnregister",
                "stream_priorities" => "hipDeviceGetStreamPriorityRange",
                "stream_create" => "hipStreamCreateWithPriority",
                "stream_synchronize" => "hipStreamSynchronize",
                "stream_destroy" => "hipStreamDestroy",
                "event_create" => "hipEventCreateWithFlags",
                "event_record" => "hipEventRecord",
                "event_elapsed" => "hipEventElapsedTime",
                "event_destroy" => "hipEventDestroy",
                "module_load" => "hipModuleLoadData",
                "module_function" => "hipModuleGetFunction",
                "launch" => "hipModuleLaunchKernel",
                "set_device" => "hipSetDevice",
                "error_name" => "hipGetErrorName",
                other => other,
            }
            .to_string()
        };
        let graph = |field: &'static str| {
            match field {
                "begin" => "hipStreamBeginCapture",
                "end" => "hipStreamEndCapture",
                "instantiate" => "hipGraphInstantiateWithFlags",
                "launch" => "hipGraphLaunch",
                "destroy" => "hipGraphDestroy",
                "destroy_executable" => "hipGraphExecDestroy",
                other => other,
            }
            .to_string()
        };
        // SAFETY: these are HIP's signatures.
        let (calls, own, graphs) = unsafe {
            let graphs = Graphs::load(&library, graph).ok();
            (Calls::load(&library, name)?, HipCalls::load(&library, name)?, graphs)
        };
        Driver { calls, graphs, own: Own::Hip(own), uuid: None }.initialised()
    }

    fn initialised(self) -> Result<Driver, String> {
        // SAFETY: no pointer is passed.
        self.check("initialise", unsafe { (self.calls.init)(0) }).map_err(|e| e.to_string())?;
        Ok(self)
    }

    /// How many devices it has.
    pub(super) fn count(&self) -> Result<u32, DeviceError> {
        let mut n = 0;
        // SAFETY: `n` outlives the call.
        self.check("count devices", unsafe { (self.calls.device_count)(&raw mut n) })?;
        Ok(n.max(0) as u32)
    }

    /// Its version as the vendor counts.
    pub(super) fn version(&self) -> Result<i32, DeviceError> {
        let mut version = 0;
        // SAFETY: `version` outlives the call.
        self.check("version", unsafe { (self.calls.driver_version)(&raw mut version) })?;
        Ok(version)
    }

    /// The device at this place in the driver's order.
    pub(super) fn device(&self, ordinal: u32) -> Result<c_int, DeviceError> {
        let mut device = 0;
        // SAFETY: `device` outlives the call.
        self.check("device", unsafe { (self.calls.device_get)(&raw mut device, ordinal as c_int) })?;
        Ok(device)
    }

    fn text(
        &self,
        what: &str,
        // SAFETY: a type; the call below says why it is sound.
        call: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int,
        device: c_int,
    ) -> Result<String, DeviceError> {
        let mut buffer = [0 as c_char; 256];
        // SAFETY: the driver writes at most the length it is told, with a zero at its end.
        self.check(what, unsafe { call(buffer.as_mut_ptr(), 255, device) })?;
        // SAFETY: the last byte is zero whatever was written.
        Ok(unsafe { CStr::from_ptr(buffer.as_ptr()) }.to_string_lossy().into_owned())
    }

    /// What the vendor calls the device.
    pub(super) fn name(&self, device: c_int) -> Result<String, DeviceError> {
        self.text("name", self.calls.device_name, device)
    }

    /// Its place on the bus, see [`bus_place`].
    pub(super) fn pci(&self, device: c_int) -> Result<String, DeviceError> {
        Ok(bus_place(&self.text("bus place", self.calls.device_pci, device)?))
    }

    /// What names it everywhere, in hexadecimal digits and dashes, of a slice the slice; `None` where the driver does not tell.
    pub(super) fn uuid(&self, device: c_int) -> Option<String> {
        let mut bytes = [0; 16];
        // SAFETY: the driver writes 16 bytes.
        if unsafe { self.uuid?(&raw mut bytes, device) } != 0 {
            return None;
        }
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
    }

    /// Bytes of memory it has.
    pub(super) fn total_bytes(&self, device: c_int) -> Result<u64, DeviceError> {
        let mut bytes = 0;
        // SAFETY: `bytes` outlives the call.
        self.check("memory", unsafe { (self.calls.device_memory)(&raw mut bytes, device) })?;
        Ok(bytes as u64)
    }

    /// A numbered attribute; CUDA only.
    pub(super) fn attribute(&self, device: c_int, attribute: c_int) -> Result<i32, DeviceError> {
        let Own::Cuda(own) = self.own else {
            return Err(DeviceError::Unsupported("no numbered attributes".into()));
        };
        let mut value = 0;
        // SAFETY: `value` outlives the call.
        self.check("attribute", unsafe { (own.device_attribute)(&raw mut value, attribute, device) })?;
        Ok(value)
    }

    /// Takes hold of the device's context.
    pub(super) fn context(&self, device: c_int) -> Result<Context, DeviceError> {
        let mut handle: Opaque = std::ptr::null_mut();
        if let Own::Cuda(own) = self.own {
            // SAFETY: `handle` outlives the call. The context is kept for the life of the process.
            self.check("context", unsafe { (own.context_retain)(&raw mut handle, device) })?;
        }
        let context = Context { handle: handle as usize, device };
        self.enter(context)?;
        Ok(context)
    }

    /// Makes the context this thread's.
    pub(super) fn enter(&self, context: Context) -> Result<(), DeviceError> {
        if CURRENT.get() == Some(context) {
            return Ok(());
        }
        // SAFETY: the context was given by the driver and is never released.
        let code = unsafe {
            match self.own {
                Own::Cuda(own) => (own.context_current)(context.handle as Opaque),
                Own::Hip(own) => (own.set_device)(context.device),
            }
        };
        self.check("enter the context", code)?;
        CURRENT.set(Some(context));
        Ok(())
    }

    /// Loads a module from PTX, which the driver translates for the card of the current context and keeps in a cache
    /// of its own; CUDA only.
    ///
    /// # Errors
    /// [`DeviceError::Compile`] with the translator's log; [`DeviceError::Unsupported`] where the driver has no
    /// translator, or one that is too old.
    pub(super) fn load_ptx(&self, name: &str, text: &CStr) -> Result<Opaque, DeviceError> {
        const ERROR_LOG_BUFFER: c_int = 5;
        const ERROR_LOG_BUFFER_SIZE_BYTES: c_int = 6;
        const LOG_BYTES: usize = 8192;
        let Own::Cuda(own) = self.own else {
            return Err(DeviceError::Unsupported("PTX is for NVIDIA's cards".into()));
        };
        let mut module: Opaque = std::ptr::null_mut();
        // A byte more than is told, so that a zero is at its end.
        let mut log = vec![0u8; LOG_BYTES + 1];
        let mut options = [ERROR_LOG_BUFFER, ERROR_LOG_BUFFER_SIZE_BYTES];
        let mut values: [Opaque; 2] = [log.as_mut_ptr().cast(), std::ptr::without_provenance_mut(LOG_BYTES)];
        // SAFETY: the text ends with a zero and is alive during the call; the driver writes at most as many bytes of its
        // log as it is told. A number is passed in the place of a pointer, as the driver's documentation has it.
        let code = unsafe {
            let (options, values) = (options.as_mut_ptr(), values.as_mut_ptr());
            (own.module_load_with)(&raw mut module, text.as_ptr().cast(), 2, options, values)
        };
        let said = || {
            let log = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy).unwrap_or_default();
            format!("{name}: the driver says {} ({code}) of the PTX: {}", self.error_name(code), log.trim())
        };
        match code {
            // No image, none for this card, no PTX.
            200 | 209 | 218 => Err(DeviceError::Compile(said())),
            // The translator is not installed, is older than the PTX, or is switched off.
            221..=223 => Err(DeviceError::Unsupported(said())),
            _ => self.check("load PTX", code).map(|()| module),
        }
    }

    /// Free and total bytes of the current context's device.
    pub(super) fn memory_info(&self) -> Result<(u64, u64), DeviceError> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: both outlive the call.
        self.check("memory", unsafe { (self.calls.memory_info)(&raw mut free, &raw mut total) })?;
        Ok((free as u64, total as u64))
    }

    /// What the driver alone can say of the current context's health.
    pub(super) fn health(&self) -> Result<Health, DeviceError> {
        let (free, total) = self.memory_info()?;
        Ok(Health {
            memory_used_bytes: total - free.min(total),
            utilization_percent: None,
            temperature_celsius: None,
            power_watts: None,
            uncorrected_errors: None,
            mig: None,
        })
    }

    /// An error code as an error.
    pub(super) fn check(&self, what: &str, code: c_int) -> Result<(), DeviceError> {
        if code == 0 {
            return Ok(());
        }
        let text = format!("{what}: {} ({code})", self.error_name(code));
        Err(match code {
            2 => DeviceError::OutOfMemory { needed_bytes: 0, free_bytes: 0 },
            // Not ready, or refused without harm: bad values, missing symbols, an image for another device, launches that
            // are not recorded.
            1
            | 34
            | 98
            | 101
            | 200
            | 209
            | 218
            | 500
            | 600
            | 701
            | 705
            | 708
            | 712
            | 713
            | 801
            | 900..=908 => DeviceError::Call(text),
            // Everything else leaves a context that CUDA's documentation says to give up: illegal addresses,
            // launch failures and timeouts, uncorrectable errors, lost devices.
            _ => DeviceError::Lost(text),
        })
    }

    fn error_name(&self, code: c_int) -> String {
        // SAFETY: both answer with a constant text of the library, or with nothing.
        unsafe {
            let text = match self.own {
                Own::Cuda(own) => {
                    let mut text = std::ptr::null();
                    (own.error_name)(code, &raw mut text);
                    text
                }
                Own::Hip(own) => (own.error_name)(code),
            };
            if text.is_null() {
                "an unknown error".into()
            } else {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            }
        }
    }
}
