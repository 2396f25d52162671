//! The search on a device, with an answer for each query.

use super::Inputs;
use offload_api::{Layout, Record, Tensor};
use offload_core::Failure;
use offload_core::device::Gpu;

pub(crate) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    Ok(Record::new().with("results", inputs.search().run_on(Layout::PerQuery, gpu)?))
}
