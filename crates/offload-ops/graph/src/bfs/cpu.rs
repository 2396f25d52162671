//! Levels turned into columns.

use super::Inputs;
use crate::csr::Network;
use crate::paths;
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use rayon::prelude::*;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let start = network.node("start", &inputs.start)?;
    let csr = network.out(false, ctx)?;
    let found = paths::levels(&csr, start, None, !network.directed, ctx)?;
    drop(csr);
    let ids = network.ids.all();
    let n = ids.len() as u32;
    let levels: Vec<i64> = (0..n).into_par_iter().map(|v| found.level(v).map_or(-1, i64::from)).collect();
    let parents: Vec<u64> = (0..n).into_par_iter().map(|v| ids[found.parent(v) as usize]).collect();
    ctx.check()?;
    // Sorted by level and then by id: counted, because levels are few and small.
    let mut next = vec![0usize; levels.iter().max().map_or(0, |l| (l + 2) as usize)];
    let reached = || (0..n).filter_map(|v| Some((v, found.level(v)? as usize)));
    let mut count = 0;
    for (_, level) in reached() {
        next[level + 1] += 1;
        count += 1;
    }
    for i in 1..next.len() {
        next[i] += next[i - 1];
    }
    let mut order = vec![0u64; count];
    for (v, level) in reached() {
        order[next[level]] = ids[v as usize];
        next[level] += 1;
    }
    Ok(Record::new()
        .with("nodes", Value::Tensor(Tensor::vector(ids)))
        .with("levels", Value::Tensor(Tensor::vector(levels)))
        .with("parents", Value::Tensor(Tensor::vector(parents)))
        .with("order", Value::Tensor(Tensor::vector(order))))
}
