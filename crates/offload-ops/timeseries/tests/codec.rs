//! What goes in comes out, to the bit; and what is no compressed series is refused, whatever it is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod series;

use offload_api::{Buf, Record, Tensor, Value};
use offload_core::Failure;
use offload_ops_timeseries::{Compress, Decompress};
use series::*;

const HEADER: usize = 32;

fn check(name: &str, data: &Tensor, timestamps: Option<Vec<i64>>, method: &str, level: i64) {
    let mut told = answer(&Compress, inputs(data.clone(), timestamps.clone(), method, level)).unwrap();
    let Some(Value::Bytes(bytes)) = told.take("compressed") else { panic!("no bytes") };
    let packed = Record::new().with("compressed", Value::Tensor(Tensor::from_bytes(bytes.clone()))).with(
        "max_values",
        Value::Int(told.take("values").map_or(1, |v| if let Value::Int(n) = v { n.max(1) } else { 1 })),
    );
    let back = answer(&Decompress, packed).unwrap_or_else(|e| panic!("{name} by {method} at {level}: {e:?}"));
    // Tensors are equal when type, shape and bytes are.
    assert_eq!(back.get("data"), Some(&Value::Tensor(data.clone())), "{name} by {method} at {level}");
    let stamps = timestamps.map_or_else(Value::nothing, |t| Value::Tensor(Tensor::vector(t)));
    assert_eq!(back.get("timestamps"), Some(&stamps), "{name} by {method} at {level}");
    let raw = 8 * back.get("data").map_or(0, |_| data.data().len());
    assert!(bytes.len() <= HEADER + raw + raw.div_ceil(16_384) * 9 + 200_000, "{name}: {}", bytes.len());
}

#[test]
fn every_real_series_comes_back_to_the_bit() {
    for (name, values) in reals() {
        for method in ["gorilla", "delta", "alp", "auto"] {
            for level in [1, 3, 5, 7, 9] {
                check(&name, &Tensor::vector(values.clone()), None, method, level);
            }
        }
    }
}

#[test]
fn every_series_of_integers_comes_back_as_values_and_as_timestamps() {
    for (name, values) in integers() {
        for method in ["gorilla", "delta", "auto"] {
            for level in [1, 5, 9] {
                check(&name, &Tensor::vector(values.clone()), Some(values.clone()), method, level);
            }
        }
    }
}

#[test]
fn several_series_keep_their_shape_and_share_their_timestamps() {
    for (series, n) in [(0, 0), (0, 5), (5, 0), (1, 1), (1, 3000), (3, 2048), (7, 2049), (200, 3)] {
        let values: Vec<f64> = (0..(series * n) as u64).map(|i| (unit(i) * 1e4).round() / 100.0).collect();
        let data = Tensor::new([series, n], values).unwrap();
        for stamps in [None, Some((0..n as i64).map(|i| i * 1000).collect())] {
            for method in ["gorilla", "delta", "alp", "auto"] {
                check(&format!("{series} of {n}"), &data, stamps.clone(), method, 5);
            }
        }
    }
}

#[test]
fn ten_million_values_come_back() {
    let data = Tensor::vector(prices(10_000_000));
    check("ten million", &data, None, "gorilla", 1);
    check("ten million", &data, None, "auto", 1);
}

#[test]
fn random_lengths_and_mixtures_come_back() {
    // Pieces of different kinds behind each other: each seed another mixture.
    for seed in 0..400u64 {
        let n = (mixed(seed) % 5000) as usize;
        let mut values = Vec::with_capacity(n);
        while values.len() < n {
            let at = values.len() as u64 + seed * 7919;
            let run = (mixed(at) % 300) as usize + 1;
            let piece = |i: u64| match mixed(at ^ 77) % 7 {
                0 => f64::from_bits(mixed(at + i)),
                1 => (mixed(at + i) % 100) as f64,
                2 => (mixed(at + i) % 10_000) as f64 / 100.0,
                3 => unit(at + i),
                4 => -0.0,
                5 => f64::from_bits(0x7FF8_0000_0000_0000 | (mixed(at + i) & 0xFF)),
                _ => i as f64 * 0.1,
            };
            values.extend((0..run as u64).map(piece).take(n - values.len()));
        }
        let method = ["gorilla", "delta", "alp", "auto"][(seed % 4) as usize];
        check(&format!("mixture {seed}"), &Tensor::vector(values), None, method, (seed % 9) as i64 + 1);
    }
}

/// A file of each coding, small enough to try much.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let of = |values: Vec<f64>, stamps: Option<Vec<i64>>, method| {
        compressed(inputs(Tensor::vector(values), stamps, method, 5))
    };
    let stamps = |n: i64| Some((0..n).map(|i| 60_000 * i + i % 7).collect());
    let mut odd = prices(300);
    odd[17] = f64::NAN;
    odd[200] = 1e300;
    vec![
        ("raw", of(random_bits(40), None, "gorilla")),
        ("constant", of(vec![0.5; 300], None, "gorilla")),
        ("gorilla", of(gauge(300), stamps(300), "gorilla")),
        ("gorilla, all change", of(prices(130), None, "gorilla")),
        ("delta", of(walk(300), stamps(300), "delta")),
        ("alp", of(odd, None, "alp")),
        ("split", of((0..300).map(|i| unit(i) + 1e-3 * (i % 7) as f64).collect(), None, "alp")),
        ("two blocks", of(gauge(2100), stamps(2100), "auto")),
    ]
}

fn refused(name: &str, got: &Result<Record, Failure>) {
    match got {
        Err(Failure::Unprocessable { .. } | Failure::Rejected(_)) => {}
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_truncation_and_every_longer_file_is_refused() {
    for (name, file) in files() {
        for cut in 0..file.len() {
            refused(name, &decompressed(file[..cut].to_vec()));
        }
        for more in [1, 7, 100] {
            refused(name, &decompressed([&file[..], &vec![0; more]].concat()));
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let mut flips = 0;
    for (name, file) in files() {
        for bit in 0..8 * file.len() {
            let mut wrong = file.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            refused(name, &decompressed(wrong));
            flips += 1;
        }
    }
    // And bits of a longer file, sampled.
    let long = compressed(inputs(Tensor::vector(prices(10_000)), None, "auto", 1));
    for i in 0..45_000 {
        let bit = (mixed(i) % (8 * long.len() as u64)) as usize;
        let mut wrong = long.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        refused("long", &decompressed(wrong));
        flips += 1;
    }
    println!("{flips} flips");
    assert!(flips >= 100_000, "{flips}");
}

/// The file with checksums that hold, so that what is wrong with it gets to the decoders.
fn resealed(mut file: Vec<u8>) -> Vec<u8> {
    if file.len() < HEADER {
        return file;
    }
    let number = |file: &[u8], at: usize| u64::from_le_bytes(*file[at..].first_chunk().unwrap());
    let block = u64::from(u32::from_le_bytes(*file[24..].first_chunk().unwrap()).max(1));
    let columns = number(&file, 8).saturating_add(u64::from(file[7] & 1));
    let blocks = columns.saturating_mul(number(&file, 16).div_ceil(block));
    let blocks = blocks.min((file.len() - HEADER) as u64 / 8) as usize;
    let mut at = HEADER + 8 * blocks;
    for entry in (HEADER..HEADER + 8 * blocks).step_by(8) {
        let bytes = u32::from_le_bytes(*file[entry..].first_chunk().unwrap()) as usize;
        let end = at.saturating_add(bytes).min(file.len());
        let sum = crc32c::crc32c(&file[at..end]);
        file[entry + 4..entry + 8].copy_from_slice(&sum.to_le_bytes());
        at = end;
    }
    file[28..32].fill(0);
    let sum = crc32c::crc32c(&file[..HEADER + 8 * blocks]);
    file[28..32].copy_from_slice(&sum.to_le_bytes());
    file
}

#[test]
fn resealing_leaves_a_whole_file_as_it_is() {
    for (name, file) in files() {
        assert_eq!(resealed(file.clone()), file, "{name}");
    }
}

#[test]
fn damaged_files_with_checksums_that_hold_never_panic() {
    let files = files();
    let (mut read, mut not) = (0, 0);
    for i in 0..120_000u64 {
        let (_, file) = &files[(i % files.len() as u64) as usize];
        let mut wrong = file.clone();
        for change in 0..1 + mixed(i) % 4 {
            let r = mixed(i * 11 + change);
            // Half of the damage is where counts, widths and places stand.
            let span = if r & 1 == 0 { wrong.len() } else { wrong.len().min(96) };
            let at = (r >> 8) as usize % span;
            match (r >> 1) % 4 {
                0 => wrong[at] ^= 1 << ((r >> 4) % 8),
                1 => wrong[at] = (r >> 40) as u8,
                2 => wrong[at] = [0, 1, 0x7F, 0x80, 0xFF, 64, 65][(r >> 40) as usize % 7],
                _ => wrong.truncate(at.max(HEADER)),
            }
        }
        match decompressed(resealed(wrong)) {
            Ok(_) => read += 1,
            Err(Failure::Unprocessable { .. } | Failure::Rejected(_)) => not += 1,
            Err(other) => panic!("file {i}: {other:?}"),
        }
    }
    println!("{read} are other series, {not} refused");
    assert!(read > 1000 && not > 1000, "{read} {not}");
}

#[test]
fn random_bytes_are_refused() {
    for i in 0..120_000u64 {
        let n = (mixed(i) % 200) as usize;
        let mut bytes: Vec<u8> = (0..n as u64).map(|j| (mixed(i * 997 + j) >> 32) as u8).collect();
        // A third looks like a file at first, a third has checksums that hold as well.
        if i % 3 > 0 && n >= HEADER {
            bytes[..8].copy_from_slice(&[b'H', b'T', b'S', b'C', 1, 1 + (i % 2) as u8, 1, (i / 2 % 2) as u8]);
            bytes[8..16].copy_from_slice(&1u64.to_le_bytes());
            bytes[16..24].copy_from_slice(&(1 + i % 100).to_le_bytes());
            bytes[24..28].copy_from_slice(&2048u32.to_le_bytes());
        }
        if i % 3 > 1 && n >= HEADER + 16 {
            let blocks = 1 + usize::from(bytes[7]);
            let body = (n - HEADER - 8 * blocks) as u32;
            let first = if blocks == 1 { body } else { body / 2 };
            bytes[32..36].copy_from_slice(&first.to_le_bytes());
            if blocks == 2 {
                bytes[40..44].copy_from_slice(&(body - first).to_le_bytes());
            }
            let at = HEADER + 8 * blocks;
            if let Some(coding) = bytes.get_mut(at) {
                *coding %= 6;
            }
            bytes = resealed(bytes);
        }
        match decompressed(bytes) {
            Ok(_) => assert_eq!(i % 3, 2, "bytes {i} are a series"),
            Err(Failure::Unprocessable { .. } | Failure::Rejected(_)) => {}
            Err(other) => panic!("bytes {i}: {other:?}"),
        }
    }
}

#[test]
fn a_file_of_more_values_than_the_limit_is_refused_by_name() {
    let file = compressed(inputs(Tensor::vector(vec![1.0; 1_000_000]), None, "gorilla", 1));
    assert!(file.len() < 10_000, "{}", file.len());
    let with = |max: Option<i64>| {
        let mut record =
            Record::new().with("compressed", Value::Tensor(Tensor::from_bytes(Buf::from(file.clone()))));
        if let Some(max) = max {
            record.set("max_values", Value::Int(max));
        }
        answer(&Decompress, record)
    };
    for max in [None, Some(1), Some(999_999)] {
        let Err(Failure::Rejected(r)) = with(max) else { panic!("{max:?} is not refused") };
        assert!(r.field == "max_values" && r.message.contains("1000000"), "{r:?}");
    }
    assert!(with(Some(1_000_000)).is_ok());
}

#[test]
fn real_tables_shrink_as_they_did_when_this_was_written() {
    let ratio = |values: Vec<f64>, method: &str| {
        let raw = 8.0 * values.len() as f64;
        raw / compressed(inputs(Tensor::vector(values), None, method, 5)).len() as f64
    };
    let co2: Vec<f64> = co2().into_iter().filter(|v| !v.is_nan()).collect();
    // Floors a little below what was measured: a change that makes files larger shows here.
    assert!(ratio(co2.clone(), "alp") > 11.0);
    assert!(ratio(co2.clone(), "auto") > 11.0);
    assert!(ratio(co2, "gorilla") > 1.35);
    assert!(ratio(sunspots(), "alp") > 5.0);
    assert!(ratio(gauge(100_000), "gorilla") > 25.0);
}

#[test]
fn more_effort_does_not_make_a_series_larger() {
    let ordinary = [
        ("co2", co2_long(20_000)),
        ("prices", prices(20_000)),
        ("gauge", gauge(20_000)),
        ("walk", walk(20_000)),
        ("sunspots", sunspots()),
    ];
    for (name, values) in ordinary {
        for method in ["gorilla", "delta", "alp", "auto"] {
            let size = |level| compressed(inputs(Tensor::vector(values.clone()), None, method, level)).len();
            let sizes = [1, 3, 5, 7, 9].map(size);
            println!("{name} by {method}: {sizes:?}");
            // A sample can mislead a little.
            assert!(
                sizes.windows(2).all(|s| s[1] as f64 <= 1.005 * s[0] as f64),
                "{name} by {method}: {sizes:?}"
            );
        }
    }
}
