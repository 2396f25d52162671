//! Compressed series: sealed, read, compressed anew, and read once more.

use super::operations::find;
use offload_api::{Buf, Record, Tensor, Value};
use offload_core::{Context, Failure};

const HEADER: usize = 32;
/// Values that a file may hold.
const LIMIT: u64 = 1 << 16;

fn number<const N: usize>(file: &[u8], at: usize) -> u64 {
    let bytes = file.get(at..at + N).unwrap_or_default();
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// The file with checksums that hold.
fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    if file.len() < HEADER {
        return file;
    }
    let columns = number::<8>(&file, 8).saturating_add(u64::from(file[7] & 1));
    let blocks = columns.saturating_mul(number::<8>(&file, 16).div_ceil(number::<4>(&file, 24).max(1)));
    let index = HEADER..HEADER + 8 * blocks.min((file.len() - HEADER) as u64 / 8) as usize;
    let mut at = index.end;
    for entry in index.clone().step_by(8) {
        let end = at.saturating_add(number::<4>(&file, entry) as usize).min(file.len());
        let sum = crc32c::crc32c(&file[at..end]);
        file[entry + 4..entry + 8].copy_from_slice(&sum.to_le_bytes());
        at = end;
    }
    file[HEADER - 4..HEADER].fill(0);
    let sum = crc32c::crc32c(&file[..index.end]);
    file[HEADER - 4..HEADER].copy_from_slice(&sum.to_le_bytes());
    file
}

fn read(file: Vec<u8>) -> Option<Record> {
    let inputs = Record::new()
        .with("compressed", Value::Tensor(Tensor::from_bytes(Buf::from(file))))
        .with("max_values", Value::Int(LIMIT as i64));
    match find("timeseries.decompress").operation.cpu(inputs, &Context::default()) {
        Ok(outputs) => Some(outputs),
        Err(Failure::Unprocessable { .. } | Failure::Rejected(_)) => None,
        Err(other) => panic!("reading fails with {other:?}"),
    }
}

fn compressed(data: Tensor, timestamps: Option<Tensor>, method: &str) -> Vec<u8> {
    let inputs = Record::new().with("data", Value::Tensor(data)).with("method", Value::Text(method.into()));
    let inputs = match timestamps {
        Some(stamps) => inputs.with("timestamps", Value::Tensor(stamps)),
        None => inputs,
    };
    let mut outputs =
        find("timeseries.compress").operation.cpu(inputs, &Context::default()).expect("it is compressed");
    match outputs.take("compressed") {
        Some(Value::Bytes(bytes)) => bytes.to_vec(),
        other => panic!("no bytes come out: {other:?}"),
    }
}

pub(crate) fn file(bytes: &[u8]) -> bool {
    let Some(outputs) = read(sealed(bytes.to_vec())) else { return false };
    let tensor = |name: &str| match outputs.get(name) {
        Some(Value::Tensor(t)) => Some(t.clone()),
        _ => None,
    };
    let (data, stamps) = (tensor("data").expect("a file has data"), tensor("timestamps"));
    let values = data.data().len() + stamps.as_ref().map_or(0, |t| t.data().len());
    assert!(values as u64 <= LIMIT, "{values} values, the limit is {LIMIT}");
    let again = read(compressed(data, stamps, "auto")).expect("what is written can be read");
    assert!(again == outputs, "read again, it is another");
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let number = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let of = |n: u64, f: &dyn Fn(u64) -> f64| Tensor::vector((0..n).map(f).collect::<Vec<f64>>());
    let stamps = |n: i64| Some(Tensor::vector((0..n).map(|i| 60_000 * i + i % 7).collect::<Vec<i64>>()));
    let gauge = |i: u64| (20 + i / 9 % 5) as f64 / 4.0;
    vec![
        compressed(of(40, &|i| f64::from_bits(number(i))), None, "gorilla"),
        compressed(of(100, &|_| 0.5), None, "auto"),
        compressed(of(100, &gauge), stamps(100), "gorilla"),
        compressed(of(90, &|i| (number(i) >> 44) as f64 / 100.0), None, "alp"),
        compressed(of(70, &|i| (number(i) >> 11) as f64 / 1e15), None, "alp"),
        compressed(
            Tensor::new([2, 40], (0..80).map(|i| i * i).collect::<Vec<i64>>()).expect("it fits"),
            stamps(40),
            "delta",
        ),
    ]
}
