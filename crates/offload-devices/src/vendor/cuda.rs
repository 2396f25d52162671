//! NVIDIA cards.

use super::blas::BlasLibrary;
use super::code::Kernels;
use super::device::{Card, Shared, capacity_bytes, planned_bytes};
use super::driver::Driver;
use super::health::Monitor;
use super::slices;
use super::solver::SolverLibrary;
use crate::discover::{Options, VISIBLE_DEVICES};
use offload_core::device::{Backend, Descriptor, Device, DeviceError};
use std::sync::Arc;

const MULTIPROCESSORS: i32 = 16;
const CAPABILITY_MAJOR: i32 = 75;
const CAPABILITY_MINOR: i32 = 76;

/// The cards in the driver's order, each with what would make its machine code; in NVML's order where one of them is cut
/// into slices.
///
/// # Errors
/// Why there are none.
pub(crate) fn list(options: &Options) -> Result<Vec<Descriptor>, String> {
    let unknown = match slices::cards() {
        Ok(Some(cards)) => return list_cut(cards, options),
        Ok(None) => None,
        Err(why) => Some(format!("no slices: {why}")),
    };
    let driver = Driver::cuda()?;
    let count = driver.count().map_err(|e| e.to_string())?;
    if count == 0 {
        return Err("the driver sees no card".into());
    }
    let card = |i| {
        let mut descriptor = describe(&driver, i)?;
        let kernels = Kernels::cuda(&descriptor.architecture, driver.version()?, options);
        descriptor.software.push(compiler(&kernels));
        descriptor.software.extend(unknown.clone());
        Ok::<_, DeviceError>(descriptor)
    };
    (0..count).map(card).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

/// The same for cards of which one at least is cut.
fn list_cut(mut cards: Vec<Descriptor>, options: &Options) -> Result<Vec<Descriptor>, String> {
    // Without anything to compute on, the driver does not start, and the cards say why.
    if cards.iter().all(|c| c.slices.as_ref().is_some_and(Vec::is_empty)) {
        return Ok(cards);
    }
    let version = Driver::cuda()?.version().map_err(|e| e.to_string())?;
    for card in &mut cards {
        let kernels = Kernels::cuda(&card.architecture, version, options);
        card.software = vec![driver_version(version), compiler(&kernels)];
    }
    Ok(cards)
}

fn driver_version(version: i32) -> String {
    format!("CUDA driver {}.{}", version / 1000, version % 1000 / 10)
}

/// Where the device that is meant stands in the driver's order, in what this process sees.
fn place(driver: &Driver, ordinal: u32, options: &Options) -> Result<u32, DeviceError> {
    let Some(name) = &options.visible else { return Ok(ordinal) };
    let refused = |why: String| Err(DeviceError::Unsupported(why));
    if std::env::var(VISIBLE_DEVICES).ok().as_ref() != Some(name) {
        return refused(format!("a process that uses it has to be started with {VISIBLE_DEVICES}={name}"));
    }
    // What keeps tenants apart is not left to a variable alone.
    let shown = driver.count()?;
    match driver.uuid(driver.device(0)?) {
        Some(uuid) if shown == 1 && name.ends_with(&uuid) => Ok(0),
        Some(uuid) => {
            refused(format!("the driver shows {shown} devices, the first is {uuid}, and not {name} alone"))
        }
        None => {
            refused(format!("the driver does not tell whether it shows {name}; those from CUDA 11.4 on do"))
        }
    }
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
        software: vec![driver_version(version)],
        ..Descriptor::new(ordinal, driver.name(device)?, Backend::Cuda, driver.total_bytes(device)?)
    })
}

/// Opens a card with its libraries; those that are missing cost speed, not answers, and are named in its software.
///
/// # Errors
/// What the driver answered.
pub(crate) fn open(ordinal: u32, options: &Options) -> Result<Arc<dyn Device>, DeviceError> {
    let driver = Driver::cuda().map_err(DeviceError::Unsupported)?;
    let ordinal = place(&driver, ordinal, options)?;
    let mut descriptor = describe(&driver, ordinal)?;
    descriptor.uuid.clone_from(&options.visible);
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
    let capacity = capacity_bytes(free, options);
    descriptor.memory_bytes = planned_bytes(capacity);
    let monitor = descriptor.pci.as_deref().and_then(|p| Monitor::open(p).ok());
    let shared = Shared::new(driver, context, capacity, kernels, blas.ok(), solver.ok());
    Ok(Arc::new(Card { descriptor, shared: Arc::new(shared), monitor }))
}
