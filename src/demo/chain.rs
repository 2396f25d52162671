//! A batch whose items use each other's results: the correlations of the measurements and their inverse.

use super::data::Data;
use super::report::Row;
use super::service::{Failed, Service, inline, record, result_of, surprise};
use offload_api::Value;

/// The condition of the correlations is 5 × 10², so this leaves four digits to spare.
const TOLERANCE: f64 = 1e-10;

/// One row: the inverse is one, and its diagonal is NumPy's.
pub(super) fn check(service: &Service, data: &Data) -> Result<Vec<Row>, Failed> {
    let columns = data.patients.standardised().tensor().ok_or_else(|| surprise("the table is not whole"))?;
    let transposed = ("transpose_a", Value::Bool(true));
    let answers = service.batch(vec![
        ("multiply", record([("a", inline(&columns)), ("b", inline(&columns)), transposed])),
        ("inverse", record([("a", result_of(0, "result"))])),
        ("multiply", record([("a", result_of(0, "result")), ("b", result_of(1, "result"))])),
    ])?;
    let [_, inverse, product] = &answers[..] else {
        return Err(surprise(format!("a batch of 3 has {} answers", answers.len())));
    };
    let n = data.patients.columns;
    let off = from_identity(product.numbers("result")?, n);
    let inflation: Vec<f64> = inverse.numbers("result")?.iter().step_by(n + 1).copied().collect();
    let expected = &data.reference.inflation;
    let same = inflation.len() == expected.len()
        && inflation.iter().zip(expected).all(|(a, b)| (a / b - 1.0).abs() <= TOLERANCE);
    let worst = inflation.iter().zip(expected).enumerate().max_by(|a, b| a.1.0.total_cmp(b.1.0));
    let (name, factor, numpy) =
        worst.map_or(("none", 0.0, 0.0), |(i, (f, e))| (data.measurements[i], *f, *e));
    Ok(vec![Row::new(
        "batch of 3: R = XᵀX, R⁻¹, R·R⁻¹ by $result",
        off <= TOLERANCE && same,
        format!("identity within {off:.0e}; most inflated: {name}, {factor:.1} times, NumPy {numpy:.1}"),
        &answers.iter().collect::<Vec<_>>(),
    )])
}

/// The largest distance of an entry from the identity's; infinite when one is not a number.
fn from_identity(matrix: &[f64], n: usize) -> f64 {
    if matrix.len() != n * n {
        return f64::INFINITY;
    }
    let entry = |(i, v): (usize, &f64)| {
        let off = (v - if i % (n + 1) == 0 { 1.0 } else { 0.0 }).abs();
        if off.is_nan() { f64::INFINITY } else { off }
    };
    matrix.iter().enumerate().map(entry).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_no_distance_away() {
        assert_eq!(from_identity(&[1.0, 0.0, 0.0, 1.0], 2), 0.0);
        assert_eq!(from_identity(&[1.0, 0.0, -0.5, 1.0], 2), 0.5);
        assert_eq!(from_identity(&[1.0, f64::NAN, 0.0, 1.0], 2), f64::INFINITY);
        assert_eq!(from_identity(&[1.0], 2), f64::INFINITY);
    }
}
