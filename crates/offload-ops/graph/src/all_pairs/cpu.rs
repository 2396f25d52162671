//! One search from each node where the graph is sparse; Floyd (1962) and Warshall (1962) in blocks where it is dense or has
//! negative weights.

use super::{Inputs, MAX_NODES};
use crate::csr::{Csr, Network};
use crate::paths::{self, Heap};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure, Rejection};
use rayon::prelude::*;
use std::sync::Arc;

/// Nodes that are made passable at once: their rows stay in the cache while every other row is brought up to date.
pub(super) const BLOCK: usize = 64;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = read(inputs, ctx)?;
    let csr = network.out(true, ctx)?;
    let n = csr.nodes();
    let mut distances = vec![f64::INFINITY; n * n];
    if n > 0 {
        // A relaxed arc costs some tens of the steps of the innermost loop.
        if network.any_negative() || csr.arcs() * 32 > n * n {
            dense(&csr, &mut distances, ctx)?;
        } else {
            sparse(&csr, &mut distances, ctx)?;
        }
    }
    ctx.block(1, 1)?;
    Ok(outputs(&network, distances))
}

/// The graph, which has all of its shortest paths.
///
/// # Errors
/// When it has too many nodes or others than it lists, or a cycle that makes paths shorter and shorter.
pub(super) fn read(inputs: Inputs, ctx: &Context) -> Result<Arc<Network>, Failure> {
    let listed = inputs.graph.nodes.as_ref().map(|t| t.data().len());
    let network = Network::read(inputs.graph, ctx)?;
    let n = network.nodes();
    if listed.is_some_and(|listed| n > listed) {
        return Err(Rejection::new(
            "graph",
            "an edge names a node that nodes does not list; for all_pairs, list all nodes or none",
        )
        .into());
    }
    if n as u64 > MAX_NODES {
        return Err(
            Rejection::new("graph", format!("the graph has {n} nodes, the limit is {MAX_NODES}")).into()
        );
    }
    if network.any_negative() {
        let csr = network.out(true, ctx)?;
        if let Err(cycle) = paths::bellman_ford(&csr, None, ctx)? {
            return Err(paths::negative_cycle(&network, cycle, &csr));
        }
    }
    Ok(network)
}

/// The answer: `distances` has a row for each node.
pub(super) fn outputs(network: &Network, distances: Vec<f64>) -> Record<Tensor> {
    let n = network.nodes();
    let distances = match Tensor::new([n, n], distances) {
        Some(t) => Value::Gapped(t),
        None => Value::nothing(),
    };
    Record::new().with("nodes", Value::Tensor(Tensor::vector(network.ids.all()))).with("distances", distances)
}

fn sparse(csr: &Csr, distances: &mut [f64], ctx: &Context) -> Result<(), Failure> {
    let n = csr.nodes();
    distances.par_chunks_mut(n).enumerate().try_for_each_init(Heap::default, |heap, (start, row)| {
        ctx.check()?;
        heap.clear();
        paths::dijkstra_into(csr, start as u32, None, row, heap, ctx)
    })
}

fn dense(csr: &Csr, distances: &mut [f64], ctx: &Context) -> Result<(), Failure> {
    let n = csr.nodes();
    for (u, row) in distances.chunks_mut(n).enumerate() {
        for (v, w) in csr.weighted(u as u32) {
            row[v as usize] = row[v as usize].min(w);
        }
        row[u] = row[u].min(0.0);
    }
    let mut panel = vec![0.0f64; BLOCK.min(n) * n];
    for first in (0..n).step_by(BLOCK) {
        ctx.block(first, n)?;
        let size = BLOCK.min(n - first);
        let rows = first * n..(first + size) * n;
        // Paths within the block.
        let mut inner: Vec<f64> = distances[rows.clone()]
            .chunks(n)
            .flat_map(|row| row[first..first + size].iter().copied())
            .collect();
        for k in 0..size {
            for i in 0..size {
                let to_k = inner[i * size + k];
                for j in 0..size {
                    inner[i * size + j] = inner[i * size + j].min(to_k + inner[k * size + j]);
                }
            }
        }
        // From the block to everywhere, by way of the block.
        let old = &distances[rows.clone()];
        panel[..size * n].par_chunks_mut(n).zip(inner.par_chunks(size)).zip(old.par_chunks(n)).for_each(
            |((to, ways), own)| {
                to.copy_from_slice(own);
                relax(to, ways, old);
            },
        );
        // From everywhere to everywhere, by way of the block; its own rows come out as they are.
        let panel = &panel[..size * n];
        distances.par_chunks_mut(n).try_for_each(|row| {
            ctx.check()?;
            let mut ways = [0.0f64; BLOCK];
            ways[..size].copy_from_slice(&row[first..first + size]);
            relax(row, &ways[..size], panel);
            Ok::<_, Failure>(())
        })?;
    }
    Ok(())
}

/// `to[j] = min(to[j], ways[k] + rows[k][j])` over all k.
fn relax(to: &mut [f64], ways: &[f64], rows: &[f64]) {
    for (&way, row) in ways.iter().zip(rows.chunks(to.len())) {
        if way == f64::INFINITY {
            continue;
        }
        for (to, &on) in to.iter_mut().zip(row) {
            let through = way + on;
            *to = if through < *to { through } else { *to };
        }
    }
}
