//! The product on a device: the vendor's library does it.

use super::{Extents, Inputs, Precision};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Gemm, Gpu};

pub(super) fn run(inputs: &Inputs, e: Extents, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    by_dtype!(inputs.a, T => product::<T>(inputs, e, gpu))
}

fn product<T: Real>(inputs: &Inputs, e: Extents, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let a = gpu.input::<T>("a", &inputs.a)?;
    let b = gpu.input::<T>("b", &inputs.b)?;
    let c = gpu.zeros::<T>(e.count() * e.m * e.n)?;
    let gemm = Gemm {
        m: e.m,
        n: e.n,
        k: e.k,
        batch: e.count(),
        transpose_a: inputs.transpose_a,
        transpose_b: inputs.transpose_b,
        batched: e.own,
        tf32: inputs.precision == Precision::Tf32,
    };
    gpu.gemm(&gemm, &a, &b, &c)?;
    Ok(Record::new().with("result", tensor(e.shape(), gpu.download(&c)?)))
}
