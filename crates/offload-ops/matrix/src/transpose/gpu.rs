//! The transpose on a device, in tiles of its local memory, so that reads and writes both run along memory.

use super::Inputs;
use crate::device::factor;
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype};
use crate::kernel::stack::Stack;
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::Gpu;

/// Bytes of a stack before and after.
pub(super) fn bytes(s: Stack, size: u64) -> u64 {
    (s.len() as u64).saturating_mul(s.count() as u64).saturating_mul(2 * size)
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let s = Stack::of("a", &inputs.a.spec())?;
    by_dtype!(inputs.a, T => {
        let result = transposed::<T>(inputs, s, gpu)?;
        Ok(Record::new().with("result", tensor(s.shape(&[s.columns, s.rows]), result)))
    })
}

fn transposed<T: Real>(inputs: &Inputs, s: Stack, gpu: &mut Gpu<'_>) -> Result<Vec<T>, Failure> {
    let a = gpu.input::<T>("a", &inputs.a)?;
    let result = gpu.zeros::<T>(a.len())?;
    factor::transpose(gpu, (s.rows, s.columns), s.count(), (&a, 0), (&result, 0))?;
    gpu.download(&result)
}
