//! Whether a device's answer is the CPU's: element by element where there is one answer, by what defines it where
//! there are several (the sign of an eigenvector, the order of equal scores).

use offload_api::{Data, Matches, NO_MATCH, Record, Tensor, Value};
use offload_core::{Context, Tolerance, close};

/// How answers are compared. Factors count the rounding unit of the element type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// These outputs have one answer: no element may be further off than the factor times the largest magnitude.
    Near(&'static [&'static str], f64),
    /// `q r = a` with orthonormal columns in `q`, and `r` as the CPU has it.
    Qr,
    /// `u s vt = a`, and `s` as the CPU has it.
    Svd,
    /// `a v = v λ`, and `λ` as the CPU has it.
    Eigen,
    /// Scores as the CPU has them, rank by rank, and rows where scores are apart.
    Ranked(&'static str),
}

/// Factorisations err with their extent; extents here are a few hundred at most.
const FACTORISED: f64 = 1e3;
/// Scores are formed in `f64` whatever the vectors are.
const SCORES: f64 = 1e-12;

/// Holds a device's outputs against the CPU's.
///
/// # Errors
/// What differs.
pub(super) fn with_cpu(rule: Rule, inputs: &Record, cpu: &Record, got: &Record) -> Result<(), String> {
    match rule {
        Rule::Near(names, factor) => names.iter().try_for_each(|n| near(n, got, cpu, factor)),
        Rule::Qr => {
            near("r", got, cpu, FACTORISED)?;
            let (q, r) = (wide(tensor(got, "q")?)?, wide(tensor(got, "r")?)?);
            let columns = *q.shape().last().ok_or("q has no extents")?;
            let eps = FACTORISED * eps(tensor(got, "q")?);
            same(
                "q^T q",
                &product(&q, &q, true)?,
                |i| f64::from(i % (columns * columns) % (columns + 1) == 0),
                eps,
            )?;
            rebuilt("q r", &product(&q, &r, false)?, inputs, eps)
        }
        Rule::Svd => {
            near("s", got, cpu, FACTORISED)?;
            let (u, s, vt) = (tensor(got, "u")?, wide(tensor(got, "s")?)?, wide(tensor(got, "vt")?)?);
            let us = scaled(&wide(u)?, &s)?;
            rebuilt("u s vt", &product(&us, &vt, false)?, inputs, FACTORISED * eps(u))
        }
        Rule::Eigen => {
            near("values", got, cpu, FACTORISED)?;
            let (a, v) = (wide(tensor(inputs, "a")?)?, tensor(got, "vectors")?);
            let eps = FACTORISED * eps(v);
            let v = wide(v)?;
            let n = *v.shape().last().ok_or("vectors has no extents")?;
            same("v^T v", &product(&v, &v, true)?, |i| f64::from(i % (n * n) % (n + 1) == 0), eps)?;
            let (left, right) = (product(&a, &v, false)?, scaled(&v, &wide(tensor(got, "values")?)?)?);
            let right = right.as_slice::<f64>().ok_or("no numbers")?;
            let largest = right.iter().fold(1.0f64, |m, x| m.max(x.abs()));
            same("a v", &left, |i| right[i], eps * largest)
        }
        Rule::Ranked(name) => ranked(matches(got, name)?, matches(cpu, name)?),
    }
}

fn tensor<'a>(record: &'a Record, name: &str) -> Result<&'a Tensor, String> {
    match record.get(name) {
        Some(Value::Tensor(t)) => Ok(t),
        _ => Err(format!("the tensor {name} is missing")),
    }
}

fn matches<'a>(record: &'a Record, name: &str) -> Result<&'a Matches, String> {
    match record.get(name) {
        Some(Value::Matches(m)) => Ok(m),
        _ => Err(format!("the matches {name} are missing")),
    }
}

/// The rounding unit of the elements; 0 for integers.
fn eps(t: &Tensor) -> f64 {
    match t.data() {
        Data::F32(_) => f64::from(f32::EPSILON),
        Data::F64(_) => f64::EPSILON,
        _ => 0.0,
    }
}

/// The same elements in `f64`.
fn wide(t: &Tensor) -> Result<Tensor, String> {
    match t.as_slice::<f32>() {
        None => Ok(t.clone()),
        Some(x) => Tensor::new(t.shape(), x.iter().map(|&x| f64::from(x)).collect())
            .ok_or_else(|| "the elements do not fill the shape".into()),
    }
}

fn near(name: &str, got: &Record, cpu: &Record, factor: f64) -> Result<(), String> {
    let (Some(g), Some(w)) = (got.get(name), cpu.get(name)) else { return Err(format!("{name} is missing")) };
    let absolute = match w {
        Value::Tensor(t) | Value::Gapped(t) => {
            let wide = wide(t)?;
            let there = wide.as_slice::<f64>().unwrap_or_default().iter().filter(|x| x.is_finite());
            let largest = there.fold(0.0f64, |m, x| m.max(x.abs()));
            factor * eps(t) * largest
        }
        Value::Float(x) => factor * f64::EPSILON * x.abs(),
        _ => 0.0,
    };
    close(name, g, w, Tolerance::new(absolute, 0.0))
}

/// The product of two matrices or stacks, by the CPU.
fn product(a: &Tensor, b: &Tensor, transpose_a: bool) -> Result<Tensor, String> {
    let multiply = offload_ops::registry().find("matrix", "multiply").ok_or("there is no product")?;
    let inputs = Record::new()
        .with("a", Value::Tensor(a.clone()))
        .with("b", Value::Tensor(b.clone()))
        .with("transpose_a", Value::Bool(transpose_a));
    let mut got = multiply.operation.cpu(inputs, &Context::default()).map_err(|e| e.to_string())?;
    match got.take("result") {
        Some(Value::Tensor(t)) => Ok(t),
        _ => Err("the product is missing".into()),
    }
}

/// Each column times its factor; `factors` has one row for each matrix.
fn scaled(t: &Tensor, factors: &Tensor) -> Result<Tensor, String> {
    let (Some(x), Some(f)) = (t.as_slice::<f64>(), factors.as_slice::<f64>()) else {
        return Err("no numbers".into());
    };
    let [.., rows, columns] = *t.shape() else { return Err("no matrix".into()) };
    if columns == 0 || f.len() * rows != x.len() {
        return Err(format!("{:?} does not go with {:?}", factors.shape(), t.shape()));
    }
    let all =
        x.iter().enumerate().map(|(i, x)| x * f[i / (rows * columns) * columns + i % columns]).collect();
    Tensor::new(t.shape(), all).ok_or_else(|| "the elements do not fill the shape".into())
}

fn rebuilt(what: &str, got: &Tensor, inputs: &Record, tolerance: f64) -> Result<(), String> {
    let a = wide(tensor(inputs, "a")?)?;
    let a = a.as_slice::<f64>().ok_or("no numbers")?;
    if got.data().len() != a.len() {
        return Err(format!("{what} has shape {:?}", got.shape()));
    }
    same(what, got, |i| a[i], tolerance)
}

/// Whether every element is what it must be; a NaN never is.
fn same(what: &str, got: &Tensor, want: impl Fn(usize) -> f64, tolerance: f64) -> Result<(), String> {
    let got = got.as_slice::<f64>().ok_or("no numbers")?;
    for (i, g) in got.iter().enumerate() {
        let (off, w) = ((g - want(i)).abs(), want(i));
        if off.is_nan() || off > tolerance {
            return Err(format!(
                "{what}[{i}] is {g:e}, expected {w:e} (off by {off:e}, {tolerance:e} allowed)"
            ));
        }
    }
    Ok(())
}

fn ranked(got: &Matches, cpu: &Matches) -> Result<(), String> {
    if got.indices().shape() != cpu.indices().shape() {
        return Err(format!(
            "the answers have shape {:?}, not {:?}",
            got.indices().shape(),
            cpu.indices().shape()
        ));
    }
    let columns = |m: &Matches| {
        let scores = wide(m.scores())?.into_vec::<f64>().ok_or("no scores")?;
        Ok::<_, String>((m.indices().as_slice::<i64>().unwrap_or_default().to_vec(), scores))
    };
    let ((rows, scores), (cpu_rows, cpu_scores)) = (columns(got)?, columns(cpu)?);
    let k = cpu.indices().shape().last().copied().unwrap_or(1).max(1);
    let equal = |a: f64, b: f64| a == b || (a - b).abs() <= SCORES * a.abs().max(b.abs()).max(1.0);
    for i in 0..cpu_rows.len() {
        let (row, want) = (rows[i], cpu_rows[i]);
        let place = format!("answer {} of query {}", i % k, i / k);
        if want == NO_MATCH || row == NO_MATCH {
            if row != want {
                return Err(format!("{place} is row {row}, not {want}"));
            }
            continue;
        }
        if !equal(scores[i], cpu_scores[i]) {
            return Err(format!("{place} scores {:e}, not {:e}", scores[i], cpu_scores[i]));
        }
        // Rows may change places only with rows of equal score; the last one may have equals beyond the answers.
        let query = i / k * k..(i / k + 1) * k;
        let equals = || query.clone().filter(|&j| equal(cpu_scores[j], cpu_scores[i]));
        if row != want && !equals().any(|j| cpu_rows[j] == row) && !equals().any(|j| j % k == k - 1) {
            return Err(format!("{place} is row {row}, not {want}, and their scores differ"));
        }
        if query.clone().filter(|&j| rows[j] == row).count() > 1 {
            return Err(format!("row {row} is answered twice to query {}", i / k));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use offload_api::Layout;

    fn answers(rows: [i64; 3], scores: [f64; 3]) -> Matches {
        Matches::new(&[3], rows.to_vec(), scores.to_vec(), Layout::Flat).unwrap()
    }

    #[test]
    fn rows_change_places_only_where_scores_are_equal() {
        let cpu = answers([4, 7, 2], [0.9, 0.9, 0.5]);
        assert_eq!(ranked(&answers([7, 4, 2], [0.9, 0.9, 0.5]), &cpu), Ok(()));
        // A row beyond the answers may have the last one's score.
        assert_eq!(ranked(&answers([4, 7, 3], [0.9, 0.9, 0.5]), &cpu), Ok(()));
        for wrong in [
            answers([4, 8, 2], [0.9, 0.9, 0.5]),
            answers([4, 4, 2], [0.9, 0.9, 0.5]),
            answers([4, 7, 2], [0.9, 0.9, 0.5001]),
            answers([4, 7, NO_MATCH], [0.9, 0.9, f64::NAN]),
            answers([4, 7, 2], [0.9, f64::NAN, 0.5]),
        ] {
            assert!(ranked(&wrong, &cpu).is_err(), "{wrong:?}");
        }
    }

    fn of(entries: &[(&'static str, &[usize], &[f64])]) -> Record {
        entries.iter().fold(Record::new(), |r, (name, shape, x)| {
            r.with(name, Value::Tensor(Tensor::new(*shape, x.to_vec()).unwrap()))
        })
    }

    fn eigen(values: &[f64], vectors: &[f64]) -> Record {
        of(&[("values", &[2], values), ("vectors", &[2, 2], vectors)])
    }

    fn svd(u: &[f64], s: &[f64], vt: &[f64]) -> Record {
        of(&[("u", &[2, 2], u), ("s", &[2], s), ("vt", &[2, 2], vt)])
    }

    fn qr(q: &[f64], r: &[f64]) -> Record {
        of(&[("q", &[2, 2], q), ("r", &[2, 2], r)])
    }

    #[test]
    fn a_factorisation_is_held_against_its_definition_and_not_against_one_choice_of_signs() {
        // The reflection that swaps two coordinates: eigenvalues -1 and 1 (closed form).
        let h = std::f64::consts::FRAC_1_SQRT_2;
        let inputs = of(&[("a", &[2, 2], &[0.0, 1.0, 1.0, 0.0])]);
        let cpu = eigen(&[-1.0, 1.0], &[h, h, -h, h]);
        let check = |got| with_cpu(Rule::Eigen, &inputs, &cpu, &got);
        assert_eq!(check(eigen(&[-1.0, 1.0], &[-h, h, h, h])), Ok(()));
        assert!(check(eigen(&[-1.0, 1.0], &[h, h, h, h])).is_err());
        assert!(check(eigen(&[-1.0, 1.001], &[h, h, -h, h])).is_err());
        assert!(check(eigen(&[-1.0, 1.0], &[h, f64::NAN, -h, h])).is_err());

        // Its singular values are 1 and 1, so u is any rotation.
        let (one, swap): (&[f64], &[f64]) = (&[1.0, 0.0, 0.0, 1.0], &[0.0, 1.0, 1.0, 0.0]);
        let cpu = svd(swap, &[1.0, 1.0], one);
        assert_eq!(with_cpu(Rule::Svd, &inputs, &cpu, &svd(one, &[1.0, 1.0], swap)), Ok(()));
        assert!(with_cpu(Rule::Svd, &inputs, &cpu, &svd(one, &[1.0, 1.0], one)).is_err());

        let cpu = qr(swap, one);
        assert_eq!(with_cpu(Rule::Qr, &inputs, &cpu, &cpu), Ok(()));
        assert!(with_cpu(Rule::Qr, &inputs, &cpu, &qr(one, swap)).is_err());
        assert!(with_cpu(Rule::Qr, &inputs, &cpu, &qr(&[0.0, 1.0, 1.001, 0.0], one)).is_err());
    }
}
