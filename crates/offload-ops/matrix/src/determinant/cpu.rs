//! The determinant from LU: the product of the pivots, kept as mantissa and exponent so that it cannot overflow on
//! the way.

use super::Inputs;
use crate::kernel::lu;
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements, exponent, power_of_two};
use crate::kernel::stack::{Stack, for_each};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    let n = s.rows;
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let mut found = vec![Scaled::ZERO; s.count()];
        for_each(ctx, s.batch, lu::work(n), [1], [&mut found], |i, [found], run| {
            let lu = lu::factor(&a[i * n * n..(i + 1) * n * n], n, run)?;
            if lu.zero_pivot.is_none() {
                found[0] = Scaled::product(lu.pivots(), lu.odd);
            }
            Ok(())
        })?;
        Ok(outputs::<T>(s, &found))
    })
}

/// The determinants of a stack as outputs.
pub(super) fn outputs<T: Real>(s: Stack, found: &[Scaled]) -> Record<Tensor> {
    let number = |f: &dyn Fn(&Scaled) -> f64| {
        tensor(s.shape(&[]), found.iter().map(|d| T::narrow(f(d))).collect::<Vec<T>>())
    };
    Record::new()
        .with("result", number(&|d| d.value()))
        // JSON has no infinities, and the determinant of a singular matrix must be an answer.
        .with("log_abs", number(&|d| d.log_abs().max(-T::LARGEST)))
        .with("sign", number(&|d| d.sign()))
}

/// `mantissa · 2^exponent`, the mantissa's magnitude in [1, 2), or 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scaled {
    mantissa: f64,
    exponent: i64,
}

impl Scaled {
    /// The determinant of a singular matrix.
    pub(super) const ZERO: Scaled = Scaled { mantissa: 0.0, exponent: 0 };

    /// The product of the pivots, negated for an odd permutation.
    pub(super) fn product<T: Real>(factors: impl Iterator<Item = T>, negative: bool) -> Scaled {
        let mut p = Scaled { mantissa: if negative { -1.0 } else { 1.0 }, exponent: 0 };
        for f in factors {
            let f = f.wide();
            let e = exponent(f);
            // In two steps, because the power that brings the smallest numbers up is itself out of range.
            p.mantissa *= f * power_of_two(-e / 2) * power_of_two(-e - (-e / 2));
            p.exponent += i64::from(e);
            let e = exponent(p.mantissa);
            p.mantissa *= power_of_two(-e);
            p.exponent += i64::from(e);
        }
        p
    }

    fn value(self) -> f64 {
        let e = self.exponent.clamp(-2200, 2200) as i32;
        let half = e / 2;
        let (a, b) = (half / 2, half - half / 2);
        let (c, d) = ((e - half) / 2, (e - half) - (e - half) / 2);
        self.mantissa * power_of_two(a) * power_of_two(b) * power_of_two(c) * power_of_two(d)
    }

    fn log_abs(self) -> f64 {
        if self.mantissa == 0.0 {
            return f64::NEG_INFINITY;
        }
        self.mantissa.abs().ln() + self.exponent as f64 * std::f64::consts::LN_2
    }

    fn sign(self) -> f64 {
        if self.mantissa == 0.0 { 0.0 } else { self.mantissa.signum() }
    }
}
