//! Scores of pairs on a device.

use super::super::metric::Metric;
use super::texts::{BLOCK, LANES, pairs};
use super::{needs_f64, number};
use offload_api::Tensor;
use offload_core::Failure;
use offload_core::device::{Gpu, Groups, KernelElement};

/// Groups at most.
const MOST_GROUPS: usize = 1 << 16;

/// The score of each of `count` pairs of vectors of `d` components; a tensor of one dimension is paired with every row.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(crate) fn scores<T: KernelElement>(
    metric: Metric,
    (a, b): (&Tensor, &Tensor),
    (count, d): (usize, usize),
    gpu: &mut Gpu<'_>,
) -> Result<Vec<f64>, Failure> {
    needs_f64(gpu)?;
    let step = |t: &Tensor| if t.shape().len() == 1 { 0 } else { d as u64 };
    let (a_step, b_step) = (step(a), step(b));
    let a = gpu.input::<T>("a", a)?;
    let b = gpu.input::<T>("b", b)?;
    let scores = gpu.zeros::<f64>(count)?;
    let groups = count.div_ceil((BLOCK / LANES) as usize).min(MOST_GROUPS) as u32;
    pairs::vector_pairs::<T>(
        gpu,
        Groups([groups, 1, 1]),
        count as u64,
        d as u32,
        number(metric),
        a_step,
        b_step,
        &a,
        &b,
        &scores,
    )?;
    gpu.download(&scores)
}
