//! Prints ratio and speed of every method in each direction, in millions of raw bytes a second, whole operations from tensors
//! to tensors: the median of the runs, and the best. One thread unless told otherwise.
//!
//! `cargo run --profile dist -p offload-ops-timeseries --example time [values [level [threads]]]`

#[path = "../tests/series/mod.rs"]
mod series;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::{Compress, Decompress};
use series::*;
use std::time::Instant;

const RUNS: usize = 21;

/// Median and least seconds, and the last answer.
fn time(op: &dyn AnyOperation, inputs: &Record) -> ([f64; 2], Record) {
    let mut seconds = Vec::new();
    let mut last = Record::new();
    for _ in 0..RUNS {
        let inputs = inputs.clone();
        let start = Instant::now();
        last = op.cpu(inputs, &Context::default()).expect("the operation has an answer");
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    ([seconds[RUNS / 2], seconds[0]], last)
}

fn row(name: &str, data: &Tensor, timestamps: Option<&Vec<i64>>, method: &str, level: i64) {
    let bytes = (data.bytes() + timestamps.map_or(0, |t| 8 * t.len() as u64)) as f64;
    let (write, mut out) = time(&Compress, &inputs(data.clone(), timestamps.cloned(), method, level));
    let (Some(Value::Bytes(file)), Some(Value::Float(ratio)), Some(blocks), Some(values)) =
        (out.take("compressed"), out.take("compression_ratio"), out.take("blocks"), out.take("values"))
    else {
        panic!("an output is missing")
    };
    let packed =
        Record::new().with("compressed", Value::Tensor(Tensor::from_bytes(file))).with("max_values", values);
    let (read, out) = time(&Decompress, &packed);
    assert_eq!(out.get("data"), Some(&Value::Tensor(data.clone())), "{name} by {method}");
    let Value::Json(blocks) = blocks else { panic!("no tally") };
    let speed = |seconds: f64| bytes / seconds / 1e6;
    let [write, read] = [write, read].map(|s| format!("{:6.0} best {:6.0}", speed(s[0]), speed(s[1])));
    println!("{name:24} {method:8} ratio {ratio:7.2}  write {write}  read {read} MB/s  {blocks}");
}

fn main() {
    let mut told = std::env::args().skip(1).filter_map(|n| n.parse::<usize>().ok());
    let (n, level, threads) =
        (told.next().unwrap_or(1_000_000), told.next().unwrap_or(5), told.next().unwrap_or(1));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
    pool.install(|| {
        println!("{n} values, level {level}, {threads} threads");
        let reals: Vec<(&str, Vec<f64>)> = vec![
            ("sunspots", sunspots()),
            ("co2", co2().into_iter().filter(|v| !v.is_nan()).collect()),
            ("co2 again and again", co2_long(n)),
            ("prices of two decimals", prices(n)),
            ("whole gauge", gauge(n)),
            ("random walk", walk(n)),
            ("random bits", random_bits(n)),
            ("constant", vec![0.1; n]),
        ];
        for (name, values) in reals {
            for method in ["gorilla", "delta", "alp", "auto"] {
                row(name, &Tensor::vector(values.clone()), None, method, level as i64);
            }
        }
        let late = |i: i64| 60_000 * i + (mixed(i as u64) % 40) as i64;
        let minutes: Vec<i64> = (0..n as i64).map(late).collect();
        for method in ["gorilla", "delta", "auto"] {
            row("about every minute, i64", &Tensor::vector(minutes.clone()), None, method, level as i64);
        }
        row("gauge with timestamps", &Tensor::vector(gauge(n)), Some(&minutes), "gorilla", level as i64);
    });
}
