//! The same on a device.

use super::EuclideanDistance;
use crate::kernel::pairs::{self, Inputs};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::Gpu;

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    pairs::run_on::<EuclideanDistance>(inputs, gpu)
}
