//! Scores of query and row from the vectors as they came, in `f64`: what ranks, whichever way a row was found.

use super::metric::Metric;
use super::pair::{Real, cosine, differing, differing_bits, dot, euclidean, square};
use super::simd::{Loop, vectorised};
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
        vectorised(Offer { space: self, q: self.query(query), rows, top });
    }

    fn dimensions(&self) -> usize {
        self.d
    }
}

/// Rows past a query.
struct Offer<'a, 'b, T> {
    space: &'a Vectors<'b, T>,
    q: &'a [T],
    rows: &'a [u32],
    top: &'a mut Top,
}

impl<T: Real> Loop for Offer<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Offer { space, q, rows, top } = self;
        match space.metric {
            Metric::Cosine => {
                let q_square = square(q);
                for &r in rows {
                    top.offer(-cosine(q, space.row(r), q_square), r);
                }
            }
            Metric::L2 => {
                for &r in rows {
                    top.offer(euclidean(q, space.row(r)), r);
                }
            }
            Metric::Dot => {
                for &r in rows {
                    top.offer(-dot(q, space.row(r)), r);
                }
            }
            Metric::Hamming => {
                for &r in rows {
                    top.offer(differing(q, space.row(r)), r);
                }
            }
        }
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
        vectorised(OfferCodes {
            space: self,
            q: &self.queries[query * self.d..(query + 1) * self.d],
            rows,
            top,
        });
    }

    fn dimensions(&self) -> usize {
        self.d
    }
}

/// Codes past a query.
struct OfferCodes<'a, 'b> {
    space: &'a Codes<'b>,
    q: &'a [u8],
    rows: &'a [u32],
    top: &'a mut Top,
}

impl Loop for OfferCodes<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let d = self.space.d;
        for &r in self.rows {
            let row = &self.space.corpus[r as usize * d..(r as usize + 1) * d];
            self.top.offer(differing_bits(self.q, row) as f64, r);
        }
    }
}
