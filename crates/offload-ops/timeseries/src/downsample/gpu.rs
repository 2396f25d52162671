//! Triangles of many series at once on a device, each by a group.

use super::{Inputs, LONGEST, cpu};
use crate::device::{self, SERIES, sum, taken_bytes};
use crate::series::{Extents, filled};
use offload_api::{Record, Tensor, TensorSpec, Value};
use offload_core::device::{Gpu, Groups, KernelText};
use offload_core::{DeviceNeed, Failure};

/// Series that a device is worth starting for: a group goes from bucket to bucket no faster than a thread.
const FEWEST: usize = 64;
const MOST: usize = 1 << 24;
/// Values of a series: places times points are counted in 64 bits.
const LONGEST_THERE: usize = 1 << 31;

offload_core::kernels! {
    /// Bucket after bucket.
    static TRIANGLES = "series_downsample" {
        text: include_str!("kernel.gpu.c"),
        block: 64,
        elements: [],
        defines: [],
    }
    /// The points of each series that are kept.
    fn downsample_triangles(n: u64, m: u64, stamped: u32, y: [f64], x: [f64], indices: [i64], kept: [f64]);
}

/// What downsampling starts.
pub(super) static KERNELS: &[&KernelText] = &[&SERIES, &TRIANGLES];

/// What it asks of a device.
pub(super) fn need(inputs: &Inputs<TensorSpec>, e: Extents, m: usize) -> DeviceNeed {
    if e.values() == 0 {
        return device::EMPTY;
    }
    if e.series < FEWEST {
        return DeviceNeed::CpuOnly(
            "each choice depends on the one before it, so a device gains nothing with fewer than 64 series",
        );
    }
    if e.series > MOST || e.n > LONGEST_THERE {
        return DeviceNeed::CpuOnly(
            "more than 16,777,216 series, or 2,147,483,648 values of one, are not in the device path",
        );
    }
    let times = inputs.timestamps.as_ref().map_or(8, |t| 8 * t.elements());
    let kept = (e.series as u64).saturating_mul(m as u64).saturating_mul(16);
    DeviceNeed::Bytes(sum(&[taken_bytes(&inputs.data), times, kept]))
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let ctx = gpu.context().clone();
    let e = Extents::of("data", &inputs.data.spec(), LONGEST)?;
    let y = device::take(gpu, "data", &inputs.data, e, false)?;
    let times = inputs.timestamps.as_ref().map(|t| cpu::ascending(t, &ctx)).transpose()?;
    let m = e.n.min(inputs.points as usize);
    let x = gpu.upload(times.as_deref().unwrap_or(&[0.0]))?;
    let (indices, kept) = (gpu.zeros::<i64>(e.series * m)?, gpu.zeros::<f64>(e.series * m)?);
    let (groups, stamped) = (Groups([e.series as u32, 1, 1]), u32::from(times.is_some()));
    downsample_triangles(gpu, groups, e.n as u64, m as u64, stamped, &y, &x, &indices, &kept)?;
    Ok(Record::new()
        .with("indices", Value::Tensor(filled(e.shape(m), gpu.download(&indices)?)))
        .with("values", Value::Tensor(filled(e.shape(m), gpu.download(&kept)?))))
}
