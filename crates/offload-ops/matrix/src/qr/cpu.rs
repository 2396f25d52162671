//! The factorisation, and `q` written out.

use super::Inputs;
use crate::kernel::copy::transpose;
use crate::kernel::need::tensor;
use crate::kernel::qr;
use crate::kernel::real::{Real, Scale, by_dtype, elements, largest};
use crate::kernel::run::Run;
use crate::kernel::stack::{Stack, for_each};
use faer::{MatMut, MatRef};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

/// Operations of factoring and of writing `k` columns of `q` out.
pub(super) fn work(m: usize, n: usize, k: usize) -> f64 {
    let size = m.min(n) as f64;
    qr::work(m, n)
        + (4.0 * m as f64 * k as f64 * size - 2.0 * (m + k) as f64 * size * size).max(0.0)
        + 4.0 / 3.0 * size.powi(3)
}

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let s = Stack::of("a", &inputs.a.spec())?;
    let (m, n) = (s.rows, s.columns);
    let k = if inputs.full { m } else { m.min(n) };
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let mut q = vec![T::default(); s.count() * m * k];
        let mut r = vec![T::default(); s.count() * k * n];
        for_each(ctx, s.batch, work(m, n, k), [m * k, k * n], [&mut q, &mut r], |i, [q, r], run| {
            factor(&a[i * m * n..(i + 1) * m * n], (m, n, k), q, r, run)
        })?;
        Ok(Record::new()
            .with("q", tensor(s.shape(&[m, k]), q))
            .with("r", tensor(s.shape(&[k, n]), r)))
    })
}

fn factor<T: Real>(
    a: &[T],
    (m, n, k): (usize, usize, usize),
    q: &mut [T],
    r: &mut [T],
    run: &Run<'_>,
) -> Result<(), Failure> {
    let scale = Scale::of::<T>(largest(a, n)?);
    let size = m.min(n);
    let mut columns = vec![T::default(); m * k];
    for j in 0..k {
        columns[j * m + j] = T::ONE;
    }
    let mut negative = vec![false; size];
    if size > 0 {
        let mut w = vec![T::default(); m * n];
        transpose(a, m, n, &mut w);
        scale.apply(&mut w);
        let reflections = qr::factor_in_place(run, MatMut::from_column_major_slice_mut(&mut w, m, n))?;
        let factored = MatRef::from_column_major_slice(&w, m, n);
        let to = MatMut::from_column_major_slice_mut(&mut columns, m, k);
        reflections.apply(run, factored.subcols(0, size), to, true)?;
        // With a diagonal of r that is not negative, the factorisation of a matrix of full rank is unique.
        for (j, negative) in negative.iter_mut().enumerate() {
            *negative = w[j * m + j] < T::default();
        }
        for (i, row) in r.chunks_mut(n).enumerate().take(size) {
            for (j, x) in row.iter_mut().enumerate().skip(i) {
                *x = if negative[i] { -w[j * m + i] } else { w[j * m + i] };
            }
        }
        scale.undo(r);
    }
    for (column, _) in columns.chunks_mut(m.max(1)).zip(&negative).filter(|(_, negative)| **negative) {
        column.iter_mut().for_each(|x| *x = -*x);
    }
    transpose(&columns, k, m, q);
    Ok(())
}
