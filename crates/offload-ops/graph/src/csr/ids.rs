//! Ids of nodes, any 64 bits, and the dense indices they have while a job runs: the place of an id in ascending order.
//!
//! Ids that lie close together are ranked by a bitmap with a count before each word, which is the usual case and
//! costs two reads that stay in the cache. Others are sorted and found again by a hash table of indices.

use offload_core::{Context, Failure};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Elements between two looks at the cancel flag.
pub(crate) const BLOCK: usize = 1 << 16;

/// Ids up to this many times the number of their mentions are ranked by a bitmap.
const SPREAD: u64 = 8;

/// The nodes of a graph by index, in ascending order of their ids.
#[derive(Debug)]
pub(crate) struct Ids {
    len: usize,
    find: Find,
}

#[derive(Debug)]
enum Find {
    /// The ids are their indices.
    Same,
    /// One bit for each id that is there; `ranks[w]` counts the bits before word `w`.
    Bitmap { words: Vec<u64>, ranks: Vec<u32> },
    /// The ids in order, and for each slot of a table of a power of two slots an index, or [`EMPTY`].
    Table { ids: Vec<u64>, slots: Vec<u32> },
}

const EMPTY: u32 = u32::MAX;

impl Ids {
    /// The ids that these lists mention.
    pub(crate) fn of(lists: &[&[u64]], ctx: &Context) -> Result<Ids, Failure> {
        let mentions: u64 = lists.iter().map(|l| l.len() as u64).sum();
        if mentions == 0 {
            return Ok(Ids { len: 0, find: Find::Same });
        }
        let largest = lists.iter().filter_map(|l| l.par_iter().copied().max()).max().unwrap_or(0);
        ctx.check()?;
        if largest / SPREAD <= mentions {
            Ids::by_bitmap(lists, largest, ctx)
        } else {
            Ids::by_table(lists, ctx)
        }
    }

    fn by_bitmap(lists: &[&[u64]], largest: u64, ctx: &Context) -> Result<Ids, Failure> {
        let shared: Vec<AtomicU64> = (0..=(largest / 64) as usize).map(|_| AtomicU64::new(0)).collect();
        for list in lists {
            list.par_chunks(BLOCK).try_for_each(|block| {
                ctx.check()?;
                for &id in block {
                    let (word, bit) = (&shared[(id / 64) as usize], 1 << (id % 64));
                    // Most mentions are not the first; a read leaves the line with everybody.
                    if word.load(Ordering::Relaxed) & bit == 0 {
                        word.fetch_or(bit, Ordering::Relaxed);
                    }
                }
                Ok::<_, Failure>(())
            })?;
        }
        let words: Vec<u64> = shared.into_iter().map(AtomicU64::into_inner).collect();
        let mut len = 0u32;
        let ranks = words
            .iter()
            .map(|w| {
                let before = len;
                len += w.count_ones();
                before
            })
            .collect();
        let len = len as usize;
        let find = if len as u64 == largest + 1 { Find::Same } else { Find::Bitmap { words, ranks } };
        Ok(Ids { len, find })
    }

    fn by_table(lists: &[&[u64]], ctx: &Context) -> Result<Ids, Failure> {
        let ids = distinct(lists.concat(), ctx)?;
        let mut slots = vec![EMPTY; (2 * ids.len()).next_power_of_two()];
        for (i, &id) in ids.iter().enumerate() {
            if i.is_multiple_of(BLOCK) {
                ctx.check()?;
            }
            let mut at = slot(id, slots.len());
            while slots[at] != EMPTY {
                at = (at + 1) % slots.len();
            }
            slots[at] = i as u32;
        }
        Ok(Ids { len: ids.len(), find: Find::Table { ids, slots } })
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.find {
            Find::Same => 0,
            Find::Bitmap { words, ranks } => words.len() as u64 * 8 + ranks.len() as u64 * 4,
            Find::Table { ids, slots } => ids.len() as u64 * 8 + slots.len() as u64 * 4,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The index of an id, when it is there.
    #[inline]
    pub(crate) fn find(&self, id: u64) -> Option<u32> {
        match &self.find {
            Find::Same => (id < self.len as u64).then_some(id as u32),
            Find::Bitmap { words, ranks } => {
                let w = usize::try_from(id / 64).ok()?;
                let (word, bit) = (*words.get(w)?, 1u64 << (id % 64));
                (word & bit != 0).then(|| ranks[w] + (word & (bit - 1)).count_ones())
            }
            Find::Table { ids, slots } => {
                let mut at = slot(id, slots.len());
                loop {
                    match slots[at] {
                        EMPTY => return None,
                        i if ids[i as usize] == id => return Some(i),
                        _ => at = (at + 1) % slots.len(),
                    }
                }
            }
        }
    }

    /// The indices of ids that are all there.
    pub(crate) fn indices(&self, list: &[u64], ctx: &Context) -> Result<Vec<u32>, Failure> {
        let mut to = vec![0u32; list.len()];
        to.par_chunks_mut(BLOCK).zip(list.par_chunks(BLOCK)).try_for_each(|(to, list)| {
            ctx.check()?;
            for (to, &id) in to.iter_mut().zip(list) {
                // Every id was mentioned when the index was made.
                *to = self.find(id).unwrap_or_default();
            }
            Ok::<_, Failure>(())
        })?;
        Ok(to)
    }

    /// The id at an index.
    #[inline]
    pub(crate) fn id(&self, index: u32) -> u64 {
        match &self.find {
            Find::Same => u64::from(index),
            Find::Table { ids, .. } => ids[index as usize],
            Find::Bitmap { words, ranks } => {
                let w = ranks.partition_point(|&before| before <= index) - 1;
                let mut word = words[w];
                for _ in ranks[w]..index {
                    word &= word - 1;
                }
                w as u64 * 64 + u64::from(word.trailing_zeros())
            }
        }
    }

    /// All ids in order.
    pub(crate) fn all(&self) -> Vec<u64> {
        match &self.find {
            Find::Same => (0..self.len as u64).collect(),
            Find::Table { ids, .. } => ids.clone(),
            Find::Bitmap { words, .. } => {
                let mut ids = Vec::with_capacity(self.len);
                for (w, &word) in words.iter().enumerate() {
                    let mut rest = word;
                    while rest != 0 {
                        ids.push(w as u64 * 64 + u64::from(rest.trailing_zeros()));
                        rest &= rest - 1;
                    }
                }
                ids
            }
        }
    }

    /// The ids at these indices.
    pub(crate) fn named(&self, indices: impl IntoIterator<Item = u32>) -> Vec<u64> {
        indices.into_iter().map(|i| self.id(i)).collect()
    }
}

/// The distinct ids in order: sorted in blocks, cut at the quantiles of a sample, and each cut merged for itself, so that
/// the job can stop between.
fn distinct(mut ids: Vec<u64>, ctx: &Context) -> Result<Vec<u64>, Failure> {
    ids.par_chunks_mut(BLOCK).try_for_each(|block| {
        ctx.check()?;
        block.sort_unstable();
        Ok::<_, Failure>(())
    })?;
    let cuts = ids.len() / BLOCK;
    let mut sample: Vec<u64> = ids.iter().copied().step_by((ids.len() / (64 * (cuts + 1))).max(1)).collect();
    sample.sort_unstable();
    sample.dedup();
    let bounds: Vec<u64> = (1..=cuts).map(|c| sample[c * sample.len() / (cuts + 1)]).collect();
    let merged: Vec<Vec<u64>> = (0..=cuts)
        .into_par_iter()
        .map(|c| {
            ctx.check()?;
            let mut cut = Vec::new();
            for block in ids.chunks(BLOCK) {
                let from = if c == 0 { 0 } else { block.partition_point(|id| *id < bounds[c - 1]) };
                let to = if c == cuts { block.len() } else { block.partition_point(|id| *id < bounds[c]) };
                // Two bounds are equal where one id fills several cuts.
                cut.extend_from_slice(block.get(from..to).unwrap_or_default());
            }
            cut.sort_unstable();
            cut.dedup();
            cut.shrink_to_fit();
            Ok(cut)
        })
        .collect::<Result<_, Failure>>()?;
    drop(ids);
    Ok(merged.concat())
}

/// Where the search for an id begins: the upper bits of a product with the golden ratio (Knuth, TAOCP 3, 6.4), after
/// folding the id, whose upper bits would not count otherwise.
#[inline]
fn slot(id: u64, slots: usize) -> usize {
    let mixed = (id ^ (id >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_ranked_in_order_however_they_lie() {
        let ctx = Context::default();
        let spreads: [fn(u64) -> u64; 4] =
            [|i| i, |i| i * 3 + 5, |i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15), |i| u64::MAX - i * 7];
        for spread in spreads {
            for count in [0u64, 1, 2, 63, 64, 65, 1000, 70_000, 400_000] {
                let a: Vec<u64> = (0..count).map(spread).rev().collect();
                let b: Vec<u64> = (0..count).map(|i| spread(i / 2)).collect();
                let want: Vec<u64> =
                    a.iter().chain(&b).copied().collect::<BTreeSet<_>>().into_iter().collect();
                let ids = Ids::of(&[&a, &b], &ctx).unwrap();
                assert_eq!(ids.all(), want);
                assert_eq!(ids.len(), want.len());
                let indices = ids.indices(&a, &ctx).unwrap();
                assert_eq!(ids.named(indices), a);
                for (i, &id) in want.iter().enumerate().step_by(97) {
                    assert_eq!((ids.find(id), ids.id(i as u32)), (Some(i as u32), id));
                    let other = id.wrapping_add(1);
                    assert_eq!(ids.find(other).is_some(), want.binary_search(&other).is_ok());
                }
                assert!(count == 0 || want.contains(&u64::MAX) || ids.find(u64::MAX).is_none());
            }
        }
    }
}
