//! Worked examples of codes.

use crate::reference::{Row, exact, holds, known, numbers, of, output, refused, rows, size, vectors};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

const SOURCE: &str = "NumPy 2.4.6, faiss 1.15.1";

pub(super) fn cases() -> Vec<Case> {
    let x = exact(&[3, 2], &[0.0, 5.0, 51.0, 5.0, 255.0, 5.0], DType::F32);
    let by = |x: &Tensor, method: &str| of(&[("corpus", x)]).with("method", Value::Text(method.into()));
    let outputs = |fields: &[(&'static str, Tensor)]| {
        fields.iter().fold(Record::new(), |r, (name, t)| r.with(name, Value::Tensor(t.clone())))
    };
    let number = |x: f64| exact(&[], &[x], DType::F64);
    let signs = exact(
        &[2, 9],
        &[1.0, -1.0, 0.0, 2.0, -3.0, 1.0, 1.0, -1.0, 7.0, 3.0, -1.0, 0.0, -2.0, -3.0, 1.0, 1.0, -1.0, 5.0],
        DType::F64,
    );
    let four = exact(&[4, 2], &[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], DType::F64);
    let mut cases = vec![
        known(
            "bytes that are the numbers themselves",
            by(&x, "int8"),
            outputs(&[
                ("codes", exact(&[3, 2], &[0.0, 0.0, 51.0, 0.0, 255.0, 0.0], DType::U8)),
                ("scale", exact(&[2], &[1.0, 0.0], DType::F32)),
                ("offset", exact(&[2], &[0.0, 5.0], DType::F32)),
                ("distortion", number(0.0)),
            ]),
            Tolerance::EXACT,
        ),
        known(
            "bits, the lowest first",
            by(&signs, "binary"),
            outputs(&[
                ("codes", exact(&[2, 2], &[105.0, 1.0, 97.0, 1.0], DType::U8)),
                (
                    "codebook",
                    exact(
                        &[2, 9],
                        &[
                            0.0, -1.0, 0.0, -2.0, -3.0, 0.0, 0.0, -1.0, 0.0, 2.0, 0.0, 0.0, 2.0, 0.0, 1.0,
                            1.0, 0.0, 6.0,
                        ],
                        DType::F64,
                    ),
                ),
                // Column 0: 1 and 3 about 2; column 8: 7 and 5 about 6.
                ("distortion", number(2.0)),
            ]),
            Tolerance::new(0.0, 1e-15),
        ),
        known(
            "as many centroids as rows",
            by(&four, "pq").with("m", Value::Int(1)),
            outputs(&[("distortion", number(0.0))]),
            Tolerance::EXACT,
        ),
        refused("groups that do not divide", by(&x, "pq").with("m", Value::Int(3)), Expect::Rejected("m")),
        refused(
            "nan",
            by(&exact(&[1, 1], &[f64::NAN], DType::F64), "int8"),
            Expect::Unprocessable("not_finite"),
        ),
        refused(
            "out of range",
            by(&exact(&[1, 1], &[1e200], DType::F64), "pq").with("m", Value::Int(1)),
            Expect::Unprocessable("out_of_range"),
        ),
    ];
    for method in ["int8", "binary", "pq"] {
        let empty = by(&exact(&[0, 8], &[], DType::F32), method);
        cases.push(known(
            &format!("no rows, {method}"),
            empty,
            outputs(&[("distortion", number(0.0))]),
            Tolerance::EXACT,
        ));
    }
    for row in rows(include_str!("../../data/quantize.json"), SOURCE) {
        let (n, d, m) = (size(&row, "n"), size(&row, "d"), size(&row, "m"));
        for method in ["int8", "binary", "pq"] {
            let inputs = by(&vectors(&row, &[n, d], 0), method).with("m", Value::Int(m as i64));
            let row = row.clone();
            let name = format!("{method} {} {} {n} rows of {d}", row["kind"], row["dtype"]);
            cases.push(holds(name, SOURCE, inputs, move |inputs, outputs| match method {
                "int8" => int8(&row, outputs),
                "binary" => binary(&row, outputs),
                _ => product(&row, inputs, outputs),
            }));
        }
    }
    cases
}

fn error(outputs: &Record<Tensor>) -> Result<f64, String> {
    let t = output(outputs, "distortion")?;
    t.as_slice::<f64>().and_then(|x| x.first().copied()).ok_or_else(|| "no error".into())
}

fn int8(row: &Row, outputs: &Record<Tensor>) -> Result<(), String> {
    let codes = output(outputs, "codes")?.as_slice::<u8>().ok_or("codes are not bytes")?;
    let sum: u64 = codes.iter().map(|&c| u64::from(c)).sum();
    // A component in the middle of two codes may go to either.
    let want = row["int8_sum"].as_f64().ok_or("no figure")?;
    if (sum as f64 - want).abs() > 1.0 + want * 1e-5 {
        return Err(format!("the codes sum up to {sum}, expected {want}"));
    }
    same_error(outputs, &row["int8_error"], 0.0)
}

fn same_error(outputs: &Record<Tensor>, want: &serde_json::Value, rounding: f64) -> Result<(), String> {
    let (got, want) = (error(outputs)?, want.as_f64().ok_or("no figure")?);
    if (got - want).abs() > 1e-6 * want + rounding + 1e-15 {
        return Err(format!("error {got:e}, expected {want:e}"));
    }
    Ok(())
}

/// What rounding the codebook to the type of the corpus can move a vector by.
fn rounding(row: &Row, length: usize) -> f64 {
    let unit = if row["dtype"] == "f32" { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let largest = if row["kind"] == "offset" { 1e4 } else { 1.0 };
    unit * largest * (length as f64).sqrt()
}

fn binary(row: &Row, outputs: &Record<Tensor>) -> Result<(), String> {
    let codes = output(outputs, "codes")?.as_slice::<u8>().ok_or("codes are not bytes")?;
    let want = numbers(&row["binary"]);
    let got: Vec<f64> = codes.iter().take(want.len()).map(|&c| f64::from(c)).collect();
    if got != want {
        return Err(format!("codes {got:?}, expected {want:?}"));
    }
    same_error(outputs, &row["binary_error"], rounding(row, size(row, "d")).powi(2))
}

/// The error that is reported is that of the codes, no other centroid is nearer, and faiss does not do better.
fn product(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let (corpus, codebook) = (wide(output(inputs, "corpus")?), wide(output(outputs, "codebook")?));
    let codes = output(outputs, "codes")?.as_slice::<u8>().ok_or("codes are not bytes")?;
    let (n, d, m) = (size(row, "n"), size(row, "d"), size(row, "m"));
    let each = d / m;
    let k = codebook.len() / d;
    let mut total = 0.0;
    for i in 0..n {
        for g in 0..m {
            let x = &corpus[i * d + g * each..i * d + (g + 1) * each];
            let off = |c: usize| -> f64 {
                let at = (g * k + c) * each;
                x.iter().zip(&codebook[at..at + each]).map(|(x, c)| (x - c).powi(2)).sum()
            };
            let own = off(usize::from(codes[i * m + g]));
            let least = (0..k).map(off).fold(f64::INFINITY, f64::min);
            // The nearest is found in f32, before the codebook is rounded.
            if own.sqrt() > least.sqrt() * (1.0 + 1e-5) + 2.0 * rounding(row, each) + 1e-6 {
                return Err(format!(
                    "row {i}, group {g}: a centroid at {least:e} is nearer than its own at {own:e}"
                ));
            }
            total += own;
        }
    }
    let (got, own) = (error(outputs)?, total / n as f64);
    if (got - own).abs() > 1e-9 * own + 1e-15 {
        return Err(format!("error {got:e}, the codes give {own:e}"));
    }
    // Both end in a local optimum; over these rows they are within some percent of each other.
    match row["pq_error"].as_f64() {
        Some(peer) if got > peer * 1.05 + rounding(row, d).powi(2) => {
            Err(format!("error {got:e}, faiss has {peer:e}"))
        }
        _ => Ok(()),
    }
}

fn wide(t: &Tensor) -> Vec<f64> {
    match (t.as_slice::<f32>(), t.as_slice::<f64>()) {
        (Some(x), _) => x.iter().map(|&x| f64::from(x)).collect(),
        (_, x) => x.unwrap_or_default().to_vec(),
    }
}
