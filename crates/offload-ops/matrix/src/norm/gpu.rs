//! Norms on a device.

use super::{Inputs, Kind};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype};
use crate::kernel::stack::Stack;
use crate::svd::{device_values, device_values_bytes};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{DeviceError, Gpu};

/// Bytes of a stack and what its norm takes.
pub(super) fn bytes(s: Stack, _kind: Kind, size: u64) -> u64 {
    device_values_bytes(s, size)
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let s = Stack::of("a", &inputs.a.spec())?;
    by_dtype!(inputs.a, T => {
        let result = norms::<T>(inputs, s, gpu)?;
        Ok(Record::new().with("result", tensor(s.shape(&[]), result)))
    })
}

fn norms<T: Real>(inputs: &Inputs, s: Stack, gpu: &mut Gpu<'_>) -> Result<Vec<T>, Failure> {
    if !inputs.kind.is_spectral() {
        return Err(DeviceError::Unsupported("norms by sums have no kernel".into()).into());
    }
    let values = device_values::<T>(gpu, &inputs.a, s)?;
    let short = s.rows.min(s.columns);
    Ok(values
        .chunks(short)
        .map(|v| if inputs.kind == Kind::Two { v[0] } else { T::narrow(v.iter().map(|x| x.wide()).sum()) })
        .collect())
}
