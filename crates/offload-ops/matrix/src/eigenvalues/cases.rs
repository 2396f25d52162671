//! Worked examples of eigenvalues.

use crate::reference::{Dense, Row, exact, known, near, of, output, refused, rows, stack_of};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    let square = |values: [f64; 4]| exact(&[2, 2], &values, DType::F64);
    let a = square([2.0, 1.0, 1.0, 2.0]);
    let turn = square([0.0, -1.0, 1.0, 0.0]);
    let pair = square([0.0, -1.0, 0.0, 1.0]);
    let lower =
        of(&[("a", &square([2.0, f64::NAN, 1.0, 2.0]))]).with("symmetric", Value::Text("true".into()));
    let values = exact(&[2], &[1.0, 3.0], DType::F64);
    let near = Tolerance::new(1e-15, 0.0);
    let jordan = exact(&[2, 2], &[1.0, 1.0, 0.0, 1.0], DType::F64);
    let infinite = exact(&[1, 1], &[f64::INFINITY], DType::F64);
    let mut cases = vec![
        known("symmetric", of(&[("a", &a)]), &[("values", &values)], near),
        known("a turn", of(&[("a", &turn)]), &[("values", &pair)], near),
        known("only the lower triangle is read", lower, &[("values", &values)], near),
        known(
            "one vector for two values",
            of(&[("a", &jordan)]),
            &[("values", &square([1.0, 0.0, 1.0, 0.0]))],
            Tolerance::new(1e-7, 0.0),
        ),
        refused("infinite", of(&[("a", &infinite)]), Expect::Unprocessable("not_finite")),
    ];
    for (i, row) in rows(include_str!("../../data/eigenvalues.json")).into_iter().enumerate() {
        let a = row.first();
        // Stacks always with vectors, which tie every value to its matrix; of the others, every third without.
        let vectors = a.shape().len() == 3 || i % 3 != 0;
        let inputs = of(&[("a", &a)]).with("vectors", Value::Bool(vectors));
        cases.push(row.case(inputs, check));
    }
    cases
}

fn check(row: &Row, inputs: &Record<Tensor>, outputs: &Record<Tensor>) -> Result<(), String> {
    let a = output(inputs, "a")?;
    let n = a.shape()[a.shape().len() - 1];
    let a = stack_of(a, n, n);
    let unit = 2.0 * row.eps() * (n + 4) as f64;
    if row.json("symmetric") == true {
        symmetric(row, &a, outputs, n, unit)
    } else {
        general(row, &a, outputs, n, unit)
    }
}

fn frobenius(a: &Dense) -> f64 {
    a.at.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Values and residuals err by a few units of the norm.
fn symmetric(row: &Row, a: &[Dense], outputs: &Record<Tensor>, n: usize, unit: f64) -> Result<(), String> {
    let values = stack_of(output(outputs, "values")?, 1, n);
    let want: Vec<f64> =
        row.json("all").as_array().ok_or("no figures")?.iter().filter_map(|x| x.as_f64()).collect();
    for (got, want) in values.iter().flat_map(|v| &v.at).zip(&want) {
        near("a value", *got, *want, unit * frobenius(&a[0]))?;
    }
    if let Ok(vectors) = output(outputs, "vectors") {
        for ((a, v), values) in a.iter().zip(&stack_of(vectors, n, n)).zip(&values) {
            v.orthonormal("v", unit)?;
            let mut scaled = v.clone();
            scaled.at.iter_mut().enumerate().for_each(|(i, x)| *x *= values.at[i % n]);
            a.times(v).near("a v", &scaled, unit * frobenius(a))?;
        }
    }
    Ok(())
}

/// Values err by a few units of the norm times the condition of the eigenvectors (Bauer and Fike); residuals do not
/// suffer from that condition.
fn general(row: &Row, a: &[Dense], outputs: &Record<Tensor>, n: usize, unit: f64) -> Result<(), String> {
    let values = stack_of(output(outputs, "values")?, n, 2);
    let sensitivity = row.number("sensitivity").ok_or("no condition")?;
    let want = row.json("all").as_array().ok_or("no figures")?;
    let number = |x: &serde_json::Value, i: usize| x[i].as_f64().unwrap_or(f64::NAN);
    for ((a, got), want) in a.iter().zip(&values).zip(want.chunks(n)) {
        let tolerance = 4.0 * row.eps() * (n as f64).sqrt() * sensitivity * frobenius(a);
        let mut free: Vec<(f64, f64)> = got.at.chunks(2).map(|c| (c[0], c[1])).collect();
        for w in want {
            let distance = |c: &(f64, f64)| (c.0 - number(w, 0)).hypot(c.1 - number(w, 1));
            let nearest = (0..free.len()).min_by(|&i, &j| distance(&free[i]).total_cmp(&distance(&free[j])));
            let Some(nearest) = nearest else { return Err("values are missing".into()) };
            near("the distance to a value", distance(&free[nearest]), 0.0, tolerance)?;
            free.swap_remove(nearest);
        }
    }
    let Ok(vectors) = output(outputs, "vectors") else { return Ok(()) };
    for ((a, v), values) in a.iter().zip(&stack_of(vectors, n, 2 * n)).zip(&values) {
        let part =
            |p: usize| Dense { rows: n, columns: n, at: v.at.iter().skip(p).step_by(2).copied().collect() };
        let (re, im) = (part(0), part(1));
        let (mut want_re, mut want_im) = (re.clone(), im.clone());
        let mut lengths = vec![0.0; n];
        for i in 0..n * n {
            let (x, y) = (values.at[i % n * 2], values.at[i % n * 2 + 1]);
            want_re.at[i] = x * re.at[i] - y * im.at[i];
            want_im.at[i] = x * im.at[i] + y * re.at[i];
            lengths[i % n] += re.at[i] * re.at[i] + im.at[i] * im.at[i];
        }
        for l in lengths {
            near("the length of a vector", l, 1.0, unit)?;
        }
        a.times(&re).near("a v, real", &want_re, unit * frobenius(a))?;
        a.times(&im).near("a v, imaginary", &want_im, unit * frobenius(a))?;
    }
    Ok(())
}
