//! The product with a vector on a device, as a product of matrices: the vendor's library knows the shape.

use super::{Extents, Inputs};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Gemm, Gpu};

/// Bytes of both operands and the result.
pub(super) fn bytes(e: Extents, size: u64) -> u64 {
    let count = e.batch.unwrap_or(1) as u64;
    let (m, n) = (e.m as u64, e.n as u64);
    let of = |own: bool| if own { count } else { 1 };
    (m * n)
        .saturating_mul(of(e.own.0))
        .saturating_add(n.saturating_mul(of(e.own.1)))
        .saturating_add(m.saturating_mul(count))
        .saturating_mul(size)
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of(&inputs.a.spec(), &inputs.x.spec())?;
    by_dtype!(inputs.a, T => {
        Ok(Record::new().with("result", tensor(e.shape(), product::<T>(inputs, e, gpu)?)))
    })
}

fn product<T: Real>(inputs: &Inputs, e: Extents, gpu: &mut Gpu<'_>) -> Result<Vec<T>, Failure> {
    let count = e.batch.unwrap_or(1);
    let a = gpu.input::<T>("a", &inputs.a)?;
    let x = gpu.input::<T>("x", &inputs.x)?;
    let result = gpu.zeros::<T>(e.m * count)?;
    if e.own.0 || count == 1 {
        let gemm = Gemm { batch: count, batched: (e.own.0, e.own.1), ..Gemm::new(e.m, 1, e.n) };
        gpu.gemm(&gemm, &a, &x, &result)?;
    } else {
        // The vectors are the rows of one matrix, so the matrix is read once for all of them.
        let gemm = Gemm { transpose_b: true, ..Gemm::new(count, e.m, e.n) };
        gpu.gemm(&gemm, &x, &a, &result)?;
    }
    gpu.download(&result)
}
