//! The search on the CPU, with an answer for each query.

use super::Inputs;
use offload_api::{Layout, Record, Tensor};
use offload_core::{Context, Failure};

pub(crate) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    Ok(Record::new().with("results", inputs.search().run(Layout::PerQuery, ctx)?))
}
