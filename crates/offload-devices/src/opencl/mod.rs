//! OpenCL devices: Intel, AMD, Apple and NVIDIA cards, and CPUs by PoCL.
//!
//! The library is loaded when it is first needed; without it, [`list`] says so. Kernels are OpenCL C 1.2, which every
//! device of the last decade compiles. Matrix products are this crate's own ([`crate::kernels::gemm`]): OpenCL has no
//! vendor's library.

mod code;
mod lane;
mod objects;
mod platform;
mod programs;
mod store;

use crate::discover::Options;
use code::Code;
use objects::Context;
use offload_core::device::{Descriptor, Device, DeviceError, DeviceLane, Health, LanePriority};
use platform::Offer;
use programs::Programs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::Store;

/// Every OpenCL device of this machine, CPUs included.
///
/// # Errors
/// Why there is none: no library, or no driver.
pub fn list(options: &Options) -> Result<Vec<Descriptor>, String> {
    Ok(platform::offers(options)?.into_iter().map(|offer| offer.descriptor).collect())
}

/// Opens a device by its place in [`list`].
///
/// # Errors
/// [`DeviceError::Unsupported`] when there is no such device; [`DeviceError::Call`] when the driver refuses.
pub fn open(ordinal: u32, options: &Options) -> Result<Arc<dyn Device>, DeviceError> {
    let offers = platform::offers(options).map_err(DeviceError::Unsupported)?;
    let offer = offers
        .into_iter()
        .nth(ordinal as usize)
        .ok_or_else(|| DeviceError::Unsupported(format!("no device opencl:{ordinal}")))?;
    let context = Context::new(offer.id).map_err(|code| code.call("create a context"))?;
    let store = Store::new(offer.descriptor.memory_bytes, offer.largest_bytes);
    let programs = Programs::new(options.kernel_cache.clone());
    let lost = AtomicBool::new(false);
    Ok(Arc::new(OpenClDevice(Arc::new(Shared { programs, store, context, offer, lost }))))
}

/// What the lanes of a device share. Fields that belong to the context come before it: they are dropped first.
struct Shared {
    programs: Programs,
    store: Store,
    context: Context,
    offer: Offer,
    /// Whether the context is gone; it does not come back in this process.
    lost: AtomicBool,
}

impl Shared {
    /// Refuses every call once the context is gone.
    fn alive(&self) -> Result<(), DeviceError> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(DeviceError::Lost("an earlier call found the context gone".into()));
        }
        Ok(())
    }

    /// The context is gone from here on.
    fn lose(&self, call: &str, code: Code) -> DeviceError {
        self.lost.store(true, Ordering::Relaxed);
        DeviceError::Lost(format!("{call}: {}", code.words()))
    }
}

struct OpenClDevice(Arc<Shared>);

impl Device for OpenClDevice {
    fn descriptor(&self) -> &Descriptor {
        &self.0.offer.descriptor
    }

    fn open_lane(&self, priority: LanePriority) -> Result<Box<dyn DeviceLane>, DeviceError> {
        Ok(Box::new(lane::Lane::open(Arc::clone(&self.0), priority)?))
    }

    fn health(&self) -> Result<Health, DeviceError> {
        // A queue of its own that runs one marker: the device answers, however busy its lanes are.
        lane::Lane::open(Arc::clone(&self.0), LanePriority::High)?.synchronize()?;
        Ok(Health {
            memory_used_bytes: self.0.store.used_bytes(),
            utilization_percent: None,
            temperature_celsius: None,
            power_watts: None,
            uncorrected_errors: None,
            mig: None,
        })
    }

    fn used_bytes(&self) -> u64 {
        self.0.store.used_bytes()
    }
}
