//! Cycles by strongly connected components, each shown by a shortest cycle through its smallest node; an order by
//! Kahn's algorithm (1962) with the smallest node that is free next.

use super::{CYCLES, Inputs};
use crate::connected_components::roots as component_roots;
use crate::csr::{Csr, Network};
use crate::need::listed;
use crate::strongly_connected::roots as strong_roots;
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Steps between two looks at the cancel flag.
const STEPS: usize = 1 << 14;

const NONE: u32 = u32::MAX;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let max_cycles = inputs.max_cycles.unwrap_or(CYCLES) as usize;
    let csr = network.sorted_out(ctx)?;
    let (acyclic, cycles) = if network.directed {
        directed(&csr, max_cycles, ctx)?
    } else {
        undirected(&network, &csr, max_cycles, ctx)?
    };
    let order = if acyclic && network.directed {
        let ids = network.ids.all();
        let order = topological(&csr, ctx)?;
        Value::Tensor(Tensor::vector(order.into_iter().map(|v| ids[v as usize]).collect::<Vec<u64>>()))
    } else {
        Value::nothing()
    };
    let cycles: Vec<Vec<u64>> = cycles.into_iter().map(|c| network.ids.named(c)).collect();
    Ok(Record::new()
        .with("acyclic", Value::Bool(acyclic))
        .with("cycles", listed("cycles", &cycles)?)
        .with("topological_order", order))
}

type Found = (bool, Vec<Vec<u32>>);

fn directed(csr: &Csr, max_cycles: usize, ctx: &Context) -> Result<Found, Failure> {
    let roots = strong_roots(csr, ctx)?;
    let n = csr.nodes();
    let mut size = vec![0u32; n];
    roots.iter().for_each(|&r| size[r as usize] += 1);
    let mut search = Search::new(n);
    let (mut acyclic, mut cycles) = (true, Vec::new());
    for r in 0..n as u32 {
        if roots[r as usize] != r {
            continue;
        }
        let knotted = size[r as usize] > 1 || csr.row(r).binary_search(&r).is_ok();
        if !knotted {
            continue;
        }
        acyclic = false;
        if cycles.len() == max_cycles {
            break;
        }
        cycles.push(search.back_to(csr, r, &roots, ctx)?);
    }
    Ok((acyclic, cycles))
}

/// A breadth-first search whose marks serve one component after the other: no node is in two.
struct Search {
    from: Vec<u32>,
    queue: Vec<u32>,
}

impl Search {
    fn new(n: usize) -> Search {
        Search { from: vec![NONE; n], queue: Vec::new() }
    }

    /// A shortest cycle through `start` within its component; of several, the one whose search meets it first.
    fn back_to(&mut self, csr: &Csr, start: u32, roots: &[u32], ctx: &Context) -> Result<Vec<u32>, Failure> {
        self.queue.clear();
        self.queue.push(start);
        let mut at = 0;
        while let Some(&u) = self.queue.get(at) {
            at += 1;
            if at.is_multiple_of(STEPS) {
                ctx.check()?;
            }
            for &v in csr.row(u) {
                if v == start {
                    let mut cycle = vec![u];
                    while let Some(&last) = cycle.last()
                        && last != start
                    {
                        cycle.push(self.from[last as usize]);
                    }
                    cycle.reverse();
                    return Ok(cycle);
                }
                if roots[v as usize] == start && self.from[v as usize] == NONE {
                    self.from[v as usize] = u;
                    self.queue.push(v);
                }
            }
        }
        // A knotted component has a way back from every node.
        Ok(vec![start])
    }
}

/// Without directions, a component with as many edges as nodes has a cycle; two edges between the same nodes are one.
fn undirected(network: &Network, csr: &Csr, max_cycles: usize, ctx: &Context) -> Result<Found, Failure> {
    let n = csr.nodes();
    let roots = component_roots(n, &network.src, &network.dst, ctx)?;
    // Edges less nodes, so that a tree has -1.
    let mut surplus = vec![0i64; n];
    roots.iter().for_each(|&r| surplus[r as usize] -= 1);
    network.src.iter().for_each(|&u| surplus[roots[u as usize] as usize] += 1);
    let knotted = |r: u32| roots[r as usize] == r && surplus[r as usize] >= 0;
    let acyclic = !(0..n as u32).any(knotted);
    let mut from = vec![NONE; n];
    let mut cycles = Vec::new();
    for r in (0..n as u32).filter(|&r| knotted(r)).take(max_cycles) {
        cycles.push(first_closed(csr, r, &mut from, ctx)?);
    }
    Ok((acyclic, cycles))
}

/// The cycle that the first edge outside the breadth-first tree from `start` closes.
fn first_closed(csr: &Csr, start: u32, from: &mut [u32], ctx: &Context) -> Result<Vec<u32>, Failure> {
    from[start as usize] = start;
    let mut queue = vec![start];
    let mut at = 0;
    while let Some(&u) = queue.get(at) {
        at += 1;
        if at.is_multiple_of(STEPS) {
            ctx.check()?;
        }
        let mut came = false;
        for &v in csr.row(u) {
            if from[v as usize] == NONE {
                from[v as usize] = u;
                queue.push(v);
            } else if v == from[u as usize] && v != u && !came {
                // The edge it was met by, once: a second one closes a cycle of two.
                came = true;
            } else {
                return Ok(closed(from, start, u, v));
            }
        }
    }
    Ok(vec![start])
}

/// The cycle through the tree's paths to both ends of an edge, from its smallest node towards the smaller neighbour.
fn closed(from: &[u32], start: u32, u: u32, v: u32) -> Vec<u32> {
    let up = |mut w: u32| {
        let mut way = vec![w];
        while w != start {
            w = from[w as usize];
            way.push(w);
        }
        way
    };
    let (mut a, mut b) = (up(u), up(v));
    // Both end at the start; what they share beyond the meeting point falls away.
    while a.len() > 1 && b.len() > 1 && a[a.len() - 2] == b[b.len() - 2] {
        a.pop();
        b.pop();
    }
    b.pop();
    b.reverse();
    a.extend(b);
    let least = (0..a.len()).min_by_key(|&i| a[i]).unwrap_or(0);
    a.rotate_left(least);
    if a.len() > 2 && a[1] > a[a.len() - 1] {
        a[1..].reverse();
    }
    a
}

fn topological(csr: &Csr, ctx: &Context) -> Result<Vec<u32>, Failure> {
    let n = csr.nodes();
    let mut before = vec![0u32; n];
    csr.targets.iter().for_each(|&v| before[v as usize] += 1);
    let mut free: BinaryHeap<Reverse<u32>> =
        (0..n as u32).filter(|&v| before[v as usize] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(n);
    while let Some(Reverse(u)) = free.pop() {
        order.push(u);
        if order.len().is_multiple_of(STEPS) {
            ctx.block(order.len(), n)?;
        }
        for &v in csr.row(u) {
            before[v as usize] -= 1;
            if before[v as usize] == 0 {
                free.push(Reverse(v));
            }
        }
    }
    Ok(order)
}
