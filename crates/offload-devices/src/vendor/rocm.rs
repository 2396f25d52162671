//! AMD cards. Not yet run on one: the calls are CUDA's under HIP's names, the facts come from the kernel's own tables.

use super::blas::BlasLibrary;
use super::code::Kernels;
use super::compile::Compiler;
use super::device::{Card, Shared, capacity_bytes, planned_bytes};
use super::driver::Driver;
use super::solver::SolverLibrary;
use crate::discover::Options;
use crate::kernels::KernelCache;
use offload_core::device::{Backend, Descriptor, Device, DeviceError};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Where the kernel's driver describes its cards.
const NODES: &str = "/sys/class/kfd/kfd/topology/nodes";

/// The cards in the driver's order.
///
/// # Errors
/// Why there are none.
pub(crate) fn list(_options: &Options) -> Result<Vec<Descriptor>, String> {
    let driver = Driver::hip()?;
    let count = driver.count().map_err(|e| e.to_string())?;
    if count == 0 {
        return Err("the driver sees no card".into());
    }
    (0..count).map(|i| describe(&driver, i)).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

fn describe(driver: &Driver, ordinal: u32) -> Result<Descriptor, DeviceError> {
    let device = driver.device(ordinal)?;
    let pci = driver.pci(device)?;
    let version = driver.version()?;
    let node = node(Path::new(NODES), &pci).unwrap_or_default();
    Ok(Descriptor {
        units: node.units.max(1),
        architecture: node.architecture,
        pci: Some(pci),
        software: vec![format!("HIP {}.{}", version / 10_000_000, version / 100_000 % 100)],
        ..Descriptor::new(ordinal, driver.name(device)?, Backend::Rocm, driver.total_bytes(device)?)
    })
}

/// Opens a card with its libraries.
///
/// # Errors
/// What the driver answered.
pub(crate) fn open(ordinal: u32, options: &Options) -> Result<Arc<dyn Device>, DeviceError> {
    let driver = Driver::hip().map_err(DeviceError::Unsupported)?;
    let mut descriptor = describe(&driver, ordinal)?;
    let context = driver.context(driver.device(ordinal)?)?;
    let cache = KernelCache::new(options.kernel_cache.clone());
    let kernels = Compiler::hiprtc(&descriptor.architecture, cache).map(Kernels::Compiler);
    let blas = BlasLibrary::rocblas();
    let solver =
        blas.as_ref().map_err(|_| "there is no rocBLAS".to_string()).and_then(SolverLibrary::rocsolver);
    let mut note = |result: Result<&str, &String>, what: &str| {
        descriptor.software.push(match result {
            Ok(name) => name.to_string(),
            Err(reason) => format!("no {what}: {reason}"),
        });
    };
    note(kernels.as_ref().map(Kernels::software), "hipRTC");
    note(blas.as_ref().map(BlasLibrary::software), "rocBLAS");
    note(solver.as_ref().map(SolverLibrary::software), "rocSOLVER");
    let (free, _) = driver.memory_info()?;
    let capacity = capacity_bytes(free, options);
    descriptor.memory_bytes = planned_bytes(capacity);
    let shared = Shared::new(driver, context, capacity, kernels, blas.ok(), solver.ok());
    Ok(Arc::new(Card { descriptor, shared: Arc::new(shared), monitor: None }))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Node {
    architecture: String,
    units: u32,
}

/// What the kernel says of the card at a place on the bus.
fn node(nodes: &Path, pci: &str) -> Option<Node> {
    std::fs::read_dir(nodes).ok()?.flatten().find_map(|entry| {
        let text = std::fs::read_to_string(entry.path().join("properties")).ok()?;
        let facts: HashMap<&str, u64> = text
            .lines()
            .filter_map(|l| l.split_once(' '))
            .filter_map(|(k, v)| Some((k, v.trim().parse().ok()?)))
            .collect();
        let fact = |name: &str| facts.get(name).copied().unwrap_or(0);
        let place = fact("location_id");
        let here = format!(
            "{:04x}:{:02x}:{:02x}.{:x}",
            fact("domain"),
            place >> 8 & 0xff,
            place >> 3 & 0x1f,
            place & 7
        );
        let version = fact("gfx_target_version");
        (here == pci && version > 0).then(|| Node {
            architecture: format!("gfx{}{:x}{:x}", version / 10_000, version / 100 % 100, version % 100),
            units: (fact("simd_count") / fact("simd_per_cu").max(1)) as u32,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_found_by_its_place_on_the_bus() {
        let nodes = std::env::temp_dir().join(format!("kfd-{}", std::process::id()));
        let card = |n: &str, text: &str| {
            std::fs::create_dir_all(nodes.join(n)).unwrap();
            std::fs::write(nodes.join(n).join("properties"), text).unwrap();
        };
        card("0", "cpu_cores_count 64\nsimd_count 0\ngfx_target_version 0\nlocation_id 0\ndomain 0\n");
        card("1", "simd_count 440\nsimd_per_cu 4\ngfx_target_version 90010\nlocation_id 49664\ndomain 0\n");
        card("2", "simd_count 1216\nsimd_per_cu 4\ngfx_target_version 90402\nlocation_id 256\ndomain 1\n");
        let found = |pci| node(&nodes, pci).map(|n| (n.architecture, n.units));
        assert_eq!(found("0000:c2:00.0"), Some(("gfx90a".into(), 110)));
        assert_eq!(found("0001:01:00.0"), Some(("gfx942".into(), 304)));
        assert_eq!(found("0000:01:00.0"), None);
        std::fs::remove_dir_all(&nodes).unwrap();
    }
}
