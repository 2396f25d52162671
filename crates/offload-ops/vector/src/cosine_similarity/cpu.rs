//! Cosines: three sums in one pass over a pair.

use super::CosineSimilarity;
use crate::kernel::metric::Metric;
use crate::kernel::pair::{self, Real};
use crate::kernel::pairs::{self, Inputs, Pair};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

impl Pair for CosineSimilarity {
    const METRIC: Metric = Metric::Cosine;

    #[inline(always)]
    fn score<T: Real>(a: &[T], b: &[T]) -> f64 {
        pair::cosine(a, b, pair::square(a))
    }
}

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    pairs::run::<CosineSimilarity>(inputs, ctx)
}
