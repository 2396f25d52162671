//! Solutions from LU.

use super::{Extents, Inputs};
use crate::kernel::lu::{self, Lu};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements, largest, one_norm, reciprocal_condition};
use crate::kernel::run::Run;
use crate::kernel::stack::for_each;
use faer::MatMut;
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of(&inputs.a.spec(), &inputs.b.spec())?;
    let count = e.batch.unwrap_or(1);
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let b = elements::<T>(&inputs.b, "b")?;
        let mut x = vec![T::default(); count * e.n * e.k];
        let mut rcond = vec![T::default(); count];
        // One matrix under many right-hand sides is factored once.
        let shared = if e.own.0 || count <= 1 || e.n == 0 {
            None
        } else {
            Some(Factored::of(a, e.n, &Run::alone(ctx, 0, 1, e.work()))?)
        };
        for_each(ctx, e.batch, e.work(), [e.n * e.k, 1], [&mut x, &mut rcond], |i, [x, rcond], run| {
            if e.n == 0 {
                rcond[0] = T::ONE;
                return Ok(());
            }
            let own;
            let factored = match &shared {
                Some(f) => f,
                None => {
                    let i = if e.own.0 { i } else { 0 };
                    own = Factored::of(&a[i * e.n * e.n..][..e.n * e.n], e.n, run)?;
                    &own
                }
            };
            let i = if e.own.1 { i } else { 0 };
            rcond[0] = T::narrow(factored.rcond);
            factored.solve(&b[i * e.n * e.k..][..e.n * e.k], e.k, x, run)
        })?;
        Ok(Record::new()
            .with("x", tensor(e.shape(), x))
            .with("rcond", tensor(e.batch.into_iter().collect(), rcond)))
    })
}

/// The reciprocal condition of a matrix.
///
/// # Errors
/// `not_finite`, `singular`; when the job is to stop.
pub(super) fn condition<T: Real>(a: &[T], n: usize, run: &Run<'_>) -> Result<f64, Failure> {
    Ok(Factored::of(a, n, run)?.rcond)
}

struct Factored<T> {
    lu: Lu<T>,
    rcond: f64,
}

impl<T: Real> Factored<T> {
    fn of(a: &[T], n: usize, run: &Run<'_>) -> Result<Self, Failure> {
        let lu = lu::factor(a, n, run)?;
        lu.regular()?;
        let rcond = reciprocal_condition(one_norm(a, n), lu.inverse_norm(run)?);
        Ok(Factored { lu, rcond })
    }

    fn solve(&self, b: &[T], k: usize, x: &mut [T], run: &Run<'_>) -> Result<(), Failure> {
        let n = self.lu.n;
        if k == 0 {
            return Ok(());
        }
        largest(b, k)?;
        let mut columns = vec![T::default(); n * k];
        for (i, &row) in self.lu.rows.iter().enumerate() {
            for (c, &b) in b[row * k..][..k].iter().enumerate() {
                columns[c * n + i] = b;
            }
        }
        self.lu.solve_permuted(run, MatMut::from_column_major_slice_mut(&mut columns, n, k))?;
        crate::kernel::copy::transpose(&columns, k, n, x);
        Ok(())
    }
}
