//! The search by products that are not written: thresholds from a sample of the rows, then one pass over all of them that
//! keeps what is below, for each query in a list of its own.
//!
//! For 1000 queries and a million rows of 128 that saves writing and reading 4·10⁹ bytes of products; what is left is
//! 2.6·10¹¹ operations, and the corpus read once.

use super::super::metric::Metric;
use super::exact::Vectors;
use super::lists::Lists;
use super::pack::{Packed, Place};
use super::size::{SHORT, Size};
use super::texts::sift;
use super::{Bounds, generation};
use offload_core::Failure;
use offload_core::device::{Backend, Buffer, Gpu, Groups, KernelElement};
use std::any::Any;

/// Queries that a group holds, queries of a panel, and columns of a chunk, as the kernel has them.
const SPAN: usize = 256;
const PANEL: usize = 64;
const CHUNK: usize = 16;
/// Rows that are hoped to pass for each query: few enough that taking them in is nothing beside the products, and a
/// sample for that many takes a twentieth of the time.
const HITS: usize = 2048;
/// Places for each of them: what passes varies with the sample, and from part to part of the corpus.
const ROOM: usize = 4;
/// A sample is at least so many times smaller than the corpus, or every product is written.
const LEAST_STEP: usize = 16;
/// Groups in all, as many as the largest cards have multiprocessors: one is at home on each.
const GROUPS: usize = 132;

/// How a sift is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// One row in so many is in the sample.
    pub(super) step: usize,
    /// Rows of the sample.
    pub(super) sample: usize,
    /// Lists of a query, and places of each.
    pub(super) groups: usize,
    pub(super) capacity: usize,
}

impl Cut {
    /// For a sample of at least so many rows; `None` where it would be too large a part of them.
    pub(super) fn of(size: &Size, least_sample: usize) -> Option<Cut> {
        if !size.bounded || size.keep > SHORT {
            return None;
        }
        let sample = (size.rows.saturating_mul(size.keep) / HITS).max(least_sample).max(4 * size.keep);
        let step = size.rows / sample;
        if step < LEAST_STEP {
            return None;
        }
        let groups = (GROUPS / size.group.div_ceil(SPAN)).max(1);
        let capacity = (ROOM * size.keep * step).div_ceil(groups).next_multiple_of(32).max(64);
        Some(Cut { step, sample: size.rows / step, groups, capacity })
    }

    /// Device bytes of what [`Sift`] takes.
    pub(super) fn bytes(&self, size: &Size) -> u64 {
        let places = (size.group * self.groups) as u64 * (self.capacity as u64 * 12 + 12);
        let sample = self.sample as u64 * (size.width as u64 * 4 + 4) + 4;
        let queries = size.queries + (PANEL - 1) * size.queries.div_ceil(size.group);
        let panels = (queries as u64).saturating_mul(size.width.next_multiple_of(CHUNK) as u64 * 4);
        places.saturating_add(sample).saturating_add(panels)
    }
}

/// What the sifts of a search share.
pub(super) struct Sift {
    /// Rows of the sample as products take them, and their weights.
    pub(super) rows: Buffer<f32>,
    pub(super) weights: Buffer<f32>,
    pub(super) cut: Cut,
    /// What passed.
    pub(super) hits: Lists,
}

impl Sift {
    /// Room for it, and the sample; `None` where the size or the device is not for it.
    pub(super) fn new<T: KernelElement>(
        gpu: &mut Gpu<'_>,
        size: Size,
        of: &Vectors<T>,
        bounds: &Bounds,
        packed: &Packed,
    ) -> Result<Option<Sift>, Failure> {
        let Some(cut) = size.sift else { return Ok(None) };
        let device = gpu.device();
        let groups = match device.backend {
            // Elsewhere the vendor's products are quicker than those of this kernel.
            Backend::Rocm => return Ok(None),
            Backend::Cuda if generation(&device.architecture) < 80 => return Ok(None),
            Backend::Cuda => (device.units as usize / size.group.div_ceil(SPAN)).clamp(1, cut.groups),
            _ => cut.groups,
        };
        // With fewer groups than were planned for, their lists are longer.
        let hits = Lists::new(gpu, size.group, groups, cut.groups * cut.capacity / groups)?;
        let sift =
            Sift { rows: gpu.zeros(cut.sample * size.width)?, weights: gpu.zeros(cut.sample)?, cut, hits };
        // Those apart are named by a pass over all rows.
        let to = Place { rows: &sift.rows, weights: &sift.weights, apart: &gpu.zeros(1)?, most: 0 };
        packed.start(gpu, size, of, bounds, (0, cut.sample, cut.step), true, &to)?;
        Ok(Some(sift))
    }

    /// Passes `count` rows from `first` on by the thresholds of the queries in `panels`.
    #[allow(clippy::too_many_arguments, reason = "what rows are, and how they are weighed")]
    pub(super) fn pass(
        &self,
        gpu: &mut Gpu<'_>,
        (first, count, width): (usize, usize, usize),
        queries: usize,
        metric: Metric,
        panels: &Buffer<f32>,
        owns: &Buffer<f32>,
        thresholds: &Buffer<u64>,
        rows: &Buffer<f32>,
        weights: &Buffer<f32>,
    ) -> Result<(), Failure> {
        let blocks = queries.div_ceil(SPAN) as u32;
        sift::vector_sift(
            gpu,
            Groups([self.hits.splits as u32, blocks, 1]),
            first as u32,
            count as u32,
            width as u32,
            queries as u32,
            u32::from(metric == Metric::Cosine),
            self.hits.keep as u32,
            panels,
            owns,
            thresholds,
            rows,
            weights,
            &self.hits.keys,
            &self.hits.rows,
            &self.hits.counts,
            &self.hits.cuts,
        )
    }
}

/// Queries of `width` columns in panels, with zeros in the places that are left.
pub(super) fn panels(queries: &[f32], width: usize) -> Vec<f32> {
    let chunks = width.div_ceil(CHUNK);
    let mut panels = vec![0.0; (queries.len() / width).div_ceil(PANEL) * chunks * PANEL * CHUNK];
    for (q, query) in queries.chunks_exact(width).enumerate() {
        for (c, columns) in query.chunks(CHUNK).enumerate() {
            let at = ((q / PANEL * chunks + c) * PANEL + q % PANEL) * CHUNK;
            panels[at..at + columns.len()].copy_from_slice(columns);
        }
    }
    panels
}

/// The corpus itself, where it is `f32`.
pub(super) fn plain<T: KernelElement>(corpus: &Buffer<T>) -> Option<&Buffer<f32>> {
    (corpus as &dyn Any).downcast_ref()
}

#[cfg(test)]
mod tests;
