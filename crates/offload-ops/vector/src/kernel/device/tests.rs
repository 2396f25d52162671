//! What the bounds decide, and that they are bounds: over PoCL, or whatever OpenCL device there is.

use super::super::exact::Space as _;
use super::super::exact::Vectors as Space;
use super::super::metric::Metric;
use super::super::random::unit;
use super::super::top::Top;
use super::bounds::{self, Bounds, Precision};
use super::products::Products;
use super::{Size, exact};
use offload_api::{DType, Tensor};
use offload_core::device::{Descriptor, Gpu, LanePriority, Residents};
use offload_core::{Context, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;

/// Rows about `offset`, spread by `spread`, nearly normal.
pub(super) fn vectors(seed: u64, n: usize, d: usize, offset: f64, spread: f64) -> Vec<f32> {
    let about = |i: u64| (0..4).map(|j| unit(seed + 100 * j, i) - 0.5).sum::<f64>();
    (0..(n * d) as u64).map(|i| (offset + spread * about(i)) as f32).collect()
}

pub(super) fn on_opencl(test: impl Fn(&mut Gpu<'_>)) {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let devices: Vec<Descriptor> = match opencl::list(&options) {
        Ok(devices) => devices,
        Err(why) => return println!("skipped: {why}"),
    };
    for descriptor in devices {
        let device = opencl::open(descriptor.id, &options).unwrap();
        let mut lane = device.open_lane(LanePriority::Normal).unwrap();
        let residents = Residents::new(0);
        let mut gpu =
            Gpu::new(lane.as_mut(), &descriptor, &residents, TenantId::new("t"), Context::default(), 1 << 30);
        test(&mut gpu);
    }
}

#[test]
fn bounds_decide_alone_where_rows_can_be_told_apart() {
    let (q, n, d, k) = (24, 6000, 48, 10);
    let sets = [(0.0, 1.0), (1e4, 1.0), (1e30, 1e30), (1e-30, 1e-30), (0.5, 1.0), (-3.0, 100.0)];
    for (offset, spread) in sets {
        let (queries, corpus) = (vectors(1, q, d, offset, spread), vectors(2, n, d, offset, spread));
        for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
            // Far from the origin all directions are alike: the bounds need not decide.
            if metric != Metric::L2 && offset == 1e4 {
                continue;
            }
            on_opencl(|gpu| {
                let size = Size::of((q, n, d), k, DType::F32, false, true);
                assert!(size.bounded);
                let (wide, squares) = bounds::widened(&queries, d);
                let of = exact::Vectors {
                    metric,
                    corpus: gpu.upload(&corpus).unwrap(),
                    queries: gpu.upload(&wide).unwrap(),
                    squares: gpu.upload(&squares).unwrap(),
                    filter: gpu.zeros(1).unwrap(),
                };
                let scores = gpu.zeros(size.scores()).unwrap();
                let fitted = Bounds::fit(metric, d, &bounds::sample(&corpus, d, None));
                let mut products = Products::new(gpu, size, &of, &fitted, &scores).unwrap();
                let all: Vec<u32> = (0..q as u32).collect();
                for precision in [Precision::F32, Precision::Tf32] {
                    let mut best = vec![Vec::new(); q];
                    let left = products.search(gpu, &queries, &all, precision, &mut best).unwrap();
                    let about = format!("{metric:?} about {offset} by {spread} in {precision:?}");
                    // The rows are few, so nearly all of them can be told apart in TF32 too.
                    let most = if precision == Precision::F32 { 0 } else { q / 4 };
                    assert!(left.len() <= most, "{about}: {left:?} are left");
                    let space = Space { queries: &queries, corpus: &corpus, d, metric };
                    let rows: Vec<u32> = (0..n as u32).collect();
                    for (i, best) in best.iter().enumerate().filter(|(i, _)| !left.contains(&(*i as u32))) {
                        let mut top = Top::new(k);
                        space.offer(i, &rows, &mut top);
                        assert_eq!(best, &top.into_sorted(), "{about}: query {i}");
                    }
                }
            });
        }
    }
}

#[test]
fn tiles_groups_and_splits_change_nothing() {
    let (q, n, d) = (12, 4000, 8);
    for (about, offset, spread) in [("as it is", 0.0, 1.0), ("packed", 1e4, 1.0), ("ties", 0.0, 0.0)] {
        let of = |seed, rows| {
            let v = vectors(seed, rows, d, offset, if spread == 0.0 { 2.0 } else { spread });
            let v = v.iter().map(|x| if spread == 0.0 { x.round() } else { *x });
            Tensor::new(vec![rows, d], v.collect::<Vec<f32>>()).unwrap()
        };
        let (queries, corpus) = (of(5, q), of(6, n));
        let mask: Vec<u8> = (0..n).map(|r| u8::from(r % 5 != 1)).collect();
        let mask = Tensor::new(vec![n], mask).unwrap();
        for (metric, k) in [(Metric::L2, 10), (Metric::Cosine, 3), (Metric::Dot, 40), (Metric::Hamming, 5)] {
            let inputs = super::Inputs {
                queries: ("queries", &queries),
                corpus: &corpus,
                filter: Some(&mask),
                metric,
            };
            let by_product = metric != Metric::Hamming;
            let whole = Size::of((q, n, d), k, DType::F32, true, by_product);
            assert_eq!(whole.tile, n);
            let space = Space {
                queries: queries.as_slice::<f32>().unwrap(),
                corpus: corpus.as_slice::<f32>().unwrap(),
                d,
                metric,
            };
            let rows: Vec<u32> = (0..n as u32).filter(|r| r % 5 != 1).collect();
            let want: Vec<_> = (0..q)
                .map(|i| {
                    let mut top = Top::new(k);
                    space.offer(i, &rows, &mut top);
                    top.into_sorted()
                })
                .collect();
            let cut = Size {
                group: 5,
                tile: 900,
                splits: 3,
                exact_group: 5,
                exact_tile: 1500,
                exact_splits: 4,
                ..whole
            };
            let alone = Size { bounded: false, ..cut };
            for size in [whole, cut, alone] {
                on_opencl(|gpu| {
                    let got = super::search(&inputs, size, gpu).unwrap();
                    assert_eq!(got, want, "{about}, {metric:?}, {size:?}");
                });
            }
        }
    }
}

/// What tensor cores make of an operand at worst.
fn truncated(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & !0x1fff)
}

#[test]
fn no_row_costs_less_than_its_bound_says_even_if_operands_are_truncated() {
    let (q, n, d) = (4, 600, 40);
    for (offset, spread) in [(0.0, 1.0), (1e3, 1e-2), (0.3, 0.5), (0.0, 1e30), (0.0, 1e-38)] {
        let (queries, corpus) = (vectors(3, q, d, offset, spread), vectors(4, n, d, offset, spread));
        for metric in [Metric::L2, Metric::Cosine, Metric::Dot] {
            let fitted = Bounds::fit(metric, d, &bounds::sample(&corpus, d, None));
            for precision in [Precision::F32, Precision::Tf32] {
                for (i, query) in queries.chunks(d).enumerate() {
                    let mut to = vec![0.0; d];
                    let Some(framed) = fitted.query(query, precision, &mut to) else { continue };
                    for (r, row) in corpus.chunks(d).enumerate() {
                        let packed = pack(&fitted, metric, row);
                        let Some((x, weight)) = packed else { continue };
                        let keep = |v: f32| if precision == Precision::Tf32 { truncated(v) } else { v };
                        let product: f32 = to.iter().zip(&x).map(|(a, b)| keep(*a) * keep(*b)).sum();
                        let bound = match metric {
                            Metric::Cosine => product * weight,
                            _ => framed.own.mul_add(weight, product),
                        };
                        let mut top = Top::new(1);
                        let space = Space { queries: &queries, corpus: &corpus, d, metric };
                        space.offer(i, &[r as u32], &mut top);
                        let (cost, least) = (top.worst().unwrap().cost, fitted.least_cost(&framed, bound));
                        let about = format!("{metric:?} about {offset} by {spread} in {precision:?}");
                        assert!(least <= cost, "{about}: row {r} costs {cost:e}, bound {least:e}");
                    }
                }
            }
        }
    }
}

/// As the kernel packs a row: what the product takes, and its weight.
fn pack(fitted: &Bounds, metric: Metric, row: &[f32]) -> Option<(Vec<f32>, f32)> {
    let frame = &fitted.frame;
    let moved: Vec<f64> = row
        .iter()
        .enumerate()
        .map(|(i, &x)| match metric {
            _ if !fitted.packed => f64::from(x),
            Metric::L2 => (f64::from(x) - frame.centre[i]) * frame.scale,
            Metric::Dot => f64::from(x) * frame.scale,
            _ => f64::from(x),
        })
        .collect();
    let square: f64 = moved.iter().map(|v| v * v).sum();
    let n = square.sqrt();
    let longest = (1u64 << 40) as f64;
    match metric {
        Metric::Cosine if fitted.packed => Some((moved.iter().map(|v| (v / n) as f32).collect(), 1.0)),
        Metric::Cosine if n < 1.0 / longest || n > longest => None,
        Metric::Cosine => Some((row.to_vec(), (1.0 / n) as f32)),
        _ if n >= longest => None,
        Metric::L2 => Some((moved.iter().map(|v| *v as f32).collect(), square as f32)),
        _ => Some((moved.iter().map(|v| *v as f32).collect(), n as f32)),
    }
}
