//! Plain arithmetic in `f64` to hold results against: slow, short and independent of what it checks.

use offload_api::Tensor;

/// The elements as `f64`.
pub(super) fn wide(t: &Tensor) -> Vec<f64> {
    match (t.as_slice::<f32>(), t.as_slice::<f64>()) {
        (Some(x), _) => x.iter().map(|&x| f64::from(x)).collect(),
        (_, Some(x)) => x.to_vec(),
        _ => Vec::new(),
    }
}

/// Two numbers that must be as near as that.
///
/// # Errors
/// When they are not; a NaN is near nothing.
pub(crate) fn near(what: &str, got: f64, want: f64, tolerance: f64) -> Result<(), String> {
    if got == want || (got - want).abs() <= tolerance {
        return Ok(());
    }
    Err(format!(
        "{what} is {got:e}, expected {want:e} (off by {:e}, {tolerance:e} allowed)",
        (got - want).abs()
    ))
}

/// A row-major matrix.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) at: Vec<f64>,
}

/// The matrices of a tensor whose last two extents are theirs.
pub(crate) fn stack_of(t: &Tensor, rows: usize, columns: usize) -> Vec<Dense> {
    let all = wide(t);
    all.chunks((rows * columns).max(1)).map(|at| Dense { rows, columns, at: at.to_vec() }).collect()
}

impl Dense {
    /// The product.
    pub(crate) fn times(&self, b: &Dense) -> Dense {
        let mut at = vec![0.0; self.rows * b.columns];
        for (row, to) in self.at.chunks(self.columns.max(1)).zip(at.chunks_mut(b.columns.max(1))) {
            for (k, &x) in row.iter().enumerate() {
                for (t, y) in to.iter_mut().zip(&b.at[k * b.columns..]) {
                    *t += x * y;
                }
            }
        }
        Dense { rows: self.rows, columns: b.columns, at }
    }

    /// The transpose.
    pub(crate) fn transposed(&self) -> Dense {
        let at = (0..self.at.len()).map(|i| self.at[i % self.rows * self.columns + i / self.rows]).collect();
        Dense { rows: self.columns, columns: self.rows, at }
    }

    /// Ones on the diagonal.
    pub(crate) fn identity(n: usize) -> Dense {
        let at = (0..n * n).map(|i| if i % (n + 1) == 0 { 1.0 } else { 0.0 }).collect();
        Dense { rows: n, columns: n, at }
    }

    /// The largest magnitude; NaN when one is.
    pub(crate) fn largest(&self) -> f64 {
        self.at.iter().fold(0.0, |m: f64, x| if x.is_nan() || x.abs() > m { x.abs() } else { m })
    }

    /// The largest length of a column.
    pub(crate) fn longest_column(&self) -> f64 {
        let mut squares = vec![0.0; self.columns];
        for row in self.at.chunks(self.columns.max(1)) {
            for (s, x) in squares.iter_mut().zip(row) {
                *s += x * x;
            }
        }
        squares.into_iter().fold(0.0, f64::max).sqrt()
    }

    /// Whether every entry equals the other's within the tolerance.
    ///
    /// # Errors
    /// The first that does not.
    pub(crate) fn near(&self, what: &str, want: &Dense, tolerance: f64) -> Result<(), String> {
        if (self.rows, self.columns) != (want.rows, want.columns) {
            return Err(format!(
                "{what} is {} by {}, not {} by {}",
                self.rows, self.columns, want.rows, want.columns
            ));
        }
        for (i, (g, w)) in self.at.iter().zip(&want.at).enumerate() {
            near(&format!("{what}[{}, {}]", i / self.columns, i % self.columns), *g, *w, tolerance)?;
        }
        Ok(())
    }

    /// Whether the columns are orthonormal within the tolerance.
    ///
    /// # Errors
    /// The first product of columns that is not.
    pub(crate) fn orthonormal(&self, what: &str, tolerance: f64) -> Result<(), String> {
        let what = format!("{what}^T {what}");
        self.transposed().times(self).near(&what, &Dense::identity(self.columns), tolerance)
    }
}
