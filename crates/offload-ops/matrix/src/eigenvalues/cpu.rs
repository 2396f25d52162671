//! Eigenvalues and eigenvectors: stacks, and which of the two methods a matrix takes.

use super::{Inputs, Symmetric, general, symmetric};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::stack::{Stack, for_each};
use faer::dyn_stack::StackReq;
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

/// Operations.
pub(super) fn work(n: usize, vectors: bool, symmetric: bool) -> f64 {
    if symmetric { symmetric::work(n, vectors) } else { general::work(n, vectors) }
}

/// Workspace.
pub(super) fn req<T: Real>(n: usize, vectors: bool, symmetric: bool) -> StackReq {
    if symmetric { symmetric::req::<T>(n, vectors) } else { general::req::<T>(n, vectors) }
}

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    let n = s.rows;
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let is_symmetric = match inputs.symmetric {
            Symmetric::Yes => true,
            Symmetric::No => false,
            Symmetric::Auto => a.chunks((n * n).max(1)).all(|a| mirrors(a, n)),
        };
        let pair: &[usize] = if is_symmetric { &[] } else { &[2] };
        let each = if is_symmetric { 1 } else { 2 };
        let columns = if inputs.vectors { n } else { 0 };
        let lens = [n * each, n * columns * each];
        let [mut values, mut vectors] = lens.map(|len| vec![T::default(); s.count() * len]);
        let work = work(n, inputs.vectors, is_symmetric);
        for_each(ctx, s.batch, work, lens, [&mut values, &mut vectors], |i, [values, vectors], run| {
            let a = &a[i * n * n..(i + 1) * n * n];
            match (n, is_symmetric) {
                (0, _) => Ok(()),
                (_, true) => symmetric::decompose(a, n, values, vectors, run),
                (_, false) => general::decompose(a, n, values, vectors, run),
            }
        })?;
        let mut out = Record::new().with("values", tensor(s.shape(&[&[n], pair].concat()), values));
        if inputs.vectors {
            out.set("vectors", tensor(s.shape(&[&[n, n], pair].concat()), vectors));
        }
        Ok(out)
    })
}

/// Whether every entry equals its mirror image.
pub(super) fn mirrors<T: Real>(a: &[T], n: usize) -> bool {
    (0..n).all(|i| (0..i).all(|j| a[i * n + j] == a[j * n + i]))
}
