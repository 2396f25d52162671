//! Codes on the CPU, by method.

use super::{Inputs, Method, product, scalar};
use crate::kernel::pair::{Real, square};
use crate::kernel::rows::{extents, finite};
use crate::kernel::search::slice;
use offload_api::{DType, Element, Record, Tensor, Value};
use offload_core::{Context, Failure};
use serde_json::json;

/// Squares of rows beyond this are too large to be told apart in the arithmetic of the codes.
pub(super) const LARGEST_SQUARE: f64 = 1e36;

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    match inputs.corpus.dtype() {
        DType::F32 => of::<f32>(inputs, ctx),
        _ => of::<f64>(inputs, ctx),
    }
}

fn of<T: Real>(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let (_, d) = extents(&inputs.corpus.spec(), super::MAX_ROWS)?;
    let corpus = slice::<T>(&inputs.corpus);
    codable(corpus, d)?;
    let n = inputs.corpus.shape()[0];
    match inputs.method {
        Method::Int8 => scalar::bytes(corpus, n, d, ctx),
        Method::Binary => scalar::bits(corpus, n, d, ctx),
        Method::Pq => product::codes(corpus, n, d, inputs.product(d)?, ctx),
    }
}

/// Checks that the arithmetic of the codes holds these vectors.
///
/// # Errors
/// `not_finite` or `out_of_range` with the first row that it does not.
pub(super) fn codable<T: Real>(corpus: &[T], d: usize) -> Result<(), Failure> {
    finite(corpus, d)?;
    if let Some(row) = corpus.chunks(d.max(1)).position(|x| square(x) > LARGEST_SQUARE) {
        return Err(Failure::unprocessable(
            "out_of_range",
            format!("the square of row {row} of corpus is beyond {LARGEST_SQUARE:e}; scale the vectors down"),
            json!({"row": row}),
        ));
    }
    Ok(())
}

/// A tensor of extents that were multiplied to get the number of elements.
///
/// # Panics
/// When they were not.
pub(super) fn tensor<T: Element>(shape: &[usize], elements: Vec<T>) -> Value<Tensor> {
    let len = elements.len();
    match Tensor::new(shape, elements) {
        Some(t) => Value::Tensor(t),
        None => panic!("{len} elements do not fill the shape they were counted for"),
    }
}

/// The mean of a sum over rows; nothing has no error.
pub(super) fn mean(sum: f64, n: usize) -> Value<Tensor> {
    Value::Tensor(Tensor::scalar(sum / n.max(1) as f64))
}
