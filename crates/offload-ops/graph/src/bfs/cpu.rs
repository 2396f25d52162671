//! Levels by all threads.

use super::Inputs;
use super::answer::answer;
use crate::csr::Network;
use crate::paths;
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let start = network.node("start", &inputs.start)?;
    let csr = network.out(false, ctx)?;
    let found = paths::levels(&csr, start, None, !network.directed, ctx)?;
    drop(csr);
    answer(&network.ids, &found, None, ctx)
}
