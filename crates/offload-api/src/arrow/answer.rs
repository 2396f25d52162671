//! Outputs as streams: one stream for each output, in order; the memory of tensors is not copied.

use crate::{Data, Matches, Record, Tensor, Value};
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, UInt8Array, UInt64Array,
};
use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::{ArrowError, Field, Schema};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// A tensor whose memory a buffer stands on.
struct Elements(Tensor);

impl AsRef<[u8]> for Elements {
    fn as_ref(&self) -> &[u8] {
        self.0.data().as_bytes()
    }
}

/// The streams of `outputs`, as buffers to be sent in order. The schema of the first has `metadata`.
///
/// A tensor is a column of its first extent's rows, lists within them for the others; a tensor without dimensions, a
/// number, a text or a truth value is one row, and a structure is one row of JSON text. Ranked answers are the columns
/// `<name>.indices` and `<name>.scores` of one stream.
///
/// # Errors
/// When an extent is beyond what a list may have, 2³¹ − 1.
pub fn encode(outputs: &Record, metadata: Vec<(String, String)>) -> Result<Vec<Buffer>, ArrowError> {
    let mut metadata: HashMap<String, String> = metadata.into_iter().collect();
    let mut out = Vec::new();
    for (name, value) in outputs.iter() {
        let columns = columns(name, value)?;
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), false)).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, std::mem::take(&mut metadata)));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let mut encoder = StreamEncoder::try_new(&schema)?;
        out.extend(encoder.encode(&RecordBatch::try_new(schema, arrays)?)?);
        out.extend(encoder.finish()?);
    }
    Ok(out)
}

fn columns(name: &str, value: &Value) -> Result<Vec<(String, ArrayRef)>, ArrowError> {
    let one = |array: ArrayRef| Ok(vec![(name.to_string(), array)]);
    match value {
        // Gaps are NaN.
        Value::Tensor(t) | Value::Gapped(t) => one(tensor(t)?),
        Value::Matches(m) => matches(name, m),
        Value::Bytes(b) => one(tensor(&Tensor::from_bytes(b.clone()))?),
        Value::Int(v) => one(Arc::new(Int64Array::from(vec![*v]))),
        Value::Float(v) => one(Arc::new(Float64Array::from(vec![*v]))),
        Value::Bool(v) => one(Arc::new(BooleanArray::from(vec![*v]))),
        Value::Text(v) => one(Arc::new(StringArray::from(vec![v.as_str()]))),
        Value::Json(v) => one(Arc::new(StringArray::from(vec![v.to_string()]))),
    }
}

fn matches(name: &str, m: &Matches) -> Result<Vec<(String, ArrayRef)>, ArrowError> {
    let columns = [("indices", m.indices()), ("scores", m.scores())];
    columns.into_iter().map(|(part, t)| Ok((format!("{name}.{part}"), tensor(t)?))).collect()
}

fn tensor(t: &Tensor) -> Result<ArrayRef, ArrowError> {
    let elements: ArrayRef = match t.data() {
        Data::F32(_) => Arc::new(Float32Array::try_new(buffer(t), None)?),
        Data::F64(_) => Arc::new(Float64Array::try_new(buffer(t), None)?),
        Data::I32(_) => Arc::new(Int32Array::try_new(buffer(t), None)?),
        Data::I64(_) => Arc::new(Int64Array::try_new(buffer(t), None)?),
        Data::U8(_) => Arc::new(UInt8Array::try_new(buffer(t), None)?),
        Data::U64(_) => Arc::new(UInt64Array::try_new(buffer(t), None)?),
    };
    // From the innermost list outwards, each of the rows that are left of it.
    let shape = t.shape();
    (1..shape.len()).rev().try_fold(elements, |inner, axis| {
        let size = i32::try_from(shape[axis]).map_err(|_| {
            ArrowError::InvalidArgumentError(format!("an extent of {} is too large for a list", shape[axis]))
        })?;
        let rows = shape[..axis].iter().product();
        let item = Field::new_list_field(inner.data_type().clone(), false);
        let list = FixedSizeListArray::try_new_with_length(Arc::new(item), size, inner, None, rows)?;
        Ok(Arc::new(list) as ArrayRef)
    })
}

fn buffer<T: ArrowNativeType>(t: &Tensor) -> ScalarBuffer<T> {
    let length = t.data().len();
    ScalarBuffer::new(Buffer::from(Bytes::from_owner(Elements(t.clone()))), 0, length)
}
