//! The tables that the demo works on, and what scikit-learn makes of them.
//!
//! README.md beside this file says where they come from and under which licence.

use offload_api::Tensor;
use serde_json::Value as Json;

const DIABETES: &str = include_str!("diabetes.csv");
const DIGITS: &str = include_str!("digits.txt");
const LABELS: &str = include_str!("digits_labels.txt");
const REFERENCE: &str = include_str!("reference.json");

/// Numbers in rows and columns.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// How many rows.
    pub(super) rows: usize,
    /// How many columns.
    pub(super) columns: usize,
    values: Vec<f64>,
}

impl Table {
    fn of(rows: Vec<Vec<f64>>) -> Result<Table, String> {
        let columns = rows.first().map_or(0, Vec::len);
        if let Some(row) = rows.iter().position(|r| r.len() != columns) {
            return Err(format!("row {row} has {} columns, the first has {columns}", rows[row].len()));
        }
        Ok(Table { rows: rows.len(), columns, values: rows.concat() })
    }

    fn by_row(&self, f: impl FnMut(&[f64]) -> Vec<f64>) -> Table {
        let values: Vec<f64> = self.values.chunks_exact(self.columns).flat_map(f).collect();
        Table { rows: self.rows, columns: values.len() / self.rows, values }
    }

    /// The mean of each column.
    pub(super) fn means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.columns];
        for row in self.values.chunks_exact(self.columns) {
            for (mean, value) in means.iter_mut().zip(row) {
                *mean += value / self.rows as f64;
            }
        }
        means
    }

    /// The values less their column's mean, times `scale`. A constant column becomes exactly zero, which a
    /// rounded mean would miss.
    pub(super) fn centred(&self, scale: f64) -> Table {
        let first = &self.values[..self.columns];
        let shifted = self.by_row(|row| row.iter().zip(first).map(|(v, f)| v - f).collect());
        let means = shifted.means();
        shifted.by_row(|row| row.iter().zip(&means).map(|(v, m)| (v - m) * scale).collect())
    }

    /// The columns centred and scaled to length 1.
    pub(super) fn standardised(&self) -> Table {
        let centred = self.centred(1.0);
        let mut lengths = vec![0.0; self.columns];
        for row in centred.values.chunks_exact(self.columns) {
            for (length, value) in lengths.iter_mut().zip(row) {
                *length += value * value;
            }
        }
        centred.by_row(|row| row.iter().zip(&lengths).map(|(v, l)| v / l.sqrt()).collect())
    }

    /// The same with a first column of ones, which makes the first coefficient of a fit its intercept.
    pub(super) fn with_ones(&self) -> Table {
        self.by_row(|row| [&[1.0], row].concat())
    }

    /// The rows one by one.
    pub(super) fn rows(&self) -> Vec<&[f64]> {
        self.values.chunks_exact(self.columns).collect()
    }

    /// The sum of the squares of all values.
    pub(super) fn sum_of_squares(&self) -> f64 {
        self.values.iter().map(|v| v * v).sum()
    }

    /// The table as a matrix.
    pub(super) fn tensor(&self) -> Option<Tensor> {
        Tensor::new(vec![self.rows, self.columns], self.values.clone())
    }
}

/// The figures of scikit-learn for the same tables.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// The coefficient of determination of the linear fit.
    pub(super) r2: f64,
    /// The intercept, then the coefficient of each column.
    pub(super) coefficients: Vec<f64>,
    /// The diagonal of the inverse of the correlation matrix.
    pub(super) inflation: Vec<f64>,
    /// Shares of the first principal components in the variance.
    pub(super) shares: Vec<f64>,
    /// The variance of all pixels together.
    pub(super) total_variance: f64,
    /// Digits after the first 1,198 that `KNeighborsClassifier(5)` of those labels rightly.
    pub(super) right_digits: usize,
}

/// Everything the demo reads.
#[derive(Clone, Debug)]
pub(super) struct Data {
    /// Ten measurements of each of 442 patients.
    pub(super) patients: Table,
    /// The names of the measurements.
    pub(super) measurements: Vec<&'static str>,
    /// The progression of diabetes a year later: one column.
    pub(super) progression: Table,
    /// The 64 pixels of each of 1,797 digits.
    pub(super) digits: Table,
    /// Which digit each of them is.
    pub(super) labels: Vec<usize>,
    /// What the answers are compared with.
    pub(super) reference: Reference,
}

impl Data {
    /// Reads the files that are part of the program.
    ///
    /// # Errors
    /// When one is not what it should be.
    pub(super) fn read() -> Result<Data, String> {
        let (measurements, rows) = csv(DIABETES)?;
        let (mut patients, mut progression) = (Vec::new(), Vec::new());
        for mut row in rows {
            progression.push(row.split_off(row.len().saturating_sub(1)));
            patients.push(row);
        }
        Ok(Data {
            patients: Table::of(patients)?,
            measurements,
            progression: Table::of(progression)?,
            digits: Table::of(DIGITS.lines().map(pixels).collect::<Result<_, _>>()?)?,
            labels: labels()?,
            reference: reference()?,
        })
    }
}

/// The names and the rows of a table with a header.
fn csv(text: &'static str) -> Result<(Vec<&'static str>, Vec<Vec<f64>>), String> {
    let mut lines = text.lines();
    let names = lines.next().unwrap_or_default().split(',').collect();
    let number = |cell: &str| cell.parse().map_err(|_| format!("{cell} is no number"));
    let rows = lines.map(|line| line.split(',').map(number).collect()).collect::<Result<_, _>>()?;
    Ok((names, rows))
}

/// The pixels of an image, one character each.
fn pixels(line: &str) -> Result<Vec<f64>, String> {
    line.chars().map(|c| c.to_digit(17).map(f64::from).ok_or_else(|| format!("{c} is no pixel"))).collect()
}

/// The digits, one character each.
fn labels() -> Result<Vec<usize>, String> {
    let digit = |c: char| c.to_digit(10).map(|d| d as usize).ok_or_else(|| format!("{c} is no digit"));
    let labels = LABELS.trim_end().chars().map(digit).collect::<Result<Vec<_>, _>>()?;
    if labels.len() == DIGITS.lines().count() {
        Ok(labels)
    } else {
        Err(format!("there are {} labels", labels.len()))
    }
}

fn reference() -> Result<Reference, String> {
    let json: Json = serde_json::from_str(REFERENCE).map_err(|e| e.to_string())?;
    let at = |pointer: &str| json.pointer(pointer).ok_or_else(|| format!("the reference has no {pointer}"));
    let one = |pointer: &str| at(pointer)?.as_f64().ok_or_else(|| format!("{pointer} is no number"));
    let many = |pointer: &str| -> Result<Vec<f64>, String> {
        let list = at(pointer)?.as_array().ok_or_else(|| format!("{pointer} is no list"))?;
        Ok(list.iter().filter_map(Json::as_f64).collect())
    };
    let mut coefficients = vec![one("/diabetes/intercept")?];
    coefficients.extend(many("/diabetes/coefficients")?);
    Ok(Reference {
        r2: one("/diabetes/r2")?,
        coefficients,
        inflation: many("/diabetes/inflation")?,
        shares: many("/digits/explained_variance_ratio")?,
        total_variance: one("/digits/total_variance")?,
        right_digits: one("/digits/right_of_599_by_5_nearest")? as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * b.abs().max(1.0)
    }

    #[test]
    fn the_shipped_tables_are_whole() {
        let data = Data::read().expect("the shipped data");
        assert_eq!((data.patients.rows, data.patients.columns), (442, 10));
        assert_eq!((data.progression.rows, data.progression.columns), (442, 1));
        assert_eq!((data.digits.rows, data.digits.columns), (1797, 64));
        assert_eq!(data.measurements.len(), 11);
        assert_eq!(data.reference.coefficients.len(), 11);
        assert_eq!(data.reference.inflation.len(), 10);
        assert_eq!(data.reference.shares.len(), 3);
    }

    #[test]
    fn their_means_are_numpys() {
        let data = Data::read().expect("the shipped data");
        let json: Json = serde_json::from_str(REFERENCE).expect("the reference");
        let means = json["diabetes"]["means"].as_array().expect("a list");
        for (mean, expected) in data.patients.means().iter().zip(means) {
            assert!(close(*mean, expected.as_f64().expect("a number")), "{mean} is not {expected}");
        }
        let target = json["diabetes"]["target_mean"].as_f64().expect("a number");
        assert!(close(data.progression.means()[0], target));
        let pixels = data.digits.means();
        let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
        assert!(close(mean, json["digits"]["mean"].as_f64().expect("a number")));
    }

    #[test]
    fn a_blank_pixel_stays_blank_when_centred() {
        let data = Data::read().expect("the shipped data");
        let centred = data.digits.centred(1.0);
        assert!(centred.values.iter().step_by(64).all(|v| *v == 0.0));
        assert!(centred.means().iter().all(|m| m.abs() < 1e-12));
    }

    #[test]
    fn standardised_columns_have_length_one() {
        let data = Data::read().expect("the shipped data");
        let table = data.patients.standardised();
        for column in 0..table.columns {
            let squares = table.values.iter().skip(column).step_by(table.columns).map(|v| v * v);
            assert!(close(squares.sum(), 1.0));
        }
    }

    #[test]
    fn ragged_rows_and_odd_characters_are_refused() {
        assert!(Table::of(vec![vec![1.0], vec![1.0, 2.0]]).is_err());
        assert!(pixels("00h").is_err());
        assert!(csv("a,b\n1,x").is_err());
    }
}
