//! Worked examples of the product.

use crate::reference::{Dense, Row, exact, known, of, output, refused, rows, stack_of};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let square = |values: [f64; 4], dtype| exact(&[2, 2], &values, dtype);
    let a = square([1.0, 2.0, 3.0, 4.0], DType::F32);
    let b = square([5.0, 6.0, 7.0, 8.0], DType::F32);
    let result = square([19.0, 22.0, 43.0, 50.0], DType::F32);
    let transposed = square([23.0, 31.0, 34.0, 46.0], DType::F32);
    let flags = of(&[("a", &a), ("b", &b)])
        .with("transpose_a", Value::Bool(true))
        .with("transpose_b", Value::Bool(true));
    let empty = exact(&[2, 0], &[], DType::F64);
    let zeros = exact(&[2, 2], &[0.0; 4], DType::F64);
    let tall = exact(&[3, 1], &[1.0; 3], DType::F32);
    let mut cases = vec![
        known("two by two", of(&[("a", &a), ("b", &b)]), &[("result", &result)], Tolerance::EXACT),
        known("both transposed", flags, &[("result", &transposed)], Tolerance::EXACT),
        known(
            "nothing to add up",
            of(&[("a", &empty), ("b", &exact(&[0, 2], &[], DType::F64))]),
            &[("result", &zeros)],
            Tolerance::EXACT,
        ),
        refused("extents that do not meet", of(&[("a", &a), ("b", &tall)]), Expect::Rejected("b")),
        refused("types that differ", of(&[("a", &a), ("b", &zeros)]), Expect::Rejected("b")),
    ];
    for row in rows(include_str!("../../data/multiply.json")) {
        let inputs = of(&[("a", &row.first()), ("b", &row.second())]);
        cases.push(row.case(inputs, check));
    }
    cases
}

/// Entries are sums of k products of magnitude below 1; sums err in proportion to k.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let (a, b) = (output(inputs, "a")?, output(inputs, "b")?);
    let got = output(outputs, "result")?;
    let dense = |t: &Tensor| {
        let s = t.shape();
        stack_of(t, s[s.len() - 2], s[s.len() - 1])
    };
    let (a, b) = (dense(a), dense(b));
    let k = a[0].columns as f64;
    let tolerance = row.eps() * (4.0 + k / 2.0);
    let figure = row.figure("result").ok_or("no figures")?;
    figure.check("result", got, tolerance / figure.largest.max(1e-300))?;
    for (i, got) in stack_of(got, a[0].rows, b[0].columns).iter().enumerate() {
        let want: Dense = a[i % a.len()].times(&b[i % b.len()]);
        got.near("result", &want, tolerance)?;
    }
    Ok(())
}
