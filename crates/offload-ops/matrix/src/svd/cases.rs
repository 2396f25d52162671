//! Worked examples of the singular value decomposition.

use crate::reference::{Dense, Row, exact, known, near, of, output, refused, rows, stack_of};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let a = exact(&[2, 2], &[3.0, 0.0, 4.0, 5.0], DType::F64);
    let s = exact(&[2], &[45f64.sqrt(), 5f64.sqrt()], DType::F64);
    let infinite = exact(&[1, 1], &[f64::INFINITY], DType::F64);
    let with = |name: &'static str, value| of(&[("a", &a)]).with(name, value);
    let mut cases = vec![
        known("two by two", of(&[("a", &a)]), &[("s", &s)], Tolerance::new(1e-14, 0.0)),
        refused("infinite", of(&[("a", &infinite)]), Expect::Unprocessable("not_finite")),
        refused("more values than there are", with("k", Value::Int(3)), Expect::Rejected("k")),
        refused(
            "a sample of no size",
            with("method", Value::Text("randomised".into())),
            Expect::Rejected("k"),
        ),
        refused(
            "all vectors of some values",
            with("k", Value::Int(1)).with("full", Value::Bool(true)),
            Expect::Rejected("full"),
        ),
    ];
    for (i, row) in rows(include_str!("../../data/svd.json")).into_iter().enumerate() {
        let a = row.first();
        let s = a.shape();
        let (m, n) = (s[s.len() - 2], s[s.len() - 1]);
        let mut inputs = of(&[("a", &a)]);
        // Every third shape with all vectors, every third with the largest values alone.
        if i % 3 == 2 && m.max(n) <= 300 {
            inputs.set("full", Value::Bool(true));
        } else if i % 3 == 1 {
            inputs.set("k", Value::Int(m.min(n).div_ceil(2) as i64));
        }
        cases.push(row.case(inputs, check));
        // The sample is nearly exact where the values decay, and exact for a matrix of low rank.
        if row.word("kind") == "rank2" || row.word("kind") == "graded" {
            let k = if row.word("kind") == "rank2" { 2 } else { 3 };
            let inputs =
                of(&[("a", &a)]).with("k", Value::Int(k)).with("method", Value::Text("randomised".into()));
            cases.push(row.case(inputs, check));
        }
    }
    cases
}

/// Everything errs by a few units of the largest singular value, however small the others are.
fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let a = output(inputs, "a")?;
    let (u, s, vt) = (output(outputs, "u")?, output(outputs, "s")?, output(outputs, "vt")?);
    let shape = a.shape();
    let (m, n) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let size = m.min(n);
    let full = matches!(inputs.get("full"), Some(Value::Bool(true)));
    let k = match inputs.get("k") {
        Some(Value::Int(k)) => *k as usize,
        _ => size,
    };
    let (u_columns, vt_rows) = if full { (m, n) } else { (k, k) };
    let unit = 2.0 * row.eps() * ((size + 8) as f64 + (m.max(n) as f64).sqrt());
    let figure = row.figure("s").ok_or("no figures")?;
    if k == size {
        figure.check("s", s, unit)?;
    }
    let (u, s, vt) = (stack_of(u, m, u_columns), stack_of(s, 1, k), stack_of(vt, vt_rows, n));
    if let (true, Some(want)) = (s.len() == 1 && k < size, row.json("s")["values"].as_array())
        && want.len() == size
    {
        for (got, want) in s[0].at.iter().zip(want.iter().filter_map(|x| x.as_f64())) {
            near("a singular value", *got, want, unit * figure.largest)?;
        }
    }
    for (((a, u), s), vt) in stack_of(a, m, n).iter().zip(&u).zip(&s).zip(&vt) {
        u.orthonormal("u", unit)?;
        vt.transposed().orthonormal("v", unit)?;
        if s.at.iter().any(|&x| x < 0.0 || x.is_nan()) || s.at.windows(2).any(|w| w[0] < w[1]) {
            return Err(format!("the singular values do not descend: {:?}", s.at));
        }
        let largest = s.at.first().copied().unwrap_or(0.0);
        // a v = u s holds for a part of the values as well as for all.
        let right = vt.transposed();
        let mut want = Dense { rows: m, columns: k, at: vec![0.0; m * k] };
        for i in 0..m {
            for j in 0..k {
                want.at[i * k + j] = u.at[i * u_columns + j] * s.at[j];
            }
        }
        let got = a.times(&right);
        let at = (0..m * k).map(|i| got.at[i / k.max(1) * vt_rows + i % k.max(1)]).collect();
        Dense { rows: m, columns: k, at }.near("a v", &want, unit * largest)?;
        let mut want = Dense { rows: n, columns: k, at: vec![0.0; n * k] };
        for i in 0..n {
            for j in 0..k {
                want.at[i * k + j] = vt.at[j * n + i] * s.at[j];
            }
        }
        let got = a.transposed().times(u);
        let at = (0..n * k).map(|i| got.at[i / k.max(1) * u_columns + i % k.max(1)]).collect();
        Dense { rows: n, columns: k, at }.near("a^T u", &want, unit * largest)?;
    }
    Ok(())
}
