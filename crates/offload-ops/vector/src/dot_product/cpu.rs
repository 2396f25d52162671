//! Inner products: one sum for a pair.

use super::DotProduct;
use crate::kernel::metric::Metric;
use crate::kernel::pair::{self, Real};
use crate::kernel::pairs::{self, Inputs, Pair};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

impl Pair for DotProduct {
    const METRIC: Metric = Metric::Dot;

    #[inline(always)]
    fn score<T: Real>(a: &[T], b: &[T]) -> f64 {
        pair::dot(a, b)
    }
}

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    pairs::run::<DotProduct>(inputs, ctx)
}
