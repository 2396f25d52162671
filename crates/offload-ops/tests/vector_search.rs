//! Searches on every OpenCL device of this machine beside the same on the CPU, over data that is hard on bounds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]

use offload_api::{Element, Matches, Record, Tensor, Value};
use offload_core::device::{DeviceHost, DeviceJob, InProcess, Isolation, JobLane, LanePriority};
use offload_core::{Context, DeviceNeed, Registered, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;

/// Numbers from a seed, in [0, 1).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About 0, nearly normal.
    fn normal(&mut self) -> f64 {
        (0..6).map(|_| self.next() - 0.5).sum::<f64>()
    }
}

/// One set of vectors: its name, and a component by row and column.
type Set = (&'static str, fn(&mut Numbers, usize, usize) -> f64);

const SETS: &[Set] = &[
    ("normal", |n, _, _| n.normal()),
    ("uniform", |n, _, _| n.next()),
    ("far out", |n, _, _| 1e4 + 1e-3 * n.normal()),
    ("large", |n, _, _| 1e30 * n.normal()),
    ("small", |n, _, _| 1e-30 * n.normal()),
    ("norms of any size", |n, row, _| 10f64.powi((row % 61) as i32 - 30) * n.normal()),
    ("duplicates", |n, row, column| {
        let x = n.next();
        if row % 3 == 0 { (column % 5) as f64 } else { x }
    }),
    ("all alike", |_, _, column| (column % 7) as f64 - 3.0),
    ("zeros among them", |n, row, _| {
        let x = n.normal();
        if row % 4 == 0 { 0.0 } else { x }
    }),
    ("nan among them", |n, row, column| {
        let x = n.normal();
        if row % 50 == 7 && column == 1 { f64::NAN } else { x }
    }),
    ("some infinite", |n, row, column| {
        let x = n.normal();
        if row % 97 == 7 && column == 1 { f64::INFINITY } else { x }
    }),
    ("many infinite", |n, row, column| {
        let x = n.normal();
        if row % 3 == 1 && column == 1 { f64::NEG_INFINITY } else { x }
    }),
    ("few values", |n, _, _| (n.next() * 3.0).floor()),
];

/// Sets that only f64 holds.
const WIDE_SETS: &[Set] = &[
    ("beyond squares", |n, _, _| 1e200 * n.normal()),
    ("below squares", |n, _, _| 1e-200 * n.normal()),
    ("near in f64 only", |n, _, _| 1.0 + 1e-12 * n.normal()),
    ("either end", |n, row, _| if row % 2 == 0 { 1e250 } else { 1e-250 } * n.normal()),
];

fn tensor<T: Element>(shape: &[usize], seed: u64, set: Set, narrow: fn(f64) -> T) -> Tensor {
    let mut numbers = Numbers(seed);
    let mut values = Vec::new();
    for row in 0..shape[0] {
        for column in 0..shape[1] {
            values.push(narrow(set.1(&mut numbers, row, column)));
        }
    }
    Tensor::new(shape.to_vec(), values).unwrap()
}

struct Device {
    name: String,
    lane: Box<dyn JobLane>,
}

fn devices() -> Vec<Device> {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    let found = match opencl::list(&options) {
        Ok(found) => found,
        Err(why) => {
            println!("skipped: {why}");
            return Vec::new();
        }
    };
    let open = |d: &offload_core::device::Descriptor| {
        let host = InProcess::new(opencl::open(d.id, &options).unwrap());
        Device { name: d.name.clone(), lane: host.open(LanePriority::Normal).unwrap() }
    };
    found.iter().map(open).collect()
}

fn similarity() -> &'static Registered {
    offload_ops::registry().iter().find(|r| r.full_name == "vector.similarity").unwrap()
}

fn matches(outputs: &Record<Tensor>) -> (Vec<i64>, Vec<f64>) {
    let Some(Value::Matches(m)) = outputs.get("results") else { panic!("no matches") };
    let m: &Matches = m;
    (m.indices().as_slice::<i64>().unwrap().to_vec(), m.scores().as_slice::<f64>().unwrap().to_vec())
}

/// Runs it on both and compares rows and scores, to the bit.
fn agree(device: &mut Device, inputs: &Record<Tensor>, about: &str) {
    let operation = similarity();
    let plan = operation.operation.plan(inputs.specs()).unwrap();
    let DeviceNeed::Bytes(reserved_bytes) = plan.device else { panic!("{about}: no device path") };
    let cpu = operation.operation.cpu(inputs.clone(), &Context::default()).unwrap();
    let report = device.lane.run(DeviceJob {
        operation,
        inputs: inputs.clone(),
        tenant: TenantId::new("t"),
        reserved_bytes,
        context: Context::default(),
        isolation: Isolation::Shared,
    });
    let got = report.result.unwrap_or_else(|e| panic!("{}: {about}: {e}", device.name));
    let ((rows, scores), (want_rows, want)) = (matches(&got), matches(&cpu));
    for i in 0..want.len() {
        assert!(
            rows[i] == want_rows[i] && scores[i].to_bits() == want[i].to_bits(),
            "{}: {about}: place {i}: row {} scores {:e}, on the cpu row {} scores {:e}",
            device.name,
            rows[i],
            scores[i],
            want_rows[i],
            want[i]
        );
    }
}

fn inputs(queries: &Tensor, corpus: &Tensor, metric: &str, k: i64) -> Record<Tensor> {
    Record::new()
        .with("queries", Value::Tensor(queries.clone()))
        .with("corpus", Value::Tensor(corpus.clone()))
        .with("metric", Value::Text(metric.into()))
        .with("top_k", Value::Int(k))
}

fn mask(rows: usize, keep: fn(usize) -> bool) -> Tensor {
    Tensor::new(vec![rows], (0..rows).map(|r| u8::from(keep(r)) * 3).collect::<Vec<u8>>()).unwrap()
}

/// Every set and metric at these extents.
fn over_sets<T: Element>(q: usize, n: usize, d: usize, k: i64, sets: &[Set], narrow: fn(f64) -> T) {
    for mut device in devices() {
        for &set in sets {
            let (queries, corpus) = (tensor(&[q, d], 1, set, narrow), tensor(&[n, d], 2, set, narrow));
            for metric in ["cosine", "l2", "dot", "hamming"] {
                let about = format!("{} by {metric}, {q} by {n} of {d}, best {k}", set.0);
                agree(&mut device, &inputs(&queries, &corpus, metric, k), &about);
            }
        }
    }
}

fn narrow(x: f64) -> f32 {
    x as f32
}

fn wide(x: f64) -> f64 {
    x
}

#[test]
fn a_few_queries_get_the_answers_of_the_cpu() {
    over_sets(1, 3000, 20, 10, SETS, narrow);
    over_sets(3, 501, 33, 7, SETS, narrow);
    over_sets(2, 700, 19, 5, SETS, wide);
    over_sets(2, 700, 19, 5, WIDE_SETS, wide);
}

#[test]
fn many_queries_get_the_answers_of_the_cpu() {
    over_sets(20, 5000, 32, 10, SETS, narrow);
    over_sets(11, 3000, 13, 3, SETS, narrow);
}

#[test]
fn many_queries_of_f64_get_the_answers_of_the_cpu() {
    over_sets(12, 2500, 24, 6, SETS, wide);
    over_sets(12, 2500, 24, 6, WIDE_SETS, wide);
}

#[test]
fn queries_of_other_places_and_sizes_than_the_rows_are_answered() {
    let scales = [1e-30, 1e-3, 1.0, 1e4, 1e12, 1e30];
    for mut device in devices() {
        let corpus = tensor(&[4000, 16], 2, SETS[0], narrow);
        let mut numbers = Numbers(9);
        let of = |i: usize| scales[i / 16 % scales.len()];
        let values: Vec<f32> = (0..18 * 16).map(|i| (numbers.normal() * of(i) + of(i)) as f32).collect();
        let queries = Tensor::new(vec![18, 16], values).unwrap();
        for metric in ["cosine", "l2", "dot"] {
            agree(
                &mut device,
                &inputs(&queries, &corpus, metric, 10),
                &format!("queries of any size by {metric}"),
            );
        }
    }
}

#[test]
fn filters_and_odd_extents_are_kept_to() {
    for mut device in devices() {
        for (q, n, d, k) in [
            (9, 1, 3, 2),
            (1, 1, 1, 1),
            (1, 40, 5, 64),
            (10, 900, 17, 200),
            (9, 6000, 8, 1024),
            (1, 9000, 6, 1024),
            (70, 5000, 4, 2),
        ] {
            let (queries, corpus) =
                (tensor(&[q, d], 3, SETS[0], narrow), tensor(&[n, d], 4, SETS[0], narrow));
            // Long lists are slow where a group's items are one thread.
            let metrics = if k > 256 { &["l2"][..] } else { &["cosine", "l2", "dot", "hamming"] };
            for metric in metrics {
                let about = format!("{metric}, {q} by {n} of {d}, best {k}");
                let plain = inputs(&queries, &corpus, metric, k);
                agree(&mut device, &plain, &about);
                for (kept, keep) in [
                    ("half", (|r| r % 2 == 0) as fn(usize) -> bool),
                    ("few", |r| r % 100 == 3),
                    ("none", |_| false),
                ] {
                    let filtered = plain.clone().with("filter", Value::Tensor(mask(n, keep)));
                    agree(&mut device, &filtered, &format!("{about}, {kept} left in"));
                }
            }
        }
    }
}

#[test]
fn codes_are_compared_by_their_bits() {
    for mut device in devices() {
        for (q, n, d, k) in [(1, 3000, 16, 10), (9, 2000, 13, 4), (70, 999, 8, 30)] {
            let of =
                |seed, rows| tensor(&[rows, d], seed, ("bytes", |n, _, _| n.next() * 256.0), |x| x as u8);
            let plain = inputs(&of(5, q), &of(6, n), "hamming", k);
            agree(&mut device, &plain, &format!("codes, {q} by {n} of {d}"));
            let filtered = plain.with("filter", Value::Tensor(mask(n, |r| r % 3 == 0)));
            agree(&mut device, &filtered, &format!("codes, {q} by {n} of {d}, some left in"));
        }
    }
}
