//! Tarjan's algorithm (1972) without recursion. One walk in depth, which cannot be shared between threads; nodes that
//! no cycle can pass fall out of it at once.

use super::Inputs;
use crate::csr::{Csr, Network};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};

/// Steps between two looks at the cancel flag.
const STEPS: usize = 1 << 15;

const NONE: u32 = u32::MAX;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let csr = network.out(false, ctx)?;
    let roots = roots(&csr, ctx)?;
    drop(csr);
    Ok(outputs(&network, &roots))
}

/// The answer: for each node the smallest of its component.
pub(super) fn outputs(network: &Network, roots: &[u32]) -> Record<Tensor> {
    let ids = network.ids.all();
    let count = roots.iter().enumerate().filter(|&(v, &root)| v as u32 == root).count();
    let labels: Vec<u64> = roots.iter().map(|&root| ids[root as usize]).collect();
    Record::new()
        .with("nodes", Value::Tensor(Tensor::vector(ids)))
        .with("labels", Value::Tensor(Tensor::vector(labels)))
        .with("count", Value::Int(count as i64))
}

/// For each node the smallest of its strongly connected component.
pub(crate) fn roots(csr: &Csr, ctx: &Context) -> Result<Vec<u32>, Failure> {
    open_roots(csr, vec![NONE; csr.nodes()], ctx)
}

/// The same where the components of some nodes are known already, each of them whole; the others have `u32::MAX`.
pub(super) fn open_roots(csr: &Csr, mut label: Vec<u32>, ctx: &Context) -> Result<Vec<u32>, Failure> {
    let n = csr.nodes();
    // The order in which nodes are met, and the earliest that is reached from each and still open.
    let mut met = vec![NONE; n];
    let mut low = vec![NONE; n];
    let mut open: Vec<u32> = Vec::new();
    // The nodes on the way down, with the place of their next arc.
    let mut way: Vec<(u32, u32)> = Vec::new();
    let (mut count, mut steps) = (0u32, 0usize);
    for start in 0..n as u32 {
        if met[start as usize] != NONE || label[start as usize] != NONE {
            continue;
        }
        way.push((start, csr.offsets[start as usize]));
        (met[start as usize], low[start as usize]) = (count, count);
        count += 1;
        open.push(start);
        while let Some((u, next)) = way.last_mut() {
            steps += 1;
            if steps.is_multiple_of(STEPS) {
                ctx.block(count as usize, n)?;
            }
            let u = *u;
            if *next < csr.offsets[u as usize + 1] {
                let v = csr.targets[*next as usize];
                *next += 1;
                if label[v as usize] != NONE {
                    continue;
                }
                if met[v as usize] == NONE {
                    (met[v as usize], low[v as usize]) = (count, count);
                    count += 1;
                    open.push(v);
                    way.push((v, csr.offsets[v as usize]));
                } else {
                    low[u as usize] = low[u as usize].min(met[v as usize]);
                }
                continue;
            }
            way.pop();
            if let Some(&(above, _)) = way.last() {
                low[above as usize] = low[above as usize].min(low[u as usize]);
            }
            if low[u as usize] == met[u as usize] {
                let first = open.iter().rposition(|&v| v == u).unwrap_or(0);
                let least = open[first..].iter().copied().min().unwrap_or(u);
                for v in open.drain(first..) {
                    label[v as usize] = least;
                }
            }
        }
    }
    Ok(label)
}
