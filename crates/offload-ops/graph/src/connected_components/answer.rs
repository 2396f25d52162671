//! The smallest node of each component turned into columns, wherever it was found.

use crate::csr::Ids;
use offload_api::{Record, Tensor, Value};
use rayon::prelude::*;

/// The outputs, of the smallest node of each node's component.
pub(super) fn answer(ids: &Ids, roots: &[u32]) -> Record<Tensor> {
    let ids = ids.all();
    let count = roots.par_iter().enumerate().filter(|&(v, &root)| v as u32 == root).count();
    let labels: Vec<u64> = roots.par_iter().map(|&root| ids[root as usize]).collect();
    Record::new()
        .with("nodes", Value::Tensor(Tensor::vector(ids)))
        .with("labels", Value::Tensor(Tensor::vector(labels)))
        .with("count", Value::Int(count as i64))
}
