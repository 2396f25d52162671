//! Lists of keys on the device: running ones, merged ones, and what a finished one says on the host.

use super::super::shortlist::unkey;
use super::super::top::Ranked;
use super::size::SHORT;
use super::texts::{select_long, select_short};
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// No key.
pub(super) const NONE: u64 = u64::MAX;

/// Lists of `keep` places for some queries, `splits` each.
pub(super) struct Lists {
    pub(super) keep: usize,
    pub(super) splits: usize,
    pub(super) keys: Buffer<u64>,
    pub(super) rows: Buffer<u32>,
    pub(super) counts: Buffer<u32>,
    /// Complements of the limits, so that 0 is none.
    pub(super) cuts: Buffer<u64>,
}

/// What is offered to lists: keys of `width` rows from `first` on, or named ones.
pub(super) struct Offer<'a> {
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) keys: &'a Buffer<u64>,
    pub(super) named: Option<&'a Buffer<u32>>,
}

impl Lists {
    pub(super) fn new(
        gpu: &mut Gpu<'_>,
        queries: usize,
        splits: usize,
        keep: usize,
    ) -> Result<Lists, Failure> {
        let count = queries * splits;
        Ok(Lists {
            keep,
            splits,
            keys: gpu.zeros(count * keep)?,
            rows: gpu.zeros(count * keep)?,
            counts: gpu.zeros(count)?,
            cuts: gpu.zeros(count)?,
        })
    }

    /// Empties them.
    pub(super) fn clear(&self, gpu: &mut Gpu<'_>) -> Result<(), Failure> {
        gpu.clear(&self.counts)?;
        gpu.clear(&self.cuts)
    }

    fn groups(&self, queries: usize) -> Groups {
        Groups([self.splits as u32, queries as u32, 1])
    }

    fn part(&self, width: usize) -> u32 {
        width.div_ceil(self.splits) as u32
    }

    /// Takes in a tile of products of so many queries.
    #[allow(clippy::too_many_arguments, reason = "what a tile is, and how it is weighed")]
    pub(super) fn take_products(
        &self,
        gpu: &mut Gpu<'_>,
        queries: usize,
        (first, width): (usize, usize),
        products: &Buffer<u64>,
        owns: &Buffer<f32>,
        weights: &Buffer<f32>,
        cosine: bool,
    ) -> Result<(), Failure> {
        let start = if self.keep <= SHORT {
            select_short::vector_select_bounds
        } else {
            select_long::vector_select_bounds
        };
        start(
            gpu,
            self.groups(queries),
            first as u32,
            width as u32,
            self.part(width),
            self.keep as u32,
            u32::from(cosine),
            products,
            owns,
            weights,
            &self.keys,
            &self.rows,
            &self.counts,
            &self.cuts,
        )
    }

    /// Takes in keys of so many queries; sorts the lists then where `sorted`.
    pub(super) fn take(
        &self,
        gpu: &mut Gpu<'_>,
        queries: usize,
        offer: &Offer<'_>,
        sorted: bool,
        limits: Option<&Lists>,
    ) -> Result<(), Failure> {
        let start = if self.keep <= SHORT {
            select_short::vector_select_keys
        } else {
            select_long::vector_select_keys
        };
        start(
            gpu,
            self.groups(queries),
            offer.first as u32,
            offer.width as u32,
            self.part(offer.width),
            self.keep as u32,
            u32::from(offer.named.is_some()),
            u32::from(sorted),
            limits.map_or(0, |l| l.splits as u32),
            offer.keys,
            offer.named.unwrap_or(&self.rows),
            limits.map_or(&self.cuts, |l| &l.cuts),
            &self.keys,
            &self.rows,
            &self.counts,
            &self.cuts,
        )
    }

    /// Takes in all that other lists of the same queries hold.
    pub(super) fn merge(
        &self,
        gpu: &mut Gpu<'_>,
        queries: usize,
        from: &Lists,
        sorted: bool,
    ) -> Result<(), Failure> {
        self.clear(gpu)?;
        let offer =
            Offer { first: 0, width: from.splits * from.keep, keys: &from.keys, named: Some(&from.rows) };
        self.take(gpu, queries, &offer, sorted, Some(from))
    }

    /// The ranked rows of so many queries, one list each, best first.
    pub(super) fn ranked(&self, gpu: &mut Gpu<'_>, queries: usize) -> Result<Vec<Vec<Ranked>>, Failure> {
        let keys = gpu.download_range(&self.keys, 0, queries * self.keep)?;
        let rows = gpu.download_range(&self.rows, 0, queries * self.keep)?;
        let lists = keys.chunks(self.keep).zip(rows.chunks(self.keep));
        Ok(lists
            .map(|(keys, rows)| {
                let there = keys.iter().zip(rows).take_while(|(key, _)| **key != NONE);
                there.map(|(&key, &row)| Ranked { cost: cost(key), row }).collect()
            })
            .collect())
    }

    /// The bound that every row which is not in the list is at or above; `None` when none is left out.
    pub(super) fn limits(&self, gpu: &mut Gpu<'_>, queries: usize) -> Result<Vec<Option<f32>>, Failure> {
        let cuts = gpu.download_range(&self.cuts, 0, queries)?;
        Ok(cuts.iter().map(|&cut| (cut != 0).then(|| unkey(!cut << 32).0)).collect())
    }
}

/// The cost that a key stands for.
fn cost(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}
