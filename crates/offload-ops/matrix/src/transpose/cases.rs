//! Worked examples of the transpose.

use crate::reference::{Row, exact, known, of, output, rows, stack_of};
use offload_api::{DType, Record, Tensor};
use offload_core::{Case, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let a = exact(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], DType::F64);
    let result = exact(&[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0], DType::F64);
    let mut cases = vec![known("two by three", of(&[("a", &a)]), &[("result", &result)], Tolerance::EXACT)];
    for row in rows(include_str!("../../data/transpose.json")) {
        let inputs = of(&[("a", &row.first())]);
        cases.push(row.case(inputs, check));
    }
    cases
}

/// Entries move and do not change.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let (a, got) = (output(inputs, "a")?, output(outputs, "result")?);
    let s = a.shape();
    let (m, n) = (s[s.len() - 2], s[s.len() - 1]);
    // The norm of the figures is a rounded sum.
    row.figure("result").ok_or("no figures")?.check("result", got, 16.0 * f64::EPSILON)?;
    for (a, got) in stack_of(a, m, n).iter().zip(&stack_of(got, n, m)) {
        got.near("result", &a.transposed(), 0.0)?;
    }
    Ok(())
}
