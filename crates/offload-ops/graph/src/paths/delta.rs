//! Delta-stepping (Meyer and Sanders, 2003): nodes wait in buckets of distances `delta` wide, and a bucket is relaxed by
//! all threads at once. A node whose distance falls within its own bucket is relaxed again.

use crate::csr::{BLOCK, Csr};
use offload_core::{Context, Failure};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nodes that one task relaxes; fewer are not worth a second thread.
const TASK: usize = 1024;

/// Buckets that are kept apart: a window of distances. What is beyond waits for the window to move.
const BUCKETS: usize = 128;

/// Shorter distances that a task keeps before it writes them down: the processor waits for many reads at once, but not across updates.
const NEARER: usize = 128;

/// Nodes that wait, by bucket of the window.
#[derive(Default)]
struct Waiting {
    buckets: Vec<Vec<u32>>,
    beyond: Vec<u32>,
}

impl Waiting {
    #[inline]
    fn push(&mut self, bucket: usize, node: u32) {
        if bucket >= BUCKETS {
            self.beyond.push(node);
            return;
        }
        if self.buckets.len() <= bucket {
            self.buckets.resize_with(bucket + 1, Vec::new);
        }
        self.buckets[bucket].push(node);
    }

    fn merge(mut self, mut other: Waiting) -> Waiting {
        if self.buckets.len() < other.buckets.len() {
            std::mem::swap(&mut self.buckets, &mut other.buckets);
        }
        for (to, from) in self.buckets.iter_mut().zip(other.buckets) {
            append(to, from);
        }
        append(&mut self.beyond, other.beyond);
        self
    }
}

/// Appends the shorter to the longer: the order of nodes that wait does not matter.
fn append(to: &mut Vec<u32>, mut from: Vec<u32>) {
    if to.len() < from.len() {
        std::mem::swap(to, &mut from);
    }
    to.append(&mut from);
}

/// Distances from `start`; of nodes farther than `end` they are upper bounds, or infinite. No weight is negative, so
/// that distances are ordered as their bits are.
pub(crate) fn distances(csr: &Csr, start: u32, end: Option<u32>, ctx: &Context) -> Result<Vec<f64>, Failure> {
    let delta = width(csr);
    let distances: Vec<AtomicU64> =
        (0..csr.nodes()).map(|_| AtomicU64::new(f64::INFINITY.to_bits())).collect();
    let at = |v: u32| f64::from_bits(distances[v as usize].load(Ordering::Relaxed));
    distances[start as usize].store(0, Ordering::Relaxed);
    let mut waiting = Waiting::default();
    waiting.push(0, start);
    // Where the window begins, and the first bucket that is not done.
    let (mut window, mut now) = (0.0f64, 0usize);
    let mut done = 0usize;
    loop {
        // One rule decides the bucket everywhere: two that round differently would lose a node.
        let place = |distance: f64| ((distance - window) / delta) as usize;
        let Some(first) = (now..waiting.buckets.len()).find(|&b| !waiting.buckets[b].is_empty()) else {
            let mut beyond = std::mem::take(&mut waiting.beyond);
            // What has become nearer was relaxed within the window.
            beyond.retain(|&v| place(at(v)) >= BUCKETS);
            let Some(nearest) = beyond.iter().map(|&v| at(v)).reduce(f64::min) else { break };
            (window, now) = (nearest, 0);
            let place = |distance: f64| ((distance - window) / delta) as usize;
            beyond.into_iter().for_each(|v| waiting.push(place(at(v)), v));
            continue;
        };
        now = first;
        if end.is_some_and(|end| place(at(end)) < now) {
            break;
        }
        let bucket = std::mem::take(&mut waiting.buckets[now]);
        let found = bucket
            .par_chunks(TASK)
            .try_fold(Waiting::default, |mut found, task| {
                ctx.check()?;
                let mut nearer = Vec::with_capacity(NEARER);
                let note = |nearer: &mut Vec<(u32, f64)>, found: &mut Waiting| {
                    for (v, through) in nearer.drain(..) {
                        let bits = through.to_bits();
                        if bits < distances[v as usize].fetch_min(bits, Ordering::Relaxed) {
                            found.push(place(through), v);
                        }
                    }
                };
                for &u in task {
                    let d = at(u);
                    if place(d) < now {
                        // It was relaxed in an earlier bucket.
                        continue;
                    }
                    for (v, w) in csr.weighted(u) {
                        let through = d + w;
                        // A read first: most arcs do not shorten anything.
                        if through.to_bits() < distances[v as usize].load(Ordering::Relaxed) {
                            nearer.push((v, through));
                            // Within the row: one node may have all the arcs.
                            if nearer.len() == NEARER {
                                note(&mut nearer, &mut found);
                            }
                        }
                    }
                }
                note(&mut nearer, &mut found);
                Ok::<_, Failure>(found)
            })
            .try_reduce(Waiting::default, |a, b| Ok(a.merge(b)))?;
        done += bucket.len();
        waiting = waiting.merge(found);
        ctx.block(done.min(csr.nodes()), csr.nodes())?;
    }
    Ok(distances.into_iter().map(|d| f64::from_bits(d.into_inner())).collect())
}

/// The width of a bucket: wide enough that a bucket occupies all threads, and narrow enough that few nodes are relaxed
/// twice. The mean weight by the mean degree: half of what the analysis has for random weights, and measured to be as good on them and
/// better on a grid.
fn width(csr: &Csr) -> f64 {
    let step = (csr.weights.len() / BLOCK).max(1);
    let (sum, count) =
        csr.weights.iter().step_by(step).fold((0.0, 0usize), |(sum, count), w| (sum + w, count + 1));
    let mean = if count == 0 { 1.0 } else { sum / count as f64 };
    let degree = csr.arcs() as f64 / csr.nodes().max(1) as f64;
    let width = mean / degree.max(1.0);
    if width.is_finite() && width > 0.0 { width } else { 1.0 }
}
