//! Spectra that are known beforehand, of matrices large enough for the blocked methods.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_matrix::*;

/// A row-major matrix.
#[derive(Clone)]
struct Dense {
    rows: usize,
    columns: usize,
    at: Vec<f64>,
}

impl Dense {
    fn from(rows: usize, columns: usize, f: impl Fn(usize, usize) -> f64) -> Dense {
        Dense { rows, columns, at: (0..rows * columns).map(|i| f(i / columns, i % columns)).collect() }
    }

    fn times(&self, b: &Dense) -> Dense {
        let mut out = Dense::from(self.rows, b.columns, |_, _| 0.0);
        for (row, to) in self.at.chunks(self.columns).zip(out.at.chunks_mut(b.columns)) {
            for (k, &x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                to.iter_mut().zip(&b.at[k * b.columns..]).for_each(|(t, y)| *t += x * y);
            }
        }
        out
    }

    fn transposed(&self) -> Dense {
        Dense::from(self.columns, self.rows, |i, j| self.at[j * self.columns + i])
    }

    fn tensor(&self) -> Tensor {
        Tensor::new([self.rows, self.columns], self.at.clone()).unwrap()
    }

    /// The largest difference.
    fn off(&self, b: &Dense) -> f64 {
        assert_eq!((self.rows, self.columns), (b.rows, b.columns));
        self.at
            .iter()
            .zip(&b.at)
            .fold(0.0, |m: f64, (x, y)| if x - y == 0.0 { m } else { m.max((x - y).abs()) })
    }

    fn is_orthonormal(&self, tolerance: f64) -> bool {
        let n = self.columns;
        self.transposed().times(self).off(&Dense::from(n, n, |i, j| f64::from(i == j))) <= tolerance
    }
}

/// An orthogonal matrix without any zeros: the sines of all pairs (Strang's discrete sine transform).
fn sines(n: usize) -> Dense {
    let step = std::f64::consts::PI / (n + 1) as f64;
    let f = (2.0 / (n + 1) as f64).sqrt();
    Dense::from(n, n, |i, j| f * (((i + 1) * (j + 1) % (2 * (n + 1))) as f64 * step).sin())
}

/// A second one, by the rows of the first in another order, some turned. 11 must not divide `n`.
fn shuffled(n: usize) -> Dense {
    assert!(!n.is_multiple_of(11), "rows would repeat");
    let s = sines(n);
    Dense::from(n, n, |i, j| s.at[(i * 11 + 3) % n * n + j] * if i % 3 == 0 { -1.0 } else { 1.0 })
}

fn output(op: &dyn AnyOperation, a: &Dense, more: &[(&'static str, Value<Tensor>)]) -> Record<Tensor> {
    let inputs = more.iter().fold(Record::new(), |r, (k, v)| r.with(k, v.clone()));
    op.cpu(inputs.with("a", Value::Tensor(a.tensor())), &Context::default()).unwrap()
}

fn dense(r: &Record<Tensor>, name: &str) -> Dense {
    let Some(Value::Tensor(t)) = r.get(name) else { panic!("{name} is missing") };
    let shape = t.shape();
    let (rows, columns) =
        if shape.len() == 1 { (1, shape[0]) } else { (shape[0], t.data().len() / shape[0]) };
    Dense { rows, columns, at: t.as_slice::<f64>().unwrap().to_vec() }
}

/// Descending singular values of every kind that gives a method trouble.
fn spectra(n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let of = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
    vec![
        ("even", of(&|i| (n - i) as f64)),
        ("graded", of(&|i| 2f64.powf(-(i as f64) * 900.0 / n as f64))),
        ("huge to tiny", of(&|i| 2f64.powf(498.0 - (i as f64) * 996.0 / n as f64))),
        ("all one", of(&|_| 1.0)),
        ("two clusters", of(&|i| if i < n / 3 { 3.0 } else { 1.0 + 1e-13 * (n - i) as f64 })),
        ("rank 5", of(&|i| if i < 5 { 10.0 - i as f64 } else { 0.0 })),
        ("one small", of(&|i| if i + 1 < n { 2.0 } else { 1e-10 })),
        ("zero", of(&|_| 0.0)),
    ]
}

#[test]
fn singular_values_and_vectors_of_every_kind_of_spectrum() {
    for (m, n) in [(170, 170), (301, 211), (530, 260)] {
        let (left, right) = (shuffled(m), sines(n));
        for (name, s) in spectra(n) {
            let scaled = Dense::from(m, n, |i, j| left.at[i * m + j] * s[j]);
            let a = scaled.times(&right.transposed());
            for (full, wide) in [(false, false), (true, false), (false, true)] {
                let a = if wide { a.transposed() } else { a.clone() };
                let got = output(&Svd, &a, &[("full", Value::Bool(full))]);
                let (u, values, vt) = (dense(&got, "u"), dense(&got, "s"), dense(&got, "vt"));
                let unit = 1e-13 * s[0].max(f64::MIN_POSITIVE);
                let what = format!("{name}, {m} by {n}, full {full}, wide {wide}");
                for (got, want) in values.at.iter().zip(&s) {
                    assert!((got - want).abs() <= unit, "{what}: {got:e} for {want:e}");
                }
                assert!(values.at.windows(2).all(|w| w[0] >= w[1]), "{what}");
                assert!(u.is_orthonormal(1e-12) && vt.transposed().is_orthonormal(1e-12), "{what}");
                let us = Dense::from(u.rows, n, |i, j| u.at[i * u.columns + j] * values.at[j]);
                let back =
                    us.times(&Dense { rows: n, columns: vt.columns, at: vt.at[..n * vt.columns].to_vec() });
                assert!(back.off(&a) <= 3.0 * unit, "{what}: {:e}", back.off(&a) / s[0]);
            }
            // Without vectors, by the other form of the same method.
            let two = output(&Norm, &a, &[("kind", Value::Text("two".into()))]);
            let nuclear = output(&Norm, &a, &[("kind", Value::Text("nuclear".into()))]);
            let number = |r: &Record<Tensor>| dense_scalar(r);
            assert!((number(&two) - s[0]).abs() <= 1e-13 * s[0], "{name}");
            let sum: f64 = s.iter().sum();
            assert!((number(&nuclear) - sum).abs() <= 1e-12 * sum, "{name}");
        }
    }
}

fn dense_scalar(r: &Record<Tensor>) -> f64 {
    let Some(Value::Tensor(t)) = r.get("result") else { panic!("no result") };
    t.as_slice::<f64>().unwrap()[0]
}

#[test]
fn eigenvalues_and_vectors_of_every_kind_of_symmetric_spectrum() {
    for n in [150, 333] {
        let q = shuffled(n);
        for (name, s) in spectra(n) {
            let mut values: Vec<f64> =
                s.iter().enumerate().map(|(i, x)| if i % 3 == 1 { -x } else { *x }).collect();
            let scaled = Dense::from(n, n, |i, j| q.at[i * n + j] * values[j]);
            let a = scaled.times(&q.transposed());
            values.sort_by(f64::total_cmp);
            let symmetric = ("symmetric", Value::Text("true".into()));
            let unit = 1e-13 * s[0];
            for vectors in [false, true] {
                let got = output(&Eigenvalues, &a, &[symmetric.clone(), ("vectors", Value::Bool(vectors))]);
                let found = dense(&got, "values");
                for (got, want) in found.at.iter().zip(&values) {
                    assert!((got - want).abs() <= unit, "{name} {n} {vectors}: {got:e} for {want:e}");
                }
                if vectors {
                    let v = dense(&got, "vectors");
                    assert!(v.is_orthonormal(1e-12), "{name} {n}");
                    let scaled = Dense::from(n, n, |i, j| v.at[i * n + j] * found.at[j]);
                    assert!(a.times(&v).off(&scaled) <= 3.0 * unit, "{name} {n}");
                }
            }
        }
    }
}

/// The second difference has the eigenvalues 2 − 2 cos(kπ / (n + 1)), and is tridiagonal to begin with.
#[test]
fn the_second_difference_has_its_eigenvalues_whichever_method_finds_them() {
    let n = 300;
    let a = Dense::from(n, n, |i, j| match i.abs_diff(j) {
        0 => 2.0,
        1 => -1.0,
        _ => 0.0,
    });
    let want: Vec<f64> =
        (1..=n).map(|k| 2.0 - 2.0 * (k as f64 * std::f64::consts::PI / (n + 1) as f64).cos()).collect();
    for (symmetric, step) in [("true", 1), ("false", 2)] {
        for vectors in [false, true] {
            let word = Value::Text(symmetric.into());
            let got = output(&Eigenvalues, &a, &[("symmetric", word), ("vectors", Value::Bool(vectors))]);
            for (got, want) in dense(&got, "values").at.iter().step_by(step).zip(&want) {
                assert!((got - want).abs() < 1e-12, "{symmetric} {vectors}: {got} for {want}");
            }
        }
    }
    let s = output(&Svd, &a, &[]);
    for (got, want) in dense(&s, "s").at.iter().rev().zip(&want) {
        assert!((got - want).abs() < 1e-13, "{got} for {want}");
    }
}

/// A circulant matrix has the discrete Fourier transform of its first row as eigenvalues; a companion-like shift has
/// the roots of unity, all of one magnitude; a triangular one its diagonal.
#[test]
fn general_matrices_have_the_eigenvalues_they_are_made_of() {
    let n = 240;
    let tau = 2.0 * std::f64::consts::PI;
    let row: Vec<f64> = (0..n).map(|j| ((j * j + 3 * j) % 17) as f64 - 8.0).collect();
    let circulant = Dense::from(n, n, |i, j| row[(n + j - i) % n]);
    let transform = (0..n).map(|k| {
        let angle = |j: usize| tau * ((j * k) % n) as f64 / n as f64;
        let sum = |f: &dyn Fn(f64) -> f64| (0..n).map(|j| row[j] * f(angle(j))).sum::<f64>();
        (sum(&f64::cos), sum(&f64::sin))
    });
    let shift = Dense::from(n, n, |i, j| f64::from((i + 1) % n == j));
    let roots = (0..n).map(|k| (tau * k as f64 / n as f64).sin_cos()).map(|(s, c)| (c, s));
    let triangular = Dense::from(n, n, |i, j| {
        if i > j {
            0.0
        } else if i == j {
            (i % 50) as f64
        } else {
            0.01
        }
    });
    let q = shuffled(n);
    let blocks = Dense::from(n, n, |i, j| match (i / 2 == j / 2, i == j) {
        (true, true) => (i / 2) as f64,
        (true, false) => {
            if i < j {
                1.0
            } else {
                -4.0
            }
        }
        _ => 0.0,
    });
    let turned = q.times(&blocks).times(&q.transposed());
    let pairs = (0..n).map(|i| ((i / 2) as f64, if i % 2 == 0 { 2.0 } else { -2.0 }));
    let zero = Dense::from(n, n, |_, _| 0.0);
    type Values = Vec<(f64, f64)>;
    let cases: Vec<(&str, Dense, Values, f64)> = vec![
        ("circulant", circulant, transform.collect(), 1e-10),
        ("shift", shift, roots.collect(), 1e-12),
        ("triangular", triangular, (0..n).map(|i| ((i % 50) as f64, 0.0)).collect(), 1.0),
        ("turned blocks", turned, pairs.collect(), 1e-10),
        ("zero", zero, vec![(0.0, 0.0); n], 0.0),
    ];
    for (name, a, want, tolerance) in cases {
        for vectors in [false, true] {
            let word = Value::Text("false".into());
            let got = output(&Eigenvalues, &a, &[("symmetric", word), ("vectors", Value::Bool(vectors))]);
            let values: Values = dense(&got, "values").at.chunks(2).map(|c| (c[0], c[1])).collect();
            let mut free = want.clone();
            for v in &values {
                let distance = |w: &(f64, f64)| (v.0 - w.0).hypot(v.1 - w.1);
                let at = (0..free.len())
                    .min_by(|&i, &j| distance(&free[i]).total_cmp(&distance(&free[j])))
                    .unwrap();
                assert!(
                    distance(&free[at]) <= tolerance,
                    "{name} {vectors}: {v:?}, {:e}",
                    distance(&free[at])
                );
                free.swap_remove(at);
            }
            if !vectors {
                continue;
            }
            let all = dense(&got, "vectors");
            let part = |p: usize| Dense::from(n, n, |i, j| all.at[(i * n + j) * 2 + p]);
            let (re, im) = (part(0), part(1));
            let of = |x: &Dense, y: &Dense, s: f64| {
                Dense::from(n, n, |i, j| values[j].0 * x.at[i * n + j] + s * values[j].1 * y.at[i * n + j])
            };
            let size = a.at.iter().map(|x| x * x).sum::<f64>().sqrt();
            let off = a.times(&re).off(&of(&re, &im, -1.0)).max(a.times(&im).off(&of(&im, &re, 1.0)));
            assert!(off <= 1e-13 * size, "{name}: {off:e} of {size:e}");
        }
    }
}
