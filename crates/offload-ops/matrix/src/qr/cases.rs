//! Worked examples of the QR factorisation.

use crate::reference::{Row, exact, known, near, of, output, refused, rows, stack_of};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let a = exact(&[2, 2], &[3.0, 1.0, 4.0, 2.0], DType::F64);
    let q = exact(&[2, 2], &[0.6, -0.8, 0.8, 0.6], DType::F64);
    let r = exact(&[2, 2], &[5.0, 2.2, 0.0, 0.4], DType::F64);
    let column = exact(&[2, 1], &[0.0, 2.0], DType::F64);
    let full = of(&[("a", &column)]).with("full", Value::Bool(true));
    let full_r = exact(&[2, 1], &[2.0, 0.0], DType::F64);
    let infinite = exact(&[1, 1], &[f64::INFINITY], DType::F64);
    let mut cases = vec![
        known("two by two", of(&[("a", &a)]), &[("q", &q), ("r", &r)], Tolerance::new(1e-15, 0.0)),
        known("all columns of q", full, &[("r", &full_r)], Tolerance::new(1e-15, 0.0)),
        refused("infinite", of(&[("a", &infinite)]), Expect::Unprocessable("not_finite")),
    ];
    for (i, row) in rows(include_str!("../../data/qr.json")).into_iter().enumerate() {
        let a = row.first();
        // Every third shape with all columns, where that is a matrix of bearable size.
        let full = i % 3 == 2 && a.shape()[a.shape().len() - 2] <= 300;
        let inputs = of(&[("a", &a)]).with("full", Value::Bool(full));
        cases.push(row.case(inputs, check));
    }
    cases
}

/// q is orthonormal and q r is a within a few units of its longest column; the factors themselves, which are unique
/// for a matrix of full rank, err by that times the condition.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let a = output(inputs, "a")?;
    let (q, r) = (output(outputs, "q")?, output(outputs, "r")?);
    let s = a.shape();
    let (m, n) = (s[s.len() - 2], s[s.len() - 1]);
    let full = matches!(inputs.get("full"), Some(Value::Bool(true)));
    let k = if full { m } else { m.min(n) };
    let unit = 2.0 * row.eps() * (m.max(n) as f64).sqrt();
    if let (Some(cond), false) = (row.number("cond"), full) {
        row.figure("q").ok_or("no figures")?.check("q", q, 2.0 * unit * cond)?;
        row.figure("r").ok_or("no figures")?.check("r", r, 2.0 * unit * cond)?;
    }
    let (q, r) = (stack_of(q, m, k), stack_of(r, k, n));
    for ((a, q), r) in stack_of(a, m, n).iter().zip(&q).zip(&r) {
        q.orthonormal("q", unit)?;
        q.times(r).near("q r", a, unit * a.longest_column())?;
        for i in 0..k {
            for j in 0..n.min(i) {
                near("an entry below the diagonal", r.at[i * n + j], 0.0, 0.0)?;
            }
            if i < n && r.at[i * n + i] < 0.0 {
                return Err(format!("r[{i}, {i}] is negative: {:e}", r.at[i * n + i]));
            }
        }
    }
    Ok(())
}
