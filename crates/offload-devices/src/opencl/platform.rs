//! Which devices the drivers offer, and what they say about them.

use super::code::Code;
use super::objects::{DeviceId, information};
use crate::discover::Options;
use cl3::device::{self as ask, CL_DEVICE_TYPE_ALL, CL_DEVICE_TYPE_CPU};
use cl3::platform;
use offload_core::device::{Backend, Descriptor};

/// A device and what later calls need to know of it.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// Its name to the driver.
    pub(super) id: DeviceId,
    /// What everyone may know.
    pub(super) descriptor: Descriptor,
    /// The extensions it has, by name.
    pub(super) extensions: Vec<String>,
    /// `major · 100 + minor` of its OpenCL.
    pub(super) version: u32,
    /// Whether it is a simulator that looks for races.
    pub(super) checks_races: bool,
    /// The largest piece of memory it gives.
    pub(super) largest_bytes: u64,
    /// The most items that a group may have.
    pub(super) largest_group: u32,
    /// Whether division and square roots of `f32` can be as IEEE 754 says.
    pub(super) exact_division: bool,
}

/// Every device of every driver, in the loader's order.
pub(super) fn offers(options: &Options) -> Result<Vec<Offer>, String> {
    let platforms = platform::get_platform_ids().map_err(|code| Code(code).words())?;
    let mut offers = Vec::new();
    for id in platforms {
        let words = |what| platform::get_platform_data(id, what).map(|b| text(&b)).unwrap_or_default();
        let name = words(platform::CL_PLATFORM_NAME);
        // A driver without a device says so with a code; the next may have one.
        for device in ask::get_device_ids(id, CL_DEVICE_TYPE_ALL).unwrap_or_default() {
            let ordinal = offers.len() as u32;
            offers.push(describe(DeviceId(device), ordinal, &name, options));
        }
    }
    if offers.is_empty() { Err(Code::NO_PLATFORM.words()) } else { Ok(offers) }
}

fn describe(id: DeviceId, ordinal: u32, platform: &str, options: &Options) -> Offer {
    let words = |what| information(id, what).map(|b| text(&b)).unwrap_or_default();
    let number = |what| information(id, what).map_or(0, |b| number(&b));
    let extensions: Vec<String> =
        words(ask::CL_DEVICE_EXTENSIONS).split_whitespace().map(str::to_string).collect();
    let has = |name: &str| extensions.iter().any(|e| e == name);
    let is_cpu = number(ask::CL_DEVICE_TYPE) & CL_DEVICE_TYPE_CPU != 0;
    let version = words(ask::CL_DEVICE_VERSION);

    let total_bytes = number(ask::CL_DEVICE_GLOBAL_MEM_SIZE);
    // OpenCL does not tell what is free. A card keeps some for its contexts and programs; a CPU's memory is the
    // machine's, of which the service itself needs a part.
    let free_bytes = if is_cpu { total_bytes / 2 } else { total_bytes - total_bytes / 8 };
    let memory_bytes = options.memory_bytes.map_or(free_bytes, |limit| limit.min(total_bytes));

    let (mut name, mut architecture) = (words(ask::CL_DEVICE_NAME), String::new());
    if has("cl_amd_device_attribute_query") {
        // AMD's name of a device is its architecture with features (`gfx90a:sramecc+:xnack-`).
        architecture =
            name.split(':').next().filter(|n| n.starts_with("gfx")).unwrap_or_default().to_string();
        name = Some(words(ask::CL_DEVICE_BOARD_NAME_AMD)).filter(|board| !board.is_empty()).unwrap_or(name);
    }
    if has("cl_nv_device_attribute_query") {
        let of = [ask::CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, ask::CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV];
        let [major, minor] = of.map(number);
        architecture = format!("sm_{major}{minor}");
    }
    let software = vec![
        format!("driver {}", words(ask::CL_DRIVER_VERSION)),
        version.clone(),
        words(ask::CL_DEVICE_OPENCL_C_VERSION),
        platform.to_string(),
    ];
    let descriptor = Descriptor {
        f64: has("cl_khr_fp64"),
        units: (number(ask::CL_DEVICE_MAX_COMPUTE_UNITS) as u32).max(1),
        architecture,
        pci: bus_place(id, &has),
        is_cpu,
        software: software.into_iter().map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect(),
        ..Descriptor::new(ordinal, name, Backend::OpenCl, memory_bytes)
    };
    Offer {
        id,
        descriptor,
        version: version_of(&version),
        checks_races: platform == "Oclgrind",
        largest_bytes: match number(ask::CL_DEVICE_MAX_MEM_ALLOC_SIZE) {
            0 => memory_bytes,
            bytes => bytes,
        },
        largest_group: number(ask::CL_DEVICE_MAX_WORK_GROUP_SIZE) as u32,
        exact_division: number(ask::CL_DEVICE_SINGLE_FP_CONFIG) & ask::CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT
            != 0,
        extensions,
    }
}

/// The place on the bus, by whichever of three extensions the device has.
fn bus_place(id: DeviceId, has: &dyn Fn(&str) -> bool) -> Option<String> {
    if has("cl_khr_pci_bus_info") {
        let bytes = information(id, ask::CL_DEVICE_PCI_BUS_INFO_KHR)?;
        let (words, _) = bytes.as_chunks::<4>();
        let [domain, bus, device, function] = *words.first_chunk::<4>()?;
        let [domain, bus, device, function] = [domain, bus, device, function].map(u32::from_ne_bytes);
        return Some(place(domain, bus, device, function));
    }
    if has("cl_nv_device_attribute_query") {
        let read = |what| information(id, what).map(|b| number(&b) as u32);
        let (bus, slot) = (read(ask::CL_DEVICE_PCI_BUS_ID_NV)?, read(ask::CL_DEVICE_PCI_SLOT_ID_NV)?);
        return Some(place(read(PCI_DOMAIN_ID_NV).unwrap_or(0), bus, slot >> 3, slot & 7));
    }
    if has("cl_amd_device_attribute_query") {
        return amd_place(&information(id, ask::CL_DEVICE_TOPOLOGY_AMD)?);
    }
    None
}

/// `CL_DEVICE_PCI_DOMAIN_ID_NV`, which the bindings lack.
const PCI_DOMAIN_ID_NV: u32 = 0x400A;

/// `cl_device_topology_amd`: a type of 4 bytes (1 is PCIe), 17 bytes of no use, then bus, device, function.
fn amd_place(topology: &[u8]) -> Option<String> {
    let kind = u32::from_ne_bytes(*topology.first_chunk()?);
    match topology.get(21..24)? {
        [bus, device, function] if kind == 1 => {
            Some(place(0, u32::from(*bus), u32::from(*device), u32::from(*function)))
        }
        _ => None,
    }
}

fn place(domain: u32, bus: u32, device: u32, function: u32) -> String {
    format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_matches(['\0', ' ']).to_string()
}

fn number(bytes: &[u8]) -> u64 {
    match bytes.len() {
        0..4 => 0,
        4..8 => bytes.first_chunk().map_or(0, |b| u64::from(u32::from_ne_bytes(*b))),
        _ => bytes.first_chunk().map_or(0, |b| u64::from_ne_bytes(*b)),
    }
}

/// `OpenCL 3.0 …` as 300.
fn version_of(words: &str) -> u32 {
    let numbers = words.strip_prefix("OpenCL ").and_then(|w| w.split_whitespace().next()).unwrap_or_default();
    let mut parts = numbers.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    parts.next().unwrap_or(0) * 100 + parts.next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_on_the_bus_is_spelled_as_the_system_spells_it() {
        assert_eq!(place(0, 0x3b, 0, 0), "0000:3b:00.0");
        assert_eq!(place(1, 0xaf, 0x1f, 7), "0001:af:1f.7");
        let mut topology = [0u8; 24];
        topology[0] = 1;
        topology[21..].copy_from_slice(&[0xc1, 2, 1]);
        assert_eq!(amd_place(&topology).as_deref(), Some("0000:c1:02.1"));
        topology[0] = 2;
        assert_eq!(amd_place(&topology), None);
        assert_eq!(amd_place(&topology[..20]), None);
    }

    #[test]
    fn versions_are_read_from_the_drivers_words() {
        let pairs =
            [("OpenCL 3.0 PoCL HSTR: x", 300), ("OpenCL 1.2 (Apr 1 2020)", 102), ("gibberish", 0), ("", 0)];
        for (words, version) in pairs {
            assert_eq!(version_of(words), version, "{words}");
        }
    }
}
