//! The linear fit of the diabetes table, by QR and by singular values: two routes that must meet.

use super::data::Data;
use super::report::Row;
use super::service::{Answered, Failed, Service, inline, surprise};
use offload_api::{Tensor, Value};

/// The design's condition, 7 × 10³, times the intercept, −335, costs some six of sixteen digits.
const TOLERANCE: f64 = 1e-8;

/// A fit: the intercept and the coefficients, and the calls that it took.
struct Fit {
    coefficients: Vec<f64>,
    calls: Vec<Answered>,
}

/// One row for each route.
pub(super) fn check(service: &Service, data: &Data) -> Result<Vec<Row>, Failed> {
    let whole = || surprise("the shipped table is not whole");
    let design = data.patients.with_ones().tensor().ok_or_else(whole)?;
    let target = data.progression.tensor().ok_or_else(whole)?;
    let reference = &data.reference;
    let (rows, columns) = (data.patients.rows, data.patients.columns);

    let mut by_qr = fit_by_qr(service, &design, &target)?;
    let r2 = explained(service, &mut by_qr, &design, &target)?;
    let off = distance(&by_qr.coefficients, &reference.coefficients);
    let first = Row::new(
        format!("linear fit of {rows}×{columns} diabetes table by QR"),
        off <= TOLERANCE && (r2 - reference.r2).abs() <= TOLERANCE,
        format!("R² = {r2:.4}, scikit-learn {:.4}; coefficients within {off:.0e} of its", reference.r2),
        &by_qr.calls.iter().collect::<Vec<_>>(),
    );

    let mut by_svd = fit_by_svd(service, &design, &target)?;
    let r2 = explained(service, &mut by_svd, &design, &target)?;
    let off = distance(&by_svd.coefficients, &by_qr.coefficients);
    let second = Row::new(
        "the same fit by SVD",
        off <= TOLERANCE && (r2 - reference.r2).abs() <= TOLERANCE,
        format!("R² = {r2:.4}; coefficients within {off:.0e} of those by QR"),
        &by_svd.calls.iter().collect::<Vec<_>>(),
    );
    Ok(vec![first, second])
}

/// `R x = Qᵀ y`.
fn fit_by_qr(service: &Service, design: &Tensor, target: &Tensor) -> Result<Fit, Failed> {
    let qr = service.call("qr", [("a", inline(design))])?;
    let projected = transposed_product(service, qr.tensor("q")?, target)?;
    let solved = service
        .call("solve", [("a", inline(qr.tensor("r")?)), ("b", inline(projected.tensor("result")?))])?;
    Ok(Fit { coefficients: solved.numbers("x")?.to_vec(), calls: vec![qr, projected, solved] })
}

/// `x = V (Uᵀ y / s)`.
fn fit_by_svd(service: &Service, design: &Tensor, target: &Tensor) -> Result<Fit, Failed> {
    let svd = service.call("svd", [("a", inline(design))])?;
    let projected = transposed_product(service, svd.tensor("u")?, target)?;
    let scaled: Vec<f64> =
        projected.numbers("result")?.iter().zip(svd.numbers("s")?).map(|(p, s)| p / s).collect();
    let scaled = Tensor::new(vec![scaled.len(), 1], scaled).ok_or_else(|| surprise("an empty column"))?;
    let turned = transposed_product(service, svd.tensor("vt")?, &scaled)?;
    Ok(Fit { coefficients: turned.numbers("result")?.to_vec(), calls: vec![svd, projected, turned] })
}

fn transposed_product(service: &Service, a: &Tensor, b: &Tensor) -> Result<Answered, Failed> {
    service.call("multiply", [("a", inline(a)), ("b", inline(b)), ("transpose_a", Value::Bool(true))])
}

/// The share of the target's variance that the fit explains.
fn explained(service: &Service, fit: &mut Fit, design: &Tensor, target: &Tensor) -> Result<f64, Failed> {
    let fitted = service
        .call("matvec", [("a", inline(design)), ("x", inline(&Tensor::vector(fit.coefficients.clone())))])?;
    let target = target.as_slice::<f64>().ok_or_else(|| surprise("the target is not of type f64"))?;
    let mean = target.iter().sum::<f64>() / target.len() as f64;
    let squares =
        |pairs: &mut dyn Iterator<Item = (f64, f64)>| pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let left = squares(&mut target.iter().copied().zip(fitted.numbers("result")?.iter().copied()));
    let total = squares(&mut target.iter().map(|y| (*y, mean)));
    fit.calls.push(fitted);
    Ok(1.0 - left / total)
}

/// The largest difference; infinite between lists of different lengths, and when one is not a number.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let off = |(a, b): (&f64, &f64)| if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
    a.iter().zip(b).map(off).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_compared_is_infinitely_far() {
        assert_eq!(distance(&[1.0, 2.0], &[1.5, 2.0]), 0.5);
        assert_eq!(distance(&[1.0], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(distance(&[f64::NAN], &[1.0]), f64::INFINITY);
    }
}
