//! NVIDIA's cards and the slices that they are cut into (MIG), as NVML lists them: CUDA shows a process one slice of one
//! card, and no whole card beside it.

use super::driver::bus_place;
use super::search::{Library, functions};
use crate::discover::VISIBLE_DEVICES;
use offload_core::device::{Backend, Descriptor, Slice};
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};

type Handle = *mut c_void;

functions! {
    /// What is used of NVML.
    struct Calls {
        init: fn() -> c_int;
        count: fn(*mut c_uint) -> c_int;
        card: fn(c_uint, *mut Handle) -> c_int;
        name: fn(Handle, *mut c_char, c_uint) -> c_int;
        uuid: fn(Handle, *mut c_char, c_uint) -> c_int;
        pci: fn(Handle, *mut Place) -> c_int;
        capability: fn(Handle, *mut c_int, *mut c_int) -> c_int;
        memory: fn(Handle, *mut Memory) -> c_int;
        mode: fn(Handle, *mut c_uint, *mut c_uint) -> c_int;
        most_slices: fn(Handle, *mut c_uint) -> c_int;
        slice: fn(Handle, c_uint, *mut Handle) -> c_int;
        instance: fn(Handle, *mut c_uint) -> c_int;
        attributes: fn(Handle, *mut Attributes) -> c_int;
    }
}

/// Bytes of a name or a UUID, and a zero.
const TEXT_BYTES: usize = 96;
/// Slices of a card that are asked for; no card has as many.
const MAX_SLICES: u32 = 64;

#[repr(C)]
#[derive(Default)]
struct Place {
    short: [c_char; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    ids: [c_uint; 2],
    text: [c_char; 32],
}

#[repr(C)]
#[derive(Default)]
struct Memory {
    total: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

#[repr(C)]
#[derive(Default)]
struct Attributes {
    multiprocessors: c_uint,
    engines: [c_uint; 5],
    instance_slices: c_uint,
    compute_slices: c_uint,
    memory_mib: c_ulonglong,
}

/// The cards, when one of them is cut into slices: each with its slices, and as what its process sees of it, which is the
/// largest one. `None` when all are whole.
///
/// # Errors
/// Why that is not known.
pub(super) fn cards() -> Result<Option<Vec<Descriptor>>, String> {
    let visible = std::env::var(VISIBLE_DEVICES).ok();
    let visible = visible.as_deref().map(named).transpose()?;
    let calls = load().map_err(|why| format!("no NVML: {why}"))?;
    let mut count = 0;
    // SAFETY: `count` outlives its call.
    let code = unsafe {
        match (calls.init)() {
            0 => (calls.count)(&raw mut count),
            code => code,
        }
    };
    check("list the cards", code)?;
    let mut cards = Vec::new();
    for ordinal in 0..count {
        cards.push(card(&calls, ordinal)?);
    }
    if let Some(names) = visible {
        for slices in cards.iter_mut().filter_map(|c| c.slices.as_mut()) {
            slices.retain(|s| names.contains(&s.uuid.as_str()));
        }
        cards.retain(|c| c.slices.as_ref().is_some_and(|s| !s.is_empty()));
    }
    let cut = cards.iter().any(|c| c.slices.is_some());
    Ok(cut.then(|| cards.into_iter().map(seen).collect()))
}

/// The slices that this process may use, of a value that names slices alone. Any other is CUDA's to interpret.
fn named(visible: &str) -> Result<Vec<&str>, String> {
    let names: Vec<&str> = visible.split(',').map(str::trim).collect();
    match names.iter().all(|n| n.starts_with("MIG-")) {
        true => Ok(names),
        false => Err(format!("{VISIBLE_DEVICES} is set, and does not name slices alone")),
    }
}

/// A card as the process sees it that is shown its largest slice.
fn seen(mut card: Descriptor) -> Descriptor {
    if let Some(slices) = &card.slices {
        let largest = Slice::largest(slices);
        card.uuid = largest.map(|s| s.uuid.clone());
        card.memory_bytes = largest.map_or(0, |s| s.memory_bytes);
        card.units = largest.map_or(1, |s| s.units);
    }
    card
}

fn load() -> Result<Calls, String> {
    let library = Library::open(&["libnvidia-ml.so.1"])?;
    let name = |field: &'static str| {
        match field {
            "init" => "nvmlInit_v2",
            "count" => "nvmlDeviceGetCount_v2",
            "card" => "nvmlDeviceGetHandleByIndex_v2",
            "name" => "nvmlDeviceGetName",
            "uuid" => "nvmlDeviceGetUUID",
            "pci" => "nvmlDeviceGetPciInfo_v3",
            "capability" => "nvmlDeviceGetCudaComputeCapability",
            "memory" => "nvmlDeviceGetMemoryInfo",
            "mode" => "nvmlDeviceGetMigMode",
            "most_slices" => "nvmlDeviceGetMaxMigDeviceCount",
            "slice" => "nvmlDeviceGetMigDeviceHandleByIndex",
            "instance" => "nvmlDeviceGetGpuInstanceId",
            "attributes" => "nvmlDeviceGetAttributes_v2",
            other => other,
        }
        .to_string()
    };
    // SAFETY: these are NVML's signatures.
    unsafe { Calls::load(&library, name) }
}

fn check(what: &str, code: c_int) -> Result<(), String> {
    if code == 0 { Ok(()) } else { Err(format!("NVML does not {what}: error {code}")) }
}

fn card(calls: &Calls, ordinal: u32) -> Result<Descriptor, String> {
    let mut handle: Handle = std::ptr::null_mut();
    let (mut place, mut memory) = (Place::default(), Memory::default());
    let (mut major, mut minor) = (0, 0);
    let (mut mode, mut pending) = (0, 0);
    // SAFETY: every target outlives its call and is of the type that NVML writes.
    let cut = unsafe {
        check("open a card", (calls.card)(ordinal, &raw mut handle))?;
        check("tell a card's place", (calls.pci)(handle, &raw mut place))?;
        check("tell what a card can do", (calls.capability)(handle, &raw mut major, &raw mut minor))?;
        // Whoever sees some slices alone may not be told of the whole memory, and has no need of it.
        let _ = (calls.memory)(handle, &raw mut memory);
        // Cards that cannot be cut do not know the question.
        (calls.mode)(handle, &raw mut mode, &raw mut pending) == 0 && mode == 1
    };
    Ok(Descriptor {
        architecture: format!("sm_{major}{minor}"),
        pci: Some(bus_place(&terminated(place.text))),
        uuid: Some(text(calls.uuid, handle)?),
        slices: cut.then(|| slices(calls, handle)),
        ..Descriptor::new(ordinal, text(calls.name, handle)?, Backend::Cuda, memory.total)
    })
}

/// The slices of a card that this process may use, in NVML's order.
fn slices(calls: &Calls, card: Handle) -> Vec<Slice> {
    let mut most = 0;
    // SAFETY: `most` outlives the call.
    let code = unsafe { (calls.most_slices)(card, &raw mut most) };
    if code != 0 {
        return Vec::new();
    }
    let at = |index| {
        let mut handle: Handle = std::ptr::null_mut();
        let (mut part, mut memory, mut attributes) = (0, Memory::default(), Attributes::default());
        // SAFETY: every target outlives its call and is of the type that NVML writes.
        let sized = unsafe {
            // There are fewer than there can be, and some may be kept from this process.
            if (calls.slice)(card, index, &raw mut handle) != 0
                || (calls.instance)(handle, &raw mut part) != 0
            {
                return None;
            }
            // Figures that it does not tell stay zero.
            let _ = (calls.attributes)(handle, &raw mut attributes);
            (calls.memory)(handle, &raw mut memory) == 0
        };
        let memory_bytes = if sized { memory.total } else { attributes.memory_mib.saturating_mul(1 << 20) };
        let units = attributes.multiprocessors.max(1);
        Some(Slice { uuid: text(calls.uuid, handle).ok()?, part, memory_bytes, units })
    };
    (0..most.min(MAX_SLICES)).filter_map(at).collect()
}

fn text(
    // SAFETY: a type; the call below says why it is sound.
    call: unsafe extern "C" fn(Handle, *mut c_char, c_uint) -> c_int,
    handle: Handle,
) -> Result<String, String> {
    let mut buffer = [0 as c_char; TEXT_BYTES + 1];
    // SAFETY: NVML writes at most as many bytes as it is told.
    check("tell a name", unsafe { call(handle, buffer.as_mut_ptr(), TEXT_BYTES as c_uint) })?;
    Ok(terminated(buffer))
}

fn terminated<const N: usize>(mut text: [c_char; N]) -> String {
    text[N - 1] = 0;
    // SAFETY: the last byte is zero.
    unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_that_names_slices_alone_says_which_slices_to_use() {
        assert_eq!(named("MIG-a, MIG-b"), Ok(vec!["MIG-a", "MIG-b"]));
        for other in ["", "0", "0,1", "GPU-a", "MIG-a,0", "NoDevFiles"] {
            assert!(named(other).is_err_and(|why| why.contains(VISIBLE_DEVICES)), "{other}");
        }
    }
}
