//! Whether a start's arguments are what the entry declares. Drivers differ in what they check: PoCL 3.1 takes a number of
//! the wrong size and reads beyond it, and CUDA has no way to know.

use offload_core::api::DType;
use offload_core::device::{Argument, DeviceError, KernelSource, Launch};

/// Refuses arguments whose number or types are not the entry's.
///
/// # Errors
/// [`DeviceError::Call`], naming the entry and the argument.
pub fn check_arguments(source: &KernelSource, launch: &Launch<'_>) -> Result<(), DeviceError> {
    let entry = launch.entry;
    let declared = source.text.entries.iter().find(|e| e.name == entry);
    let declared =
        declared.ok_or_else(|| DeviceError::Call(format!("{} has no entry {entry}", source.name())))?;
    let (given, wanted) = (launch.arguments.len(), declared.parameters.len());
    if given != wanted {
        return Err(DeviceError::Call(format!("{entry}: {given} arguments for {wanted} parameters")));
    }
    if launch.block != source.text.block || launch.groups.contains(&0) {
        let (groups, block) = (launch.groups, launch.block);
        return Err(DeviceError::Call(format!("{entry}: cannot start {groups:?} groups of {block} items")));
    }
    for ((name, kind), argument) in declared.parameters.iter().zip(launch.arguments) {
        let kind = match (*kind, source.element) {
            ("T", Some(element)) => element.name(),
            (kind, _) => kind,
        };
        if !is_of(argument, kind) {
            return Err(DeviceError::Call(format!(
                "{entry}: the argument {name} is {argument:?}, not {kind}"
            )));
        }
    }
    Ok(())
}

fn is_of(argument: &Argument, kind: &str) -> bool {
    match argument {
        Argument::Buffer(_) => kind.starts_with('['),
        Argument::I32(_) => kind == DType::I32.name(),
        Argument::U32(_) => kind == "u32",
        Argument::I64(_) => kind == DType::I64.name(),
        Argument::U64(_) => kind == DType::U64.name(),
        Argument::F32(_) => kind == DType::F32.name(),
        Argument::F64(_) => kind == DType::F64.name(),
    }
}
