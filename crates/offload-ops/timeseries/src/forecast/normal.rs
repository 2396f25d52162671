//! Quantiles of the normal distribution.

/// The probability below `x`, by the series of Marsaglia (2004); good to the last digits within ±8.
fn below(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (x, x, 1.0);
    while sum + term != sum {
        k += 2.0;
        term *= x * x / k;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// How many standard deviations to both sides of the mean hold this share of all, below 1: by Newton's steps.
pub(super) fn both_sides(level: f64) -> f64 {
    let wanted = 0.5 + level.clamp(0.0, 0.999_999) / 2.0;
    let mut x = 0.0f64;
    for _ in 0..50 {
        // Above zero the function bends down, so steps from zero come from below and never go past.
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let step = (wanted - below(x)) / density;
        x += step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::both_sides;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // SciPy 1.17.1: scipy.stats.norm.ppf(0.5 + level / 2).
        for (level, want) in [
            (0.5, 0.674_489_750_196_081_7),
            (0.8, 1.281_551_565_544_600_4),
            (0.95, 1.959_963_984_540_054),
            (0.99, 2.575_829_303_548_900_4),
            (0.9999, 3.890_591_886_413_124),
        ] {
            assert!((both_sides(level) - want).abs() < 1e-11, "{level}: {}", both_sides(level));
        }
    }
}
