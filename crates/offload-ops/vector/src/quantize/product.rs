//! Product quantisation: Jégou, Douze and Schmid, "Product quantization for nearest neighbor search" (2011).

use super::cpu::{mean, tensor};
use super::kmeans::{assign, train};
use crate::kernel::pair::Real;
use crate::kernel::random::{below, number};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

/// Centroids of a group of components: what a byte can name.
const CENTROIDS: usize = 256;
/// Rows that centroids are trained on, at most.
pub(super) const SAMPLE: usize = 256 * CENTROIDS;
/// Rows that are encoded at a time.
const BLOCK_ROWS: usize = 1 << 16;

/// Groups of components, components of each, and how centroids are found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    pub(super) m: usize,
    pub(super) each: usize,
    pub(super) iterations: usize,
    pub(super) seed: u64,
}

impl Parameters {
    /// Centroids of each group: there are not more than rows.
    pub(super) fn centroids(&self, n: usize) -> usize {
        CENTROIDS.min(n)
    }
}

/// Component operations of training and encoding.
pub(super) fn work(n: usize, p: Parameters) -> f64 {
    let rounds = n.min(SAMPLE) as f64 * p.iterations as f64 + n as f64;
    2.0 * rounds * p.m as f64 * p.each as f64 * p.centroids(n) as f64
}

/// Bytes beside the outputs.
pub(super) fn workspace_bytes(n: usize, p: Parameters) -> u64 {
    let (rows, d) = (n.min(BLOCK_ROWS.max(SAMPLE)) as u64, (p.m * p.each) as u64);
    // The components of one group, assignments before and after, their pieces, the distances of empty centroids.
    let group = rows * p.each as u64 * 4 + rows * 4 + rows * 24;
    let pieces = (rows / 2048 + 2) * (CENTROIDS as u64 * (p.each as u64 * 8 + 8) + 128);
    group + pieces + CENTROIDS as u64 * p.each as u64 * 24 + d * 16 + rows * 4 + CENTROIDS as u64 * d * 4
}

pub(super) fn codes<T: Real>(
    corpus: &[T],
    n: usize,
    d: usize,
    p: Parameters,
    ctx: &Context,
) -> Result<Record<Tensor>, Failure> {
    let k = p.centroids(n);
    let mut codes = vec![0u8; n * p.m];
    let mut codebook = Vec::with_capacity(p.m * k * p.each);
    let mut error = 0.0;
    let sample = sample(n, p.seed);
    for g in 0..p.m {
        ctx.block(g, p.m)?;
        if n == 0 {
            break;
        }
        let part = |row: usize| &corpus[row * d + g * p.each..row * d + (g + 1) * p.each];
        // Vectors far from the origin would lose what tells them apart, so the centre is taken off first.
        let centre = centre(&sample, part, p.each);
        let moved = |to: &mut Vec<f32>, row: usize| {
            to.extend(part(row).iter().zip(&centre).map(|(x, c)| (x.wide() - c) as f32));
        };
        let mut rows = Vec::with_capacity(sample.len().max(BLOCK_ROWS.min(n)) * p.each);
        sample.iter().for_each(|&row| moved(&mut rows, row as usize));
        let centroids = train(ctx, &rows, p.each, k, p.iterations, number(p.seed, g as u64))?;
        let meant: Vec<T> = meant(&centroids, &centre);
        for first in (0..n).step_by(BLOCK_ROWS) {
            let some = first..(first + BLOCK_ROWS).min(n);
            rows.clear();
            some.clone().for_each(|row| moved(&mut rows, row));
            let assigned = assign(ctx, &rows, &centroids, p.each)?;
            let mut off = 0.0;
            for (row, code) in some.zip(assigned) {
                codes[row * p.m + g] = code;
                let meant = &meant[usize::from(code) * p.each..(usize::from(code) + 1) * p.each];
                off += part(row).iter().zip(meant).map(|(x, m)| (x.wide() - m.wide()).powi(2)).sum::<f64>();
            }
            error += off;
        }
        codebook.extend(meant);
    }
    ctx.block(p.m, p.m)?;
    Ok(Record::new()
        .with("codes", tensor(&[n, p.m], codes))
        .with("codebook", tensor(&[p.m, k, p.each], codebook))
        .with("distortion", mean(error, n)))
}

/// What centroids about a centre mean.
pub(super) fn meant<T: Real>(centroids: &[f32], centre: &[f64]) -> Vec<T> {
    let each = centre.len();
    let one = |c: &[f32]| c.iter().zip(centre).map(|(x, c)| T::narrow(f64::from(*x) + c)).collect::<Vec<T>>();
    centroids.chunks(each).flat_map(one).collect()
}

/// The rows that centroids are trained on: all, or some of each stretch.
pub(super) fn sample(n: usize, seed: u64) -> Vec<u32> {
    if n <= SAMPLE {
        return (0..n as u32).collect();
    }
    (0..SAMPLE)
        .map(|i| {
            let (from, to) = (i * n / SAMPLE, (i + 1) * n / SAMPLE);
            (from + below(seed ^ 0x5A, i as u64, to - from)) as u32
        })
        .collect()
}

pub(super) fn centre<'a, T: Real>(sample: &[u32], part: impl Fn(usize) -> &'a [T], each: usize) -> Vec<f64> {
    let mut centre = vec![0.0; each];
    for &row in sample {
        centre.iter_mut().zip(part(row as usize)).for_each(|(c, x)| *c += x.wide());
    }
    centre.iter_mut().for_each(|c| *c /= sample.len().max(1) as f64);
    centre
}
