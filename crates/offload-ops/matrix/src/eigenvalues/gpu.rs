//! Symmetric matrices on a device.

use super::cpu::mirrors;
use super::{Inputs, Symmetric};
use crate::device::factor;
use crate::device::inputs::{Part, bring, look};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements, no_convergence};
use crate::kernel::stack::{Stack, name_matrix};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{DeviceError, Gpu};

/// Bytes of a stack: as it came, by columns, its values, its vectors by rows.
pub(super) fn bytes(s: Stack, vectors: bool, size: u64) -> u64 {
    let (n, count) = (s.rows as u64, s.count() as u64);
    let matrices = if vectors { 3 } else { 2 };
    (n * n * matrices + n)
        .saturating_mul(count)
        .saturating_add(factor::symmetric_elements(s.rows, s.count()))
        .saturating_mul(size)
        .saturating_add(4 * count)
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    let n = s.rows;
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        if inputs.symmetric == Symmetric::Auto && !a.chunks(n * n).all(|a| mirrors(a, n)) {
            // The plan cannot know; whoever runs the job takes it to the CPU.
            let reason = "the matrix is not symmetric, and general eigenvalues have no device path";
            return Err(DeviceError::Unsupported(reason.into()).into());
        }
        let (values, vectors) = spectrum(inputs, a, s, gpu)?;
        let mut out = Record::new().with("values", tensor(s.shape(&[n]), values));
        if inputs.vectors {
            out.set("vectors", tensor(s.shape(&[n, n]), vectors));
        }
        Ok(out)
    })
}

fn spectrum<T: Real>(
    inputs: &Inputs,
    a: &[T],
    s: Stack,
    gpu: &mut Gpu<'_>,
) -> Result<(Vec<T>, Vec<T>), Failure> {
    let n = s.rows;
    let seen = look(a, s, Part::Lower).begin()?;
    let count = seen.sound;
    let rows = bring(gpu, "a", &inputs.a, a, s.len(), &seen.scales)?;
    // The library reads the lower triangle by columns.
    let columns = gpu.zeros::<T>(n * n * count)?;
    factor::transpose(gpu, (n, n), count, (&rows, 0), (&columns, 0))?;
    let (mut values, converged) = factor::symmetric(gpu, n, count, inputs.vectors, &columns)?;
    if let Some(i) = converged.iter().position(|c| !c) {
        return Err(if s.batch.is_some() { name_matrix(no_convergence(), i) } else { no_convergence() });
    }
    for (values, scale) in values.chunks_mut(n).zip(&seen.scales) {
        scale.undo(values);
    }
    seen.end()?;
    if !inputs.vectors {
        return Ok((values, Vec::new()));
    }
    let vectors = gpu.zeros::<T>(n * n * count)?;
    factor::transpose(gpu, (n, n), count, (&columns, 0), (&vectors, 0))?;
    Ok((values, gpu.download(&vectors)?))
}
