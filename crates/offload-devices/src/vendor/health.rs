//! What NVML tells of a card: load, memory, heat, power, errors, slices.

use super::search::{Library, functions};
use offload_core::device::{DeviceError, Health};
use std::ffi::{CString, c_char, c_int, c_uint, c_ulonglong, c_void};

functions! {
    /// What is used of NVML.
    struct Calls {
        init: fn() -> c_int;
        by_pci: fn(*const c_char, *mut *mut c_void) -> c_int;
        utilization: fn(*mut c_void, *mut Utilization) -> c_int;
        temperature: fn(*mut c_void, c_int, *mut c_uint) -> c_int;
        power: fn(*mut c_void, *mut c_uint) -> c_int;
        ecc: fn(*mut c_void, c_int, c_int, *mut c_ulonglong) -> c_int;
        mig: fn(*mut c_void, *mut c_uint, *mut c_uint) -> c_int;
    }
}

#[repr(C)]
#[derive(Default)]
struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

/// A card as NVML knows it. NVML ignores `CUDA_VISIBLE_DEVICES`, so the card is found by its place on the bus.
pub(super) struct Monitor {
    calls: Calls,
    device: *mut c_void,
}

// SAFETY: NVML may be called from any thread, and a device handle is good in all of them.
unsafe impl Send for Monitor {}
// SAFETY: as above.
unsafe impl Sync for Monitor {}

impl Monitor {
    /// The card at this place on the bus.
    ///
    /// # Errors
    /// What is missing, or what NVML answered.
    pub(super) fn open(pci: &str) -> Result<Monitor, String> {
        let library = Library::open(&["libnvidia-ml.so.1"])?;
        let name = |field: &'static str| {
            match field {
                "init" => "nvmlInit_v2",
                "by_pci" => "nvmlDeviceGetHandleByPciBusId_v2",
                "utilization" => "nvmlDeviceGetUtilizationRates",
                "temperature" => "nvmlDeviceGetTemperature",
                "power" => "nvmlDeviceGetPowerUsage",
                "ecc" => "nvmlDeviceGetTotalEccErrors",
                "mig" => "nvmlDeviceGetMigMode",
                other => other,
            }
            .to_string()
        };
        // SAFETY: these are NVML's signatures.
        let calls = unsafe { Calls::load(&library, name)? };
        let place = CString::new(pci).map_err(|_| "a bus place with a zero in it".to_string())?;
        let mut device = std::ptr::null_mut();
        // SAFETY: the text and the handle outlive the calls.
        let code = unsafe {
            match (calls.init)() {
                0 => (calls.by_pci)(place.as_ptr(), &raw mut device),
                code => code,
            }
        };
        if code == 0 { Ok(Monitor { calls, device }) } else { Err(format!("NVML error {code}")) }
    }

    /// Adds what it tells; a figure the card does not have stays absent.
    ///
    /// # Errors
    /// When the card is lost.
    pub(super) fn fill(&self, health: &mut Health) -> Result<(), DeviceError> {
        const LOST: c_int = 15;
        let mut load = Utilization::default();
        let (mut celsius, mut milliwatts, mut errors) = (0, 0, 0);
        let (mut mig, mut pending) = (0, 0);
        // SAFETY: every target outlives its call; 0 is the core's own sensor; (1, 0) are uncorrected errors since the
        // driver was loaded.
        let codes = unsafe {
            [
                (self.calls.utilization)(self.device, &raw mut load),
                (self.calls.temperature)(self.device, 0, &raw mut celsius),
                (self.calls.power)(self.device, &raw mut milliwatts),
                (self.calls.ecc)(self.device, 1, 0, &raw mut errors),
                (self.calls.mig)(self.device, &raw mut mig, &raw mut pending),
            ]
        };
        if codes.contains(&LOST) {
            return Err(DeviceError::Lost("NVML says that the card is lost".into()));
        }
        let known = |i: usize| codes[i] == 0;
        health.utilization_percent = known(0).then_some(load.gpu);
        health.temperature_celsius = known(1).then_some(celsius);
        health.power_watts = known(2).then_some(milliwatts / 1000);
        health.uncorrected_errors = known(3).then_some(errors);
        health.mig = known(4).then_some(mig == 1);
        Ok(())
    }
}
