//! The norm of an inverse from a handful of solutions, asked for one after another, so that whoever has the factors, and
//! wherever they are, can answer.

/// An estimate of the 1-norm of the inverse, never above it and rarely below a third of it: the method of Hager (1984)
/// as refined by Higham (ACM TOMS 14, 1988).
pub(crate) struct InverseNorm {
    x: Vec<f64>,
    best: f64,
    last_peak: usize,
    rounds: usize,
    next: Next,
}

enum Next {
    Forward,
    Backward(Vec<f64>),
    Alternating,
    Nothing,
}

impl InverseNorm {
    /// Nothing asked yet, for a matrix of extent `n`.
    pub(crate) fn new(n: usize) -> InverseNorm {
        InverseNorm { x: vec![1.0 / n as f64; n], best: 0.0, last_peak: n, rounds: 0, next: Next::Forward }
    }

    /// The vector `x` for which `A⁻¹ · x`, or with `true` `A⁻ᵀ · x`, is wanted; `None` when the estimate stands.
    pub(crate) fn ask(&self) -> Option<(Vec<f64>, bool)> {
        let n = self.x.len();
        match &self.next {
            Next::Forward => Some((self.x.clone(), false)),
            Next::Backward(signs) => Some((signs.clone(), true)),
            Next::Alternating => {
                // A vector of alternating signs catches the matrices built to mislead the search.
                let step = if n > 1 { 1.0 / (n - 1) as f64 } else { 0.0 };
                let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
                Some(((0..n).map(|i| (1.0 + i as f64 * step) * sign(i)).collect(), false))
            }
            Next::Nothing => None,
        }
    }

    /// What was asked for.
    pub(crate) fn answer(&mut self, y: &[f64]) {
        let n = self.x.len();
        let size = y.iter().map(|x| x.abs()).sum::<f64>();
        self.next = match self.next {
            Next::Forward if !size.is_finite() => {
                self.best = f64::INFINITY;
                Next::Nothing
            }
            Next::Forward if size <= self.best && self.last_peak < n => Next::Alternating,
            Next::Forward => {
                self.best = self.best.max(size);
                Next::Backward(y.iter().map(|y| if *y < 0.0 { -1.0 } else { 1.0 }).collect())
            }
            Next::Backward(_) => self.turn(y),
            Next::Alternating => {
                let other = 2.0 * size / (3.0 * n as f64);
                self.best = if other.is_finite() { self.best.max(other) } else { f64::INFINITY };
                Next::Nothing
            }
            Next::Nothing => Next::Nothing,
        };
    }

    fn turn(&mut self, z: &[f64]) -> Next {
        let n = self.x.len();
        let peak = (0..n).max_by(|&i, &j| z[i].abs().total_cmp(&z[j].abs())).unwrap_or(0);
        let slope: f64 = z.iter().zip(&self.x).map(|(z, x)| z * x).sum();
        self.rounds += 1;
        if peak == self.last_peak || z[peak].abs() <= slope || self.rounds == 5 {
            return Next::Alternating;
        }
        self.x.fill(0.0);
        self.x[peak] = 1.0;
        self.last_peak = peak;
        Next::Forward
    }

    /// The estimate.
    pub(crate) fn norm(&self) -> f64 {
        self.best
    }
}

/// Vectors that are asked for at most.
pub(crate) const MOST_SOLUTIONS: usize = 11;
