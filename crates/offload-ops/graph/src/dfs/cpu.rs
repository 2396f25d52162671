//! Depth-first search without recursion. A walk in depth is one after the other by nature: whether a node is met depends
//! on everything before (Reif, "Depth-first search is inherently sequential", 1985).

use super::Inputs;
use crate::csr::Network;
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};

/// Steps between two looks at the cancel flag.
const STEPS: usize = 1 << 15;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let start = inputs.start.as_ref().map(|id| network.node("start", id)).transpose()?;
    let csr = network.sorted_out(ctx)?;
    // The smallest neighbour first.
    let ids = network.ids.all();
    let n = ids.len();
    let mut order = Vec::new();
    let mut parents = ids.clone();
    let mut discovery = vec![-1i64; n];
    let mut finish = vec![-1i64; n];
    let mut way: Vec<(u32, u32)> = Vec::new();
    let (mut clock, mut steps) = (0i64, 0usize);
    let starts = match start {
        Some(s) => s..s + 1,
        None => 0..n as u32,
    };
    for start in starts {
        if discovery[start as usize] >= 0 {
            continue;
        }
        let mut meet = Some(start);
        loop {
            steps += 1;
            if steps.is_multiple_of(STEPS) {
                ctx.block(order.len(), n)?;
            }
            if let Some(v) = meet.take() {
                discovery[v as usize] = clock;
                clock += 1;
                order.push(ids[v as usize]);
                way.push((v, csr.offsets[v as usize]));
            }
            let Some((u, next)) = way.last_mut() else { break };
            let u = *u;
            if *next < csr.offsets[u as usize + 1] {
                let v = csr.targets[*next as usize];
                *next += 1;
                if discovery[v as usize] < 0 {
                    parents[v as usize] = ids[u as usize];
                    meet = Some(v);
                }
            } else {
                finish[u as usize] = clock;
                clock += 1;
                way.pop();
            }
        }
    }
    Ok(Record::new()
        .with("nodes", Value::Tensor(Tensor::vector(ids)))
        .with("order", Value::Tensor(Tensor::vector(order)))
        .with("parents", Value::Tensor(Tensor::vector(parents)))
        .with("discovery", Value::Tensor(Tensor::vector(discovery)))
        .with("finish", Value::Tensor(Tensor::vector(finish))))
}
