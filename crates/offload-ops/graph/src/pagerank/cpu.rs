//! The power method, pulling: every node sums what arrives, so no two threads write to one place.

use super::Inputs;
use super::walk::Walk;
use crate::csr::{BLOCK, Csr};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Nodes of one task.
const TASK: usize = 1 << 12;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let walk = Walk::of(inputs, ctx)?;
    let Walk { damping, limit, steps, .. } = walk;
    let n = walk.network.nodes();
    let share = walk.shares(ctx)?;
    let csr = walk.network.rows(walk.arcs(), walk.weighted, ctx)?;
    let jump_of = |v: usize| walk.jump.as_ref().map_or(1.0 / n as f64, |j| j[v]);

    let mut scores = vec![1.0 / n as f64; n];
    // What each node sends along an arc of weight 1.
    let mut sent = vec![0.0f64; n];
    let mut next = vec![0.0f64; n];
    let (mut taken, mut residual) = (0, 0.0);
    while n > 0 && taken < steps {
        ctx.block(taken as usize, steps as usize)?;
        let dangling: f64 = sent
            .par_chunks_mut(BLOCK)
            .zip(scores.par_chunks(BLOCK).zip(share.par_chunks(BLOCK)))
            .map(|(sent, (scores, share))| {
                let mut lost = 0.0;
                for ((sent, &score), &share) in sent.iter_mut().zip(scores).zip(share) {
                    *sent = score * share;
                    lost += if share == 0.0 { score } else { 0.0 };
                }
                lost
            })
            .collect::<Vec<f64>>()
            .into_iter()
            .sum();
        // Parts are summed in their order, so that the result does not depend on the threads.
        residual = next
            .par_chunks_mut(TASK)
            .enumerate()
            .map(|(task, next)| {
                ctx.check()?;
                let mut change = 0.0;
                for (i, to) in next.iter_mut().enumerate() {
                    let v = task * TASK + i;
                    let arrived = arriving(&csr, v as u32, &sent);
                    *to = damping * arrived + (damping * dangling + 1.0 - damping) * jump_of(v);
                    change += (*to - scores[v]).abs();
                }
                Ok(change)
            })
            .collect::<Result<Vec<f64>, Failure>>()?
            .into_iter()
            .sum();
        std::mem::swap(&mut scores, &mut next);
        taken += 1;
        if residual < limit {
            break;
        }
    }
    ctx.block(1, 1)?;
    Ok(walk.answer(scores, taken, residual))
}

/// What arrives at a node.
#[inline]
fn arriving(csr: &Csr, v: u32, sent: &[f64]) -> f64 {
    let range = csr.range(v);
    if csr.weights.is_empty() {
        csr.targets[range].iter().map(|&u| sent[u as usize]).sum()
    } else {
        csr.targets[range.clone()].iter().zip(&csr.weights[range]).map(|(&u, w)| sent[u as usize] * w).sum()
    }
}
