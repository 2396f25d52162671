//! How vectors are compared.

/// How vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// The cosine of their angle, the largest first.
    Cosine,
    /// The Euclidean distance, the smallest first.
    L2,
    /// The inner product, the largest first.
    Dot,
    /// How many components (of codes: bits) differ, the fewest first.
    Hamming,
}

impl Metric {
    /// The score that a cost stands for.
    pub(crate) fn score(self, cost: f64) -> f64 {
        match self {
            // Adding zero takes the sign off a zero.
            Metric::Cosine | Metric::Dot => -cost + 0.0,
            Metric::L2 | Metric::Hamming => cost,
        }
    }
}
