//! Least squares row by row: each row is turned into a triangle by rotations (Gentleman 1973), so the rows are never held.

/// The triangle of the rows so far.
pub(super) struct Squares {
    columns: usize,
    /// Row by row, the right side last.
    triangle: Vec<f64>,
    /// The sum of squares that no solution takes away.
    pub(super) left: f64,
}

impl Squares {
    /// No rows yet.
    pub(super) fn new(columns: usize) -> Squares {
        Squares { columns, triangle: vec![0.0; columns * (columns + 1)], left: 0.0 }
    }

    /// Adds a row, which is used up, and its right side.
    pub(super) fn add(&mut self, row: &mut [f64], mut right: f64) {
        let width = self.columns + 1;
        for j in 0..self.columns {
            if row[j] == 0.0 {
                continue;
            }
            let into = &mut self.triangle[j * width..(j + 1) * width];
            // Rows are near 1 in size, so squares neither end nor vanish.
            let length = (into[j] * into[j] + row[j] * row[j]).sqrt();
            if length == 0.0 {
                continue;
            }
            let (c, s) = (into[j] / length, row[j] / length);
            into[j] = length;
            for (a, b) in into[j + 1..self.columns].iter_mut().zip(&mut row[j + 1..]) {
                (*a, *b) = (c * *a + s * *b, c * *b - s * *a);
            }
            let a = into[self.columns];
            (into[self.columns], right) = (c * a + s * right, c * right - s * a);
        }
        self.left += right * right;
    }

    /// The solution; what the rows do not determine is 0.
    pub(super) fn solution(&self) -> Vec<f64> {
        let width = self.columns + 1;
        let largest = (0..self.columns).map(|j| self.triangle[j * width + j]).fold(0.0, f64::max);
        let mut x = vec![0.0; self.columns];
        for j in (0..self.columns).rev() {
            let row = &self.triangle[j * width..(j + 1) * width];
            let rest: f64 = (j + 1..self.columns).map(|k| row[k] * x[k]).sum();
            x[j] = if row[j] > 1e-12 * largest { (row[self.columns] - rest) / row[j] } else { 0.0 };
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_four_points() {
        // By hand: x = 0, 1, 2, 3 and y = 1, 3, 2, 6 have the slope 1.4 and the intercept 0.9.
        let mut s = Squares::new(2);
        for (x, y) in [(0.0, 1.0), (1.0, 3.0), (2.0, 2.0), (3.0, 6.0)] {
            s.add(&mut [1.0, x], y);
        }
        let line = s.solution();
        assert!((line[0] - 0.9).abs() < 1e-14 && (line[1] - 1.4).abs() < 1e-14, "{line:?}");
        let left = [0.1f64, 0.7, -1.7, 0.9].map(|e| e * e).iter().sum::<f64>();
        assert!((s.left - left).abs() < 1e-13, "{}", s.left);
    }

    #[test]
    fn what_no_row_says_is_zero() {
        let mut s = Squares::new(2);
        s.add(&mut [2.0, 0.0], 4.0);
        assert_eq!(s.solution(), [2.0, 0.0]);
    }
}
