//! Worked examples: the file is read back, held against the format, and searched.

use super::reader::Index;
use crate::kernel::pair::{cosine, dot, euclidean, square};
use crate::kernel::random::number;
use crate::reference::{exact, holds, of, output, refused};
use offload_api::{DType, Record, Tensor, Value};
use offload_core::{Case, Expect};

const SOURCE: &str = "hnswlib 0.8's file format, and an exact search beside";

pub(super) fn cases() -> Vec<Case> {
    let tensor = |n: usize, d: usize, f: &dyn Fn(usize) -> f64| {
        exact(&[n, d], &(0..n * d).map(f).collect::<Vec<_>>(), DType::F32)
    };
    let uniform = |n, d| tensor(n, d, &|i| (number(7, i as u64) >> 40) as f64 / 8_388_608.0 - 1.0);
    let mut cases = vec![
        case(
            "four rows",
            &exact(&[4, 2], &[0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 5.0, 5.0], DType::F32),
            "l2",
            16,
            200,
        ),
        case("no rows", &uniform(0, 3), "l2", 16, 200),
        case("one row", &uniform(1, 1), "cosine", 16, 200),
        case("rows that are all equal", &tensor(300, 4, &|_| 0.5), "l2", 4, 20),
        case("zeros", &tensor(50, 4, &|_| 0.0), "cosine", 4, 20),
        case(
            "far from the origin",
            &tensor(500, 4, &|i| 100.0 + (number(3, i as u64) >> 40) as f64 / 1.7e7),
            "l2",
            8,
            50,
        ),
    ];
    for metric in ["l2", "cosine", "dot"] {
        for (n, d, m, ef) in
            [(2, 3, 2, 1), (10, 2, 2, 5), (100, 7, 4, 40), (1000, 16, 16, 100), (2000, 33, 8, 60)]
        {
            cases.push(case(&format!("{n} rows of {d} by {metric}"), &uniform(n, d), metric, m, ef));
        }
    }
    let nan = exact(&[2, 1], &[1.0, f64::NAN], DType::F32);
    let huge = exact(&[1, 1], &[1e20], DType::F32);
    cases.push(refused("nan", of(&[("corpus", &nan)]), Expect::Unprocessable("not_finite")));
    cases.push(refused(
        "squares beyond the type",
        of(&[("corpus", &huge)]),
        Expect::Unprocessable("out_of_range"),
    ));
    let empty = exact(&[2, 0], &[], DType::F32);
    cases.push(refused("rows of nothing", of(&[("corpus", &empty)]), Expect::Rejected("corpus")));
    cases
}

fn case(name: &str, corpus: &Tensor, metric: &'static str, m: i64, ef: i64) -> Case {
    let inputs = of(&[("corpus", corpus)])
        .with("m", Value::Int(m))
        .with("ef_construction", Value::Int(ef))
        .with("metric", Value::Text(metric.into()));
    holds(name.into(), SOURCE, inputs, move |inputs, outputs| {
        let Some(Value::Bytes(file)) = outputs.get("index") else { return Err("no index".into()) };
        check(inputs, &Index::read(file)?, metric, ef as usize)
    })
}

fn check(inputs: &Record<Tensor>, index: &Index, metric: &str, ef: usize) -> Result<(), String> {
    let corpus = output(inputs, "corpus")?;
    let [n, d] = corpus.shape()[..] else { return Err("corpus is no matrix".into()) };
    if index.n != n || (n > 0 && index.d != d) {
        return Err(format!("{} rows of {}, not {n} of {d}", index.n, index.d));
    }
    let rows = corpus.as_slice::<f32>().ok_or("corpus is not f32")?;
    for (i, row) in rows.chunks(d).enumerate() {
        let norm = if metric == "cosine" { square(row).sqrt().max(1e-30) } else { 1.0 };
        let near = |(got, x): (&f32, &f32)| {
            (f64::from(*got) - f64::from(*x) / norm).abs() <= 1e-7 * f64::from(x.abs())
        };
        if !index.vector(i).iter().zip(row).all(near) {
            return Err(format!("the vector of row {i} is {:?}", index.vector(i)));
        }
    }
    let distance = |a: &[f32], b: &[f32]| match metric {
        "l2" => euclidean(a, b),
        "dot" => -dot(a, b),
        _ => -cosine(a, b, square(a)),
    };
    // Every tenth row, moved a little, asks for its neighbours.
    let (mut found, mut all) = (0, 0);
    for (i, row) in rows.chunks(d.max(1)).enumerate().step_by(n.div_ceil(50).max(1)) {
        let moved = |(j, x): (usize, &f32)| x + (number(11, (i * d + j) as u64) >> 40) as f32 / 8.4e7;
        let q: Vec<f32> = row.iter().enumerate().map(moved).collect();
        let k = 10.min(n.div_ceil(3));
        let mut exact: Vec<f64> = rows.chunks(d).map(|x| distance(&q, x)).collect();
        exact.sort_by(f64::total_cmp);
        // Rows as near as the k-th are as good, so ties do not count against the index.
        let good = exact[k - 1] + 1e-6 * exact[k - 1].abs();
        let got = index.search(&q, k, ef.max(50), distance);
        let near = |&&label: &&u64| distance(&q, &rows[label as usize * d..(label as usize + 1) * d]) <= good;
        found += got.iter().filter(near).count();
        all += k;
    }
    // Maximum inner product is no distance: links of the nearest do not lead there as well.
    let least = if metric == "dot" { 0.85 } else { 0.95 };
    let recall = found as f64 / f64::from(all.max(1) as u32);
    if all > 0 && recall < least {
        Err(format!("recall is {recall}, at least {least} was expected"))
    } else {
        Ok(())
    }
}
