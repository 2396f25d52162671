//! Filter-Kruskal (Osipov, Sanders and Singler, 2009): the edges are split by weight as in quicksort, the lighter half is
//! done first, and from the heavier half all edges fall out whose ends it has already joined. Few edges are ever sorted.
//!
//! Edges are ordered by weight and then by their ids, which makes the forest unique.

use super::Inputs;
use crate::csr::{BLOCK, Network};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Below this many edges, sorting them all is quickest.
const SORTED: usize = 1 << 14;

/// An edge by the bits of its weight, ordered as the weight is, and its ends, the smaller first.
pub(super) type Edge = (u64, u32, u32);

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let n = network.nodes();
    let weights = network.weights();
    let edges: Vec<Edge> = (0..network.src.len())
        .into_par_iter()
        .with_min_len(BLOCK)
        .map(|i| {
            let (u, v) = (network.src[i], network.dst[i]);
            (ordered(weights.map_or(1.0, |w| w[i])), u.min(v), u.max(v))
        })
        .collect();
    ctx.check()?;
    let mut forest = Forest { above: (0..n as u32).collect(), size: vec![1; n], taken: Vec::new(), left: n };
    forest.grow(edges, ctx)?;
    ctx.block(1, 1)?;
    Ok(outputs(&network, &forest.taken))
}

/// The answer: the edges of the forest in their order.
pub(super) fn outputs(network: &Network, taken: &[Edge]) -> Record<Tensor> {
    let mut ends = Vec::with_capacity(2 * taken.len());
    let ids = network.ids.all();
    for &(_, u, v) in taken {
        ends.extend([ids[u as usize], ids[v as usize]]);
    }
    let weights: Vec<f64> = taken.iter().map(|e| weight(e.0)).collect();
    let total = sum(&weights);
    let edges = match Tensor::new([taken.len(), 2], ends) {
        Some(t) => Value::Tensor(t),
        None => Value::nothing(),
    };
    Record::new()
        .with("edges", edges)
        .with("weights", Value::Tensor(Tensor::vector(weights)))
        .with("weight", Value::Float(total))
        .with("trees", Value::Int((network.nodes() - taken.len()) as i64))
}

/// Puts edges into their order.
pub(super) fn sort(edges: &mut [Edge]) {
    edges.par_sort_unstable();
}

/// The sum, with what rounding loses carried along (Neumaier, 1974).
fn sum(weights: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for &w in weights {
        let next = sum + w;
        lost += if sum.abs() >= w.abs() { (sum - next) + w } else { (w - next) + sum };
        sum = next;
    }
    sum + lost
}

/// Bits that are ordered as finite weights are; both zeros are one weight.
#[inline]
fn ordered(weight: f64) -> u64 {
    let bits = (weight + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn weight(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

/// The trees so far, as a union-find by size.
struct Forest {
    above: Vec<u32>,
    size: Vec<u32>,
    taken: Vec<Edge>,
    left: usize,
}

impl Forest {
    fn grow(&mut self, edges: Vec<Edge>, ctx: &Context) -> Result<(), Failure> {
        // The parts that wait, the lightest last.
        let mut waiting = vec![edges];
        let mut fresh = true;
        while let Some(mut part) = waiting.pop() {
            ctx.check()?;
            if self.left <= 1 {
                break;
            }
            if !std::mem::replace(&mut fresh, false) {
                part = self.filtered(&part, ctx)?;
            }
            if part.len() <= SORTED.max(self.above.len() / 8) {
                part.par_sort_unstable();
                for (i, &edge) in part.iter().enumerate() {
                    if i.is_multiple_of(BLOCK) {
                        ctx.check()?;
                    }
                    self.take(edge);
                }
                continue;
            }
            let pivot = pivot(&part);
            let (light, heavy) = split(&part, pivot, ctx)?;
            drop(part);
            if heavy.is_empty() {
                // All weights and ends up to the pivot are equal: there is nothing left to split.
                let mut light = light;
                light.par_sort_unstable();
                light.dedup();
                light.into_iter().for_each(|edge| self.take(edge));
                continue;
            }
            waiting.push(heavy);
            waiting.push(light);
            // The lighter half was filtered with the whole.
            fresh = true;
        }
        Ok(())
    }

    /// The edges whose ends are still apart.
    fn filtered(&self, part: &[Edge], ctx: &Context) -> Result<Vec<Edge>, Failure> {
        let kept: Vec<Vec<Edge>> = part
            .par_chunks(BLOCK)
            .map(|block| {
                ctx.check()?;
                Ok(block.iter().copied().filter(|&(_, u, v)| self.peek(u) != self.peek(v)).collect())
            })
            .collect::<Result<_, Failure>>()?;
        Ok(kept.concat())
    }

    fn peek(&self, mut v: u32) -> u32 {
        while self.above[v as usize] != v {
            v = self.above[v as usize];
        }
        v
    }

    fn root(&mut self, mut v: u32) -> u32 {
        while self.above[v as usize] != v {
            let higher = self.above[self.above[v as usize] as usize];
            self.above[v as usize] = higher;
            v = higher;
        }
        v
    }

    fn take(&mut self, edge: Edge) {
        let (a, b) = (self.root(edge.1), self.root(edge.2));
        if a == b {
            return;
        }
        let (large, small) = if self.size[a as usize] >= self.size[b as usize] { (a, b) } else { (b, a) };
        self.above[small as usize] = large;
        self.size[large as usize] += self.size[small as usize];
        self.taken.push(edge);
        self.left -= 1;
    }
}

/// The median of a sample, a third of the way up: the lighter part should end up with the tree's edges, and the heavier
/// be filtered away.
fn pivot(part: &[Edge]) -> Edge {
    let step = (part.len() / 1023).max(1);
    let mut sample: Vec<Edge> = part.iter().copied().step_by(step).collect();
    sample.sort_unstable();
    sample[sample.len() / 3]
}

/// The edges up to the pivot, and those beyond.
fn split(part: &[Edge], pivot: Edge, ctx: &Context) -> Result<(Vec<Edge>, Vec<Edge>), Failure> {
    let halves: Vec<(Vec<Edge>, Vec<Edge>)> = part
        .par_chunks(BLOCK)
        .map(|block| {
            ctx.check()?;
            Ok(block.iter().partition(|e| **e <= pivot))
        })
        .collect::<Result<_, Failure>>()?;
    let (light, heavy): (Vec<Vec<Edge>>, Vec<Vec<Edge>>) = halves.into_iter().unzip();
    Ok((light.concat(), heavy.concat()))
}
