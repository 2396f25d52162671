//! The product on the CPU: one blocked product, or many small ones beside each other.

use super::{Extents, Inputs};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements};
use crate::kernel::stack::for_each;
use faer::{Accum, MatMut, MatRef};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

pub(super) fn run(inputs: &Inputs, e: Extents, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let b = elements::<T>(&inputs.b, "b")?;
        let result = product(a, b, inputs.transpose_a, inputs.transpose_b, e, ctx)?;
        Ok(Record::new().with("result", tensor(e.shape(), result)))
    })
}

fn product<T: Real>(
    a: &[T],
    b: &[T],
    transpose_a: bool,
    transpose_b: bool,
    mut e: Extents,
    ctx: &Context,
) -> Result<Vec<T>, Failure> {
    let mut result = vec![T::default(); e.count() * e.m * e.n];
    // A stack of left matrices over one right matrix is one tall left matrix.
    if e.own == (true, false) && !transpose_a {
        e.m *= e.count();
        e.batch = None;
        e.own = (false, false);
    }
    if result.is_empty() || e.k == 0 {
        ctx.check()?;
        return Ok(result);
    }
    let work = 2.0 * e.m as f64 * e.n as f64 * e.k as f64;
    for_each(ctx, e.batch, work, [e.m * e.n], [&mut result], |i, [to], run| {
        let part = |all: &'_ [T], own, len| if own { i * len..(i + 1) * len } else { 0..all.len().min(len) };
        let a = &a[part(a, e.own.0, e.m * e.k)];
        let b = &b[part(b, e.own.1, e.k * e.n)];
        let a = if transpose_a {
            MatRef::from_column_major_slice(a, e.m, e.k)
        } else {
            MatRef::from_row_major_slice(a, e.m, e.k)
        };
        let b = if transpose_b {
            MatRef::from_column_major_slice(b, e.k, e.n)
        } else {
            MatRef::from_row_major_slice(b, e.k, e.n)
        };
        // The library is fastest into columns, so the transposed product is formed: its columns are our rows.
        let to = MatMut::from_column_major_slice_mut(to, e.n, e.m);
        run.product(to, Accum::Replace, b.transpose(), a.transpose(), T::ONE)
    })?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::super::Multiply;
    use crate::reference::{of, uniform};
    use offload_api::{DType, Tensor, Value};
    use offload_core::{AnyOperation, Context};

    fn multiply(a: &Tensor, b: &Tensor) -> Tensor {
        let inputs = of(&[("a", a), ("b", b)]);
        let mut got = Multiply.cpu(inputs, &Context::default()).unwrap();
        let Some(Value::Tensor(t)) = got.take("result") else { panic!("no result") };
        t
    }

    #[test]
    fn infinities_and_nans_go_through() {
        let a = Tensor::new([1, 2], vec![f64::INFINITY, 1.0]).unwrap();
        let b = Tensor::new([2, 2], vec![1.0, 0.0, 1.0, 1.0]).unwrap();
        let got = multiply(&a, &b);
        let got = got.as_slice::<f64>().unwrap();
        assert_eq!(got[0], f64::INFINITY);
        assert!(got[1].is_nan());
    }

    #[test]
    fn a_matrix_is_shared_by_a_stack_on_either_side() {
        for shared in [vec![5, 5], vec![1, 5, 5]] {
            let one = uniform(3, &shared, DType::F64);
            let stack = uniform(4, &[7, 5, 5], DType::F64);
            for left in [true, false] {
                let got = if left { multiply(&one, &stack) } else { multiply(&stack, &one) };
                assert_eq!(got.shape(), [7, 5, 5]);
                for i in 0..7 {
                    let part = stack.as_slice::<f64>().unwrap()[i * 25..(i + 1) * 25].to_vec();
                    let part = Tensor::new([5, 5], part).unwrap();
                    let one = Tensor::new([5, 5], one.as_slice::<f64>().unwrap().to_vec()).unwrap();
                    let want = if left { multiply(&one, &part) } else { multiply(&part, &one) };
                    let got = &got.as_slice::<f64>().unwrap()[i * 25..(i + 1) * 25];
                    for (g, w) in got.iter().zip(want.as_slice::<f64>().unwrap()) {
                        assert!((g - w).abs() < 1e-14);
                    }
                }
            }
        }
    }
}
