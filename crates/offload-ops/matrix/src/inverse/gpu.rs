//! The inverse on a device: factors, and the solutions for the columns of the identity.

use super::Inputs;
use super::cpu::out_of_range;
use crate::device::small::{self, Found};
use crate::device::{factor, inputs};
use crate::kernel::lu::{overflow, singular};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements, one_norm, reciprocal_condition};
use crate::kernel::run::Run;
use crate::kernel::stack::{Stack, name_matrix};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::Gpu;

/// Bytes of a stack: as it came, its factors, the inverses by columns and by rows.
pub(super) fn bytes(s: Stack, size: u64) -> u64 {
    let all = (s.len() as u64).saturating_mul(s.count() as u64);
    all.saturating_mul(3)
        .saturating_add(factor::inverse_elements(s.rows, s.count()))
        .saturating_add(2 * s.count() as u64)
        .saturating_mul(size)
        .saturating_add(factor::lu_bytes(s.rows, s.count()))
        .saturating_add(small::bytes(s.count()))
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let (result, rcond) = invert(inputs, a, s, gpu)?;
        Ok(Record::new()
            .with("result", tensor(inputs.a.shape().to_vec(), result))
            .with("rcond", tensor(s.shape(&[]), rcond)))
    })
}

fn invert<T: Real>(
    inputs: &Inputs,
    a: &[T],
    s: Stack,
    gpu: &mut Gpu<'_>,
) -> Result<(Vec<T>, Vec<T>), Failure> {
    let n = s.rows;
    if small::takes::<T>(gpu, n, s.count())? {
        return invert_small(inputs, a, s, gpu);
    }
    let seen = inputs::look(a, s, inputs::Part::Whole).begin()?;
    let count = seen.sound;
    let rows = gpu.input::<T>("a", &inputs.a)?;
    let columns = gpu.zeros::<T>(n * n * count)?;
    factor::transpose(gpu, (n, n), count, (&rows, 0), (&columns, 0))?;
    let lu = factor::lu(gpu, n, count, columns)?;
    let inverse = lu.invert(gpu, count)?;
    let result = gpu.zeros::<T>(n * n * count)?;
    factor::transpose(gpu, (n, n), count, (&inverse, 0), (&result, 0))?;
    let zero_pivots = lu.zero_pivots(gpu)?;
    let result = gpu.download(&result)?;
    let mut rcond = Vec::with_capacity(count);
    for (i, (a, x)) in a.chunks(n * n).zip(result.chunks(n * n)).enumerate() {
        let named = |e: Failure| if s.batch.is_some() { name_matrix(e, i) } else { e };
        if let Some(k) = zero_pivots[i] {
            return Err(named(singular(k)));
        }
        let inverse_norm = one_norm(x, n);
        if !inverse_norm.is_finite() && x.iter().any(|x| !x.wide().is_finite()) {
            let pivots: Vec<T> = lu.diagonals(gpu, count)?[i * n..(i + 1) * n].to_vec();
            let finite = pivots.iter().all(|p| p.wide().is_finite());
            return Err(named(if finite { out_of_range(pivots.into_iter()) } else { overflow() }));
        }
        rcond.push(T::narrow(reciprocal_condition(one_norm(a, n), inverse_norm)));
    }
    seen.end()?;
    Ok((result, rcond))
}

fn invert_small<T: Real>(
    inputs: &Inputs,
    a: &[T],
    s: Stack,
    gpu: &mut Gpu<'_>,
) -> Result<(Vec<T>, Vec<T>), Failure> {
    let rows = gpu.input::<T>("a", &inputs.a)?;
    let solved = small::inverses(gpu, s.rows, s.count(), &rows)?;
    let mut rcond = Vec::with_capacity(s.count());
    for (i, norms) in solved.norms.chunks(2).enumerate() {
        let [norm, inverse_norm] = [norms[0], norms[1]].map(|x| x.wide());
        if solved.found[i] != Found::Factors || !inverse_norm.is_finite() {
            // The CPU says what is wrong with it, to the same details as ever; or, of an inverse whose norm alone is
            // beyond the range, that nothing is.
            let each = s.len();
            let mut to = vec![T::default(); each];
            let run = Run::alone(gpu.context(), i, s.count(), 0.0);
            let found = super::cpu::inverse(&a[i * each..(i + 1) * each], s.rows, &mut to, &run);
            rcond.push(T::narrow(found.map_err(|e| name_matrix(e, i))?));
            continue;
        }
        rcond.push(T::narrow(reciprocal_condition(norm, inverse_norm)));
    }
    Ok((solved.result, rcond))
}
