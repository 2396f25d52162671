//! Levels and parents turned into columns, wherever they were found.

use crate::csr::Ids;
use crate::paths::Levels;
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// What a search found.
pub(crate) trait Found: Sync {
    /// The number of edges from the start; `None` when the node was not reached.
    fn level(&self, node: u32) -> Option<u32>;
    /// The smallest node one level nearer; the start and nodes that were not reached have themselves.
    fn parent(&self, node: u32) -> u32;
}

impl Found for Levels {
    fn level(&self, node: u32) -> Option<u32> {
        self.level(node)
    }

    fn parent(&self, node: u32) -> u32 {
        self.parent(node)
    }
}

/// The outputs; `order` has the nodes that were reached by level and then by number, where somebody sorted them.
pub(super) fn answer(
    ids: &Ids,
    found: &impl Found,
    order: Option<Vec<u32>>,
    ctx: &Context,
) -> Result<Record<Tensor>, Failure> {
    let ids = ids.all();
    let n = ids.len() as u32;
    let levels: Vec<i64> = (0..n).into_par_iter().map(|v| found.level(v).map_or(-1, i64::from)).collect();
    let parents: Vec<u64> = (0..n).into_par_iter().map(|v| ids[found.parent(v) as usize]).collect();
    ctx.check()?;
    let order: Vec<u64> = match order {
        Some(nodes) => nodes.into_par_iter().map(|v| ids[v as usize]).collect(),
        None => sorted(&ids, found, levels.par_iter().max().map_or(0, |l| (l + 1) as usize)),
    };
    Ok(Record::new()
        .with("nodes", Value::Tensor(Tensor::vector(ids)))
        .with("levels", Value::Tensor(Tensor::vector(levels)))
        .with("parents", Value::Tensor(Tensor::vector(parents)))
        .with("order", Value::Tensor(Tensor::vector(order))))
}

/// The ids that were reached, by level and then by id: counted, because levels are few and small.
fn sorted(ids: &[u64], found: &impl Found, depth: usize) -> Vec<u64> {
    let mut next = vec![0usize; depth + 1];
    let reached = || (0..ids.len() as u32).filter_map(|v| Some((v, found.level(v)? as usize)));
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
    order
}
