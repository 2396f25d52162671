//! The search by products: bounds of a tile of rows against many queries, sifted into short lists, and the listed rows
//! evaluated exactly.
//!
//! For 1000 queries, a million rows of 128: 2.6·10¹¹ operations are about 0.9 ms in TF32 (5 ms in `f32`); writing and
//! reading 4·10⁹ bytes of products some 2 ms, and evaluating 34 rows of 512 bytes for each query nothing.

use super::super::metric::Metric;
use super::super::pair::Real;
use super::super::top::Ranked;
use super::bounds::{Bounds, Precision, Query};
use super::exact::Vectors;
use super::lists::{Lists, Offer};
use super::number;
use super::pack::Packed;
use super::sift::{self, Sift};
use super::size::{APART, Size};
use super::texts::{BLOCK, LANES, rank};
use offload_core::Failure;
use offload_core::device::{At, Buffer, Gemm, Gpu, Groups, KernelElement};

/// What the passes share.
pub(super) struct Products<'a, T> {
    size: Size,
    of: &'a Vectors<T>,
    bounds: &'a Bounds,
    scores: &'a Buffer<u64>,
    packed: Packed,
    sift: Option<Sift>,
    lists: Lists,
    merged: Lists,
    best: Lists,
    keys: Buffer<u64>,
    rows: Buffer<u32>,
}

/// Queries of a pass, on the device.
struct Queries {
    count: usize,
    packed: Buffer<f32>,
    owns: Buffer<f32>,
    precision: Precision,
}

impl<'a, T: Real + KernelElement> Products<'a, T> {
    /// Everything that a pass takes but its queries.
    pub(super) fn new(
        gpu: &mut Gpu<'_>,
        size: Size,
        of: &'a Vectors<T>,
        bounds: &'a Bounds,
        scores: &'a Buffer<u64>,
    ) -> Result<Self, Failure> {
        let packed = Packed::new(gpu, size, of, bounds)?;
        Ok(Products {
            size,
            of,
            bounds,
            scores,
            sift: Sift::new(gpu, size, of, bounds, &packed)?,
            packed,
            lists: Lists::new(gpu, size.group, size.splits, size.keep)?,
            merged: Lists::new(gpu, size.group, 1, size.keep)?,
            best: Lists::new(gpu, size.group, 1, size.k)?,
            keys: gpu.zeros(size.group * size.slots())?,
            rows: gpu.zeros(size.group * size.slots())?,
        })
    }

    /// Finds the best rows for the `chosen` of the queries in this precision, and gives those that it does not decide.
    ///
    /// # Errors
    /// When the device fails, or the job is to stop.
    pub(super) fn search(
        &mut self,
        gpu: &mut Gpu<'_>,
        queries: &[T],
        chosen: &[u32],
        precision: Precision,
        best: &mut [Vec<Ranked>],
    ) -> Result<Vec<u32>, Failure> {
        let on_device = gpu.upload(chosen)?;
        let mut undecided = Vec::new();
        for from in (0..chosen.len()).step_by(self.size.group) {
            let some = &chosen[from..(from + self.size.group).min(chosen.len())];
            let framed = self.pass(gpu, queries, some, precision)?;
            self.evaluate(gpu, (&on_device, from, some.len()))?;
            let ranked = self.best.ranked(gpu, some.len())?;
            let limits = self.merged.limits(gpu, some.len())?;
            // With more of them than are named, nothing is known of the others.
            let known = gpu.download_range(&self.packed.apart, 0, 1)?[0] as usize <= APART;
            for (((&query, framed), ranked), limit) in some.iter().zip(&framed).zip(ranked).zip(limits) {
                if known && framed.as_ref().is_some_and(|f| self.is_decided(f, &ranked, limit)) {
                    best[query as usize] = ranked;
                } else {
                    undecided.push(query);
                }
            }
        }
        Ok(undecided)
    }

    /// Whether no row that is not listed can be among the best.
    fn is_decided(&self, query: &Query, ranked: &[Ranked], limit: Option<f32>) -> bool {
        let Some(limit) = limit else { return true };
        // A row whose least cost equals the worst one's may have a lower index, so only more is out.
        let worst = (ranked.len() == self.size.k).then(|| ranked.last()).flatten();
        worst.is_some_and(|worst| self.bounds.least_cost(query, limit) > worst.cost)
    }

    /// Lists the rows with the least bounds.
    fn pass(
        &self,
        gpu: &mut Gpu<'_>,
        queries: &[T],
        some: &[u32],
        precision: Precision,
    ) -> Result<Vec<Option<Query>>, Failure> {
        let Size { d, width, .. } = self.size;
        let mut host = vec![0.0f32; some.len() * width];
        let framed: Vec<Option<Query>> = host
            .chunks_exact_mut(width)
            .zip(some)
            .map(|(to, &q)| self.bounds.query(&queries[q as usize * d..][..d], precision, to))
            .collect();
        let owns: Vec<f32> = framed.iter().map(|f| f.as_ref().map_or(f32::NAN, |f| f.own)).collect();
        let of =
            Queries { count: some.len(), packed: gpu.upload(&host)?, owns: gpu.upload(&owns)?, precision };
        self.lists.clear(gpu)?;
        match &self.sift {
            // The kernel has no other precision.
            Some(sift) if precision == Precision::Tf32 => {
                let panels = gpu.upload(&sift::panels(&host, width))?;
                self.sift(gpu, sift, &of, &panels)?;
            }
            _ => self.tiles(gpu, &of)?,
        }
        Ok(framed)
    }

    /// Every product, tile by tile.
    fn tiles(&self, gpu: &mut Gpu<'_>, of: &Queries) -> Result<(), Failure> {
        self.packed.begin(gpu, self.bounds)?;
        for first in (0..self.size.rows).step_by(self.size.tile) {
            let count = self.size.tile.min(self.size.rows - first);
            let rows = self.packed.tile(gpu, self.size, self.of, self.bounds, (first, count))?;
            self.tile(gpu, of, (first, count), rows, &self.packed.weights)?;
        }
        self.merged.merge(gpu, of.count, &self.lists, false)
    }

    /// The products with these rows past the lists.
    fn tile(
        &self,
        gpu: &mut Gpu<'_>,
        of: &Queries,
        (first, count): (usize, usize),
        rows: At,
        weights: &Buffer<f32>,
    ) -> Result<(), Failure> {
        let gemm = Gemm {
            transpose_b: true,
            tf32: of.precision == Precision::Tf32,
            ..Gemm::new(of.count, count, self.size.width)
        };
        gpu.gemm_at::<f32>(&gemm, of.packed.at(0), rows, self.scores.at(0))?;
        let cosine = self.of.metric == Metric::Cosine;
        self.lists.take_products(gpu, of.count, (first, count), self.scores, &of.owns, weights, cosine)
    }

    /// The products of a sample, and then what is below their limits of all.
    fn sift(
        &self,
        gpu: &mut Gpu<'_>,
        sift: &Sift,
        of: &Queries,
        panels: &Buffer<f32>,
    ) -> Result<(), Failure> {
        let Size { rows, width, tile, .. } = self.size;
        for first in (0..sift.cut.sample).step_by(tile) {
            let count = tile.min(sift.cut.sample - first);
            self.tile(gpu, of, (first, count), sift.rows.at(first * width), &sift.weights)?;
        }
        // As many rows as are kept are at or below the limit of a list of some rows, so none above it is missed.
        self.merged.merge(gpu, of.count, &self.lists, false)?;
        sift.hits.clear(gpu)?;
        self.packed.begin(gpu, self.bounds)?;
        let plain = sift::plain(&self.of.corpus).filter(|_| !self.bounds.packed);
        let step = if plain.is_some() { rows } else { self.size.packed_rows() };
        for first in (0..rows).step_by(step) {
            let count = step.min(rows - first);
            self.packed.tile(gpu, self.size, self.of, self.bounds, (first, count))?;
            sift.pass(
                gpu,
                (first, count, width),
                of.count,
                self.of.metric,
                panels,
                &of.owns,
                &self.merged.cuts,
                plain.unwrap_or(&self.packed.rows),
                &self.packed.weights,
            )?;
        }
        self.merged.merge(gpu, of.count, &sift.hits, false)
    }

    /// Evaluates the listed rows and those apart, and ranks them.
    fn evaluate(
        &self,
        gpu: &mut Gpu<'_>,
        (chosen, from, count): (&Buffer<u32>, usize, usize),
    ) -> Result<(), Failure> {
        let slots = self.size.slots();
        let groups = slots.div_ceil((BLOCK / LANES) as usize) as u32;
        rank::vector_rank::<T>(
            gpu,
            Groups([groups, count as u32, 1]),
            slots as u32,
            self.size.keep as u32,
            self.size.d as u32,
            number(self.of.metric),
            from as u32,
            chosen,
            &self.merged.keys,
            &self.merged.rows,
            &self.packed.apart,
            &self.of.queries,
            &self.of.squares,
            &self.of.corpus,
            &self.keys,
            &self.rows,
        )?;
        self.best.clear(gpu)?;
        let offer = Offer { first: 0, width: slots, keys: &self.keys, named: Some(&self.rows) };
        self.best.take(gpu, count, &offer, true, None)
    }
}
