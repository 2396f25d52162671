//! Distances: one sum of squared differences for a pair.

use super::EuclideanDistance;
use crate::kernel::metric::Metric;
use crate::kernel::pair::{self, Real};
use crate::kernel::pairs::{self, Inputs, Pair};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

impl Pair for EuclideanDistance {
    const METRIC: Metric = Metric::L2;

    #[inline(always)]
    fn score<T: Real>(a: &[T], b: &[T]) -> f64 {
        pair::euclidean(a, b)
    }
}

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    pairs::run::<EuclideanDistance>(inputs, ctx)
}
