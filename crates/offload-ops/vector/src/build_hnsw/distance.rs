//! Distances as hnswlib has them, in `f32`. They are inlined into the loop that needs them.

use pulp::Simd;

/// How an index compares vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distance {
    /// The square of the Euclidean distance.
    Square,
    /// One less the inner product.
    Product,
}

impl Distance {
    #[inline(always)]
    pub(super) fn of<S: Simd>(self, simd: S, a: &[f32], b: &[f32]) -> f32 {
        let (a, a_rest) = S::as_simd_f32s(a);
        let (b, b_rest) = S::as_simd_f32s(b);
        let square = self == Distance::Square;
        let term = |sum, a, b| {
            if square {
                let off = simd.sub_f32s(a, b);
                simd.mul_add_f32s(off, off, sum)
            } else {
                simd.mul_add_f32s(a, b, sum)
            }
        };
        // Two sums that do not wait for each other.
        let mut sums = [simd.splat_f32s(0.0); 2];
        let (a_pairs, a_last) = a.as_chunks::<2>();
        let (b_pairs, b_last) = b.as_chunks::<2>();
        for (a, b) in a_pairs.iter().zip(b_pairs) {
            sums = [term(sums[0], a[0], b[0]), term(sums[1], a[1], b[1])];
        }
        for (&a, &b) in a_last.iter().zip(b_last) {
            sums[0] = term(sums[0], a, b);
        }
        let mut sum = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
        for (a, b) in a_rest.iter().zip(b_rest) {
            sum += if square { (a - b) * (a - b) } else { a * b };
        }
        if square { sum } else { 1.0 - sum }
    }
}
