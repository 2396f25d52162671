//! Distances as hnswlib has them, in `f32`. They are inlined into the loop that needs them.

/// How an index compares vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distance {
    /// The square of the Euclidean distance.
    Square,
    /// One less the inner product.
    Product,
}

const LANES: usize = 32;

impl Distance {
    #[inline(always)]
    pub(super) fn of(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Distance::Square => sum(a, b, |x, y| (x - y) * (x - y)),
            Distance::Product => 1.0 - sum(a, b, |x, y| x * y),
        }
    }
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            sums[i] += term(a[i], b[i]);
        }
    }
    for (i, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[i] += term(a, b);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}
