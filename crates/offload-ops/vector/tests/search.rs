//! The search against a plain one: hostile sets, ties, filters, and the wire.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::json::{decode_request, write_record};
use offload_api::{DType, NO_MATCH, Record, Source, Tensor, Value};
use offload_core::{AnyOperation, Cancel, Context, Failure, Progress};
use offload_ops_vector::{BatchSimilarity, Knn, KnnSearch, Similarity};
use std::collections::{HashMap, HashSet};

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// In [-1, 1).
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / 4_503_599_627_370_496.0 - 1.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Queries and rows, rounded to the type they will have.
struct Set {
    name: &'static str,
    d: usize,
    queries: Vec<f64>,
    corpus: Vec<f64>,
}

fn set(name: &'static str, rng: &mut Rng, q: usize, n: usize, d: usize, dtype: DType) -> Set {
    let many = |rng: &mut Rng, n: usize, f: &dyn Fn(&mut Rng, usize) -> f64| -> Vec<f64> {
        (0..n * d).map(|i| f(rng, i)).collect()
    };
    let fine = if dtype == DType::F32 { 1e-3 } else { 1e-9 };
    let distinct = many(rng, 50, &|r, _| r.uniform());
    let (mut queries, mut corpus) = match name {
        "uniform" => (many(rng, q, &|r, _| r.uniform()), many(rng, n, &|r, _| r.uniform())),
        "offset" => {
            let f = |r: &mut Rng, _: usize| 1e4 + fine * r.uniform();
            (many(rng, q, &f), many(rng, n, &f))
        }
        "two clusters" => {
            let f = |r: &mut Rng, i: usize| if (i / d).is_multiple_of(2) { 1e4 } else { -1e4 } + fine * r.uniform();
            (many(rng, q, &f), many(rng, n, &f))
        }
        "norms" => {
            let f = |r: &mut Rng, i: usize| r.uniform() * 10f64.powi((i / d * 13 % 61) as i32 - 30);
            (many(rng, q, &f), many(rng, n, &f))
        }
        "one row far out" => {
            let f = |r: &mut Rng, i: usize| r.uniform() * if i / d == 7 { 1e30 } else { 1.0 };
            (many(rng, q, &|r, _| r.uniform()), many(rng, n, &f))
        }
        "duplicates" => {
            let copies = (0..n).flat_map(|_| {
                let i = rng.below(50);
                distinct[i * d..(i + 1) * d].to_vec()
            });
            let corpus = copies.collect();
            (many(rng, q, &|r, _| r.uniform()), corpus)
        }
        "all equal" => (many(rng, q, &|r, _| r.uniform()), vec![0.25; n * d]),
        "whole" => {
            let f = |r: &mut Rng, _: usize| (r.uniform() * 2.0).floor();
            (many(rng, q, &f), many(rng, n, &f))
        }
        "zeros" => {
            let f = |r: &mut Rng, i: usize| if (i / d).is_multiple_of(3) { 0.0 } else { r.uniform() };
            (many(rng, q, &f), many(rng, n, &f))
        }
        "not finite" => {
            let f = |r: &mut Rng, i: usize| match (i / d % 11, i % d) {
                (0, 0) => f64::NAN,
                (1, 0) => f64::INFINITY,
                (2, 0) => f64::NEG_INFINITY,
                _ => r.uniform(),
            };
            (many(rng, q, &f), many(rng, n, &f))
        }
        "far queries" => (many(rng, q, &|r, _| 1e20 * r.uniform()), many(rng, n, &|r, _| r.uniform())),
        "near ties" => {
            let f = |r: &mut Rng, i: usize| distinct[i % d] + 1e-7 * r.uniform();
            (many(rng, q, &f), many(rng, n, &f))
        }
        other => panic!("{other}"),
    };
    if dtype == DType::F32 {
        queries.iter_mut().chain(&mut corpus).for_each(|x| *x = f64::from(*x as f32));
    }
    Set { name, d, queries, corpus }
}

const SETS: &[&str] = &[
    "uniform",
    "offset",
    "two clusters",
    "norms",
    "one row far out",
    "duplicates",
    "all equal",
    "whole",
    "zeros",
    "not finite",
    "far queries",
    "near ties",
];

fn tensor(values: &[f64], d: usize, dtype: DType) -> Value {
    let shape = [values.len() / d, d];
    Value::Tensor(match dtype {
        DType::F32 => Tensor::new(shape, values.iter().map(|&x| x as f32).collect()).unwrap(),
        _ => Tensor::new(shape, values.to_vec()).unwrap(),
    })
}

/// What a row costs a query, by the plainest sum; NaN does not rank.
fn cost(metric: &str, q: &[f64], x: &[f64]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| q.iter().zip(x).map(|(a, b)| f(*a, *b)).sum::<f64>();
    let dot = sum(&|a, b| a * b);
    match metric {
        "l2" => sum(&|a, b| (a - b) * (a - b)).sqrt(),
        "dot" => -dot,
        "cosine" => {
            let (qq, xx) = (sum(&|a, _| a * a), sum(&|_, b| b * b));
            if dot.is_nan() || (qq > 0.0 && xx > 0.0) { -dot / (qq.sqrt() * xx.sqrt()) } else { 0.0 }
        }
        _ => sum(&|a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { f64::from(u8::from(a != b)) }),
    }
}

/// How far two sums of the same terms in different orders can be apart.
fn near(metric: &str, q: &[f64], x: &[f64]) -> f64 {
    let magnitude: f64 = match metric {
        "dot" => q.iter().zip(x).map(|(a, b)| (a * b).abs()).sum(),
        "cosine" => 1.0,
        "l2" => cost("l2", q, x),
        _ => 0.0,
    };
    if magnitude.is_finite() { 4e-16 * (q.len() + 8) as f64 * magnitude } else { 0.0 }
}

fn search(s: &Set, metric: &str, k: usize, dtype: DType, filter: Option<&[u8]>) -> (Vec<i64>, Vec<f64>) {
    let mut inputs = Record::new()
        .with("queries", tensor(&s.queries, s.d, dtype))
        .with("corpus", tensor(&s.corpus, s.d, dtype))
        .with("metric", Value::Text(metric.into()))
        .with("top_k", Value::Int(k as i64));
    if let Some(filter) = filter {
        inputs.set("filter", Value::Tensor(Tensor::vector(filter.to_vec())));
    }
    let out = Similarity.cpu(inputs, &Context::default()).unwrap();
    let Some(Value::Matches(m)) = out.get("results") else { panic!("no results") };
    (m.indices().as_slice::<i64>().unwrap().to_vec(), m.scores().as_slice::<f64>().unwrap().to_vec())
}

fn check(s: &Set, metric: &str, k: usize, dtype: DType, filter: Option<&[u8]>) {
    let (indices, scores) = search(s, metric, k, dtype, filter);
    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut twins: HashMap<Vec<u64>, Vec<usize>> = HashMap::new();
    for (r, x) in s.corpus.chunks(s.d).enumerate() {
        twins.entry(bits(x)).or_default().push(r);
    }
    let sign = if matches!(metric, "l2" | "hamming") { 1.0 } else { -1.0 };
    for (i, q) in s.queries.chunks(s.d).enumerate() {
        let about =
            |place: usize| format!("{} {metric} {dtype} d={} k={k} query {i} place {place}", s.name, s.d);
        let mut want: Vec<(f64, usize)> = s
            .corpus
            .chunks(s.d)
            .enumerate()
            .filter(|(r, _)| filter.is_none_or(|f| f[*r] != 0))
            .map(|(r, x)| (cost(metric, q, x), r))
            .filter(|(c, _)| !c.is_nan())
            .collect();
        want.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let (got, got_scores) = (&indices[i * k..(i + 1) * k], &scores[i * k..(i + 1) * k]);
        let row = |r: usize| &s.corpus[r * s.d..(r + 1) * s.d];
        let mut seen = HashSet::new();
        for place in 0..k {
            let Some(&(want_cost, want_row)) = want.get(place) else {
                assert!(got[place] == NO_MATCH && got_scores[place].is_nan(), "{}", about(place));
                continue;
            };
            assert!(got[place] >= 0 && seen.insert(got[place]), "{}: row {}", about(place), got[place]);
            let got_row = got[place] as usize;
            let off = near(metric, q, row(got_row)) + near(metric, q, row(want_row));
            let got_cost = cost(metric, q, row(got_row));
            assert!(
                got_cost == want_cost || (got_cost - want_cost).abs() <= off,
                "{}: row {got_row} at {got_cost:e}, expected {want_row} at {want_cost:e}",
                about(place)
            );
            let score = sign * got_scores[place];
            assert!(
                score == got_cost || (score - got_cost).abs() <= off,
                "{}: {score:e} {got_cost:e}",
                about(place)
            );
            // Rows that are the same to the bit are ranked by their number, whatever the rounding.
            for &twin in twins[&bits(row(got_row))].iter().take_while(|&&t| t < got_row) {
                let dropped = filter.is_some_and(|f| f[twin] == 0);
                assert!(
                    dropped || seen.contains(&(twin as i64)),
                    "{}: row {got_row} before its equal {twin}",
                    about(place)
                );
            }
        }
    }
}

#[test]
fn hostile_sets_are_ranked_as_a_plain_search_ranks_them() {
    let mut rng = Rng(42);
    for dtype in [DType::F32, DType::F64] {
        for &name in SETS {
            // Enough for the blocked search, and few enough for the direct one.
            for (q, n, d) in [(8, 1500, 130), (9, 7000, 17), (2, 700, 16), (5, 60_000, 4)] {
                let s = set(name, &mut rng, q, n, d, dtype);
                for metric in ["l2", "cosine", "dot"] {
                    check(&s, metric, 10, dtype, None);
                }
            }
            let s = set(name, &mut rng, 3, 300, 5, dtype);
            check(&s, "hamming", 10, dtype, None);
        }
    }
}

#[test]
fn one_component_one_row_and_more_answers_than_rows() {
    let mut rng = Rng(7);
    for dtype in [DType::F32, DType::F64] {
        for name in ["uniform", "norms", "duplicates", "all equal", "not finite"] {
            for (q, n, d, k) in [(9, 120_000, 1, 5), (3, 1, 6, 4), (4, 30, 9, 100), (40, 9000, 3, 400)] {
                let s = set(name, &mut rng, q, n, d, dtype);
                for metric in ["l2", "dot", "cosine"] {
                    check(&s, metric, k, dtype, None);
                }
            }
        }
    }
}

#[test]
fn filters_leave_what_they_leave() {
    let mut rng = Rng(3);
    for (of, keep) in [(1, 1), (2, 1), (1000, 1), (1, 0)] {
        for name in ["uniform", "duplicates", "not finite"] {
            let s = set(name, &mut rng, 6, 20_000, 24, DType::F32);
            let mask: Vec<u8> = (0..20_000).map(|_| u8::from(rng.below(of) < keep) * 200).collect();
            for metric in ["l2", "cosine", "hamming"] {
                check(&s, metric, 10, DType::F32, Some(&mask));
            }
        }
    }
}

#[test]
fn the_ends_of_the_range_of_f64_do_not_overflow() {
    let row = |s: f64| [3.0 * s, 4.0 * s];
    let corpus: Vec<f64> = [1e-200, 1e200, 1.0, 1e-300].iter().flat_map(|&s| row(s)).collect();
    let s = Set { name: "range", d: 2, queries: vec![0.0, 0.0], corpus };
    let (indices, scores) = search(&s, "l2", 4, DType::F64, None);
    assert_eq!(indices, [3, 0, 2, 1]);
    for (got, want) in scores.iter().zip([5e-300, 5e-200, 5.0, 5e200]) {
        assert!((got - want).abs() <= 4e-16 * want, "{got:e} {want:e}");
    }
    let s = Set { queries: vec![1e-250, 0.0], ..s };
    let (indices, scores) = search(&s, "cosine", 4, DType::F64, None);
    assert_eq!(indices, [0, 1, 2, 3]);
    assert!(scores.iter().all(|x| (x - 0.6).abs() < 1e-15), "{scores:?}");
}

#[test]
fn a_search_that_nobody_waits_for_stops_after_its_first_blocks() {
    let mut rng = Rng(1);
    for (q, n, d, dtype) in [(64, 20_000, 64, DType::F32), (2, 400_000, 16, DType::F64)] {
        let s = set("uniform", &mut rng, q, n, d, dtype);
        let inputs = Record::new()
            .with("query", tensor(&s.queries, d, dtype))
            .with("corpus", tensor(&s.corpus, d, dtype));
        let (cancel, progress) = (Cancel::new(), Progress::new());
        cancel.cancel();
        let got = Knn.cpu(inputs, &Context::new(cancel, progress.clone()));
        assert_eq!(got.unwrap_err(), Failure::Cancelled);
        assert!(progress.get() < 0.2, "went on to {}", progress.get());
    }
}

fn answered(op: &dyn AnyOperation, body: &str) -> String {
    let decoded = decode_request(body.as_bytes(), &op.schema()).unwrap_or_else(|e| panic!("{body}: {e:?}"));
    let inputs = decoded
        .inputs
        .try_map(|_, source| match source {
            Source::Inline(t) => Ok(t),
            other => Err(format!("{other:?}")),
        })
        .unwrap();
    op.plan(inputs.specs()).unwrap();
    let mut out = Vec::new();
    write_record(&op.cpu(inputs, &Context::default()).unwrap(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn requests_and_answers_look_as_they_are_published() {
    let body =
        r#"{"queries": [[3, 4]], "corpus": [[0, 1], [4, 3], [1, 0]], "metric": "cosine", "top_k": 10}"#;
    let answer = r#""results":[{"query_idx":0,"matches":[{"idx":1,"score":0.96},{"idx":0,"score":0.8},{"idx":2,"score":0.6}]}]"#;
    assert_eq!(answered(&Similarity, body), answer);
    assert_eq!(answered(&BatchSimilarity, body), answer);
    let inputs = r#"{"inputs": {"queries": [[1, 0]], "corpus": [[1, 0]], "filter": [false]}}"#;
    assert_eq!(answered(&Similarity, inputs), r#""results":[{"query_idx":0,"matches":[]}]"#);
    let one = r#"{"query": [1, 0], "corpus": [[1, 3], [1, 2]], "k": 1, "recall": 0.9}"#;
    assert_eq!(answered(&Knn, one), r#""matches":[{"idx":1,"score":2}]"#);
    assert_eq!(answered(&KnnSearch, one), r#""matches":[{"idx":1,"score":2}]"#);
    let codes = r#"{"query": [[7], [0]], "corpus": [[3], [255]], "k": 1, "metric": "hamming", "dtype": "u8", "filter": [1, true]}"#;
    assert_eq!(answered(&Knn, codes), r#""matches":[[{"idx":0,"score":1}],[{"idx":0,"score":2}]]"#);
}
