//! Searches that sift: that the sift decides alone on plain data, and that answers are right where it cannot.

use super::super::super::exact::{Space as _, Vectors as Space};
use super::super::super::random::unit;
use super::super::super::top::{Ranked, Top};
use super::super::bounds::{self, Bounds, Precision};
use super::super::products::Products;
use super::super::tests::{on_opencl, vectors};
use super::super::{Inputs, Size, exact, search};
use super::{Cut, Metric, panels};
use offload_api::{DType, Element, Tensor};
use offload_core::device::Gpu;

const METRICS: [Metric; 3] = [Metric::L2, Metric::Cosine, Metric::Dot];

fn brute_force(
    (queries, corpus): (&[f32], &[f32]),
    d: usize,
    metric: Metric,
    k: usize,
    rows: &[u32],
) -> Vec<Vec<Ranked>> {
    let space = Space { queries, corpus, d, metric };
    let best = |i| {
        let mut top = Top::new(k);
        space.offer(i, rows, &mut top);
        top.into_sorted()
    };
    (0..queries.len() / d).map(best).collect()
}

/// What the first pass decides, and what it leaves.
fn sifted(
    gpu: &mut Gpu<'_>,
    (queries, corpus): (&[f32], &[f32]),
    metric: Metric,
    size: Size,
) -> (Vec<Vec<Ranked>>, Vec<u32>) {
    let (wide, squares) = bounds::widened(queries, size.d);
    let of = exact::Vectors {
        metric,
        corpus: gpu.upload(corpus).unwrap(),
        queries: gpu.upload(&wide).unwrap(),
        squares: gpu.upload(&squares).unwrap(),
        filter: gpu.zeros(1).unwrap(),
    };
    let scores = gpu.zeros(size.scores()).unwrap();
    let fitted = Bounds::fit(metric, size.d, &bounds::sample(corpus, size.d, None));
    let mut products = Products::new(gpu, size, &of, &fitted, &scores).unwrap();
    let all: Vec<u32> = (0..size.queries as u32).collect();
    let mut best = vec![Vec::new(); size.queries];
    let left = products.search(gpu, queries, &all, Precision::Tf32, &mut best).unwrap();
    (best, left)
}

#[test]
fn a_sift_decides_alone_where_rows_can_be_told_apart() {
    // As they are and packed, whole chunks and parts of one, one group of queries and two, sorted rows too.
    for (q, n, d, offset, is_sorted) in [
        (24, 6000, 48, 0.0, false),
        (70, 6007, 20, 0.5, false),
        (300, 4100, 13, 0.0, false),
        (24, 6000, 12, 0.0, true),
    ] {
        let (queries, mut corpus) = (vectors(1, q, d, offset, 1.0), vectors(2, n, d, offset, 1.0));
        if is_sorted {
            let mut rows: Vec<&[f32]> = corpus.chunks(d).collect();
            rows.sort_by(|a, b| a[0].total_cmp(&b[0]));
            corpus = rows.concat();
        }
        let size = Size::of((q, n, d), 10, DType::F32, false, true).with_sample(200);
        assert!(size.sift.is_some());
        let rows: Vec<u32> = (0..n as u32).collect();
        for metric in METRICS {
            let want = brute_force((&queries, &corpus), d, metric, 10, &rows);
            on_opencl(|gpu| {
                let (best, left) = sifted(gpu, (&queries, &corpus), metric, size);
                let about = format!("{metric:?}, {q} by {n} of {d}");
                assert!(left.len() <= q / 4, "{about}: {left:?} are left");
                for (i, best) in best.iter().enumerate().filter(|(i, _)| !left.contains(&(*i as u32))) {
                    assert_eq!(best, &want[i], "{about}: query {i}");
                }
            });
        }
    }
}

#[test]
fn a_list_that_runs_over_leaves_its_query_undecided() {
    let (q, n, d) = (20, 5000, 16);
    let (queries, corpus) = (vectors(1, q, d, 0.0, 1.0), vectors(2, n, d, 0.0, 1.0));
    let size = Size::of((q, n, d), 10, DType::F32, false, true).with_sample(200);
    let cut = Cut { groups: 3, capacity: 8, ..size.sift.unwrap() };
    let size = Size { sift: Some(cut), ..size };
    on_opencl(|gpu| {
        let (_, left) = sifted(gpu, (&queries, &corpus), Metric::L2, size);
        assert_eq!(left.len(), q);
    });
}

/// The whole search beside a brute force, within the memory that the size says.
fn answers(
    q: usize,
    d: usize,
    k: usize,
    queries: &[f32],
    corpus: &[f32],
    mask: Option<Vec<u8>>,
    about: &str,
) {
    let n = corpus.len() / d;
    let tensor = |rows, values: &[f32]| Tensor::new(vec![rows, d], values.to_vec()).unwrap();
    let (asked, held) = (tensor(q, queries), tensor(n, corpus));
    let filter = mask.as_ref().map(|m| Tensor::new(vec![n], m.clone()).unwrap());
    let kept = |r: &u32| mask.as_ref().is_none_or(|m| m[*r as usize] != 0);
    let rows: Vec<u32> = (0..n as u32).filter(kept).collect();
    let whole = Size::of((q, n, d), k, f32::DTYPE, mask.is_some(), true).with_sample(150);
    let cut = whole.sift.unwrap();
    let tight = Size { sift: Some(Cut { groups: 5, capacity: 32, ..cut }), ..whole };
    // Several groups of queries, and a sample of several tiles.
    let cut = Size { group: q.div_ceil(2), tile: 100, splits: 1, ..whole };
    for metric in METRICS {
        let want = brute_force((queries, corpus), d, metric, k, &rows);
        for size in [whole, tight, cut] {
            let inputs =
                Inputs { queries: ("queries", &asked), corpus: &held, filter: filter.as_ref(), metric };
            on_opencl(|gpu| {
                let before = gpu.free_bytes();
                assert_eq!(search(&inputs, size, gpu).unwrap(), want, "{about}, {metric:?}, {size:?}");
                let took = before - gpu.free_bytes();
                assert!(took <= size.bytes(), "{about}: {took} bytes of {}", size.bytes());
            });
        }
    }
}

#[test]
fn searches_that_sift_are_right_whatever_the_rows() {
    let (q, n, d) = (18, 4500, 8);
    let queries = vectors(1, q, d, 0.0, 1.0);
    let plain = vectors(2, n, d, 0.0, 1.0);
    let of = |f: &dyn Fn(usize, f32) -> f32| -> Vec<f32> {
        plain.iter().enumerate().map(|(i, &x)| f(i / d, x)).collect()
    };
    answers(q, d, 5, &queries, &plain, None, "plain rows");
    answers(
        q,
        d,
        5,
        &queries,
        &plain,
        Some((0..n).map(|r| u8::from(r % 3 == 1)).collect()),
        "a third left in",
    );
    answers(
        q,
        d,
        5,
        &queries,
        &plain,
        Some((0..n).map(|r| u8::from(r < n / 8)).collect()),
        "the first left in",
    );
    answers(q, d, 5, &queries, &of(&|_, _| 1.5), None, "all alike");
    answers(q, d, 5, &queries, &of(&|row, x| if row % 2 == 0 { 0.25 } else { x }), None, "half alike");
    answers(q, d, 5, &queries, &of(&|row, x| x + row as f32 / 300.0), None, "rows that walk away");
    let hostile = |row: usize, x: f32| match row % 50 {
        7 => f32::NAN,
        8 => f32::INFINITY,
        9 => x * 1e30,
        10 => 0.0,
        _ => x,
    };
    answers(q, d, 5, &queries, &of(&hostile), None, "rows without a place");
    // Every row that is near stands at one place.
    let near = |row: usize, x: f32| if (3000..3300).contains(&row) { x / 100.0 } else { x + 5.0 };
    answers(q, d, 5, &queries, &of(&near), None, "the near ones together");
}

#[test]
fn panels_hold_every_column_of_every_query_at_its_place() {
    for (queries, width) in [(1, 4), (64, 16), (65, 20), (130, 36)] {
        let of: Vec<f32> = (0..queries * width).map(|i| unit(7, i as u64) as f32).collect();
        let panels = panels(&of, width);
        let chunks = width.div_ceil(16);
        assert_eq!(panels.len(), queries.div_ceil(64) * 64 * chunks * 16);
        let mut sum = 0.0;
        for q in 0..queries {
            for c in 0..width {
                let at = (q / 64) * (chunks * 1024) + (c / 16) * 1024 + (q % 64) * 16 + c % 16;
                assert_eq!(panels[at], of[q * width + c]);
                sum += f64::from(panels[at]);
            }
        }
        assert_eq!(panels.iter().map(|&x| f64::from(x)).sum::<f64>(), sum, "what is left is zeros");
    }
}

#[test]
fn a_sift_is_for_many_rows_and_short_lists() {
    let of = |rows, k| Size::of((1000, rows, 128), k, DType::F32, false, true);
    assert_eq!(of(40_000, 10).sift, None);
    assert_eq!(of(1_000_000, 300).sift, None);
    let size = of(1_000_000, 10);
    let cut = size.sift.unwrap();
    assert!(cut.sample * cut.step <= 1_000_000 && cut.sample * 16 <= 1_000_000);
    // Four query blocks of 256 on 132 multiprocessors, and room for four times what is expected.
    assert_eq!(cut.groups, 33);
    assert!(cut.groups * cut.capacity >= 4 * size.keep * cut.step);
    assert!(size.bytes() < 1_200_000_000);
}
