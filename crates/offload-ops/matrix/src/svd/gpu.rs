//! The decomposition on a device: the vendor's for all values, matrix products for a sample of them.

use super::cpu::{Extents, POWER_PASSES};
use super::{Inputs, Method};
use crate::device::factor::{self, Reflections, Wanted};
use crate::device::inputs::{Part, bring, copied, look};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, Scale, by_dtype, elements, no_convergence};
use crate::kernel::stack::{Stack, name_matrix};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Buffer, Gemm, Gpu};

/// Bytes: the stack as it came, and what the method takes.
pub(super) fn bytes(e: Extents, size: u64) -> u64 {
    let (m, n, count) = (e.stack.rows as u64, e.stack.columns as u64, e.stack.count() as u64);
    let (long, short) = (m.max(n), m.min(n));
    let given = m.saturating_mul(n).saturating_mul(count);
    let elements = if e.method == Method::Randomised {
        let (l, k) = (e.sample(), e.values as u64);
        let w = Wanted { m: short as usize, n: l, count: 1, u_columns: l };
        let long_side = factor::reflections_elements(long as usize, l, l, 1);
        let short_side = factor::reflections_elements(short as usize, l, l, 1);
        // The sample, both bases before and after, left and right vectors of the small factor, both sides' results.
        let l = l as u64;
        (l * (2 * long + 4 * short + 2 * l) + k * (long + m))
            .saturating_add(long_side)
            .saturating_add(short_side)
            .saturating_add(factor::singular_elements(w).saturating_mul(count))
    } else {
        let columns = u_columns(e) as u64;
        let each = m * n + short + 2 * long * columns + 2 * short * short;
        each.saturating_mul(count).saturating_add(factor::singular_elements(wanted(e, e.stack.count())))
    };
    given.saturating_add(elements).saturating_mul(size).saturating_add(4 * count + 64)
}

fn wanted(e: Extents, count: usize) -> Wanted {
    let (m, n) = (e.stack.rows, e.stack.columns);
    Wanted { m: m.max(n), n: m.min(n), count, u_columns: u_columns(e) }
}

fn u_columns(e: Extents) -> usize {
    if e.full { e.stack.rows.max(e.stack.columns) } else { e.stack.rows.min(e.stack.columns) }
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of(inputs, &inputs.a.spec())?;
    let (m, n) = (e.stack.rows, e.stack.columns);
    by_dtype!(inputs.a, T => {
        let parts = decompose::<T>(inputs, e, gpu)?;
        Ok(Record::new()
            .with("u", tensor(e.stack.shape(&[m, e.u_columns]), parts.u))
            .with("s", tensor(e.stack.shape(&[e.values]), parts.s))
            .with("vt", tensor(e.stack.shape(&[e.vt_rows, n]), parts.vt)))
    })
}

/// The results of a stack, row-major.
struct Parts<T> {
    u: Vec<T>,
    s: Vec<T>,
    vt: Vec<T>,
}

fn decompose<T: Real>(inputs: &Inputs, e: Extents, gpu: &mut Gpu<'_>) -> Result<Parts<T>, Failure> {
    let a = elements::<T>(&inputs.a, "a")?;
    let seen = look(a, e.stack, Part::Whole).begin()?;
    let rows = bring(gpu, "a", &inputs.a, a, e.stack.len(), &seen.scales)?;
    let mut parts = if e.method == Method::Randomised {
        sampled(gpu, e, seen.sound, &rows)?
    } else {
        exact(gpu, e, seen.sound, &rows)?
    };
    for (values, scale) in parts.s.chunks_mut(e.values).zip(&seen.scales) {
        scale.undo(values);
    }
    seen.end()?;
    Ok(parts)
}

/// The matrices by columns with the long side down, which may be written. Rows of a wide matrix are columns already.
fn long_columns<T: Real>(
    gpu: &mut Gpu<'_>,
    s: Stack,
    count: usize,
    rows: &Buffer<T>,
) -> Result<Buffer<T>, Failure> {
    if s.columns > s.rows {
        return copied(gpu, rows);
    }
    let columns = gpu.zeros::<T>(s.len() * count)?;
    factor::transpose(gpu, (s.rows, s.columns), count, (rows, 0), (&columns, 0))?;
    Ok(columns)
}

fn converged(s: Stack, converged: &[bool]) -> Result<(), Failure> {
    match converged.iter().position(|c| !c) {
        Some(i) if s.batch.is_some() => Err(name_matrix(no_convergence(), i)),
        Some(_) => Err(no_convergence()),
        None => Ok(()),
    }
}

fn exact<T: Real>(
    gpu: &mut Gpu<'_>,
    e: Extents,
    count: usize,
    rows: &Buffer<T>,
) -> Result<Parts<T>, Failure> {
    let (m, n, k) = (e.stack.rows, e.stack.columns, e.values);
    let (long, short) = (m.max(n), m.min(n));
    let w = wanted(e, count);
    let columns = long_columns(gpu, e.stack, count, rows)?;
    let left = gpu.zeros::<T>(long * w.u_columns * count)?;
    let right = gpu.zeros::<T>(short * short * count)?;
    let (s, done) = factor::singular(gpu, w, &columns, (&left, &right))?;
    converged(e.stack, &done)?;
    let s = s.chunks(short).flat_map(|s| &s[..k]).copied().collect();
    // By columns, `left` is [long, u_columns] and `right` is [short, short]: read by rows they are their transposes,
    // and the decomposition of a transpose has its sides exchanged.
    if n > m {
        let (u, vt) = (gpu.download(&right)?, gpu.download(&left)?);
        let u = first_columns(&u, (m, m), if e.full { m } else { k });
        let vt = vt.chunks(n * w.u_columns).flat_map(|vt| &vt[..e.vt_rows * n]).copied().collect();
        return Ok(Parts { u, s, vt });
    }
    let turned = gpu.zeros::<T>(long * w.u_columns * count)?;
    factor::transpose(gpu, (w.u_columns, m), count, (&left, 0), (&turned, 0))?;
    let u = first_columns(&gpu.download(&turned)?, (m, w.u_columns), e.u_columns);
    let turned = gpu.zeros::<T>(n * n * count)?;
    factor::transpose(gpu, (n, n), count, (&right, 0), (&turned, 0))?;
    let vt = gpu.download(&turned)?;
    let vt = vt.chunks(n * n).flat_map(|vt| &vt[..e.vt_rows * n]).copied().collect();
    Ok(Parts { u, s, vt })
}

/// The first `wanted` columns of row-major matrices.
fn first_columns<T: Real>(a: &[T], (_, columns): (usize, usize), wanted: usize) -> Vec<T> {
    if columns == wanted {
        return a.to_vec();
    }
    a.chunks(columns).flat_map(|row| &row[..wanted]).copied().collect()
}

/// The `k` largest from a sample of the range, as on the CPU. By columns, a basis of `l` vectors of the long side is its
/// transpose `[l, long]` by rows, which is how the products see it.
fn sampled<T: Real>(
    gpu: &mut Gpu<'_>,
    e: Extents,
    count: usize,
    rows: &Buffer<T>,
) -> Result<Parts<T>, Failure> {
    let (m, n, k, l) = (e.stack.rows, e.stack.columns, e.values, e.sample());
    let (long, short) = (m.max(n), m.min(n));
    let wide = n > m;
    let start: Vec<T> = crate::reference::normal(short * l).map(T::narrow).collect();
    let start = gpu.upload(&start)?;
    let (raw_range, range) = (gpu.zeros::<T>(l * long)?, gpu.zeros::<T>(l * long)?);
    let (raw_corange, corange) = (gpu.zeros::<T>(l * short)?, gpu.zeros::<T>(l * short)?);
    let (left, right) = (gpu.zeros::<T>(l * short)?, gpu.zeros::<T>(l * l)?);
    let turned = gpu.zeros::<T>(l * l)?;
    let (long_side, row_side) = (gpu.zeros::<T>(k * long)?, gpu.zeros::<T>(k * m)?);
    let of_range = Reflections::room(gpu, (long, l), l, 1)?;
    let of_corange = Reflections::room(gpu, (short, l), l, 1)?;
    let mut parts = Parts { u: Vec::new(), s: Vec::new(), vt: Vec::new() };
    for i in 0..count {
        let a = rows.at(i * m * n);
        let to_long = Gemm { transpose_b: !wide, ..Gemm::new(l, long, short) };
        let to_short = Gemm { transpose_b: wide, ..Gemm::new(l, short, long) };
        for pass in 0..=POWER_PASSES {
            let from = if pass == 0 { &start } else { &corange };
            gpu.gemm_at::<T>(&to_long, from.at(0), a, raw_range.at(0))?;
            of_range.factor(gpu, &raw_range)?;
            of_range.write(gpu, l, &raw_range, &range)?;
            gpu.gemm_at::<T>(&to_short, range.at(0), a, raw_corange.at(0))?;
            if pass < POWER_PASSES {
                of_corange.factor(gpu, &raw_corange)?;
                of_corange.write(gpu, l, &raw_corange, &corange)?;
            }
        }
        // Now the matrix is range · raw_corangeᵀ, and the small factor's right vectors turn the range into left ones.
        let w = Wanted { m: short, n: l, count: 1, u_columns: l };
        let (s, done) = factor::singular(gpu, w, &raw_corange, (&left, &right))?;
        if !done[0] {
            return Err(if e.stack.batch.is_some() {
                name_matrix(no_convergence(), i)
            } else {
                no_convergence()
            });
        }
        factor::transpose(gpu, (l, l), 1, (&right, 0), (&turned, 0))?;
        gpu.gemm(&Gemm::new(k, long, l), &turned, &range, &long_side)?;
        // Of either side the vectors are rows now; those of `u` become columns.
        let (u, vt) = if wide { (&left, &long_side) } else { (&long_side, &left) };
        factor::transpose(gpu, (k, m), 1, (u, 0), (&row_side, 0))?;
        parts.u.extend(gpu.download(&row_side)?);
        parts.s.extend(&s[..k]);
        parts.vt.extend(gpu.download_range(vt, 0, k * n)?);
        gpu.context().block(i + 1, count)?;
    }
    Ok(parts)
}

/// The singular values of a stack, descending, scaled back.
///
/// # Errors
/// `not_finite`; when the device refuses.
pub(crate) fn singular_values<T: Real>(gpu: &mut Gpu<'_>, a: &Tensor, s: Stack) -> Result<Vec<T>, Failure> {
    let host = elements::<T>(a, "a")?;
    let seen = look(host, s, Part::Whole).begin()?;
    let rows = bring(gpu, "a", a, host, s.len(), &seen.scales)?;
    let short = s.rows.min(s.columns);
    let columns = long_columns(gpu, s, seen.sound, &rows)?;
    let w = Wanted { count: seen.sound, ..values_only(s) };
    let (mut values, done) = factor::singular(gpu, w, &columns, (&columns, &columns))?;
    converged(s, &done)?;
    let undo = |(values, scale): (&mut [T], &Scale)| scale.undo(values);
    values.chunks_mut(short).zip(&seen.scales).for_each(undo);
    seen.end()?;
    Ok(values)
}

fn values_only(s: Stack) -> Wanted {
    Wanted { m: s.rows.max(s.columns), n: s.rows.min(s.columns), count: s.count(), u_columns: 0 }
}

/// Bytes that [`singular_values`] takes.
pub(crate) fn values_bytes(s: Stack, size: u64) -> u64 {
    let short = s.rows.min(s.columns) as u64;
    (2 * s.len() as u64 + short)
        .saturating_mul(s.count() as u64)
        .saturating_add(factor::singular_elements(values_only(s)))
        .saturating_mul(size)
        .saturating_add(4 * s.count() as u64)
}
