//! Worked examples of the searches, under the names of an operation's inputs and output.

use crate::reference::{
    Row, exact, holds, known, mask, matches, numbers, of, refused, rows, size, vectors, word,
};
use offload_api::{DType, Layout, Matches, Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

const SOURCE: &str = "NumPy 2.4.6";

/// What an operation calls its queries, the number of answers and its output, and how this is laid out.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    pub(crate) queries: &'static str,
    pub(crate) k: &'static str,
    pub(crate) output: &'static str,
    pub(crate) layout: Layout,
}

/// Inputs of a search.
fn inputs(names: Names, q: &Tensor, x: &Tensor, metric: &str, k: i64) -> Record<Tensor> {
    of(&[(names.queries, q), ("corpus", x)])
        .with("metric", Value::Text(metric.into()))
        .with(names.k, Value::Int(k))
}

/// The answer of these rows and scores.
fn answer(names: Names, shape: &[usize], rows: &[(i64, f64)]) -> Record<Tensor> {
    let (indices, scores) = rows.iter().copied().unzip();
    match Matches::new::<f64>(shape, indices, scores, names.layout) {
        Some(m) => Record::new().with(names.output, Value::Matches(m)),
        None => panic!("the rows do not fill {shape:?}"),
    }
}

/// The examples.
pub(crate) fn examples(names: Names) -> Vec<Case> {
    let f32s = |shape: &[usize], values: &[f64]| exact(shape, values, DType::F32);
    let x = f32s(&[4, 2], &[1.0, 0.0, 3.0, 4.0, 0.0, -2.0, 0.0, 0.0]);
    let q = f32s(&[1, 2], &[1.0, 0.0]);
    let nan = f64::NAN;
    let of_q = |metric, k, rows: &[(i64, f64)]| {
        known(
            &format!("one query by {metric}"),
            inputs(names, &q, &x, metric, k),
            answer(names, &[1, k as usize], rows),
            Tolerance::new(0.0, 1e-15),
        )
    };
    let root = |x: f64| x.sqrt();
    let keep = |mask: &[f64]| exact(&[4], mask, DType::U8);
    let masked = |name: &str, mask: &[f64], rows: &[(i64, f64)]| {
        let inputs = inputs(names, &q, &x, "l2", 2).with("filter", Value::Tensor(keep(mask)));
        known(name, inputs, answer(names, &[1, 2], rows), Tolerance::new(0.0, 1e-15))
    };
    let codes = exact(&[3, 2], &[255.0, 0.0, 1.0, 0.0, 0.0, 3.0], DType::U8);
    let code = exact(&[1, 2], &[0.0, 0.0], DType::U8);
    let bad = exact(&[3, 1], &[nan, f64::INFINITY, 2.0], DType::F64);
    let one = exact(&[1, 1], &[1.0], DType::F64);
    let huge = f32s(&[3, 1], &[1e30, -1e-30, 3e38]);
    let tiny = f32s(&[1, 1], &[1e-30]);
    let wide = |x: f32| f64::from(x);
    let line: Vec<f64> = (0..600i32).map(f64::from).collect();
    let mut cases = vec![
        of_q("cosine", 2, &[(0, 1.0), (1, 0.6)]),
        of_q("l2", 3, &[(0, 0.0), (3, 1.0), (2, root(5.0))]),
        of_q("dot", 4, &[(1, 3.0), (0, 1.0), (2, 0.0), (3, 0.0)]),
        of_q("hamming", 2, &[(0, 0.0), (3, 1.0)]),
        known(
            "a zero row has cosine 0, and ties go to the lower row",
            inputs(names, &q, &x, "cosine", 4),
            answer(names, &[1, 4], &[(0, 1.0), (1, 0.6), (2, 0.0), (3, 0.0)]),
            Tolerance::new(0.0, 1e-15),
        ),
        known(
            "more answers than rows",
            inputs(names, &q, &x, "l2", 6),
            answer(
                names,
                &[1, 6],
                &[(0, 0.0), (3, 1.0), (2, root(5.0)), (1, root(20.0)), (-1, nan), (-1, nan)],
            ),
            Tolerance::new(0.0, 1e-15),
        ),
        masked("a filter that leaves two", &[0.0, 1.0, 0.0, 255.0], &[(3, 1.0), (1, root(20.0))]),
        masked("a filter that leaves one", &[0.0, 0.0, 7.0, 0.0], &[(2, root(5.0)), (-1, nan)]),
        masked("a filter that leaves nothing", &[0.0; 4], &[(-1, nan), (-1, nan)]),
        known(
            "bits of codes",
            inputs(names, &code, &codes, "hamming", 3),
            answer(names, &[1, 3], &[(1, 1.0), (2, 2.0), (0, 8.0)]),
            Tolerance::EXACT,
        ),
        known(
            "nan never ranks, infinity comes last",
            inputs(names, &one, &bad, "l2", 3),
            answer(names, &[1, 3], &[(2, 1.0), (1, f64::INFINITY), (-1, nan)]),
            Tolerance::EXACT,
        ),
        known(
            "squares beyond the range of the type",
            inputs(names, &tiny, &huge, "dot", 3),
            answer(
                names,
                &[1, 3],
                &[
                    (2, wide(3e38) * wide(1e-30)),
                    (0, wide(1e30) * wide(1e-30)),
                    (1, -wide(1e-30) * wide(1e-30)),
                ],
            ),
            Tolerance::EXACT,
        ),
        // Lists of so many are made by a kernel of their own on a device.
        known(
            "many answers: the points of a line by their distance from its end",
            inputs(
                names,
                &exact(&[1, 1], &[0.0], DType::F32),
                &exact(&[600, 1], &line, DType::F32),
                "l2",
                600,
            ),
            answer(names, &[1, 600], &(0..600i32).map(|i| (i64::from(i), f64::from(i))).collect::<Vec<_>>()),
            Tolerance::EXACT,
        ),
        known(
            "no queries",
            inputs(names, &exact(&[0, 2], &[], DType::F32), &x, "l2", 2),
            answer(names, &[0, 2], &[]),
            Tolerance::EXACT,
        ),
        known(
            "no rows",
            inputs(names, &q, &exact(&[0, 2], &[], DType::F32), "dot", 1),
            answer(names, &[1, 1], &[(-1, nan)]),
            Tolerance::EXACT,
        ),
        refused("components that do not meet", inputs(names, &one, &q, "l2", 1), Expect::Rejected("corpus")),
        refused("types that differ", inputs(names, &one, &tiny, "l2", 1), Expect::Rejected("corpus")),
        refused("codes by distance", inputs(names, &code, &codes, "l2", 1), Expect::Rejected(names.queries)),
        refused(
            "a filter of another length",
            inputs(names, &q, &x, "l2", 1).with("filter", Value::Tensor(exact(&[1], &[1.0], DType::U8))),
            Expect::Rejected("filter"),
        ),
    ];
    // The last has rows enough for the sieve of a device.
    let lines = [(DType::F32, 2, 40), (DType::F64, 2, 40), (DType::F32, 180, 730), (DType::F32, 3, 80_000)];
    cases.extend(lines.map(|(dtype, k, n)| on_a_line(names, dtype, k, n)));
    for row in rows(include_str!("../../data/search.json"), SOURCE) {
        cases.push(from_row(names, row));
    }
    cases
}

/// Queries a quarter past some points of a line: as few as go by way of matrix products on a device, so that what
/// follows them is seen in little time where every step is watched.
fn on_a_line(names: Names, dtype: DType, k: usize, n: usize) -> Case {
    const QUERIES: usize = 9;
    let points: Vec<f64> = (0..n as u32).map(f64::from).collect();
    let firsts: Vec<usize> = (0..QUERIES).map(|q| k + q * (n - 2 * k) / QUERIES).collect();
    let queries: Vec<f64> = firsts.iter().map(|&f| points[f] + 0.25).collect();
    // From there outwards: the point itself, the next, the one before, and so on.
    let nearest = |first: usize| {
        (0..k).map(move |place| {
            let away = place.div_ceil(2);
            let right = place % 2 == 1;
            let row = if right { first + away } else { first - away };
            (row as i64, if right { away as f64 - 0.25 } else { away as f64 + 0.25 })
        })
    };
    let want: Vec<(i64, f64)> = firsts.iter().flat_map(|&f| nearest(f)).collect();
    known(
        &format!("{QUERIES} queries and the {k} points of a line next to each, {}", dtype.name()),
        inputs(
            names,
            &exact(&[QUERIES, 1], &queries, dtype),
            &exact(&[n, 1], &points, dtype),
            "l2",
            k as i64,
        ),
        answer(names, &[QUERIES, k], &want),
        Tolerance::new(0.0, 1e-15),
    )
}

fn from_row(names: Names, row: Row) -> Case {
    let (q, n, d, k) = (size(&row, "q"), size(&row, "n"), size(&row, "d"), size(&row, "k"));
    let (queries, corpus) = (vectors(&row, &[q, d], 0), vectors(&row, &[n, d], 1));
    let mut inputs = inputs(names, &queries, &corpus, word(&row, "metric"), k as i64);
    if row["masked"] == true {
        inputs.set("filter", Value::Tensor(mask(&row, n)));
    }
    let name =
        format!("{} {} {} {q} by {n} of {d}", word(&row, "metric"), word(&row, "kind"), word(&row, "dtype"));
    holds(name, SOURCE, inputs, move |_, outputs| check(&row, k, matches(outputs, names.output)?))
}

/// Scores within a few units of `f64`, and rows in the figures' order wherever scores differ by more.
fn check(row: &Row, k: usize, got: &Matches) -> Result<(), String> {
    const NEAR: f64 = 1e-12;
    let (Some(indices), Some(scores)) = (got.indices().as_slice::<i64>(), got.scores().as_slice::<f64>())
    else {
        return Err("the columns are of other types".into());
    };
    let near = |a: f64, b: f64| (a - b).abs() <= NEAR * a.abs().max(b.abs());
    for q in 0..size(row, "q") {
        let (want, want_rows) = (numbers(&row["score"][q]), numbers(&row["idx"][q]));
        for i in 0..k {
            let at = format!("query {q}, place {i}");
            let (got_row, got) = (indices[q * k + i], scores[q * k + i]);
            // The figures have one place more, to tell whether the last one is tied.
            let Some(&want_score) = want.get(i) else {
                if got_row != -1 || !got.is_nan() {
                    return Err(format!("{at}: row {got_row} where there should be none"));
                }
                continue;
            };
            if !near(got, want_score) {
                return Err(format!("{at}: score {got:e}, expected {want_score:e}"));
            }
            // A place may be taken by another row only where its score is as good as a neighbour's, but not equal to it.
            let tied = |j: usize| want.get(j).is_some_and(|&w| near(w, want_score) && w != want_score);
            if got_row as f64 != want_rows[i] && !tied(i + 1) && !(i > 0 && tied(i - 1)) {
                return Err(format!("{at}: row {got_row}, expected {}", want_rows[i]));
            }
        }
    }
    Ok(())
}
