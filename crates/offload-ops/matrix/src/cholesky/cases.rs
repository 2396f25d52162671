//! Worked examples of the Cholesky factor.

use crate::reference::{Row, exact, known, near, of, output, refused, rows, stack_of};
use offload_api::{DType, Record, Tensor};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let square = |values: [f64; 4]| exact(&[2, 2], &values, DType::F64);
    let a = square([4.0, 2.0, 2.0, 5.0]);
    let result = square([2.0, 0.0, 1.0, 2.0]);
    let upper_ignored = square([4.0, f64::NAN, 2.0, 5.0]);
    let indefinite = square([1.0, 2.0, 2.0, 1.0]);
    let mut cases = vec![
        known("two by two", of(&[("a", &a)]), &[("result", &result)], Tolerance::EXACT),
        known(
            "only the lower triangle is read",
            of(&[("a", &upper_ignored)]),
            &[("result", &result)],
            Tolerance::EXACT,
        ),
        refused("indefinite", of(&[("a", &indefinite)]), Expect::Unprocessable("not_positive_definite")),
        refused(
            "not a number below the diagonal",
            of(&[("a", &square([1.0, 0.0, f64::NAN, 1.0]))]),
            Expect::Unprocessable("not_finite"),
        ),
    ];
    for row in rows(include_str!("../../data/cholesky.json")) {
        let inputs = of(&[("a", &row.first())]);
        cases.push(row.case(inputs, check));
    }
    cases
}

/// The product of the factors errs by a few units, the factor by that times the condition.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let (a, got) = (output(inputs, "a")?, output(outputs, "result")?);
    let n = a.shape()[a.shape().len() - 1];
    let unit = 2.0 * row.eps() * (n as f64).sqrt();
    let cond = row.number("cond").ok_or("no condition")?;
    row.figure("result").ok_or("no figures")?.check("result", got, unit * cond)?;
    for (a, l) in stack_of(a, n, n).iter().zip(&stack_of(got, n, n)) {
        l.times(&l.transposed()).near("l l^T", a, unit * a.largest())?;
        for i in 0..n {
            for j in i + 1..n {
                near("an entry above the diagonal", l.at[i * n + j], 0.0, 0.0)?;
            }
        }
    }
    Ok(())
}
