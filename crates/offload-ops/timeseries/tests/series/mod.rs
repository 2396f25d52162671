//! Series for tests, timings and the check of the format: real tables, and made ones that repeat to the bit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each user takes what it needs")]

use offload_api::{Buf, Record, Tensor, Value};
use offload_core::{AnyOperation, Context, Failure};
use offload_ops_timeseries::{Compress, Decompress};

/// SplitMix64 by index.
pub fn mixed(i: u64) -> u64 {
    let z = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// In [0, 1).
pub fn unit(i: u64) -> f64 {
    (mixed(i) >> 11) as f64 / (1u64 << 53) as f64
}

fn table(text: &str) -> Vec<f64> {
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    json["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

/// Yearly sunspots.
pub fn sunspots() -> Vec<f64> {
    table(include_str!("../../data/sunspots.json"))
}

/// Weekly CO2; what is missing is NaN.
pub fn co2() -> Vec<f64> {
    table(include_str!("../../data/co2.json"))
}

/// Weekly CO2 again and again, a tenth more each time: `n` values of one decimal.
pub fn co2_long(n: usize) -> Vec<f64> {
    let once = co2();
    let once: Vec<f64> = once.into_iter().filter(|v| !v.is_nan()).collect();
    (0..n).map(|i| ((once[i % once.len()] * 10.0).round() + (i / once.len()) as f64) / 10.0).collect()
}

/// Sums of uniform steps.
pub fn walk(n: usize) -> Vec<f64> {
    let mut x = 100.0;
    (0..n as u64)
        .map(|i| {
            x += unit(i) - 0.5;
            x
        })
        .collect()
}

/// The same, to two decimals.
pub fn prices(n: usize) -> Vec<f64> {
    walk(n).into_iter().map(|x| (x * 100.0).round() / 100.0).collect()
}

/// Numbers of any bits.
pub fn random_bits(n: usize) -> Vec<f64> {
    (0..n as u64).map(|i| f64::from_bits(mixed(i))).collect()
}

/// Whole numbers that change now and then, as of a gauge.
pub fn gauge(n: usize) -> Vec<f64> {
    let mut x = 20.0;
    (0..n as u64)
        .map(|i| {
            if unit(2 * i) < 0.2 {
                x += (unit(2 * i + 1) * 7.0).floor() - 3.0;
            }
            x
        })
        .collect()
}

/// Numbers at every edge there is.
pub fn edges() -> Vec<f64> {
    let tiny = f64::from_bits(1);
    let payload = |p: u64| f64::from_bits(0x7FF0_0000_0000_0000 | p);
    let mut all = vec![
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        tiny,
        -tiny,
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        f64::EPSILON,
        1.0,
        -1.0,
        0.1,
        -0.1,
        1e18,
        1e19,
        9007199254740993.0,
        2.5e15,
        1e-300,
        1e300,
        f64::NAN,
        -f64::NAN,
        payload(1),
        payload(0x000F_FFFF_FFFF_FFFF),
        payload(0x8000_0000_0000 | 42),
    ];
    all.extend((0..64).map(|b| f64::from_bits(1 << b)));
    all.extend((0..64).map(|b| f64::from_bits(u64::MAX << b)));
    all
}

/// Series by name, short and long, ordinary and not.
pub fn reals() -> Vec<(String, Vec<f64>)> {
    let mut all: Vec<(String, Vec<f64>)> = vec![
        ("nothing".into(), vec![]),
        ("one".into(), vec![-0.0]),
        ("two".into(), vec![1.5, f64::NAN]),
        ("sunspots".into(), sunspots()),
        ("co2".into(), co2()),
        ("edges".into(), edges()),
        ("constant".into(), vec![0.1; 10_000]),
        ("gauge".into(), gauge(10_000)),
        ("whole".into(), (0..5000u64).map(|i| (mixed(i) % 1000) as f64).collect()),
    ];
    for n in [63, 64, 65, 66, 2047, 2048, 2049, 9000] {
        all.push((format!("walk of {n}"), walk(n)));
        all.push((format!("prices of {n}"), prices(n)));
        all.push((format!("random bits of {n}"), random_bits(n)));
    }
    // Decimals with a number now and then that is none.
    let odd = |i: usize| {
        if mixed(i as u64).is_multiple_of(50) { edges()[i % edges().len()] } else { i as f64 / 8.0 }
    };
    all.push(("decimals with others".into(), (0..7000).map(odd).collect()));
    let scales = |i: u64| (mixed(i) % 10_000) as f64 / 10f64.powi((i / 600 % 12) as i32);
    all.push(("decimals of many scales".into(), (0..8000).map(scales).collect()));
    all
}

/// Integers by name, timestamps among them.
pub fn integers() -> Vec<(String, Vec<i64>)> {
    let n = 6000;
    let mut all: Vec<(String, Vec<i64>)> = vec![
        ("nothing".into(), vec![]),
        ("one".into(), vec![i64::MIN]),
        ("two".into(), vec![i64::MAX, i64::MIN]),
        ("every minute".into(), (0..n).map(|i| 1_700_000_000_000 + 60_000 * i).collect()),
        ("backwards".into(), (0..n).map(|i| -i * i * i).collect()),
        ("extremes in turns".into(), (0..n).map(|i| if i % 2 == 0 { i64::MIN } else { i64::MAX }).collect()),
        ("any bits".into(), (0..n as u64).map(|i| mixed(i) as i64).collect()),
        ("small".into(), (0..n as u64).map(|i| (mixed(i) % 11) as i64 - 5).collect()),
    ];
    let late =
        |i: i64| 60_000 * i + (mixed(i as u64) % 40) as i64 + if i % 997 == 0 { 86_400_000 } else { 0 };
    all.push(("about every minute, with gaps".into(), (0..n).map(late).collect()));
    for n in [2, 3, 64, 65, 66, 67, 2048, 2049, 2050] {
        all.push((format!("squares of {n}"), (0..n).map(|i| i * i).collect()));
    }
    all
}

/// The inputs of `compress`.
pub fn inputs(data: Tensor, timestamps: Option<Vec<i64>>, method: &str, level: i64) -> Record {
    let mut record = Record::new().with("data", Value::Tensor(data));
    if let Some(t) = timestamps {
        record.set("timestamps", Value::Tensor(Tensor::vector(t)));
    }
    record.with("method", Value::Text(method.into())).with("compression_level", Value::Int(level))
}

/// Compresses.
pub fn compressed(inputs: Record) -> Vec<u8> {
    let Some(Value::Bytes(b)) = answer(&Compress, inputs).unwrap().take("compressed") else {
        panic!("no bytes")
    };
    b.into_vec()
}

/// Decompresses.
pub fn decompressed(bytes: Vec<u8>) -> Result<Record, Failure> {
    answer(&Decompress, Record::new().with("compressed", Value::Tensor(Tensor::from_bytes(Buf::from(bytes)))))
}

pub fn answer(op: &dyn AnyOperation, inputs: Record) -> Result<Record, Failure> {
    op.plan(inputs.specs())?;
    op.cpu(inputs, &Context::default())
}
