//! The determinant on a device: factors, of which the diagonal and the order of the rows come back.

use super::Inputs;
use super::cpu::{Scaled, outputs};
use crate::device::small::{self, Found, Pivots};
use crate::device::{factor, inputs};
use crate::kernel::lu::overflow;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::stack::{Stack, name_matrix};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::Gpu;

/// Bytes of a stack: as it came, its factors, what picks their diagonals.
pub(super) fn bytes(s: Stack, size: u64) -> u64 {
    let all = (s.len() as u64).saturating_mul(s.count() as u64);
    all.saturating_mul(2)
        .saturating_add(factor::diagonals_elements(s.rows, s.count()))
        .saturating_mul(size)
        .saturating_add(factor::lu_bytes(s.rows, s.count()))
        .saturating_add(small::bytes(s.count()))
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    by_dtype!(inputs.a, T => {
        let found = determinants::<T>(inputs, s, gpu)?;
        Ok(outputs::<T>(s, &found))
    })
}

fn determinants<T: Real>(inputs: &Inputs, s: Stack, gpu: &mut Gpu<'_>) -> Result<Vec<Scaled>, Failure> {
    let n = s.rows;
    let seen = inputs::look(elements::<T>(&inputs.a, "a")?, s, inputs::Part::Whole).begin()?;
    let count = seen.sound;
    let rows = gpu.input::<T>("a", &inputs.a)?;
    let (pivots, odd) = if small::takes::<T>(gpu, n, count)? {
        let Pivots { mut pivots, odd, found } = small::pivots(gpu, n, count, &rows)?;
        for (pivots, found) in pivots.chunks_mut(n).zip(found) {
            if let Found::ZeroPivot(k) = found {
                pivots[k] = T::default();
            }
        }
        (pivots, odd)
    } else {
        let columns = gpu.zeros::<T>(n * n * count)?;
        factor::transpose(gpu, (n, n), count, (&rows, 0), (&columns, 0))?;
        let lu = factor::lu(gpu, n, count, columns)?;
        (lu.diagonals(gpu, count)?, lu.odd(gpu)?)
    };
    let mut found = Vec::with_capacity(count);
    for (i, pivots) in pivots.chunks(n).enumerate() {
        // The first pivot that is not a number to divide by decides, as behind it nothing means anything.
        let first = pivots.iter().map(|p| p.wide()).find(|p| *p == 0.0 || !p.is_finite());
        found.push(match first {
            None => Scaled::product(pivots.iter().copied(), odd[i]),
            Some(0.0) => Scaled::ZERO,
            Some(_) if s.batch.is_some() => return Err(name_matrix(overflow(), i)),
            Some(_) => return Err(overflow()),
        });
    }
    seen.end()?;
    Ok(found)
}
