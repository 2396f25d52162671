//! Worked examples of linear systems.

use crate::reference::{Row, exact, known, near, of, output, refused, rows, stack_of};
use offload_api::{DType, Record, Tensor};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let a = exact(&[2, 2], &[3.0, 1.0, 1.0, 2.0], DType::F64);
    let b = exact(&[2], &[9.0, 8.0], DType::F64);
    let x = exact(&[2], &[2.0, 3.0], DType::F64);
    let singular = exact(&[2, 2], &[1.0, 2.0, 2.0, 4.0], DType::F64);
    let tall = exact(&[3, 2], &[1.0; 6], DType::F64);
    let three = exact(&[3], &[1.0; 3], DType::F64);
    let mut cases = vec![
        known("two equations", of(&[("a", &a), ("b", &b)]), &[("x", &x)], Tolerance::new(1e-14, 0.0)),
        refused(
            "equations that depend",
            of(&[("a", &singular), ("b", &b)]),
            Expect::Unprocessable("singular"),
        ),
        refused("more equations than unknowns", of(&[("a", &tall), ("b", &three)]), Expect::Rejected("a")),
        refused("a right-hand side too long", of(&[("a", &a), ("b", &three)]), Expect::Rejected("b")),
    ];
    for row in rows(include_str!("../../data/solve.json")) {
        let inputs = of(&[("a", &row.first()), ("b", &row.second())]);
        cases.push(row.case(inputs, check));
    }
    cases
}

/// The residual is a few units of |a| |x|; the solution errs by that times the condition. The condition is an
/// estimate from below, so rcond lies between the truth and three times it.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let (a, b, x) = (output(inputs, "a")?, output(inputs, "b")?, output(outputs, "x")?);
    let n = a.shape()[a.shape().len() - 1];
    let vector = b.shape().len() == 1;
    let k = if vector { 1 } else { b.shape()[b.shape().len() - 1] };
    let unit = 2.0 * row.eps() * (n as f64).sqrt();
    let doubt = unit * row.number("cond").ok_or("no condition")?;
    if let Some(figure) = row.figure("x") {
        figure.check("x", x, doubt)?;
    }
    let (a, b) = (stack_of(a, n, n), stack_of(b, n, k));
    for (i, x) in stack_of(x, n, k).iter().enumerate() {
        let a = &a[i % a.len()];
        let tolerance = unit * n as f64 * a.largest() * x.largest();
        a.times(x).near("a x", &b[i % b.len()], tolerance)?;
    }
    let rcond = stack_of(output(outputs, "rcond")?, 1, 1);
    let want = row.json("rconds").as_array().ok_or("no figures")?;
    let best = 3.0 * row.number("best_rcond").ok_or("no figures")?;
    if let Some(wrong) = rcond.iter().find(|r| !(r.at[0] >= 0.0 && (r.at[0] <= best || doubt >= 0.1))) {
        return Err(format!("rcond is {:e}, the truth is at most a third of {best:e}", wrong.at[0]));
    }
    if !rcond.is_empty() {
        for (got, want) in rcond.iter().zip(want.iter().filter_map(|w| w.as_f64())) {
            let got = got.at[0];
            if doubt >= 0.1 {
                near("rcond", got, 0.0, n as f64 * row.eps())?;
            } else if !(got >= want * (1.0 - doubt - unit) && got <= 3.0 * want) {
                return Err(format!("rcond is {got:e}, the truth is {want:e}"));
            }
        }
    }
    Ok(())
}
