//! What the device paths of several operations share: series in device memory as `f64`, offsets, values by their ranks.

pub(crate) mod scan;
pub(crate) mod select;
pub(crate) mod wavelet;

use crate::series::{Extents, LARGEST, checked};
use offload_api::{DType, Tensor, TensorSpec};
use offload_core::device::{Buffer, DeviceError, Gpu, Groups};
use offload_core::{DeviceNeed, Failure};

/// Items of a group, where a text does not say otherwise.
pub(crate) const ITEMS: u32 = 256;

/// Nothing in, nothing out.
pub(crate) const EMPTY: DeviceNeed = DeviceNeed::CpuOnly("of empty inputs there is nothing to compute");

offload_core::kernels! {
    /// Values as the arithmetic takes them.
    pub(crate) static SERIES = "series_take" {
        text: include_str!("series.gpu.c"),
        block: ITEMS,
        elements: [F32, F64],
        defines: [],
    }
    /// `out[i]` is `x[i]`, less the first value of its series where `apart`; `bad` becomes 1 when a magnitude is beyond
    /// `largest`.
    fn series_take<T>(count: u64, n: u64, apart: u32, largest: f64, x: [T], out: [f64], bad: [u32]);
}

/// Bytes that [`take`] takes, the input included.
pub(crate) fn taken_bytes(spec: &TensorSpec) -> u64 {
    spec.bytes().saturating_add(spec.elements().saturating_mul(8)).saturating_add(4)
}

/// The values of an input as `f64`, less the first of their series where `apart`, once it is known that the arithmetic
/// holds all of them.
///
/// # Errors
/// As [`checked`]; when the device has no `f64`, or fails.
pub(crate) fn take(
    gpu: &mut Gpu<'_>,
    name: &'static str,
    tensor: &Tensor,
    e: Extents,
    apart: bool,
) -> Result<Buffer<f64>, Failure> {
    needs_f64(gpu)?;
    let count = tensor.data().len();
    let (out, bad) = (gpu.zeros::<f64>(count)?, gpu.zeros::<u32>(1)?);
    let (len, n, apart, groups) = (count as u64, e.n as u64, u32::from(apart), covering(count));
    if tensor.dtype() == DType::F32 {
        let x = gpu.input::<f32>(name, tensor)?;
        series_take::<f32>(gpu, groups, len, n, apart, LARGEST, &x, &out, &bad)?;
    } else {
        let x = gpu.input::<f64>(name, tensor)?;
        series_take::<f64>(gpu, groups, len, n, apart, LARGEST, &x, &out, &bad)?;
    }
    if gpu.download(&bad)?[0] > 0 {
        // The CPU says which it is.
        checked(name, tensor, e, gpu.context())?;
        return Err(DeviceError::Call(format!("{name} was read wrongly")).into());
    }
    Ok(out)
}

/// All arithmetic is in `f64`.
///
/// # Errors
/// [`DeviceError::Unsupported`] when the device has none.
pub(crate) fn needs_f64(gpu: &Gpu<'_>) -> Result<(), Failure> {
    if gpu.device().f64 {
        return Ok(());
    }
    Err(DeviceError::Unsupported("series are computed in f64, which the device does not have".into()).into())
}

/// An item for each of these, of groups of [`ITEMS`].
pub(crate) fn covering(items: usize) -> Groups {
    Groups::covering(items, ITEMS)
}

/// A sum of bytes that does not wrap.
pub(crate) fn sum(bytes: &[u64]) -> u64 {
    bytes.iter().fold(0u64, |sum, b| sum.saturating_add(*b))
}
