//! Worked examples of the product with a vector.

use crate::reference::{Row, exact, known, of, output, refused, rows, stack_of};
use offload_api::{DType, Record, Tensor};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let a = exact(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], DType::F64);
    let x = exact(&[3], &[1.0, 0.0, -1.0], DType::F64);
    let result = exact(&[2], &[-2.0, -2.0], DType::F64);
    let long = exact(&[2], &[1.0, 1.0], DType::F64);
    let mut cases = vec![
        known("two by three", of(&[("a", &a), ("x", &x)]), &[("result", &result)], Tolerance::EXACT),
        refused("a vector of another length", of(&[("a", &a), ("x", &long)]), Expect::Rejected("x")),
    ];
    for row in rows(include_str!("../../data/matvec.json")) {
        let inputs = of(&[("a", &row.first()), ("x", &row.second())]);
        cases.push(row.case(inputs, check));
    }
    cases
}

/// As for the product of matrices.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let (a, x) = (output(inputs, "a")?, output(inputs, "x")?);
    let got = output(outputs, "result")?;
    let s = a.shape();
    let (m, n) = (s[s.len() - 2], s[s.len() - 1]);
    let (a, x) = (stack_of(a, m, n), stack_of(x, n, 1));
    let tolerance = row.eps() * (4.0 + n as f64 / 2.0);
    let figure = row.figure("result").ok_or("no figures")?;
    figure.check("result", got, tolerance / figure.largest.max(1e-300))?;
    for (i, got) in stack_of(got, m, 1).iter().enumerate() {
        got.near("result", &a[i % a.len()].times(&x[i % x.len()]), tolerance)?;
    }
    Ok(())
}
