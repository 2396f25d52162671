//! The principal components of the digits: their covariance matrix and its eigenvalues.

use super::data::Data;
use super::report::Row;
use super::service::{Answered, Failed, Service, inline, surprise};
use offload_api::{Tensor, Value};

/// Relative; the sums run over 1,797 numbers of like size.
const TOLERANCE: f64 = 1e-10;

/// One row for the covariance, one for its eigenvalues.
pub(super) fn check(service: &Service, data: &Data) -> Result<Vec<Row>, Failed> {
    let (images, pixels) = (data.digits.rows, data.digits.columns);
    let reference = &data.reference;
    let covariance = covariance(service, data)?;
    let matrix = covariance.tensor("result")?;
    let total: f64 = covariance.numbers("result")?.iter().step_by(pixels + 1).sum();
    let first = Row::new(
        format!("covariance of {images}×{pixels} digits"),
        (total / reference.total_variance - 1.0).abs() <= TOLERANCE,
        format!("total variance {total:.2}, scikit-learn {:.2}", reference.total_variance),
        &[&covariance],
    );

    // A product need not be symmetric to the last bit, so that is said rather than looked for.
    let symmetric = Value::Text("true".into());
    let eigen = service.call(
        "eigenvalues",
        [("a", inline(matrix)), ("vectors", Value::Bool(true)), ("symmetric", symmetric)],
    )?;
    // They are ascending; the largest component comes first here.
    let shares: Vec<f64> = eigen.numbers("values")?.iter().rev().map(|v| v / total).collect();
    let (turned, off) = leading_pair(service, matrix, &eigen, pixels)?;
    let second = Row::new(
        "its eigenvalues and vectors (PCA)",
        agree(&shares, &reference.shares) && off <= TOLERANCE,
        format!("{}; |Cv − λv| = {off:.0e} λ", beside(&shares, &reference.shares)),
        &[&eigen, &turned],
    );
    Ok(vec![first, second])
}

/// The covariance of the digits' pixels.
pub(super) fn covariance(service: &Service, data: &Data) -> Result<Answered, Failed> {
    let images = spread(data)?;
    service.call(
        "multiply",
        [("a", inline(&images)), ("b", inline(&images)), ("transpose_a", Value::Bool(true))],
    )
}

/// The digits, centred and scaled so that their product with themselves is their covariance.
pub(super) fn spread(data: &Data) -> Result<Tensor, Failed> {
    let scale = 1.0 / ((data.digits.rows - 1) as f64).sqrt();
    data.digits.centred(scale).tensor().ok_or_else(|| surprise("the shipped table is not whole"))
}

/// Whether the first shares in the variance are scikit-learn's.
pub(super) fn agree(shares: &[f64], reference: &[f64]) -> bool {
    shares.len() >= reference.len()
        && shares.iter().zip(reference).all(|(a, b)| (a / b - 1.0).abs() <= TOLERANCE)
}

/// The first shares and scikit-learn's, as a text.
pub(super) fn beside(shares: &[f64], reference: &[f64]) -> String {
    let list = |shares: &[f64]| {
        shares
            .iter()
            .take(reference.len())
            .map(|s| format!("{:.2}", s * 100.0))
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!("{} %, scikit-learn {} %", list(shares), list(reference))
}

/// How far the largest eigenvalue and its vector are from being a pair, as a share of the value.
fn leading_pair(
    service: &Service,
    matrix: &Tensor,
    eigen: &Answered,
    n: usize,
) -> Result<(Answered, f64), Failed> {
    let value = eigen.numbers("values")?.last().copied().unwrap_or_default();
    let vector: Vec<f64> = eigen.numbers("vectors")?.iter().skip(n - 1).step_by(n).copied().collect();
    let turned =
        service.call("matvec", [("a", inline(matrix)), ("x", inline(&Tensor::vector(vector.clone())))])?;
    let squares =
        turned.numbers("result")?.iter().zip(&vector).map(|(cv, v)| (cv - value * v).powi(2)).sum::<f64>();
    Ok((turned, squares.sqrt() / value))
}
