//! Worked examples of norms.

use crate::reference::{Row, exact, known, of, output, refused, rows};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let number = |x: f64| exact(&[], &[x], DType::F64);
    let a = exact(&[2, 2], &[1.0, -2.0, 2.0, 4.0], DType::F64);
    let huge = exact(&[1, 2], &[3e200, 4e200], DType::F64);
    let tiny = exact(&[1, 2], &[3e-200, 4e-200], DType::F64);
    let empty = exact(&[0, 3], &[], DType::F64);
    let infinite = exact(&[1, 1], &[f64::INFINITY], DType::F64);
    let kind = |t: &Tensor, kind: &str| of(&[("a", t)]).with("kind", Value::Text(kind.into()));
    let near = Tolerance::new(0.0, 1e-15);
    let mut cases = vec![
        known("the root of the sum of squares", of(&[("a", &a)]), &[("result", &number(5.0))], near),
        known("squares beyond the range", of(&[("a", &huge)]), &[("result", &number(5e200))], near),
        known("squares below the range", of(&[("a", &tiny)]), &[("result", &number(5e-200))], near),
        known("nothing", kind(&empty, "two"), &[("result", &number(0.0))], Tolerance::EXACT),
        refused("the spectrum of infinity", kind(&infinite, "two"), Expect::Unprocessable("not_finite")),
    ];
    for row in rows(include_str!("../../data/norm.json")) {
        let inputs = kind(&row.first(), row.word("norm"));
        cases.push(row.case(inputs, check));
    }
    cases
}

/// A few units of the norm itself, as sums run in f64 whatever the type is; singular values err with the extents.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let a = output(inputs, "a")?;
    let longest = a.shape().iter().rev().take(2).max().copied().unwrap_or(1);
    let spectral = matches!(row.word("norm"), "two" | "nuclear");
    let tolerance = if spectral { 2.0 * row.eps() * (longest + 4) as f64 } else { 4.0 * row.eps() };
    row.figure("result").ok_or("no figures")?.check("result", output(outputs, "result")?, tolerance)
}
