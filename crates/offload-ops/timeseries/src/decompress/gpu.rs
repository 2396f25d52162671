//! From bytes to tensors on a device.

use super::{Inputs, cpu};
use crate::codec::device::{DECODE, decode, decode_bytes};
use crate::device;
use offload_api::{Record, Tensor};
use offload_core::device::{Gpu, KernelText};
use offload_core::{DeviceNeed, Failure};

/// What reading starts.
pub(super) static KERNELS: &[&KernelText] = &[&DECODE];

/// Bytes of a file at most: its blocks, of nine bytes at least, are numbered in 31 bits.
const LONGEST_FILE: u64 = 1 << 34;

/// What it asks of a device.
pub(super) fn need(file: u64, limit: u64) -> DeviceNeed {
    if file == 0 {
        return device::EMPTY;
    }
    if file > LONGEST_FILE {
        return DeviceNeed::CpuOnly("more than 17,179,869,184 bytes are not in the device path");
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
