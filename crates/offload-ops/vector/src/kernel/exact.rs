//! Scores of query and row from the vectors as they came, in `f64`: what ranks, whichever way a row was found.

use super::metric::Metric;
use super::pair::{Real, cosine, differing, differing_bits, dot, euclidean, square};
use super::simd::vectorised;
use super::top::Top;

/// What a search looks through.
pub(crate) trait Space: Sync {
    /// Takes these rows in as they rank for a query.
    fn offer(&self, query: usize, rows: &[u32], top: &mut Top);
    /// Components of a vector.
    fn dimensions(&self) -> usize;
}

/// Real vectors.
pub(crate) struct Vectors<'a, T> {
    pub(crate) queries: &'a [T],
    pub(crate) corpus: &'a [T],
    pub(crate) d: usize,
    pub(crate) metric: Metric,
}

impl<'a, T: Real> Vectors<'a, T> {
    #[inline(always)]
    pub(crate) fn query(&self, i: usize) -> &'a [T] {
        &self.queries[i * self.d..(i + 1) * self.d]
    }

    #[inline(always)]
    pub(crate) fn row(&self, i: u32) -> &'a [T] {
        &self.corpus[i as usize * self.d..(i as usize + 1) * self.d]
    }
}

impl<T: Real> Space for Vectors<'_, T> {
    fn offer(&self, query: usize, rows: &[u32], top: &mut Top) {
        let q = self.query(query);
        vectorised(|| match self.metric {
            Metric::Cosine => {
                let q_square = square(q);
                rows.iter().for_each(|&r| top.offer(-cosine(q, self.row(r), q_square), r));
            }
            Metric::L2 => rows.iter().for_each(|&r| top.offer(euclidean(q, self.row(r)), r)),
            Metric::Dot => rows.iter().for_each(|&r| top.offer(-dot(q, self.row(r)), r)),
            Metric::Hamming => rows.iter().for_each(|&r| top.offer(differing(q, self.row(r)), r)),
        });
    }

    fn dimensions(&self) -> usize {
        self.d
    }
}

/// Packed codes, ranked by the bits that differ.
pub(crate) struct Codes<'a> {
    pub(crate) queries: &'a [u8],
    pub(crate) corpus: &'a [u8],
    pub(crate) d: usize,
}

impl Space for Codes<'_> {
    fn offer(&self, query: usize, rows: &[u32], top: &mut Top) {
        let q = &self.queries[query * self.d..(query + 1) * self.d];
        vectorised(|| {
            for &r in rows {
                let row = &self.corpus[r as usize * self.d..(r as usize + 1) * self.d];
                top.offer(differing_bits(q, row) as f64, r);
            }
        });
    }

    fn dimensions(&self) -> usize {
        self.d
    }
}
