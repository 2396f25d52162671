//! From tensors to bytes.

use super::method::Method;
use super::{Extents, Inputs, extents};
use crate::codec::{self, Element, Encoded, Source};
use offload_api::{Data, Record, Tensor, TensorSpec, Value};
use offload_core::{Context, Failure, Rejection};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let method = inputs.method.coding(inputs.data.dtype())?;
    let (source, columns) = source(inputs)?;
    let encoded = codec::encode(&source, method, inputs.level(), ctx)?;
    Ok(outputs(inputs, &source, columns, encoded))
}

/// The series as words, and how many columns there are with that of the timestamps.
pub(super) fn source(inputs: &Inputs<Tensor>) -> Result<(Source<'_>, u64), Rejection> {
    let Extents { series, length, columns } = extents(&specs(inputs))?;
    let wrong = || Rejection::new("data", "data must be f64 or i64");
    let (element, values) = bits(&inputs.data).ok_or_else(wrong)?;
    let timestamps = inputs.timestamps.as_ref().and_then(bits).map(|(_, t)| t);
    Ok((Source { element, values, series, length, timestamps }, columns))
}

/// What is told of a file.
pub(super) fn outputs(
    inputs: &Inputs<Tensor>,
    source: &Source<'_>,
    columns: u64,
    encoded: Encoded,
) -> Record<Tensor> {
    let series = source.series.map(|n| n as u64);
    let count = codec::values(series, source.length as u64, source.timestamps.is_some());
    let ratio = 8.0 * columns as f64 * source.length as f64 / encoded.bytes.len() as f64;
    let most = encoded.blocks.iter().max_by_key(|(_, n)| *n).map_or("auto", |(name, _)| name);
    let used = match inputs.method {
        Method::Auto if most == "alp_split" => Method::Alp.name(),
        Method::Auto => most,
        asked => asked.name(),
    };
    let blocks: Map<String, Json> =
        encoded.blocks.into_iter().map(|(name, n)| (name.into(), n.into())).collect();
    Record::new()
        .with("compressed", Value::Bytes(encoded.bytes.into()))
        .with("compression_ratio", Value::Float(ratio))
        .with("method", Value::Text(used.into()))
        .with("blocks", Value::Json(Arc::new(Json::Object(blocks))))
        .with("values", Value::Int(count as i64))
}

fn specs(inputs: &Inputs<Tensor>) -> Inputs<TensorSpec> {
    Inputs {
        data: inputs.data.spec(),
        timestamps: inputs.timestamps.as_ref().map(Tensor::spec),
        method: inputs.method,
        compression_level: inputs.compression_level,
    }
}

/// The elements as the 64 bits they are.
fn bits(tensor: &Tensor) -> Option<(Element, &[u64])> {
    match tensor.data() {
        Data::F64(v) => Some((Element::F64, bytemuck::cast_slice(v))),
        Data::I64(v) => Some((Element::I64, bytemuck::cast_slice(v))),
        _ => None,
    }
}
