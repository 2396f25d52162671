//! The element types that matrices are computed in, and exact scaling by powers of two.

use faer::traits::RealField;
use offload_api::Tensor;
use offload_core::Failure;
use offload_core::device::KernelElement;
use serde_json::json;

/// `f32` or `f64`.
pub(crate) trait Real: KernelElement + RealField + Copy + Default {
    /// The distance from 1 to the next number.
    const EPS: f64;
    /// Beyond two to this power, in either direction, squares leave the range of the type: the input is scaled.
    const SAFE_EXPONENT: i32;
    /// One.
    const ONE: Self;
    /// The largest finite number.
    const LARGEST: f64;
    /// As `f64`, exactly.
    fn wide(self) -> f64;
    /// The nearest number of this type.
    fn narrow(x: f64) -> Self;
}

impl Real for f32 {
    const ONE: Self = 1.0;
    const LARGEST: f64 = f32::MAX as f64;
    const EPS: f64 = f32::EPSILON as f64;
    const SAFE_EXPONENT: i32 = 40;
    #[inline]
    fn wide(self) -> f64 {
        f64::from(self)
    }
    #[inline]
    fn narrow(x: f64) -> Self {
        x as f32
    }
}

impl Real for f64 {
    const ONE: Self = 1.0;
    const LARGEST: f64 = f64::MAX;
    const EPS: f64 = f64::EPSILON;
    const SAFE_EXPONENT: i32 = 300;
    #[inline]
    fn wide(self) -> f64 {
        self
    }
    #[inline]
    fn narrow(x: f64) -> Self {
        x
    }
}

/// Runs the expression with `$T` standing for the element type of the tensor.
macro_rules! by_dtype {
    ($tensor:expr, $T:ident => $e:expr) => {
        match $tensor.dtype() {
            offload_api::DType::F32 => {
                type $T = f32;
                $e
            }
            offload_api::DType::F64 => {
                type $T = f64;
                $e
            }
            other => {
                Err(offload_core::Rejection::new("", format!("matrices are f32 or f64, not {other}")).into())
            }
        }
    };
}
pub(crate) use by_dtype;

/// The elements of a tensor whose type was just asked.
///
/// # Errors
/// When the tensor is of another type, which a plan has excluded.
pub(crate) fn elements<'a, T: Real>(tensor: &'a Tensor, field: &'static str) -> Result<&'a [T], Failure> {
    tensor.as_slice::<T>().ok_or_else(|| {
        offload_core::Rejection::new(field, format!("{field} is {}, it must be {}", tensor.dtype(), T::DTYPE))
            .into()
    })
}

/// Two to the power `e`, for any `e` that an exponent of a finite number can be; saturates at the ends of the
/// normal range.
pub(crate) fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((e.clamp(-1022, 1023) + 1023) as u64) << 52)
}

/// The power of two just below `|x|`, for a finite `x` that is not zero.
pub(crate) fn exponent(x: f64) -> i32 {
    let biased = ((x.to_bits() >> 52) & 0x7ff) as i32;
    if biased == 0 { exponent(x * power_of_two(600)) - 600 } else { biased - 1023 }
}

/// The largest magnitude.
///
/// # Errors
/// `not_finite` at the first entry that is infinite or not a number.
pub(crate) fn largest<T: Real>(a: &[T], columns: usize) -> Result<f64, Failure> {
    let mut largest = 0.0f64;
    for (row, entries) in a.chunks(columns.max(1)).enumerate() {
        // The sum of zeros is zero exactly when every entry is finite; it costs no branch per entry.
        let mut zeros = 0.0;
        for &x in entries {
            let x = x.wide();
            zeros += x * 0.0;
            largest = largest.max(x.abs());
        }
        if zeros != 0.0 {
            let column = entries.iter().position(|x| !x.wide().is_finite()).unwrap_or(0);
            return Err(Failure::unprocessable(
                "not_finite",
                format!("the entry at row {row}, column {column} is not a finite number"),
                json!({"row": row, "column": column}),
            ));
        }
    }
    Ok(largest)
}

/// How a matrix is scaled so that squares of its entries stay in range: exactly, by a power of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    exponent: i32,
}

impl Scale {
    /// The scale for entries up to `largest`; none where none is needed, so that ordinary results are bit for bit
    /// those of the unscaled matrix.
    pub(crate) fn of<T: Real>(largest: f64) -> Scale {
        let e = if largest == 0.0 { 0 } else { exponent(largest) };
        // Small matrices are scaled by at most what the type can express as one factor.
        let limit = if T::EPS > 1e-10 { 120 } else { 1000 };
        Scale { exponent: if e.abs() > T::SAFE_EXPONENT { e.clamp(-limit, limit) } else { 0 } }
    }

    /// Whether anything changes.
    pub(crate) fn is_some(self) -> bool {
        self.exponent != 0
    }

    /// Brings the entries near one.
    pub(crate) fn apply<T: Real>(self, entries: &mut [T]) {
        if self.is_some() {
            let f = T::narrow(power_of_two(-self.exponent));
            entries.iter_mut().for_each(|x| *x *= f);
        }
    }

    /// Brings figures that are proportional to the matrix back.
    pub(crate) fn undo<T: Real>(self, figures: &mut [T]) {
        if self.is_some() {
            let f = T::narrow(power_of_two(self.exponent));
            figures.iter_mut().for_each(|x| *x *= f);
        }
    }
}

/// A failure of an iteration that did not converge, which no finite input is known to cause.
pub(crate) fn no_convergence() -> Failure {
    Failure::unprocessable("no_convergence", "the iteration did not converge", json!({}))
}

/// The largest sum of magnitudes of a column of a row-major matrix.
pub(crate) fn one_norm<T: Real>(a: &[T], columns: usize) -> f64 {
    let mut sums = vec![0.0f64; columns];
    for row in a.chunks(columns.max(1)) {
        for (s, &x) in sums.iter_mut().zip(row) {
            *s += x.wide().abs();
        }
    }
    sums.into_iter().fold(0.0, larger)
}

/// The larger one, and NaN when one is: `f64::max` would hide it.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// `1 / (|A| · |A⁻¹|)` without leaving the range on the way.
pub(crate) fn reciprocal_condition(norm: f64, inverse_norm: f64) -> f64 {
    if norm == 0.0 || inverse_norm == 0.0 || !inverse_norm.is_finite() {
        0.0
    } else {
        (1.0 / norm) / inverse_norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_and_powers_are_exact() {
        for e in [-1022, -600, -1, 0, 1, 52, 1023] {
            assert_eq!(exponent(power_of_two(e)), e);
            assert_eq!(power_of_two(e), 2f64.powi(e));
        }
        assert_eq!(exponent(f64::from_bits(1)), -1074);
        assert_eq!(exponent(-3.0), 1);
    }

    #[test]
    fn the_first_entry_that_is_not_finite_is_named() {
        assert_eq!(largest(&[1.0, -4.0, 2.0, 0.0], 2).unwrap(), 4.0);
        let Err(Failure::Unprocessable { reason, details, .. }) = largest(&[1.0f32, 2.0, 3.0, f32::NAN], 2)
        else {
            panic!("a matrix with a NaN was taken");
        };
        assert_eq!((reason, details), ("not_finite", json!({"row": 1, "column": 1})));
    }
}
