//! Yen's algorithm (1971) with Lawler's saving (1972). Every search is guided by the exact distances to the end, which are
//! computed once: they are not above the distances of any graph with nodes taken out, so A* goes almost straight.

use super::Inputs;
use crate::csr::{Arcs, Csr, Network};
use crate::need::{MAX_LISTED, listed};
use crate::paths::{self, Heap};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure, Rejection};
use serde_json::json;
use std::collections::BTreeSet;

/// Nodes settled between two looks at the cancel flag.
const SETTLED: usize = 1 << 12;

/// A path that is not yet chosen: its length as ordered bits, its nodes, and where it leaves the path it comes from.
type Candidate = (u64, Vec<u32>, usize);

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let start = network.node("start", &inputs.start)?;
    let end = network.node("end", &inputs.end)?;
    let csr = network.out(true, ctx)?;
    if paths::any_negative(&csr) {
        return Err(Rejection::new("graph", "an edge has a negative weight; k_shortest takes none").into());
    }
    let left = {
        let turned = if network.directed { network.rows(Arcs::In, true, ctx)? } else { csr.clone() };
        paths::dijkstra(&turned, end, None, ctx)?
    };
    let k = inputs.k as usize;
    let found = yen(&csr, start, end, &left, k, ctx)?;
    ctx.block(1, 1)?;
    let distances: Vec<f64> = found.iter().map(|c| c.0).collect();
    let paths: Vec<Vec<u64>> = found.into_iter().map(|c| network.ids.named(c.1)).collect();
    Ok(Record::new()
        .with("paths", listed("paths", &paths)?)
        .with("distances", Value::Tensor(Tensor::vector(distances))))
}

fn yen(
    csr: &Csr,
    start: u32,
    end: u32,
    left: &[f64],
    k: usize,
    ctx: &Context,
) -> Result<Vec<(f64, Vec<u32>)>, Failure> {
    let mut spur = Spur::new(csr, end, left);
    let mut chosen: Vec<(f64, Vec<u32>)> = Vec::new();
    let mut candidates: BTreeSet<Candidate> = BTreeSet::new();
    let mut kept = 0u64;
    if let Some((path, length)) = spur.search(&[start], 0.0, &[], ctx)? {
        candidates.insert((length.to_bits(), path, 0));
    }
    // Lengths are not negative, so their bits are in their order.
    while chosen.len() < k
        && let Some((bits, path, deviation)) = candidates.pop_first()
    {
        ctx.block(chosen.len(), k)?;
        let mut length = lengths_to(csr, &path, deviation);
        for i in deviation..path.len().saturating_sub(1) {
            let root = &path[..=i];
            // Nodes that chosen paths with the same beginning go to next.
            let mut barred: Vec<u32> = chosen
                .iter()
                .filter(|(_, p)| p.len() > i + 1 && p[..=i] == *root)
                .map(|(_, p)| p[i + 1])
                .collect();
            barred.push(path[i + 1]);
            if let Some((found, total)) = spur.search(root, length, &barred, ctx)? {
                kept += found.len() as u64;
                if kept > MAX_LISTED {
                    return Err(Failure::unprocessable(
                        "too_long",
                        format!("the candidates hold more than {MAX_LISTED} ids; ask for fewer paths"),
                        json!({"limit": MAX_LISTED}),
                    ));
                }
                candidates.insert((total.to_bits(), found, i));
            }
            length += lightest(csr, path[i], path[i + 1]);
        }
        chosen.push((f64::from_bits(bits), path));
        // A candidate that deviates elsewhere may be the same path.
        while candidates.first().is_some_and(|c| chosen.iter().any(|(_, p)| *p == c.1)) {
            candidates.pop_first();
        }
    }
    Ok(chosen)
}

/// The length of the beginning of a path, up to its node `to`.
fn lengths_to(csr: &Csr, path: &[u32], to: usize) -> f64 {
    path[..=to].windows(2).fold(0.0, |sum, pair| sum + lightest(csr, pair[0], pair[1]))
}

/// Of several arcs between two nodes, only the lightest counts.
fn lightest(csr: &Csr, u: u32, v: u32) -> f64 {
    csr.weighted(u).filter(|a| a.0 == v).map(|a| a.1).fold(f64::INFINITY, f64::min)
}

/// Searches from the end of a beginning to the end, around what is barred.
struct Spur<'a> {
    csr: &'a Csr,
    end: u32,
    left: &'a [f64],
    distances: Vec<f64>,
    parents: Vec<u32>,
    touched: Vec<u32>,
    heap: Heap,
}

impl<'a> Spur<'a> {
    fn new(csr: &'a Csr, end: u32, left: &'a [f64]) -> Self {
        let n = csr.nodes();
        Spur {
            csr,
            end,
            left,
            distances: vec![f64::INFINITY; n],
            parents: vec![paths::NONE; n],
            touched: Vec::new(),
            heap: Heap::default(),
        }
    }

    /// The shortest path that begins with `root`, of that length, does not go next to `barred`, and meets no node twice.
    fn search(
        &mut self,
        root: &[u32],
        length: f64,
        barred: &[u32],
        ctx: &Context,
    ) -> Result<Option<(Vec<u32>, f64)>, Failure> {
        for v in self.touched.drain(..) {
            self.distances[v as usize] = f64::INFINITY;
            self.parents[v as usize] = paths::NONE;
        }
        self.heap.clear();
        let Some((&from, before)) = root.split_last() else { return Ok(None) };
        // A node at minus infinity is never come to again.
        for &v in before {
            self.distances[v as usize] = f64::NEG_INFINITY;
            self.touched.push(v);
        }
        self.distances[from as usize] = length;
        self.touched.push(from);
        self.heap.push(length + self.left[from as usize], from);
        let mut settled = 0usize;
        while let Some((estimate, u)) = self.heap.pop() {
            let d = self.distances[u as usize];
            if estimate > d + self.left[u as usize] {
                continue;
            }
            settled += 1;
            if settled.is_multiple_of(SETTLED) {
                ctx.check()?;
            }
            if u == self.end {
                let mut tail = vec![u];
                let mut at = u;
                while at != from {
                    at = self.parents[at as usize];
                    tail.push(at);
                }
                tail.reverse();
                let path = before.iter().copied().chain(tail).collect();
                return Ok(Some((path, d)));
            }
            for (v, w) in self.csr.weighted(u) {
                let through = d + w;
                let (now, parent) = (self.distances[v as usize], self.parents[v as usize]);
                // Of ways of one length, the one from the smaller node.
                let shorter = through < now || (through == now && v != from && d < now && u < parent);
                if !shorter || (u == from && barred.contains(&v)) || self.left[v as usize] == f64::INFINITY {
                    continue;
                }
                if now == f64::INFINITY {
                    self.touched.push(v);
                }
                self.distances[v as usize] = through;
                self.parents[v as usize] = u;
                if through < now {
                    self.heap.push(through + self.left[v as usize], v);
                }
            }
        }
        Ok(None)
    }
}
