//! From bytes to tensors on a device.

use super::{Inputs, cpu};
use crate::codec::device::{DECODE, decode, decode_bytes};
use crate::device;
use offload_api::{Record, Tensor};
use offload_core::device::{Gpu, KernelText};
use offload_core::{DeviceNeed, Failure};

/// What reading starts.
pub(super) static KERNELS: &[&KernelText] = &[&DECODE];

/// What it asks of a device.
pub(super) fn need(file: u64, limit: u64) -> DeviceNeed {
    if file == 0 {
        return device::EMPTY;
    }
    DeviceNeed::Bytes(decode_bytes(file, limit))
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    // Decimals are made by arithmetic of f64.
    device::needs_f64(gpu)?;
    let file = cpu::file(inputs)?;
    let limit = inputs.limit(file.len() as u64);
    cpu::outputs(decode(gpu, ("compressed", &inputs.compressed), file, limit)?)
}
