//! Compiled kernel texts: one program for all lanes of a device, and its binary on disk for the next start.

use super::Shared;
use super::code::Code;
use super::objects::Program;
use super::platform::Offer;
use crate::kernels::{self, KernelCache, Key};
use cl3::error_codes::{CL_BUILD_PROGRAM_FAILURE, CL_COMPILE_PROGRAM_FAILURE, CL_LINK_PROGRAM_FAILURE};
use offload_core::api::DType;
use offload_core::device::{Backend, DeviceError, KernelSource, ModuleId};
use std::collections::HashMap;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The program of one kernel text, once it is built. Its lock is held while it is: lanes that want the same wait, others
/// go on.
type Slot = Arc<Mutex<Option<Arc<Program>>>>;

/// The programs of a device.
pub(super) struct Programs {
    cache: KernelCache,
    slots: Mutex<HashMap<KernelSource, (ModuleId, Slot)>>,
}

impl Programs {
    /// None yet; binaries are kept in this folder.
    pub(super) fn new(folder: Option<PathBuf>) -> Programs {
        Programs { cache: KernelCache::new(folder), slots: Mutex::default() }
    }

    /// The program of a text, built now if it was not.
    pub(super) fn get(
        &self,
        source: &KernelSource,
        shared: &Shared,
    ) -> Result<(ModuleId, Arc<Program>), DeviceError> {
        let (id, slot) = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let next = ModuleId(slots.len() as u64);
            let (id, slot) = slots.entry(*source).or_insert_with(|| (next, Slot::default()));
            (*id, Arc::clone(slot))
        };
        let mut built = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = &*built {
            return Ok((id, Arc::clone(program)));
        }
        let program = Arc::new(self.build(source, shared)?);
        *built = Some(Arc::clone(&program));
        Ok((id, program))
    }

    fn build(&self, source: &KernelSource, shared: &Shared) -> Result<Program, DeviceError> {
        let offer = &shared.offer;
        fits(source, offer)?;
        let (text, options) = (whole(source, offer), options(offer));
        let device = &offer.descriptor;
        let software = device.software.join("; ");
        let key = Key::of(&["opencl", &text, &options, &device.name, &software]);
        let options = CString::new(options).map_err(|e| DeviceError::Compile(e.to_string()))?;

        if let Some(binary) = self.cache.get(&key) {
            // A driver may refuse its own binary after an update that its version does not show: then from the text.
            let program = shared.context.program_of_binary(offer.id, &binary);
            if let Ok(program) = program.and_then(|p| p.build(offer.id, &options).map(|()| p)) {
                return Ok(program);
            }
        }
        let program = shared.context.program(&text).map_err(|code| code.call("create a program"))?;
        program.build(offer.id, &options).map_err(|code| {
            let log = program.log(offer.id);
            failure(code, &source.name(), &log)
        })?;
        if let Ok(binary) = program.binary()
            && !binary.is_empty()
        {
            self.cache.put(&key, &binary);
        }
        Ok(program)
    }
}

/// Refuses what this device cannot run, so that the job goes elsewhere instead of failing at its launch.
fn fits(source: &KernelSource, offer: &Offer) -> Result<(), DeviceError> {
    let name = &offer.descriptor.name;
    if source.element == Some(DType::F64) && !offer.descriptor.f64 {
        return Err(DeviceError::Unsupported(format!("{name} has no f64")));
    }
    let block = source.text.block;
    if block > offer.largest_group {
        let largest = offer.largest_group;
        return Err(DeviceError::Unsupported(format!(
            "{name} has groups of at most {largest} items, {} needs {block}",
            source.name()
        )));
    }
    Ok(())
}

fn whole(source: &KernelSource, offer: &Offer) -> String {
    let text = kernels::assemble(source, Backend::OpenCl);
    if offer.checks_races { format!("#define RACE_CHECK 1\n{text}") } else { text }
}

fn options(offer: &Offer) -> String {
    let mut options = String::from("-cl-std=CL1.2");
    if offer.checks_races {
        // The simulator runs the compiler's intermediate code, and does not know all that the optimiser makes of it.
        options.push_str(" -cl-opt-disable");
    }
    if offer.exact_division {
        options.push_str(" -cl-fp32-correctly-rounded-divide-sqrt");
    }
    options
}

fn failure(code: Code, name: &str, log: &str) -> DeviceError {
    let compiled =
        [CL_BUILD_PROGRAM_FAILURE, CL_COMPILE_PROGRAM_FAILURE, CL_LINK_PROGRAM_FAILURE].contains(&code.0);
    if compiled { DeviceError::Compile(format!("{name}: {log}")) } else { code.call("build a program") }
}
