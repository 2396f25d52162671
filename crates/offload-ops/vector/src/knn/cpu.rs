//! The search on the CPU, with a list of neighbours.

use super::Inputs;
use offload_api::{Layout, Record, Tensor};
use offload_core::{Context, Failure};

pub(crate) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    Ok(Record::new().with("matches", inputs.search().run(Layout::Flat, ctx)?))
}
