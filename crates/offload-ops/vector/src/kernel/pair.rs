//! How near two vectors are, exactly: sums in `f64`, scaled where squares or products would leave its range.

use offload_api::Element;

/// A real component.
pub(crate) trait Real: Element + Default {
    /// Whether squares and products of components, and sums of them, stay in the range of `f64` with full precision.
    const SAFE: bool;
    /// As `f64`, exactly.
    fn wide(self) -> f64;
    /// The nearest number of this type.
    fn narrow(x: f64) -> Self;
}

impl Real for f32 {
    const SAFE: bool = true;
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn narrow(x: f64) -> Self {
        x as f32
    }
}

impl Real for f64 {
    const SAFE: bool = false;
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
    #[inline(always)]
    fn narrow(x: f64) -> Self {
        x
    }
}

/// Sums of squares between these have lost nothing to the ends of the range.
pub(crate) const LEAST: f64 = 1e-200;
pub(crate) const MOST: f64 = 1e200;

/// Partial sums that do not wait for each other.
const LANES: usize = 16;

/// The sum of `term` over pairs of components.
#[inline(always)]
pub(crate) fn fold<T: Real>(a: &[T], b: &[T], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f64; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            sums[i] += term(a[i].wide(), b[i].wide());
        }
    }
    for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[i] += term(a.wide(), b.wide());
    }
    total(sums)
}

#[inline(always)]
fn total(mut sums: [f64; LANES]) -> f64 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

/// The sum of squares of the components.
#[inline(always)]
pub(crate) fn square<T: Real>(a: &[T]) -> f64 {
    fold(a, a, |x, _| x * x)
}

/// The Euclidean distance.
#[inline(always)]
pub(crate) fn euclidean<T: Real>(a: &[T], b: &[T]) -> f64 {
    let sum = fold(a, b, |x, y| (x - y) * (x - y));
    if T::SAFE || (LEAST..=MOST).contains(&sum) { sum.sqrt() } else { euclidean_scaled(a, b) }
}

#[cold]
fn euclidean_scaled<T: Real>(a: &[T], b: &[T]) -> f64 {
    let largest = a.iter().zip(b).fold(0.0, |m, (x, y)| larger(m, (x.wide() - y.wide()).abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let e = exponent(largest);
    let down = power_of_two(-e);
    let scaled = |x: f64, y: f64| {
        let x = (x - y) * down;
        x * x
    };
    fold(a, b, scaled).sqrt() * power_of_two(e)
}

/// The inner product.
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    let sum = fold(a, b, |x, y| x * y);
    if T::SAFE || (LEAST..=MOST).contains(&sum.abs()) { sum } else { dot_scaled(a, b, sum) }
}

#[cold]
fn dot_scaled<T: Real>(a: &[T], b: &[T], plain: f64) -> f64 {
    let (la, lb) = (largest(a), largest(b));
    if la == 0.0 || lb == 0.0 || !la.is_finite() || !lb.is_finite() {
        return plain;
    }
    let (ea, eb) = (exponent(la), exponent(lb));
    // Products that were small in range lose more by being scaled up to the larger operand.
    if plain.is_finite() && ea + eb >= 0 {
        return plain;
    }
    let (da, db) = (power_of_two(-ea), power_of_two(-eb));
    let sum = fold(a, b, |x, y| (x * da) * (y * db));
    // The larger half last, so that what can be told of the product is.
    let (low, high) = if ea < eb { (ea, eb) } else { (eb, ea) };
    sum * power_of_two(low) * power_of_two(high)
}

/// The cosine of the angle between `a`, whose sum of squares is known, and `b`; 0 where either is zero.
#[inline(always)]
pub(crate) fn cosine<T: Real>(a: &[T], b: &[T], a_square: f64) -> f64 {
    let (dot, b_square) = (fold(a, b, |x, y| x * y), square(b));
    let safe = |square| T::SAFE || (LEAST..=MOST).contains(&square);
    if !safe(a_square) || !safe(b_square) {
        return cosine_scaled(a, b);
    }
    angle(dot, a_square, b_square)
}

#[inline(always)]
fn angle(dot: f64, a_square: f64, b_square: f64) -> f64 {
    if dot.is_nan() {
        f64::NAN
    } else if a_square == 0.0 || b_square == 0.0 {
        0.0
    } else {
        (dot / (a_square.sqrt() * b_square.sqrt())).clamp(-1.0, 1.0)
    }
}

#[cold]
fn cosine_scaled<T: Real>(a: &[T], b: &[T]) -> f64 {
    let (la, lb) = (largest(a), largest(b));
    if !la.is_finite() || !lb.is_finite() {
        return f64::NAN;
    }
    if la == 0.0 || lb == 0.0 {
        return 0.0;
    }
    let (da, db) = (power_of_two(-exponent(la)), power_of_two(-exponent(lb)));
    let dot = fold(a, b, |x, y| (x * da) * (y * db));
    let a_square = fold(a, a, |x, _| (x * da) * (x * da));
    let b_square = fold(b, b, |x, _| (x * db) * (x * db));
    angle(dot, a_square, b_square)
}

/// How many components differ; NaN where one is NaN.
#[inline(always)]
pub(crate) fn differing<T: Real>(a: &[T], b: &[T]) -> f64 {
    fold(a, b, |x, y| if x.is_nan() || y.is_nan() { f64::NAN } else { f64::from(u8::from(x != y)) })
}

/// How many bits of two codes differ.
#[inline(always)]
pub(crate) fn differing_bits(a: &[u8], b: &[u8]) -> u64 {
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut bits = 0;
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        bits += u64::from((u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)).count_ones());
    }
    for (a, b) in a_rest.iter().zip(b_rest) {
        bits += u64::from((a ^ b).count_ones());
    }
    bits
}

/// The largest magnitude; NaN when one is.
pub(crate) fn largest<T: Real>(a: &[T]) -> f64 {
    a.iter().fold(0.0, |m, x| larger(m, x.wide().abs()))
}

/// The larger one, and NaN when one is: `f64::max` would hide it.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// Two to the power `e`, between the ends of the normal range.
pub(crate) fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((e.clamp(-1022, 1023) + 1023) as u64) << 52)
}

/// The power of two just below a finite positive `x`, short of the ends of the range so that its reciprocal is a
/// normal number.
pub(crate) fn exponent(x: f64) -> i32 {
    (((x.to_bits() >> 52) & 0x7ff) as i32 - 1023).clamp(-1000, 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64) {
        assert!(got == want || (got - want).abs() <= 4e-15 * want.abs(), "{got:e} is not {want:e}");
    }

    #[test]
    fn squares_beyond_either_end_of_the_range_are_formed() {
        for s in [1e-300, 1e-200, 1e-30, 1.0, 1e30, 1e200, 1e300] {
            near(euclidean(&[3.0 * s, 1.0 * s], &[0.0, 5.0 * s]), 5.0 * s);
            near(cosine(&[3.0 * s, 4.0 * s], &[4.0 * s, 3.0 * s], square(&[3.0 * s, 4.0 * s])), 0.96);
            near(dot(&[3.0 * s, 4.0 * s], &[2.0 / s, 1.0 / s]), 10.0);
        }
        near(dot(&[1e300, 1e300], &[1e300, -1e300 * (1.0 - 1e-10)]), f64::INFINITY);
        near(dot(&[1e200, 1e200], &[1e150, -1e150]), 0.0);
        near(dot(&[1e308, 1e-100], &[0.0, 1e-200]), 1e-300);
        near(euclidean(&[5e-324], &[0.0]), 5e-324);
        let f = [3e30f32, 4e30];
        near(cosine(&f, &[3e-30f32, 4e-30], square(&f)), 1.0);
    }

    #[test]
    fn zero_has_no_angle_and_nan_no_answer() {
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 2.0], 0.0), 0.0);
        assert_eq!(cosine(&[0.0f32, 0.0], &[0.0, 0.0], 0.0), 0.0);
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(cosine(&[0.0, 0.0], &[1.0, bad], 0.0).is_nan());
            assert!(cosine(&[1.0, 1.0], &[1.0, bad], 2.0).is_nan());
        }
        assert!(euclidean(&[f64::INFINITY], &[f64::INFINITY]).is_nan());
        assert_eq!(euclidean(&[f64::INFINITY], &[1.0]), f64::INFINITY);
        assert!(differing(&[f64::NAN], &[1.0]).is_nan());
        assert_eq!(differing(&[0.0, 1.0, 2.0], &[-0.0, 1.0, 3.0]), 1.0);
    }

    #[test]
    fn bits_are_counted_whatever_the_length() {
        for len in 0..40 {
            let (a, b) = (vec![0b1010_1010u8; len], vec![0b0101_0110u8; len]);
            assert_eq!(differing_bits(&a, &b), 6 * len as u64);
        }
    }
}
