//! From bytes to tensors.

use super::Inputs;
use crate::codec::{self, Decoded, Element, Unreadable};
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure, Rejection};
use serde_json::{Value as Json, json};

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let file = file(inputs)?;
    let limit = inputs.limit(file.len() as u64);
    outputs(codec::decode(file, limit, ctx)?)
}

/// The bytes that are to be read.
pub(super) fn file(inputs: &Inputs<Tensor>) -> Result<&[u8], Rejection> {
    let not_bytes = || Rejection::new("compressed", "compressed must be bytes: u8 of one dimension");
    inputs.compressed.as_slice::<u8>().ok_or_else(not_bytes)
}

/// What was read as tensors, or why it could not be read.
pub(super) fn outputs(read: Result<Decoded, Unreadable>) -> Result<Record<Tensor>, Failure> {
    let decoded = read.map_err(failure)?;
    let shape: Vec<usize> = decoded.series.into_iter().chain([decoded.length]).collect();
    let data = match decoded.element {
        Element::F64 => Tensor::new(shape, of_bits(decoded.values, f64::from_bits)),
        Element::I64 => Tensor::new(shape, of_bits(decoded.values, u64::cast_signed)),
    };
    let data =
        data.ok_or_else(|| failure(Unreadable::Corrupt("its shape is not that of its values", None)))?;
    let stamps = |t| Value::Tensor(Tensor::vector(of_bits(t, u64::cast_signed)));
    Ok(Record::new()
        .with("data", Value::Tensor(data))
        .with("timestamps", decoded.timestamps.map_or_else(Value::nothing, stamps)))
}

/// The same bits as another type. Collecting reuses the memory, which a test of the peak holds.
fn of_bits<T>(bits: Vec<u64>, of: impl Fn(u64) -> T) -> Vec<T> {
    bits.into_iter().map(of).collect()
}

fn failure(why: Unreadable) -> Failure {
    match why {
        Unreadable::Corrupt(what, block) => {
            let of = block.map(|b| format!(" (block {b})")).unwrap_or_default();
            let details = block.map_or(Json::Null, |b| json!({"block": b}));
            Failure::unprocessable(
                "corrupt",
                format!("compressed is no compressed series, or damaged: {what}{of}"),
                details,
            )
        }
        Unreadable::Version(version) => Failure::unprocessable(
            "unsupported_version",
            format!("compressed has version {version} of the format, this service reads version 1"),
            json!({"version": version}),
        ),
        Unreadable::TooMany { values, limit } => Rejection::new(
            "max_values",
            format!(
                "compressed holds {values} values, timestamps counted, the limit is {limit} (max_values)"
            ),
        )
        .into(),
    }
}
