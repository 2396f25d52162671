//! The search on a device: the same answers as on the CPU, to the bit where components are `f32`.
//!
//! Few queries: every row is evaluated exactly in one pass over the corpus (bound by memory: 512 MB for a million rows of
//! 128, 0.12 ms at 4.3 TB/s), its cost written as 8 bytes, and the least selected from those. Many queries: products in
//! TF32 turned into bounds and sifted into short lists, where the rows are many without being written; the listed rows are
//! evaluated exactly, and the bound of what is not listed shows whether the answer is right. Queries for which it does
//! not are searched again by products in `f32`, and those for which that does not either, exactly.

mod bounds;
mod exact;
mod lists;
mod pack;
pub(crate) mod pairs;
mod products;
mod sift;
mod size;
mod texts;

pub(crate) use size::{MOST_K, Size};
pub(crate) use texts::{PAIR_TEXTS, TEXTS};

use super::metric::Metric;
use super::pair::Real;
use super::top::Ranked;
use bounds::{Bounds, Precision};
use offload_api::{DType, Tensor};
use offload_core::Failure;
use offload_core::device::{Buffer, DeviceError, Gpu, KernelElement};

/// The tensors of a search.
pub(crate) struct Inputs<'a> {
    pub(crate) queries: (&'static str, &'a Tensor),
    pub(crate) corpus: &'a Tensor,
    pub(crate) filter: Option<&'a Tensor>,
    pub(crate) metric: Metric,
}

/// The best rows for each query, best first.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(crate) fn search(
    inputs: &Inputs<'_>,
    size: Size,
    gpu: &mut Gpu<'_>,
) -> Result<Vec<Vec<Ranked>>, Failure> {
    match size.dtype {
        DType::F32 => real::<f32>(inputs, size, gpu),
        DType::F64 => real::<f64>(inputs, size, gpu),
        _ => codes(inputs, size, gpu),
    }
}

/// Scores are `f64` whatever the vectors are.
///
/// # Errors
/// [`DeviceError::Unsupported`].
pub(crate) fn needs_f64(gpu: &Gpu<'_>) -> Result<(), Failure> {
    if gpu.device().f64 {
        return Ok(());
    }
    Err(DeviceError::Unsupported("scores are f64, which the device does not have".into()).into())
}

/// The number of a metric in the kernels.
fn number(metric: Metric) -> u32 {
    match metric {
        Metric::Cosine => 0,
        Metric::L2 => 1,
        Metric::Dot => 2,
        Metric::Hamming => 3,
    }
}

fn filter(inputs: &Inputs<'_>, gpu: &mut Gpu<'_>) -> Result<Buffer<u8>, Failure> {
    match inputs.filter {
        Some(mask) => gpu.input::<u8>("filter", mask),
        // Never read, but an argument has to be some memory.
        None => gpu.zeros(1),
    }
}

fn codes(inputs: &Inputs<'_>, size: Size, gpu: &mut Gpu<'_>) -> Result<Vec<Vec<Ranked>>, Failure> {
    let of = exact::Codes {
        corpus: gpu.input::<u8>("corpus", inputs.corpus)?,
        queries: gpu.input::<u8>(inputs.queries.0, inputs.queries.1)?,
        filter: filter(inputs, gpu)?,
    };
    let scores = gpu.zeros(size.scores())?;
    let all: Vec<u32> = (0..size.queries as u32).collect();
    exact::search(gpu, size, &of, &scores, &all)
}

fn real<T: Real + KernelElement>(
    inputs: &Inputs<'_>,
    size: Size,
    gpu: &mut Gpu<'_>,
) -> Result<Vec<Vec<Ranked>>, Failure> {
    let queries = super::search::slice::<T>(inputs.queries.1);
    let corpus = super::search::slice::<T>(inputs.corpus);
    let mask = inputs.filter.and_then(Tensor::as_slice::<u8>);
    let (wide, squares) = bounds::widened(queries, size.d);
    let of = exact::Vectors {
        metric: inputs.metric,
        corpus: gpu.input::<T>("corpus", inputs.corpus)?,
        queries: gpu.upload(&wide)?,
        squares: gpu.upload(&squares)?,
        filter: filter(inputs, gpu)?,
    };
    let scores = gpu.zeros(size.scores())?;
    let all: Vec<u32> = (0..size.queries as u32).collect();
    if !size.bounded || mask.is_some_and(mostly_out) {
        return exact::search(gpu, size, &of, &scores, &all);
    }
    let sample = bounds::sample(corpus, size.d, mask);
    let fitted = Bounds::fit(inputs.metric, size.d, &sample);
    let mut products = products::Products::new(gpu, size, &of, &fitted, &scores)?;
    let mut best: Vec<Vec<Ranked>> = vec![Vec::new(); size.queries];
    let mut left = all;
    for precision in [Precision::Tf32, Precision::F32] {
        if left.len() > size::FEW {
            left = products.search(gpu, queries, &left, precision, &mut best)?;
        }
    }
    if !left.is_empty() {
        for (&query, ranked) in left.iter().zip(exact::search(gpu, size, &of, &scores, &left)?) {
            best[query as usize] = ranked;
        }
    }
    Ok(best)
}

/// The number in `sm_90` and the like.
fn generation(architecture: &str) -> u32 {
    architecture.strip_prefix("sm_").and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Whether so few rows are left in that evaluating them is cheaper than products with all.
fn mostly_out(mask: &[u8]) -> bool {
    mask.iter().filter(|&&m| m != 0).count() < mask.len() / 16
}

#[cfg(test)]
mod tests;
