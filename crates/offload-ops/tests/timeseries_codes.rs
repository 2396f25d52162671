//! Codes of time series on every OpenCL device of this machine: the bytes and the values of the CPU, and its refusals.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod lanes;
#[path = "../timeseries/tests/series/mod.rs"]
mod series;

use lanes::{cpu, devices};
use offload_api::{Buf, Record, Tensor, Value};
use series::*;

const HEADER: usize = 32;

fn packed(file: Vec<u8>) -> Record {
    Record::new().with("compressed", Value::Tensor(Tensor::from_bytes(Buf::from(file))))
}

/// The same answer or the same refusal, whatever the bytes are.
fn read_alike(device: &mut lanes::Device, name: &str, file: Vec<u8>) -> bool {
    let inputs = packed(file).with("max_values", Value::Int(1 << 20));
    let (got, want) = (device.run("decompress", &inputs), cpu("decompress", &inputs));
    assert!(got == want, "{}: {name}: {got:?}, on the cpu {want:?}", device.name);
    want.is_ok()
}

#[test]
fn every_series_comes_back_as_on_the_cpu() {
    for mut device in devices() {
        for (name, values) in reals() {
            for (method, level) in
                [("gorilla", 1), ("gorilla", 9), ("delta", 5), ("alp", 1), ("alp", 9), ("auto", 5)]
            {
                let file = compressed(inputs(Tensor::vector(values.clone()), None, method, level));
                assert!(file.is_empty() || read_alike(&mut device, &name, file));
            }
        }
        for (name, values) in integers() {
            for (method, level) in [("gorilla", 5), ("delta", 1), ("delta", 9)] {
                let file =
                    compressed(inputs(Tensor::vector(values.clone()), Some(values.clone()), method, level));
                assert!(read_alike(&mut device, &name, file));
            }
        }
        let rows = Tensor::new([7, 2049], prices(7 * 2049)).unwrap();
        let stamps = (0..2049).map(|i| i * i).collect();
        assert!(read_alike(&mut device, "seven rows", compressed(inputs(rows, Some(stamps), "auto", 5))));
    }
}

/// The same bytes, and the same said of them.
fn written_alike(device: &mut lanes::Device, about: &str, inputs: &Record) {
    let (got, want) = (device.run("compress", inputs).unwrap(), cpu("compress", inputs).unwrap());
    let bytes = |r: &Record| match r.get("compressed") {
        Some(Value::Bytes(b)) => b.to_vec(),
        other => panic!("{other:?}"),
    };
    let (g, w) = (bytes(&got), bytes(&want));
    let at = g.iter().zip(&w).position(|(g, w)| g != w);
    assert!(g == w, "{}: {about}: {} bytes, on the cpu {}, other at {at:?}", device.name, g.len(), w.len());
    assert!(got == want, "{}: {about}: {got:?}, on the cpu {want:?}", device.name);
}

#[test]
fn every_series_becomes_the_bytes_of_the_cpu() {
    for mut device in devices() {
        for (name, values) in reals().into_iter().filter(|(_, v)| !v.is_empty()) {
            for method in ["gorilla", "delta", "alp", "auto"] {
                for level in 1..=6 {
                    let of = inputs(Tensor::vector(values.clone()), None, method, level);
                    written_alike(&mut device, &format!("{name} by {method} at {level}"), &of);
                }
            }
        }
        for (name, values) in integers().into_iter().filter(|(_, v)| !v.is_empty()) {
            for method in ["gorilla", "delta", "auto"] {
                for level in [1, 3, 5] {
                    let of = inputs(Tensor::vector(values.clone()), Some(values.clone()), method, level);
                    written_alike(&mut device, &format!("integers, {name} by {method} at {level}"), &of);
                }
            }
        }
        for (series, n) in [(1, 1), (5, 3), (3, 2048), (2, 2049), (60, 70)] {
            let rows = Tensor::new([series, n], prices(series * n)).unwrap();
            let stamps: Vec<i64> = (0..n as i64).map(|i| 1000 * i + i % 3).collect();
            written_alike(
                &mut device,
                &format!("{series} rows of {n}"),
                &inputs(rows, Some(stamps), "auto", 5),
            );
        }
    }
}

#[test]
fn mixtures_become_the_bytes_of_the_cpu() {
    for mut device in devices() {
        for seed in 0..150u64 {
            let n = (mixed(seed) % 5000) as usize + 1;
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
            let (method, level) =
                (["gorilla", "delta", "alp", "auto"][(seed % 4) as usize], (seed % 6) as i64 + 1);
            let of = inputs(Tensor::vector(values), None, method, level);
            written_alike(&mut device, &format!("mixture {seed} by {method} at {level}"), &of);
        }
    }
}

/// The file with checksums that hold, so that what is wrong with it gets to the decoders.
fn resealed(mut file: Vec<u8>) -> Vec<u8> {
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

#[test]
fn truncated_and_flipped_files_are_refused_as_on_the_cpu() {
    for mut device in devices() {
        for (name, file) in files() {
            for cut in (0..file.len()).filter(|c| *c < 60 || c % 17 == 0) {
                // No bytes at all have no device path.
                assert!(cut == 0 || !read_alike(&mut device, name, file[..cut].to_vec()));
            }
            for more in [1, 7, 100] {
                assert!(!read_alike(&mut device, name, [&file[..], &vec![0; more]].concat()));
            }
            for i in 0..200 {
                let bit = (mixed(i) % (8 * file.len() as u64)) as usize;
                let mut wrong = file.clone();
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert!(!read_alike(&mut device, name, wrong));
            }
        }
    }
}

#[test]
fn damaged_files_with_checksums_that_hold_are_read_or_refused_as_on_the_cpu() {
    for mut device in devices() {
        let files = files();
        let (mut read, mut not) = (0, 0);
        for i in 0..2400u64 {
            let (name, file) = &files[(i % files.len() as u64) as usize];
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
            // Damage of blocks, so that it is not the header that refuses.
            if wrong.len() > HEADER && i % 3 > 0 {
                wrong[..HEADER].copy_from_slice(&file[..HEADER]);
            }
            if read_alike(&mut device, &format!("{name}, file {i}"), resealed(wrong)) {
                read += 1
            } else {
                not += 1
            }
        }
        println!("{}: {read} are other series, {not} refused", device.name);
        assert!(read > 100 && not > 100, "{read} {not}");
    }
}
