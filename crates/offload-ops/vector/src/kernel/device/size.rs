//! How a search is cut for a device, and the device memory that takes: the plan and the run both ask here.

use super::sift::Cut;
use offload_api::DType;

/// The most answers for each query: their lists are made in a group's shared memory.
pub(crate) const MOST_K: usize = 1024;
/// Rows that have no place in range, at most, before the bounds are given up.
pub(super) const APART: usize = 256;
/// Up to this many queries every row is evaluated: reading the corpus once for each four of them costs no more than
/// the passes that a product needs around it.
pub(super) const FEW: usize = 8;
/// Lists of up to this many are made in 6 KB of shared memory; longer ones in 24 KB, of which fewer fit at a time.
pub(super) const SHORT: usize = 256;
/// Bytes of scores that are in memory at a time. Large enough that starting a product (some 5 µs) is nothing beside it,
/// 131 072 × 256 or 32 768 × 1024 of them; whether they stay in the L2 of 50 MB matters less, since one GEMM of that
/// size writes no faster than memory takes it.
const SCORE_BYTES: usize = 128 << 20;
/// Bytes of packed rows at a time.
const PACKED_BYTES: usize = 128 << 20;
/// Queries of one product, at most.
const GROUP: usize = 1024;
/// Queries that are evaluated exactly together, and bytes of the corpus that stay in a cache while they pass over it.
const EXACT_GROUP: usize = 64;
const CACHED_BYTES: usize = 24 << 20;
/// Groups of items that keep a large device busy.
const BUSY: usize = 1024;
/// Scores that a list is worth starting for.
const LEAST_PART: usize = 4096;
/// Rows of a sample, at least: fewer take as long.
const LEAST_SAMPLE: usize = 4096;

/// How a search is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(super) queries: usize,
    pub(super) rows: usize,
    pub(super) d: usize,
    pub(super) k: usize,
    pub(super) dtype: DType,
    pub(super) masked: bool,
    /// Whether bounds from products come first.
    pub(super) bounded: bool,
    /// Rows that each list keeps: the answers, and as many more as make it likely that the bounds decide.
    pub(super) keep: usize,
    /// Columns of a packed vector; a multiple of 4, as tensor cores want.
    pub(super) width: usize,
    pub(super) group: usize,
    pub(super) tile: usize,
    pub(super) splits: usize,
    /// How rows are sifted, where they are many enough.
    pub(super) sift: Option<Cut>,
    pub(super) exact_group: usize,
    pub(super) exact_tile: usize,
    pub(super) exact_splits: usize,
}

impl Size {
    /// For so many queries against so many rows of `d` components; none of them is 0.
    pub(crate) fn of(
        (queries, rows, d): (usize, usize, usize),
        k: usize,
        dtype: DType,
        masked: bool,
        by_product: bool,
    ) -> Size {
        let bounded = by_product && queries > FEW && rows > 4 * k;
        let keep = k.saturating_add((k / 2).max(24)).min(rows);
        let width = d.next_multiple_of(4);
        let group = queries.div_ceil(queries.div_ceil(GROUP));
        let tile = (SCORE_BYTES / 4 / group).min(PACKED_BYTES / 4 / width).clamp(1, rows);
        let exact_group = queries.min(EXACT_GROUP);
        let cached =
            if queries > 4 { (CACHED_BYTES / (d * dtype.size_bytes())).max(LEAST_PART) } else { usize::MAX };
        let exact_tile = (SCORE_BYTES / 8 / exact_group).min(cached).min(rows);
        let splits = |group: usize, tile: usize, keep: usize| {
            (BUSY / group).min(tile / LEAST_PART.max(4 * keep)).max(1)
        };
        let size = Size {
            queries,
            rows,
            d,
            k,
            dtype,
            masked,
            bounded,
            keep,
            width,
            group,
            tile,
            splits: splits(group, tile, keep),
            sift: None,
            exact_group,
            exact_tile,
            exact_splits: splits(exact_group, exact_tile, k),
        };
        size.with_sample(LEAST_SAMPLE)
    }

    /// The same with a sample of at least so many rows, where that is a small part of them.
    pub(super) fn with_sample(self, least: usize) -> Size {
        Size { sift: Cut::of(&self, least), ..self }
    }

    /// Rows that are packed at a time.
    pub(super) fn packed_rows(&self) -> usize {
        match self.sift {
            // Nothing of them is written but what passes.
            Some(_) => (PACKED_BYTES / 4 / self.width).clamp(self.tile, self.rows),
            None => self.tile,
        }
    }

    /// Scores of 8 bytes that fit the tiles of either kind.
    pub(super) fn scores(&self) -> usize {
        let products = if self.bounded { (self.group * self.tile).div_ceil(2) } else { 0 };
        products.max(self.exact_group * self.exact_tile)
    }

    /// Places of an exact evaluation of one query's list.
    pub(super) fn slots(&self) -> usize {
        self.keep + APART
    }

    /// Device bytes at the peak: inputs, workspace and outputs.
    pub(crate) fn bytes(&self) -> u64 {
        let lists = |count: usize, keep: usize| (count as u64) * (keep as u64 * 12 + 12);
        let (queries, rows, d) = (self.queries as u64, self.rows as u64, self.d as u64);
        let element = self.dtype.size_bytes() as u64;
        let mut bytes = rows.saturating_mul(d).saturating_mul(element);
        bytes = bytes.saturating_add(if self.masked { rows } else { 1 });
        // The queries as f64 with their squares (codes: as they are), and the numbers of those that are looked at.
        let wide = if self.dtype == DType::U8 { queries * d } else { queries.saturating_mul(d * 8 + 8) };
        bytes = bytes.saturating_add(wide).saturating_add(queries * 4);
        bytes = bytes.saturating_add(self.scores() as u64 * 8);
        bytes = bytes.saturating_add(lists(self.exact_group * self.exact_splits, self.k));
        bytes = bytes.saturating_add(lists(self.exact_group, self.k));
        if self.bounded {
            let group = self.group;
            bytes = bytes
                .saturating_add(lists(group * self.splits, self.keep))
                .saturating_add(lists(group, self.keep))
                .saturating_add(lists(group, self.k))
                .saturating_add((group * self.slots()) as u64 * 12)
                .saturating_add(rows * 4 + (1 + APART as u64) * 4 + d * 8)
                .saturating_add((self.packed_rows() * self.width) as u64 * 4)
                // Packed for either precision, and listed for the second and the last pass.
                .saturating_add(queries.saturating_mul(2 * (self.width as u64 * 4 + 4) + 8))
                .saturating_add(self.sift.map_or(0, |cut| cut.bytes(self)));
        }
        bytes
    }
}
