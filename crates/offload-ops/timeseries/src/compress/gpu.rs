//! From tensors to bytes on a device.

use super::{Inputs, cpu, extents, method::Method};
use crate::codec::{self, device::ENCODERS};
use crate::device;
use offload_api::{Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{DeviceNeed, Failure, Rejection};

/// What writing starts.
pub(super) static KERNELS: &[&KernelText] = ENCODERS;

/// Blocks of a job, so that groups can be numbered.
const MOST_BLOCKS: u64 = 1 << 30;

/// What it asks of a device.
pub(super) fn need(inputs: &Inputs<TensorSpec>) -> Result<DeviceNeed, Rejection> {
    let e = extents(inputs)?;
    let (columns, length) = (e.columns, e.length as u64);
    if inputs.data.elements() == 0 {
        return Ok(device::EMPTY);
    }
    if inputs.level() > codec::device::HIGHEST_LEVEL {
        return Ok(DeviceNeed::CpuOnly(
            "above level 6 codings are tried one after another, which is the CPU's part",
        ));
    }
    if columns.saturating_mul(length.div_ceil(codec::BLOCK as u64)) > MOST_BLOCKS {
        return Ok(DeviceNeed::CpuOnly("more than 1,073,741,824 blocks are not in the device path"));
    }
    Ok(DeviceNeed::Bytes(codec::device::encode_bytes(columns, length, codec::most_bytes(columns, length))))
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    // Decimals are found by arithmetic of f64.
    device::needs_f64(gpu)?;
    let method = inputs.method.coding(inputs.data.dtype())?;
    debug_assert!(inputs.method != Method::Lstm, "refused before");
    let (source, columns) = cpu::source(inputs)?;
    let tensors = (&inputs.data, inputs.timestamps.as_ref());
    let encoded = codec::device::encode(gpu, &source, tensors, method, inputs.level())?;
    Ok(cpu::outputs(inputs, &source, columns, encoded))
}
