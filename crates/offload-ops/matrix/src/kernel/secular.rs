//! Zeros of secular functions: the heart of divide and conquer, for eigenvalues and for singular values.
//!
//! With ascending poles `d` and weights `z²`, the function of an eigenproblem is `1 + ρ Σ z² / (d − λ)`, that of a
//! singular value problem `1 + Σ z² / (d² − σ²)`. Both rise between their poles, so each interval holds one zero.
//! A zero is kept as its distance from the nearer pole, which is what makes differences to all poles exact. The
//! iteration is that of Bunch, Nielsen and Sorensen (Numer. Math. 31, 1978), held within a bracket.

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

/// Which of the two functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Poles at `d`.
    Eigen,
    /// Poles at `d²`, the variable being a square root.
    Singular,
}

/// The poles and weights of a secular function, whose factor `ρ` the weights contain.
#[derive(Clone, Copy)]
pub(crate) struct Secular<'a> {
    pub(crate) kind: Kind,
    /// Ascending, all different.
    pub(crate) poles: &'a [f64],
    /// Positive.
    pub(crate) weights: &'a [f64],
}

/// A zero: the pole it is measured from, and the distance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Zero {
    pub(crate) pole: usize,
    pub(crate) offset: f64,
}

/// The two halves of the sum at a point and their slopes, by the variable in which the poles are simple.
#[derive(Clone, Copy, Default)]
struct Halves {
    below: f64,
    below_slope: f64,
    above: f64,
    above_slope: f64,
}

const LANES: usize = 4;

impl Secular<'_> {
    /// The value of a zero.
    pub(crate) fn value(&self, zero: Zero) -> f64 {
        self.poles[zero.pole] + zero.offset
    }

    /// `d_j − λ`, or `d_j² − σ²`, for a point near a pole.
    #[inline(always)]
    pub(crate) fn difference(&self, j: usize, at: Zero) -> f64 {
        let (d, origin) = (self.poles[j], self.poles[at.pole]);
        let difference = (d - origin) - at.offset;
        match self.kind {
            Kind::Eigen => difference,
            Kind::Singular => difference * ((d + origin) + at.offset),
        }
    }

    /// The zero above pole `i` and below the next.
    pub(crate) fn zero(&self, i: usize) -> Zero {
        let last = i + 1 == self.poles.len();
        if last && i == 0 {
            let (low, weight) = (self.poles[0], self.weights[0]);
            let offset = match self.kind {
                Kind::Eigen => weight,
                Kind::Singular if weight > 0.0 => weight / (low + (low * low + weight).sqrt()),
                Kind::Singular => 0.0,
            };
            return Zero { pole: 0, offset };
        }
        let low = self.poles[i];
        let width = if last {
            let sum: f64 = self.weights.iter().sum();
            match self.kind {
                Kind::Eigen => sum,
                Kind::Singular => sum / (low + (low * low + sum).sqrt()),
            }
        } else {
            self.poles[i + 1] - low
        };
        // The sign in the middle tells which pole is nearer, and the bracket of the offset from it.
        let middle = Zero { pole: i, offset: 0.5 * width };
        let halves = self.halves(i, middle);
        let rises = 1.0 + halves.below + halves.above;
        let (mut at, mut bracket) = if last {
            (middle, if rises > 0.0 { (0.0, 0.5 * width) } else { (0.5 * width, width) })
        } else if rises > 0.0 {
            (middle, (0.0, 0.5 * width))
        } else {
            (Zero { pole: i + 1, offset: -0.5 * width }, (-0.5 * width, 0.0))
        };
        let mut halves = halves;
        for _ in 0..100 {
            let f = 1.0 + halves.below + halves.above;
            let slope = halves.below_slope + halves.above_slope;
            let point = self.value(at);
            let by_variable = match self.kind {
                Kind::Eigen => at.offset.abs(),
                Kind::Singular => at.offset.abs() * (2.0 * point),
            };
            let rounding = 4.0 * (1.0 + halves.below.abs() + halves.above.abs()) + by_variable * slope;
            if f == 0.0 || f.abs() <= f64::EPSILON * rounding {
                break;
            }
            if f < 0.0 {
                bracket.0 = at.offset
            } else {
                bracket.1 = at.offset
            }
            let (lower, upper) = if last { (i - 1, i) } else { (i, i + 1) };
            let step = self.step(lower, upper, last, at, halves, f);
            // From the variable of the poles to the square root of it.
            let step = match self.kind {
                Kind::Eigen => step,
                Kind::Singular => {
                    let square = point * point + step;
                    if square > 0.0 { step / (point + square.sqrt()) } else { f64::NAN }
                }
            };
            let mut next = at.offset + step;
            if !(next > bracket.0 && next < bracket.1) {
                next = middle_of(bracket);
            }
            if next == at.offset || !(next > bracket.0 && next < bracket.1) {
                break;
            }
            let moved = (next - at.offset).abs();
            at.offset = next;
            if moved <= f64::EPSILON * next.abs() {
                break;
            }
            halves = self.halves(i, at);
        }
        at
    }

    /// The step to the zero of the function that has the value and both slopes of this one at the point, and two
    /// poles.
    fn step(&self, lower: usize, upper: usize, last: bool, at: Zero, h: Halves, f: f64) -> f64 {
        let slope = h.below_slope + h.above_slope;
        let newton = -f / slope;
        let (d1, d2) = (self.difference(lower, at), self.difference(upper, at));
        let (s1, s2) = if last {
            // The half below holds all poles: the last one's own term stands for the other half.
            let own = self.weights[upper] / (d2 * d2);
            (h.below_slope - own, own)
        } else {
            (h.below_slope, h.above_slope)
        };
        let c = f - d1 * s1 - d2 * s2;
        let a = (d1 + d2) * f - d1 * d2 * slope;
        let b = d1 * d2 * f;
        let root = (a * a - 4.0 * b * c).abs().sqrt();
        let step = if last {
            if a >= 0.0 { (a + root) / (2.0 * c) } else { 2.0 * b / (a - root) }
        } else if a <= 0.0 {
            (a - root) / (2.0 * c)
        } else {
            2.0 * b / (a + root)
        };
        // The function rises, so a step that does not go against its sign is no step.
        if step.is_finite() && step * f < 0.0 { step } else { newton }
    }

    fn halves(&self, i: usize, at: Zero) -> Halves {
        let (below, below_slope) = self.sums(0, i + 1, at);
        let (above, above_slope) = self.sums(i + 1, self.poles.len(), at);
        Halves { below, below_slope, above, above_slope }
    }

    /// `Σ z²/Δ` and `Σ z²/Δ²` over a range of poles.
    fn sums(&self, from: usize, to: usize, at: Zero) -> (f64, f64) {
        let (poles, weights) = (&self.poles[from..to], &self.weights[from..to]);
        let (origin, offset) = (self.poles[at.pole], at.offset);
        match self.kind {
            Kind::Eigen => sums_of(poles, weights, |d| (d - origin) - offset),
            Kind::Singular => sums_of(poles, weights, |d| ((d - origin) - offset) * ((d + origin) + offset)),
        }
    }

    /// Weights for which the computed zeros are exact, so that the vectors made from both are orthogonal: Gu and
    /// Eisenstat (SIAM J. Matrix Anal. Appl. 15, 1994). The square roots are returned, without signs and, for
    /// eigenvalues, up to a common factor.
    pub(crate) fn roots_of_exact_weights(&self, zeros: &[Zero], from: usize, to: &mut [f64]) {
        let k = self.poles.len();
        for (n, root) in to.iter_mut().enumerate() {
            let j = from + n;
            let d = self.poles[j];
            let gap = |i: usize| match self.kind {
                Kind::Eigen => self.poles[i] - d,
                Kind::Singular => (self.poles[i] - d) * (self.poles[i] + d),
            };
            // Each zero is paired with the pole on its far side, so that every factor is near one.
            let mut product = -self.difference(j, zeros[k - 1]);
            for i in 0..j {
                product *= self.difference(j, zeros[i]) / -gap(i);
            }
            for i in j..k - 1 {
                product *= -self.difference(j, zeros[i]) / gap(i + 1);
            }
            *root = product.abs().sqrt();
        }
    }
}

#[inline(always)]
fn sums_of(poles: &[f64], weights: &[f64], difference: impl Fn(f64) -> f64) -> (f64, f64) {
    let (mut sums, mut slopes) = ([0.0f64; LANES], [0.0f64; LANES]);
    let (poles4, poles_rest) = poles.as_chunks::<LANES>();
    let (weights4, weights_rest) = weights.as_chunks::<LANES>();
    for (d, w) in poles4.iter().zip(weights4) {
        for l in 0..LANES {
            let r = 1.0 / difference(d[l]);
            let t = w[l] * r;
            sums[l] += t;
            slopes[l] += t * r;
        }
    }
    let mut sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    let mut slope = (slopes[0] + slopes[1]) + (slopes[2] + slopes[3]);
    for (d, w) in poles_rest.iter().zip(weights_rest) {
        let r = 1.0 / difference(*d);
        sum += w * r;
        slope += w * r * r;
    }
    (sum, slope)
}

/// Between the ends, by their magnitudes where these are far apart.
fn middle_of((low, high): (f64, f64)) -> f64 {
    let plain = low + 0.5 * (high - low);
    if low >= 0.0 && high > 0.0 {
        let floor = if low == 0.0 { high * 1e-6 } else { low };
        if high > 16.0 * floor { (floor.sqrt() * high.sqrt()).min(plain) } else { plain }
    } else if high <= 0.0 && low < 0.0 {
        let floor = if high == 0.0 { low * 1e-6 } else { high };
        if low < 16.0 * floor { -((-floor).sqrt() * (-low).sqrt()).min(-plain) } else { plain }
    } else {
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The zeros of `1 + w/(d − λ)` and of two equal weights are known in closed form.
    #[test]
    fn zeros_in_closed_form() {
        let one = Secular { kind: Kind::Eigen, poles: &[2.0], weights: &[3.0] };
        assert_eq!(one.value(one.zero(0)), 5.0);
        let one = Secular { kind: Kind::Singular, poles: &[3.0], weights: &[16.0] };
        assert_eq!(one.value(one.zero(0)), 5.0);
        // Eigenvalues of [[1, 1], [1, -1]] + diag: diag(-1, 1) + [1, 1]ᵀ[1, 1] has 1 ± √2.
        let two = Secular { kind: Kind::Eigen, poles: &[-1.0, 1.0], weights: &[1.0, 1.0] };
        for (i, want) in [1.0 - 2f64.sqrt(), 1.0 + 2f64.sqrt()].into_iter().enumerate() {
            assert!((two.value(two.zero(i)) - want).abs() < 4e-16);
        }
    }

    /// Far more poles than a formula covers: the residual and the bracket, over weights of all magnitudes.
    #[test]
    fn each_zero_lies_between_its_poles_and_the_sum_there_is_minus_one() {
        for kind in [Kind::Eigen, Kind::Singular] {
            for spread in [0.0, 5.0, 20.0, 100.0] {
                let k = 50;
                let poles: Vec<f64> = (0..k).map(|i| (i as f64 / 7.0).powi(2)).collect();
                let weights: Vec<f64> =
                    (0..k).map(|i| 10f64.powf(-spread * (i * 37 % 50) as f64 / 50.0)).collect();
                let s = Secular { kind, poles: &poles, weights: &weights };
                for i in 0..k {
                    let zero = s.zero(i);
                    let (below, above) = (s.difference(i, zero), i + 1 < k);
                    assert!(below < 0.0, "{kind:?} {spread} {i}: {zero:?}");
                    assert!(!above || s.difference(i + 1, zero) > 0.0, "{kind:?} {spread} {i}: {zero:?}");
                    let terms: Vec<f64> = (0..k).map(|j| weights[j] / s.difference(j, zero)).collect();
                    let size: f64 = 1.0 + terms.iter().map(|t| t.abs()).sum::<f64>();
                    let sum: f64 = 1.0 + terms.iter().sum::<f64>();
                    assert!(sum.abs() <= 1e-13 * size, "{kind:?} {spread} {i}: {sum} of {size}");
                }
            }
        }
    }
}
