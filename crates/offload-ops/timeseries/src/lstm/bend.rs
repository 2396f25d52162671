//! The functions that bend: exponential, logistic function and hyperbolic tangent in single precision, of multiplications,
//! additions and one division, so that loops over them are vectorised and every machine gives the same bits.

/// Beyond this magnitude the logistic function is 0 or 1 to the last bit.
const FAR: f32 = 80.0;
/// Added to a small number, it leaves the nearest whole number in the lowest bits: 1.5 · 2²³.
const ROUND: f32 = 12_582_912.0;
/// log 2 in two parts, of which the first has few bits.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// `e` to the power of a number within ±[`FAR`]: a power of two times the series of the rest, which is at most half of log 2.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let k = rounded - ROUND;
    let r = k.mul_add(-LN_2[1], k.mul_add(-LN_2[0], x));
    let mut sum = 1.0 / 720.0;
    for term in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = r.mul_add(sum, term);
    }
    let power = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    sum * f32::from_bits(power)
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(super) fn logistic(x: f32) -> f32 {
    let x = if x > FAR { FAR } else { x };
    let x = if x < -FAR { -FAR } else { x };
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    2.0f32.mul_add(logistic(2.0 * x), -1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_within_a_few_roundings_of_the_functions() {
        let mut x = -100.0f32;
        while x <= 100.0 {
            let exact = f64::from(x);
            let off = f64::from(logistic(x)) - 1.0 / (1.0 + (-exact).exp());
            assert!(off.abs() <= 1.5e-7, "logistic of {x} is off by {off:e}");
            let off = f64::from(tanh(x)) - exact.tanh();
            assert!(off.abs() <= 3e-7, "tanh of {x} is off by {off:e}");
            x += 0.0137;
        }
        assert_eq!((logistic(0.0), tanh(0.0)), (0.5, 0.0));
        assert_eq!((logistic(1e30), tanh(-1e30)), (1.0, -1.0));
    }
}
