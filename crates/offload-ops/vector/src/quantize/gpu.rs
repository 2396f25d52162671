//! Product quantisation on a device: every round of k-means and the coding run there, in the arithmetic of the CPU.

use super::cpu::{LARGEST_SQUARE, codable, mean, tensor};
use super::kmeans::{PIECE_ROWS, first, refill};
use super::product::{Parameters, SAMPLE, centre, meant, sample};
use super::texts::{
    BLOCK, TOGETHER, rows, vector_pq_assign, vector_pq_columns, vector_pq_means, vector_pq_sums,
};
use super::{Inputs, Method};
use crate::kernel::device::needs_f64;
use crate::kernel::pair::Real;
use crate::kernel::random::number;
use crate::kernel::search::slice;
use offload_api::{DType, Record, Tensor, TensorSpec};
use offload_core::device::{Buffer, DeviceError, Gpu, Groups, KernelElement};
use offload_core::{DeviceNeed, Failure};

/// Components that are coded at a time, about.
const BLOCK_COMPONENTS: usize = 1 << 26;
/// Groups at most.
const MOST_GROUPS: usize = 4096;

/// How the work is cut.
#[derive(Clone, Copy)]
struct Size {
    n: usize,
    d: usize,
    k: usize,
    sample: usize,
    block: usize,
    padded: usize,
    pieces: usize,
}

impl Size {
    fn of(n: usize, d: usize, p: Parameters) -> Size {
        let sample = n.min(SAMPLE);
        let k = p.centroids(n);
        Size {
            n,
            d,
            k,
            sample,
            block: (BLOCK_COMPONENTS / p.each).max(SAMPLE).min(n),
            padded: k.next_multiple_of(TOGETHER),
            pieces: sample.div_ceil(PIECE_ROWS),
        }
    }
}

/// What it asks of a device.
pub(super) fn need(corpus: &TensorSpec, n: usize, d: usize, p: Parameters) -> DeviceNeed {
    if n == 0 {
        return DeviceNeed::CpuOnly("an empty corpus has nothing to compute");
    }
    let s = Size::of(n, d, p);
    let (k, each, d) = (s.k as u64, p.each as u64, d as u64);
    let bytes = [
        corpus.bytes(),
        (s.block.max(s.sample) as u64).saturating_mul(each * 4),
        s.sample as u64 * 5,
        // Of every group: its centre, its centroids as they begin and each time one of them is moved, and what they mean.
        d * 8 + k * d * (4 * (p.iterations as u64 + 1) + corpus.dtype.size_bytes() as u64),
        s.padded as u64 * (each * 4 + 4) + k * 4 + 8,
        (s.pieces as u64 * k).saturating_mul(each * 8 + 4),
        (n as u64).saturating_mul(p.m as u64),
        MOST_GROUPS as u64 * 8,
    ];
    DeviceNeed::Bytes(bytes.iter().fold(0u64, |sum, b| sum.saturating_add(*b)))
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    if inputs.method != Method::Pq {
        return Err(DeviceError::Unsupported(super::WHY_CPU.into()).into());
    }
    needs_f64(gpu)?;
    match inputs.corpus.dtype() {
        DType::F32 => codes::<f32>(inputs, gpu),
        _ => codes::<f64>(inputs, gpu),
    }
}

fn covering(elements: usize) -> Groups {
    Groups([elements.div_ceil(BLOCK as usize).clamp(1, MOST_GROUPS) as u32, 1, 1])
}

fn codes<T: Real + KernelElement>(
    inputs: &Inputs<Tensor>,
    gpu: &mut Gpu<'_>,
) -> Result<Record<Tensor>, Failure> {
    let (n, d) = (inputs.corpus.shape()[0], inputs.corpus.shape()[1]);
    let p = inputs.product(d)?;
    let size = Size::of(n, d, p);
    let corpus = slice::<T>(&inputs.corpus);
    let on_device = gpu.input::<T>("corpus", &inputs.corpus)?;
    let bad = gpu.zeros::<u32>(1)?;
    rows::vector_pq_check::<T>(gpu, covering(n), n as u32, d as u32, LARGEST_SQUARE, &on_device, &bad)?;
    if gpu.download(&bad)?[0] > 0 {
        // The CPU says which it is.
        codable(corpus, d)?;
    }
    let chosen = sample(n, p.seed);
    let work = Work {
        size,
        p,
        rows: gpu.zeros(size.block.max(size.sample) * p.each)?,
        chosen: gpu.upload(&chosen)?,
        columns: gpu.zeros(p.each * size.padded)?,
        halves: gpu.zeros(size.padded)?,
        changed: gpu.zeros(1)?,
        assigned: gpu.zeros(size.sample)?,
        sums: gpu.zeros(size.pieces * size.k * p.each)?,
        counts: gpu.zeros(size.pieces * size.k)?,
        sizes: gpu.zeros(size.k)?,
        codes: gpu.zeros(n * p.m)?,
        errors: gpu.zeros(MOST_GROUPS)?,
    };
    let mut codebook: Vec<T> = Vec::with_capacity(size.k * d);
    let mut error = 0.0;
    for g in 0..p.m {
        gpu.context().block(g, p.m)?;
        let part = |row: usize| &corpus[row * d + g * p.each..row * d + (g + 1) * p.each];
        let centre = centre(&chosen, part, p.each);
        let moved = |row: u32| {
            let row = part(row as usize).iter().zip(&centre);
            row.map(|(x, c)| (x.wide() - c) as f32).collect::<Vec<f32>>()
        };
        let about = gpu.upload(&centre)?;
        let centroids = work.train(gpu, &on_device, (g, &about), &chosen, moved)?;
        let meant = meant::<T>(&centroids, &centre);
        let on_device_meant = gpu.upload(&meant)?;
        error += work.encode(gpu, &on_device, (g, &about), &on_device_meant)?;
        codebook.extend(meant);
    }
    gpu.context().block(p.m, p.m)?;
    Ok(Record::new()
        .with("codes", tensor(&[n, p.m], gpu.download(&work.codes)?))
        .with("codebook", tensor(&[p.m, size.k, p.each], codebook))
        .with("distortion", mean(error, n)))
}

/// What every group of components uses in turn.
struct Work {
    size: Size,
    p: Parameters,
    rows: Buffer<f32>,
    chosen: Buffer<u32>,
    columns: Buffer<f32>,
    halves: Buffer<f32>,
    changed: Buffer<u32>,
    assigned: Buffer<u8>,
    sums: Buffer<f64>,
    counts: Buffer<u32>,
    sizes: Buffer<u32>,
    codes: Buffer<u8>,
    errors: Buffer<f64>,
}

impl Work {
    /// The centroids of a group, which then are ready for coding too.
    fn train<T: Real + KernelElement>(
        &self,
        gpu: &mut Gpu<'_>,
        corpus: &Buffer<T>,
        (g, centre): (usize, &Buffer<f64>),
        chosen: &[u32],
        moved: impl Fn(u32) -> Vec<f32>,
    ) -> Result<Vec<f32>, Failure> {
        let (size, each) = (self.size, self.p.each);
        self.bring(gpu, corpus, (g, centre), (0, size.sample), true)?;
        let begin = first(size.sample, size.k, number(self.p.seed, g as u64));
        let begin: Vec<f32> = begin.iter().flat_map(|&i| moved(chosen[i as usize])).collect();
        let mut centroids = gpu.upload(&begin)?;
        for round in 0..self.p.iterations {
            self.score(gpu, &centroids)?;
            gpu.clear(&self.changed)?;
            self.assign(gpu, size.sample, (&self.assigned, 1, 0))?;
            if round > 0 && gpu.download(&self.changed)?[0] == 0 {
                break;
            }
            self.update(gpu, &centroids)?;
            let sizes = gpu.download(&self.sizes)?;
            let empty: Vec<usize> = (0..size.k).filter(|&c| sizes[c] == 0).collect();
            if !empty.is_empty() {
                let rows: Vec<f32> = chosen.iter().flat_map(|&row| moved(row)).collect();
                let mut there = gpu.download(&centroids)?;
                refill(&rows, each, &gpu.download(&self.assigned)?, &mut there, &empty);
                centroids = gpu.upload(&there)?;
            }
        }
        self.score(gpu, &centroids)?;
        gpu.download(&centroids)
    }

    /// Codes a group of all rows; gives the sum of the squares of what they are off by.
    fn encode<T: Real + KernelElement>(
        &self,
        gpu: &mut Gpu<'_>,
        corpus: &Buffer<T>,
        (g, centre): (usize, &Buffer<f64>),
        meant: &Buffer<T>,
    ) -> Result<f64, Failure> {
        let (size, p) = (self.size, self.p);
        let mut error = 0.0;
        for first in (0..size.n).step_by(size.block) {
            let count = size.block.min(size.n - first);
            self.bring(gpu, corpus, (g, centre), (first, count), false)?;
            let codes = &self.codes;
            let at = first * p.m + g;
            self.assign(gpu, count, (codes, p.m, at))?;
            let groups = covering(count);
            rows::vector_pq_errors::<T>(
                gpu,
                groups,
                first as u32,
                count as u32,
                size.d as u32,
                (g * p.each) as u32,
                p.each as u32,
                p.m as u32,
                g as u32,
                corpus,
                meant,
                codes,
                &self.errors,
            )?;
            error += gpu.download_range(&self.errors, 0, groups.0[0] as usize)?.iter().sum::<f64>();
        }
        Ok(error)
    }

    fn bring<T: KernelElement>(
        &self,
        gpu: &mut Gpu<'_>,
        corpus: &Buffer<T>,
        (g, centre): (usize, &Buffer<f64>),
        (first, count): (usize, usize),
        is_chosen: bool,
    ) -> Result<(), Failure> {
        rows::vector_pq_move::<T>(
            gpu,
            covering(count),
            first as u32,
            count as u32,
            self.size.d as u32,
            (g * self.p.each) as u32,
            self.p.each as u32,
            u32::from(is_chosen),
            &self.chosen,
            centre,
            corpus,
            &self.rows,
        )
    }

    fn score(&self, gpu: &mut Gpu<'_>, centroids: &Buffer<f32>) -> Result<(), Failure> {
        let Size { k, padded, .. } = self.size;
        vector_pq_columns(
            gpu,
            covering(padded),
            self.p.each as u32,
            k as u32,
            padded as u32,
            centroids,
            &self.columns,
            &self.halves,
        )
    }

    fn assign(
        &self,
        gpu: &mut Gpu<'_>,
        count: usize,
        (codes, stride, at): (&Buffer<u8>, usize, usize),
    ) -> Result<(), Failure> {
        vector_pq_assign(
            gpu,
            covering(count),
            count as u32,
            self.p.each as u32,
            self.size.padded as u32,
            stride as u32,
            at as u64,
            &self.rows,
            &self.columns,
            &self.halves,
            codes,
            &self.changed,
        )
    }

    fn update(&self, gpu: &mut Gpu<'_>, centroids: &Buffer<f32>) -> Result<(), Failure> {
        let (Size { k, pieces, sample, .. }, each) = (self.size, self.p.each as u32);
        let Groups([groups, ..]) = covering(k * self.p.each);
        vector_pq_sums(
            gpu,
            Groups([groups, pieces as u32, 1]),
            sample as u32,
            each,
            k as u32,
            PIECE_ROWS as u32,
            &self.rows,
            &self.assigned,
            &self.sums,
            &self.counts,
        )?;
        vector_pq_means(
            gpu,
            Groups([groups, 1, 1]),
            each,
            k as u32,
            pieces as u32,
            &self.sums,
            &self.counts,
            centroids,
            &self.sizes,
        )
    }
}
