//! Worked examples of the determinant.

use crate::reference::{Row, exact, known, of, output, refused, rows};
use offload_api::{DType, Record, Tensor};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let number = |x: f64| exact(&[], &[x], DType::F64);
    let a = exact(&[2, 2], &[1.0, 2.0, 3.0, 4.0], DType::F64);
    let singular = exact(&[2, 2], &[1.0, 2.0, 2.0, 4.0], DType::F64);
    let empty = exact(&[0, 0], &[], DType::F64);
    let far = exact(&[2, 2], &[1e300, 0.0, 0.0, -1e-300], DType::F64);
    let infinite = exact(&[1, 1], &[f64::INFINITY], DType::F64);
    let mut cases = vec![
        known(
            "two by two",
            of(&[("a", &a)]),
            &[("result", &number(-2.0)), ("log_abs", &number(2f64.ln())), ("sign", &number(-1.0))],
            Tolerance::new(1e-15, 1e-15),
        ),
        known(
            "a singular matrix",
            of(&[("a", &singular)]),
            &[("result", &number(0.0)), ("log_abs", &number(f64::MIN)), ("sign", &number(0.0))],
            Tolerance::EXACT,
        ),
        known(
            "nothing",
            of(&[("a", &empty)]),
            &[("result", &number(1.0)), ("log_abs", &number(0.0)), ("sign", &number(1.0))],
            Tolerance::EXACT,
        ),
        known(
            "both ends of the range",
            of(&[("a", &far)]),
            &[("result", &number(-1.0))],
            Tolerance::new(1e-15, 0.0),
        ),
        refused("infinite", of(&[("a", &infinite)]), Expect::Unprocessable("not_finite")),
    ];
    for row in rows(include_str!("../../data/determinant.json")) {
        let inputs = of(&[("a", &row.first())]);
        cases.push(row.case(inputs, check));
    }
    cases
}

/// A relative error of the determinant is one of the pivots, and an absolute one of its logarithm.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let a = output(inputs, "a")?;
    let n = a.shape()[a.shape().len() - 1] as f64;
    let doubt = 2.0 * row.eps() * (n + n.sqrt() * row.number("cond").ok_or("no condition")?);
    if let Some(figure) = row.figure("result") {
        figure.check("result", output(outputs, "result")?, doubt)?;
    }
    let log_abs = row.figure("log_abs").ok_or("no figures")?;
    let relative = doubt / log_abs.largest.max(1e-300) + 4.0 * row.eps();
    log_abs.check("log_abs", output(outputs, "log_abs")?, relative)?;
    row.figure("sign").ok_or("no figures")?.check("sign", output(outputs, "sign")?, 0.0)
}
