//! The choice of an algorithm, and distances turned into a path.

use super::{Algorithm, Inputs};
use crate::csr::{Csr, Network};
use crate::paths::{self, PARALLEL_ARCS};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure, Rejection};
use rayon::prelude::*;
use std::sync::Arc;

/// What a request asks, by index.
pub(super) struct Asked {
    pub(super) network: Arc<Network>,
    pub(super) start: u32,
    end: Option<u32>,
    bound: Option<Vec<f64>>,
    pub(super) algorithm: Algorithm,
}

impl Asked {
    /// Of a graph with negative weights only `bellman_ford` and `auto` can be asked.
    ///
    /// # Errors
    /// When a node is not there, a bound is none, or the algorithm does not suit the weights.
    pub(super) fn read(inputs: Inputs, ctx: &Context) -> Result<Asked, Failure> {
        let listed = inputs.graph.nodes.clone();
        let network = Network::read(inputs.graph, ctx)?;
        let start = network.node("start", &inputs.start)?;
        let end = inputs.end.as_ref().map(|id| network.node("end", id)).transpose()?;
        let bound = match (&inputs.heuristic, &listed) {
            (Some(h), Some(listed)) => Some(bounds(&network, listed, h)?),
            _ => None,
        };
        let algorithm = inputs.algorithm;
        if !matches!(algorithm, Algorithm::Auto | Algorithm::BellmanFord) && network.any_negative() {
            return Err(Rejection::new(
                "algorithm",
                "an edge has a negative weight; the algorithm must be bellman_ford or auto",
            )
            .into());
        }
        Ok(Asked { network, start, end, bound, algorithm })
    }
}

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let Asked { network, start, end, bound, algorithm } = Asked::read(inputs, ctx)?;
    let csr = network.out(true, ctx)?;
    let negative = network.any_negative();
    let algorithm = match algorithm {
        Algorithm::Auto if negative => Algorithm::BellmanFord,
        Algorithm::Auto if csr.weights.is_empty() => return unweighted(&network, &csr, start, end, ctx),
        Algorithm::Auto if csr.arcs() >= PARALLEL_ARCS && rayon::current_num_threads() > 1 => {
            Algorithm::DeltaStepping
        }
        Algorithm::Auto => Algorithm::Dijkstra,
        named => named,
    };
    let (distances, name) = match algorithm {
        Algorithm::BellmanFord => match paths::bellman_ford(&csr, Some(start), ctx)? {
            Ok(distances) => (distances, "bellman_ford"),
            Err(cycle) => return Err(paths::negative_cycle(&network, cycle, &csr)),
        },
        Algorithm::DeltaStepping => (paths::delta_stepping(&csr, start, end, ctx)?, "delta_stepping"),
        Algorithm::AStar => {
            let bound = bound.unwrap_or_else(|| vec![0.0; csr.nodes()]);
            let end = end.ok_or_else(|| Rejection::new("end", "a_star takes an end"))?;
            let found = paths::a_star(&csr, start, end, &bound, ctx)?;
            return Ok(one(&network, found, "a_star"));
        }
        Algorithm::Dijkstra | Algorithm::Auto => (paths::dijkstra(&csr, start, end, ctx)?, "dijkstra"),
    };
    let limit = end.filter(|_| !negative).map_or(f64::INFINITY, |end| distances[end as usize]);
    if end.is_some_and(|end| distances[end as usize] == f64::INFINITY) {
        return Ok(one(&network, None, name));
    }
    let parents = paths::parents(&csr, start, &distances, (limit, negative), ctx)?;
    if let Some(end) = end {
        let path = paths::path(&parents, start, end).ok_or_else(|| {
            Failure::unprocessable(
                "rounding",
                "weights differ so much in size that sums of them lose the path",
                serde_json::Value::Null,
            )
        })?;
        return Ok(one(&network, Some((path, distances[end as usize])), name));
    }
    Ok(all(&network, |v| distances[v as usize], before(&parents), name))
}

/// All distances where weights may be negative.
///
/// # Errors
/// When there is a negative cycle, or the job is to stop.
pub(super) fn bellman_ford_to_all(
    network: &Network,
    start: u32,
    ctx: &Context,
) -> Result<Record<Tensor>, Failure> {
    let csr = network.out(true, ctx)?;
    let distances = match paths::bellman_ford(&csr, Some(start), ctx)? {
        Ok(distances) => distances,
        Err(cycle) => return Err(paths::negative_cycle(network, cycle, &csr)),
    };
    let falling = network.any_negative();
    let parents = paths::parents(&csr, start, &distances, (f64::INFINITY, falling), ctx)?;
    Ok(all(network, |v| distances[v as usize], before(&parents), "bellman_ford"))
}

/// The node before each on its path; one without is its own.
pub(super) fn before(parents: &[u32]) -> impl Fn(u32) -> u32 {
    |v| if parents[v as usize] == paths::NONE { v } else { parents[v as usize] }
}

/// Without weights, a distance is a number of edges.
fn unweighted(
    network: &Network,
    csr: &Csr,
    start: u32,
    end: Option<u32>,
    ctx: &Context,
) -> Result<Record<Tensor>, Failure> {
    let found = paths::levels(csr, start, end, !network.directed, ctx)?;
    let distance = |v: u32| found.level(v).map_or(f64::INFINITY, f64::from);
    let Some(end) = end else {
        return Ok(all(network, distance, |v| found.parent(v), "bfs"));
    };
    if found.level(end).is_none() {
        return Ok(one(network, None, "bfs"));
    }
    let mut path = vec![end];
    let mut at = end;
    while at != start {
        at = found.parent(at);
        path.push(at);
    }
    path.reverse();
    Ok(one(network, Some((path, distance(end))), "bfs"))
}

/// The answer for one end.
fn one(network: &Network, found: Option<(Vec<u32>, f64)>, algorithm: &str) -> Record<Tensor> {
    let (path, distance) = match found {
        Some((path, distance)) => {
            (Value::Tensor(Tensor::vector(network.ids.named(path))), Value::Tensor(Tensor::scalar(distance)))
        }
        None => (Value::nothing(), Value::nothing()),
    };
    Record::new()
        .with("path", path)
        .with("distance", distance)
        .with("algorithm", Value::Text(algorithm.into()))
}

/// The answer for all nodes.
pub(super) fn all(
    network: &Network,
    distance: impl Fn(u32) -> f64 + Sync,
    parent: impl Fn(u32) -> u32 + Sync,
    algorithm: &str,
) -> Record<Tensor> {
    let ids = network.ids.all();
    let reached: Vec<u32> = (0..ids.len() as u32).filter(|&v| distance(v) < f64::INFINITY).collect();
    let nodes = reached.par_iter().map(|&v| ids[v as usize]).collect();
    let distances = reached.par_iter().map(|&v| distance(v)).collect();
    let parents = reached.par_iter().map(|&v| ids[parent(v) as usize]).collect();
    Record::new()
        .with("nodes", Value::Tensor(Tensor::vector(nodes)))
        .with("distances", Value::Tensor(Tensor::vector(distances)))
        .with("parents", Value::Tensor(Tensor::vector(parents)))
        .with("algorithm", Value::Text(algorithm.into()))
}

/// The bounds by index; nodes that are not listed have 0.
fn bounds(network: &Network, listed: &Tensor, heuristic: &Tensor) -> Result<Vec<f64>, Failure> {
    let (Some(listed), Some(heuristic)) = (listed.as_slice::<u64>(), heuristic.as_slice::<f64>()) else {
        return Err(Rejection::new("heuristic", "heuristic must be a vector of f64").into());
    };
    let mut bounds = vec![0.0; network.nodes()];
    for (i, (&id, &h)) in listed.iter().zip(heuristic).enumerate() {
        if !(h.is_finite() && h >= 0.0) {
            return Err(Rejection::new(
                "heuristic",
                format!(
                    "number {i} (counted from 0) of heuristic is {h}, it must be finite and not negative"
                ),
            )
            .into());
        }
        if let Some(at) = network.ids.find(id) {
            bounds[at as usize] = h;
        }
    }
    Ok(bounds)
}
