//! Which methods a device runs, and in how much memory.

use super::global::Scale;
use super::{Detector, Inputs, LONGEST, cpu, global_gpu, local_gpu};
use crate::device::{self, SERIES, scan::SCAN, select::SELECT, sum, taken_bytes, wavelet::WAVELET};
use crate::rolling::gpu::PIECES;
use crate::series::Extents;
use crate::stl::gpu::{MOST_PERIOD, STL};
use offload_api::{Record, Tensor, TensorSpec};
use offload_core::device::{DeviceError, Gpu, KernelText};
use offload_core::{DeviceNeed, Failure};

/// The most values of all series together.
const MOST: u64 = 1 << 31;

/// What anomaly detection starts.
pub(super) static KERNELS: &[&KernelText] =
    &[&SERIES, &global_gpu::GLOBAL, &SELECT, &local_gpu::LOCAL, &WAVELET, &SCAN, &PIECES, &STL];

const ISOLATION: &str = "isolation has no device path: each value goes down a hundred trees by branches of its own, which items of a group cannot share";

/// What it asks of a device.
pub(super) fn need(data: &TensorSpec, e: Extents, detector: Detector) -> DeviceNeed {
    if e.values() == 0 {
        return device::EMPTY;
    }
    if e.values() > MOST {
        return DeviceNeed::CpuOnly("more than 2,147,483,648 values at once are not in the device path");
    }
    let more = match detector {
        Detector::Global(Scale::Median) => global_gpu::medians_bytes(e),
        Detector::Global(Scale::Clipped) => global_gpu::clipping_bytes(e),
        Detector::Local(scale, window) => local_gpu::bytes(scale, window, e),
        Detector::Seasonal(stl) if stl.period > MOST_PERIOD => {
            return DeviceNeed::CpuOnly(
                "seasons of more than 4,096 values are not in the device path, whose averages read a season for each value",
            );
        }
        Detector::Seasonal(stl) => sum(&[stl.device_bytes(e), global_gpu::medians_bytes(e)]),
        Detector::Isolation(_) => return DeviceNeed::CpuOnly(ISOLATION),
    };
    DeviceNeed::Bytes(sum(&[taken_bytes(data), 8 * e.values(), more]))
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let ctx = gpu.context().clone();
    let e = Extents::of("data", &inputs.data.spec(), LONGEST)?;
    let detector = inputs.detector(e.n)?;
    let x = device::take(gpu, "data", &inputs.data, e, false)?;
    let scores = gpu.zeros::<f64>(x.len())?;
    match detector {
        Detector::Global(Scale::Median) => global_gpu::by_medians(gpu, &x, e, None, &scores)?,
        Detector::Global(Scale::Clipped) => global_gpu::by_clipping(gpu, &x, e, &scores)?,
        Detector::Local(scale, window) => local_gpu::score(gpu, scale, window, &x, e, &scores)?,
        Detector::Seasonal(stl) => {
            let remainder = stl.remainders(gpu, &x, e)?;
            global_gpu::by_medians(gpu, &remainder, e, Some(&x), &scores)?;
        }
        Detector::Isolation(_) => return Err(DeviceError::Unsupported(ISOLATION.into()).into()),
    }
    cpu::outputs(inputs, e, gpu.download(&scores)?, &ctx)
}
