//! Worked examples of the inverse.

use crate::reference::{Dense, Row, exact, known, near, of, output, refused, rows, stack_of};
use offload_api::{DType, Record, Tensor};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let square = |values: [f64; 4]| exact(&[2, 2], &values, DType::F64);
    let a = square([4.0, 7.0, 2.0, 6.0]);
    let result = square([0.6, -0.7, -0.2, 0.4]);
    let rcond = exact(&[], &[1.0 / 14.3], DType::F64);
    let empty = exact(&[0, 0], &[], DType::F64);
    let singular = exact(&[3, 3], &[1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 1.0, 0.0, 1.0], DType::F64);
    let stack = exact(&[2, 1, 1], &[2.0, 0.0], DType::F32);
    let wide = exact(&[1, 2], &[1.0, 2.0], DType::F64);
    let mut cases = vec![
        known(
            "two by two",
            of(&[("a", &a)]),
            &[("result", &result), ("rcond", &rcond)],
            Tolerance::new(1e-15, 0.0),
        ),
        known("nothing", of(&[("a", &empty)]), &[("result", &empty)], Tolerance::EXACT),
        refused("twice the same row", of(&[("a", &singular)]), Expect::Unprocessable("singular")),
        refused("a zero in a stack", of(&[("a", &stack)]), Expect::Unprocessable("singular")),
        refused(
            "not a number",
            of(&[("a", &square([1.0, f64::NAN, 0.0, 1.0]))]),
            Expect::Unprocessable("not_finite"),
        ),
        refused("not square", of(&[("a", &wide)]), Expect::Rejected("a")),
    ];
    for row in rows(include_str!("../../data/inverse.json")) {
        let inputs = of(&[("a", &row.first())]);
        cases.push(row.case(inputs, check));
    }
    cases
}

/// Errors are a few n units, times the condition for the entries and times |a| |a⁻¹| for the product of both.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let (a, got) = (output(inputs, "a")?, output(outputs, "result")?);
    let n = a.shape()[a.shape().len() - 1];
    let cond = row.number("cond").ok_or("no condition")?;
    let unit = 2.0 * row.eps() * (n as f64).sqrt();
    let doubt = unit * cond;
    if let Some(figure) = row.figure("result") {
        figure.check("result", got, doubt)?;
    }
    let rcond = output(outputs, "rcond")?;
    if doubt < 0.1 {
        row.figure("rcond").ok_or("no figures")?.check("rcond", rcond, doubt)?;
    } else {
        // Nothing is left of the digits, and rcond must say so.
        for r in stack_of(rcond, 1, 1) {
            near("rcond", r.at[0], 0.0, n as f64 * row.eps())?;
        }
    }
    for (a, x) in stack_of(a, n, n).iter().zip(&stack_of(got, n, n)) {
        let tolerance = unit * n as f64 * a.largest() * x.largest();
        a.times(x).near("a a^-1", &Dense::identity(n), tolerance.max(unit))?;
    }
    Ok(())
}
