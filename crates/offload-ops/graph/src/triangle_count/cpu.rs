//! Every edge from the end of fewer neighbours to the other, and the ordered lists of both met: a triangle is found once,
//! and no list is longer than the root of twice the edges (Chiba and Nishizeki 1985; the ordered form by Latapy, "Main-memory
//! triangle computations for very large (sparse) graphs", 2008).

use super::Inputs;
use crate::csr::{Arcs, Csr, Network};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nodes of one task; their lists differ in length, so tasks are small.
const TASK: usize = 256;

pub(super) fn run(inputs: Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let network = Network::read(inputs.graph, ctx)?;
    let csr = network.sorted_rows(Arcs::Both, ctx)?;
    let neighbours = simple(&csr);
    drop(csr);
    let n = neighbours.nodes();
    let later = forward(&neighbours);
    let counts: Vec<AtomicU64> = (0..n).map(|_| AtomicU64::new(0)).collect();
    let add = |v: u32, count: u64| {
        if count > 0 {
            counts[v as usize].fetch_add(count, Ordering::Relaxed);
        }
    };
    let found: Vec<u64> = (0..n.div_ceil(TASK))
        .into_par_iter()
        .map(|task| {
            let mut all = 0;
            for u in (task * TASK) as u32..((task + 1) * TASK).min(n) as u32 {
                ctx.check()?;
                let row = later.row(u);
                let mut of_u = 0;
                for &v in row {
                    let of_v = meet(row, later.row(v), |w| add(w, 1));
                    add(v, of_v);
                    of_u += of_v;
                }
                add(u, of_u);
                all += of_u;
            }
            Ok(all)
        })
        .collect::<Result<_, Failure>>()?;
    ctx.block(1, 1)?;
    let triangles: Vec<u64> = counts.into_iter().map(AtomicU64::into_inner).collect();
    let clustering: Vec<f64> = triangles
        .iter()
        .enumerate()
        .map(|(v, &t)| {
            let degree = neighbours.degree(v as u32) as f64;
            let pairs = degree * (degree - 1.0) / 2.0;
            if pairs > 0.0 { t as f64 / pairs } else { 0.0 }
        })
        .collect();
    Ok(Record::new()
        .with("count", Value::Int(found.iter().sum::<u64>() as i64))
        .with("nodes", Value::Tensor(Tensor::vector(network.ids.all())))
        .with("triangles", Value::Tensor(Tensor::vector(triangles)))
        .with("clustering", Value::Tensor(Tensor::vector(clustering))))
}

/// The same rows without loops and repetitions.
fn simple(csr: &Csr) -> Csr {
    filtered(csr, |u, v, before| u != v && before != Some(v))
}

/// The arcs from nodes of fewer neighbours to nodes of more, or from smaller to larger of as many.
fn forward(csr: &Csr) -> Csr {
    filtered(csr, |u, v, _| (csr.degree(u), u) < (csr.degree(v), v))
}

fn filtered(csr: &Csr, keep: impl Fn(u32, u32, Option<u32>) -> bool) -> Csr {
    let n = csr.nodes();
    let mut offsets = Vec::with_capacity(n + 1);
    let mut targets = Vec::with_capacity(csr.arcs() / 2 + 1);
    offsets.push(0);
    for u in 0..n as u32 {
        let row = csr.row(u);
        for (i, &v) in row.iter().enumerate() {
            if keep(u, v, i.checked_sub(1).map(|i| row[i])) {
                targets.push(v);
            }
        }
        offsets.push(targets.len() as u32);
    }
    Csr { offsets, targets, weights: Vec::new() }
}

/// How many nodes two ascending lists share.
#[inline]
fn meet(a: &[u32], b: &[u32], mut each: impl FnMut(u32)) -> u64 {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while let (Some(&x), Some(&y)) = (a.get(i), b.get(j)) {
        if x == y {
            each(x);
            count += 1;
        }
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    count
}
