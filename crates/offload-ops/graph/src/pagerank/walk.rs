//! The walk of a request: what is checked and prepared before the first step, wherever the steps are taken.

use super::{ITERATIONS, Inputs};
use crate::csr::{Arcs, BLOCK, Network};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure, Rejection};
use rayon::prelude::*;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A walk over a graph.
pub(super) struct Walk {
    pub(super) network: Arc<Network>,
    /// Whether edges are followed by weight.
    pub(super) weighted: bool,
    /// The probability of following an edge.
    pub(super) damping: f64,
    /// Where a jump leads; `None` when everywhere alike.
    pub(super) jump: Option<Vec<f64>>,
    /// The sum of changes below which it ends.
    pub(super) limit: f64,
    /// The most steps.
    pub(super) steps: i64,
}

impl Walk {
    pub(super) fn of(inputs: Inputs, ctx: &Context) -> Result<Walk, Failure> {
        let network = Network::read(inputs.graph, ctx)?;
        let weighted = !inputs.ignore_weights && network.weights().is_some();
        if let Some(edge) = network.negative_edge().filter(|_| weighted) {
            return Err(Failure::unprocessable(
                "negative_weight",
                format!(
                    "the weight of edge {edge} (counted from 0) is negative; a walk has no such probability"
                ),
                json!({"edge": edge}),
            ));
        }
        let jump = jump(&network, inputs.personalization.as_ref(), inputs.personalization_weights.as_ref())?;
        Ok(Walk {
            weighted,
            damping: inputs.damping.unwrap_or(0.85),
            jump,
            limit: inputs.tolerance.unwrap_or(1e-6) * network.nodes() as f64,
            steps: inputs.iterations.unwrap_or(ITERATIONS),
            network,
        })
    }

    /// The arcs along which scores arrive.
    pub(super) fn arcs(&self) -> Arcs {
        if self.network.directed { Arcs::In } else { Arcs::Both }
    }

    /// For each node the share of its score that goes along an arc of weight 1; 0 where no arc leaves.
    pub(super) fn shares(&self, ctx: &Context) -> Result<Vec<f64>, Failure> {
        let network = &self.network;
        let Some(weights) = network.weights().filter(|_| self.weighted) else {
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

    /// The outputs, of the scores and changes after so many steps.
    pub(super) fn answer(&self, scores: Vec<f64>, taken: i64, residual: f64) -> Record<Tensor> {
        let converged = scores.is_empty() || residual < self.limit;
        Record::new()
            .with("nodes", Value::Tensor(Tensor::vector(self.network.ids.all())))
            .with("scores", Value::Tensor(Tensor::vector(scores)))
            .with("iterations", Value::Int(taken))
            .with("residual", Value::Float(residual))
            .with("converged", Value::Bool(converged))
    }
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
