//! NVIDIA cards.

use super::blas::BlasLibrary;
use super::code::Kernels;
use super::device::{Card, HEADROOM_BYTES, Shared, WORKSPACE_SHARE};
use super::driver::Driver;
use super::health::Monitor;
use super::solver::SolverLibrary;
use crate::discover::Options;
use offload_core::device::{Backend, Descriptor, Device, DeviceError};
use std::sync::Arc;

const MULTIPROCESSORS: i32 = 16;
const CAPABILITY_MAJOR: i32 = 75;
const CAPABILITY_MINOR: i32 = 76;

/// The cards in the driver's order, each with what would make its machine code.
///
/// # Errors
/// Why there are none.
pub(crate) fn list(options: &Options) -> Result<Vec<Descriptor>, String> {
    let driver = Driver::cuda()?;
    let count = driver.count().map_err(|e| e.to_string())?;
    if count == 0 {
        return Err("the driver sees no card".into());
    }
    let card = |i| {
        let mut descriptor = describe(&driver, i)?;
        let kernels = Kernels::cuda(&descriptor.architecture, driver.version()?, options);
        descriptor.software.push(compiler(&kernels));
        Ok::<_, DeviceError>(descriptor)
    };
    (0..count).map(card).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

/// What makes machine code, in words.
fn compiler(kernels: &Result<Kernels, String>) -> String {
    match kernels {
        Ok(kernels) => kernels.software().into(),
        Err(reason) => format!("no compiler: {reason}"),
    }
}

fn describe(driver: &Driver, ordinal: u32) -> Result<Descriptor, DeviceError> {
    let device = driver.device(ordinal)?;
    let attribute = |a| driver.attribute(device, a);
    let version = driver.version()?;
    Ok(Descriptor {
        units: attribute(MULTIPROCESSORS)?.max(1) as u32,
        architecture: format!("sm_{}{}", attribute(CAPABILITY_MAJOR)?, attribute(CAPABILITY_MINOR)?),
        pci: driver.pci(device).ok(),
        software: vec![format!("CUDA driver {}.{}", version / 1000, version % 1000 / 10)],
        ..Descriptor::new(ordinal, driver.name(device)?, Backend::Cuda, driver.total_bytes(device)?)
    })
}

/// Opens a card with its libraries; those that are missing cost speed, not answers, and are named in its software.
///
/// # Errors
/// What the driver answered.
pub(crate) fn open(ordinal: u32, options: &Options) -> Result<Arc<dyn Device>, DeviceError> {
    let driver = Driver::cuda().map_err(DeviceError::Unsupported)?;
    let mut descriptor = describe(&driver, ordinal)?;
    let context = driver.context(driver.device(ordinal)?)?;
    let kernels = Kernels::cuda(&descriptor.architecture, driver.version()?, options);
    let blas = BlasLibrary::cublas();
    let solver = SolverLibrary::cusolver();
    descriptor.software.push(compiler(&kernels));
    let mut note = |result: Result<&str, &String>, what: &str| {
        descriptor.software.push(match result {
            Ok(name) => name.to_string(),
            Err(reason) => format!("no {what}: {reason}"),
        });
    };
    note(blas.as_ref().map(BlasLibrary::software), "cuBLAS");
    note(solver.as_ref().map(SolverLibrary::software), "cuSOLVER");
    let (free, _) = driver.memory_info()?;
    let capacity = options.memory_bytes.unwrap_or(u64::MAX).min(free.saturating_sub(HEADROOM_BYTES));
    descriptor.memory_bytes = capacity - capacity / WORKSPACE_SHARE;
    let monitor = descriptor.pci.as_deref().and_then(|p| Monitor::open(p).ok());
    let shared = Shared::new(driver, context, capacity, kernels, blas.ok(), solver.ok());
    Ok(Arc::new(Card { descriptor, shared: Arc::new(shared), monitor }))
}
