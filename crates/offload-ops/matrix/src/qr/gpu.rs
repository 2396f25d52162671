//! The factorisation on a device: reflections by columns, and `q` written out from them.

use super::Inputs;
use crate::device::factor::{self, Reflections};
use crate::device::inputs::{Part, bring, look};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::stack::Stack;
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::Gpu;

/// Bytes of a stack: as it came, by columns, the whole of `r`, `q` by columns and by rows, and the reflections.
pub(super) fn bytes(s: Stack, k: usize, size: u64) -> u64 {
    let q = s.rows as u64 * k as u64;
    (3 * s.len() as u64 + 2 * q)
        .saturating_mul(s.count() as u64)
        .saturating_add(factor::reflections_elements(s.rows, s.columns, k, s.count()))
        .saturating_mul(size)
        .saturating_add(4)
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let s = Stack::of("a", &inputs.a.spec())?;
    let k = if inputs.full { s.rows } else { s.rows.min(s.columns) };
    by_dtype!(inputs.a, T => {
        let (q, r) = factors::<T>(inputs, s, k, gpu)?;
        Ok(Record::new()
            .with("q", tensor(s.shape(&[s.rows, k]), q))
            .with("r", tensor(s.shape(&[k, s.columns]), r)))
    })
}

fn factors<T: Real>(
    inputs: &Inputs,
    s: Stack,
    k: usize,
    gpu: &mut Gpu<'_>,
) -> Result<(Vec<T>, Vec<T>), Failure> {
    let (m, n, size) = (s.rows, s.columns, s.rows.min(s.columns));
    let a = elements::<T>(&inputs.a, "a")?;
    let seen = look(a, s, Part::Whole).begin()?;
    let count = seen.sound;
    let rows = bring(gpu, "a", &inputs.a, a, s.len(), &seen.scales)?;
    let columns = gpu.zeros::<T>(m * n * count)?;
    factor::transpose(gpu, (m, n), count, (&rows, 0), (&columns, 0))?;
    let reflections = Reflections::room(gpu, (m, n), k, count)?;
    reflections.factor(gpu, &columns)?;
    let all_r = gpu.zeros::<T>(m * n * count)?;
    factor::transpose(gpu, (n, m), count, (&columns, 0), (&all_r, 0))?;
    let (q, all_q) = (gpu.zeros::<T>(m * k * count)?, gpu.zeros::<T>(m * k * count)?);
    reflections.write(gpu, k, &columns, &q)?;
    factor::transpose(gpu, (k, m), count, (&q, 0), (&all_q, 0))?;
    let mut q = gpu.download(&all_q)?;
    let mut r = Vec::with_capacity(k * n * count);
    for (i, (q, scale)) in q.chunks_mut(m * k).zip(&seen.scales).enumerate() {
        // The first rows are all that is not zero.
        let mut upper = gpu.download_range(&all_r, i * m * n, k * n)?;
        settle(q, &mut upper, n, size);
        scale.undo(&mut upper);
        r.append(&mut upper);
    }
    seen.end()?;
    Ok((q, r))
}

/// Clears what lies below the diagonal of `r`, and turns signs so that the diagonal is not negative.
fn settle<T: Real>(q: &mut [T], r: &mut [T], n: usize, size: usize) {
    let mut signs = vec![T::ONE; size];
    for (i, row) in r.chunks_mut(n).enumerate() {
        row[..i.min(n)].fill(T::default());
        if i < size && row[i] < T::default() {
            signs[i] = -T::ONE;
            row[i..].iter_mut().for_each(|x| *x = -*x);
        }
    }
    let columns = r.len() / n;
    for row in q.chunks_mut(columns) {
        row.iter_mut().zip(&signs).for_each(|(x, sign)| *x *= *sign);
    }
}
