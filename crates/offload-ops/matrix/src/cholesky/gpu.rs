//! The factor on a device. By columns, the lower triangle of the rows is the upper one, so nothing is transposed.

use super::Inputs;
use super::cpu::indefinite;
use crate::device::factor;
use crate::device::inputs::{Part, copied, look};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::stack::{Stack, name_matrix};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::Gpu;

/// Bytes of a stack: as it came, and its factors.
pub(super) fn bytes(s: Stack, size: u64) -> u64 {
    let count = s.count() as u64;
    (s.len() as u64).saturating_mul(count).saturating_mul(2 * size).saturating_add(4 * count)
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    by_dtype!(inputs.a, T => {
        let result = factors::<T>(inputs, s, gpu)?;
        Ok(Record::new().with("result", tensor(inputs.a.shape().to_vec(), result)))
    })
}

fn factors<T: Real>(inputs: &Inputs, s: Stack, gpu: &mut Gpu<'_>) -> Result<Vec<T>, Failure> {
    let n = s.rows;
    let seen = look(elements::<T>(&inputs.a, "a")?, s, Part::Lower).begin()?;
    let a = gpu.input::<T>("a", &inputs.a)?;
    let a = copied(gpu, &a)?;
    let failed = factor::cholesky(gpu, n, seen.sound, &a)?;
    if let Some((i, k)) = failed.iter().enumerate().find_map(|(i, k)| k.map(|k| (i, k))) {
        return Err(if s.batch.is_some() { name_matrix(indefinite(k), i) } else { indefinite(k) });
    }
    seen.end()?;
    let mut result = gpu.download(&a)?;
    // The other triangle still holds what was given.
    for matrix in result.chunks_mut(n * n) {
        for (i, row) in matrix.chunks_mut(n).enumerate() {
            row[i + 1..].fill(T::default());
        }
    }
    Ok(result)
}
