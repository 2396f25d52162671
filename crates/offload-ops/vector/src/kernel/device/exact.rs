//! Every row against some queries, exactly.

use super::super::metric::Metric;
use super::super::top::Ranked;
use super::lists::{Lists, Offer};
use super::number;
use super::size::Size;
use super::texts::{BLOCK, LANES, codes, costs_four, costs_one};
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups, KernelElement};

/// Queries that one pass over the corpus serves.
const TOGETHER: usize = 4;
/// Groups in the direction of the rows on each unit of the device, so that each has many rows, one asked for while
/// another is summed.
const GROUPS_PER_UNIT: usize = 8;

/// Vectors on the device.
pub(super) struct Vectors<T> {
    pub(super) metric: Metric,
    pub(super) corpus: Buffer<T>,
    /// As `f64`, so that the kernel widens only rows.
    pub(super) queries: Buffer<f64>,
    pub(super) squares: Buffer<f64>,
    pub(super) filter: Buffer<u8>,
}

/// Packed codes on the device.
pub(super) struct Codes {
    pub(super) corpus: Buffer<u8>,
    pub(super) queries: Buffer<u8>,
    pub(super) filter: Buffer<u8>,
}

fn most_groups(gpu: &Gpu<'_>) -> usize {
    (gpu.device().units as usize).max(1) * GROUPS_PER_UNIT
}

/// What can be evaluated.
pub(super) trait Costs {
    /// Starts the evaluation of `width` rows from `first` on for `count` of the `chosen` queries from `from` on.
    fn start(
        &self,
        gpu: &mut Gpu<'_>,
        size: Size,
        rows: (usize, usize),
        chosen: (&Buffer<u32>, usize, usize),
        costs: &Buffer<u64>,
    ) -> Result<(), Failure>;
}

impl<T: KernelElement> Costs for Vectors<T> {
    fn start(
        &self,
        gpu: &mut Gpu<'_>,
        size: Size,
        (first, width): (usize, usize),
        (chosen, from, count): (&Buffer<u32>, usize, usize),
        costs: &Buffer<u64>,
    ) -> Result<(), Failure> {
        let rows = width.div_ceil((BLOCK / LANES) as usize).min(most_groups(gpu)) as u32;
        let (start, groups) = if count == 1 {
            (costs_one::vector_costs::<T> as fn(_, _, _, _, _, _, _, _, _, _, _, _, _, _, _) -> _, 1)
        } else {
            (
                costs_four::vector_costs::<T> as fn(_, _, _, _, _, _, _, _, _, _, _, _, _, _, _) -> _,
                count.div_ceil(TOGETHER),
            )
        };
        start(
            gpu,
            Groups([rows, groups as u32, 1]),
            first as u32,
            width as u32,
            size.d as u32,
            number(self.metric),
            count as u32,
            u32::from(size.masked),
            from as u32,
            chosen,
            &self.queries,
            &self.squares,
            &self.corpus,
            &self.filter,
            costs,
        )
    }
}

impl Costs for Codes {
    fn start(
        &self,
        gpu: &mut Gpu<'_>,
        size: Size,
        (first, width): (usize, usize),
        (chosen, from, count): (&Buffer<u32>, usize, usize),
        costs: &Buffer<u64>,
    ) -> Result<(), Failure> {
        let rows = width.div_ceil(BLOCK as usize).min(most_groups(gpu)) as u32;
        codes::vector_codes(
            gpu,
            Groups([rows, count.div_ceil(TOGETHER) as u32, 1]),
            first as u32,
            width as u32,
            size.d as u32,
            count as u32,
            u32::from(size.masked),
            from as u32,
            chosen,
            &self.queries,
            &self.corpus,
            &self.filter,
            costs,
        )
    }
}

/// The best rows for each of these queries, best first.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(super) fn search(
    gpu: &mut Gpu<'_>,
    size: Size,
    of: &impl Costs,
    scores: &Buffer<u64>,
    queries: &[u32],
) -> Result<Vec<Vec<Ranked>>, Failure> {
    let chosen = gpu.upload(queries)?;
    let lists = Lists::new(gpu, size.exact_group, size.exact_splits, size.k)?;
    let best = Lists::new(gpu, size.exact_group, 1, size.k)?;
    let mut all = Vec::with_capacity(queries.len());
    for from in (0..queries.len()).step_by(size.exact_group) {
        let count = size.exact_group.min(queries.len() - from);
        if from > 0 {
            lists.clear(gpu)?;
        }
        for first in (0..size.rows).step_by(size.exact_tile) {
            let width = size.exact_tile.min(size.rows - first);
            of.start(gpu, size, (first, width), (&chosen, from, count), scores)?;
            lists.take(gpu, count, &Offer { first, width, keys: scores, named: None }, false, None)?;
        }
        best.merge(gpu, count, &lists, true)?;
        all.extend(best.ranked(gpu, count)?);
    }
    Ok(all)
}
