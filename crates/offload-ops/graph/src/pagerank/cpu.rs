//! The power method, pulling: every node sums what arrives, so no two threads write to one place.

use super::{ITERATIONS, Inputs};
use crate::csr::{Arcs, BLOCK, Csr, Network};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure, Rejection};
use rayon::prelude::*;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};

/// Nodes of one task.
const TASK: usize = 1 << 12;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let damping = inputs.damping.unwrap_or(0.85);
    let n = network.nodes();
    let limit = inputs.tolerance.unwrap_or(1e-6) * n as f64;
    let steps = inputs.iterations.unwrap_or(ITERATIONS);
    let weights = if inputs.ignore_weights { None } else { network.weights() };
    if let Some(edge) = weights.and_then(|w| w.par_iter().position_first(|w| *w < 0.0)) {
        return Err(Failure::unprocessable(
            "negative_weight",
            format!("the weight of edge {edge} (counted from 0) is negative; a walk has no such probability"),
            json!({"edge": edge}),
        ));
    }
    let jump = jump(&network, inputs.personalization.as_ref(), inputs.personalization_weights.as_ref())?;
    let share = shares(&network, weights, ctx)?;
    let arcs = if network.directed { Arcs::In } else { Arcs::Both };
    let csr = network.rows(arcs, weights.is_some(), ctx)?;
    let jump_of = |v: usize| jump.as_ref().map_or(1.0 / n as f64, |j| j[v]);

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
    Ok(Record::new()
        .with("nodes", Value::Tensor(Tensor::vector(network.ids.all())))
        .with("scores", Value::Tensor(Tensor::vector(scores)))
        .with("iterations", Value::Int(taken))
        .with("residual", Value::Float(residual))
        .with("converged", Value::Bool(n == 0 || residual < limit)))
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

/// For each node the share of its score that goes along an arc of weight 1; 0 where no arc leaves.
fn shares(network: &Network, weights: Option<&[f64]>, ctx: &Context) -> Result<Vec<f64>, Failure> {
    let Some(weights) = weights else {
        let degrees: Vec<AtomicU32> = (0..network.nodes()).map(|_| AtomicU32::new(0)).collect();
        let count = |v: u32| degrees[v as usize].fetch_add(1, Ordering::Relaxed);
        network.src.par_chunks(BLOCK).zip(network.dst.par_chunks(BLOCK)).try_for_each(|(src, dst)| {
            ctx.check()?;
            for (&u, &v) in src.iter().zip(dst) {
                count(u);
                if !network.directed && u != v {
                    count(v);
                }
            }
            Ok::<_, Failure>(())
        })?;
        let share = |d: u32| if d > 0 { 1.0 / f64::from(d) } else { 0.0 };
        return Ok(degrees.into_par_iter().map(|d| share(d.into_inner())).collect());
    };
    // Sums of weights are taken in the order of the edges, by one thread, so that they are always the same.
    let mut total = vec![0.0f64; network.nodes()];
    for (i, (&u, &v)) in network.src.iter().zip(&network.dst).enumerate() {
        if i.is_multiple_of(BLOCK) {
            ctx.check()?;
        }
        let w = weights[i];
        total[u as usize] += w;
        if !network.directed && u != v {
            total[v as usize] += w;
        }
    }
    total.iter_mut().for_each(|t| *t = if *t > 0.0 { 1.0 / *t } else { 0.0 });
    Ok(total)
}

/// Where a jump leads; `None` when everywhere alike.
fn jump(
    network: &Network,
    nodes: Option<&Tensor>,
    weights: Option<&Tensor>,
) -> Result<Option<Vec<f64>>, Failure> {
    let Some(nodes) = nodes.and_then(|t| t.as_slice::<u64>()) else { return Ok(None) };
    let weights = weights.and_then(|t| t.as_slice::<f64>());
    let mut jump = vec![0.0f64; network.nodes()];
    for (i, &id) in nodes.iter().enumerate() {
        let at = network.ids.find(id).ok_or_else(|| {
            Rejection::new(
                "personalization",
                format!("personalization names {id}, the graph has no such node"),
            )
        })?;
        let w = weights.map_or(1.0, |w| w[i]);
        if !(w.is_finite() && w >= 0.0) {
            return Err(Rejection::new(
                "personalization_weights",
                format!("number {i} (counted from 0) is {w}, it must be finite and not negative"),
            )
            .into());
        }
        jump[at as usize] += w;
    }
    let sum: f64 = jump.iter().sum();
    if !(sum > 0.0 && sum.is_finite()) {
        let field = if weights.is_some() { "personalization_weights" } else { "personalization" };
        return Err(Rejection::new(field, format!("{field} must have a sum above 0 that is finite")).into());
    }
    jump.iter_mut().for_each(|j| *j /= sum);
    Ok(Some(jump))
}
