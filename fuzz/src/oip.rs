//! The Open Inference Protocol: a head of so many bytes, and tensors behind it. An input is the length of the head, two bytes
//! with the highest bit for none, and the body.

use super::api::{bounded, reads_back};
use super::wire::{inline, numbered, outputs, schema, smallest};
use offload_api::{Column, DType, Memory, Record, Tensor, Value, oip};
use serde_json::{Value as Json, json};
use std::sync::Arc;

const NO_HEAD: usize = 1 << 15;

pub(crate) fn request(bytes: &[u8]) -> bool {
    let (head, body) = numbered(bytes);
    let head = (head & NO_HEAD == 0).then_some(head);
    let memory: Arc<dyn Memory> = Arc::new(body.to_vec());
    let as_columns = oip::columns(&memory, head);
    if let Ok(columns) = &as_columns {
        let size: u64 = columns.iter().map(|(_, c)| c.bytes()).sum();
        assert!(size <= 8 * body.len() as u64 + 64, "{size} bytes of columns from {}", body.len());
        for (_, column) in columns {
            let Column::Tensor(t) = column else { panic!("the protocol has no columns of texts") };
            smallest(t.shape());
        }
    }
    let Ok(infer) = oip::decode(&memory, head, schema(), &outputs()) else { return as_columns.is_ok() };
    bounded(&infer.inputs, body.len());
    // Whatever the format, what comes out is what JSON would have given.
    if let Some(inputs) = inline(&infer.inputs).and_then(|inputs| comparable(&inputs)) {
        assert!(reads_back(schema(), &inputs), "json gives something else: {inputs:?}");
    }
    true
}

/// The inputs as one request in JSON can have them: finite, with one type of real numbers, and with no extents behind an
/// empty one, which nested lists do not show.
fn comparable(inputs: &Record<Tensor>) -> Option<Record<Tensor>> {
    let real = |t: &Tensor| t.dtype().is_real();
    let tensors = || inputs.iter().filter_map(|(_, v)| if let Value::Tensor(t) = v { Some(t) } else { None });
    let finite = |t: &Tensor| match t.dtype() {
        DType::F32 => t.as_slice::<f32>().is_some_and(|v| v.iter().all(|x| x.is_finite())),
        DType::F64 => t.as_slice::<f64>().is_some_and(|v| v.iter().all(|x| x.is_finite())),
        _ => true,
    };
    let shown = |t: &Tensor| t.shape().iter().rev().skip(1).all(|d| *d > 0);
    let of_graph = inputs.iter().any(|(n, _)| n.starts_with("graph."));
    let open = ["a", "codes", "data"].iter().filter(|n| inputs.get(n).is_some()).count();
    let one_type = open < 2 || tensors().filter(|t| real(t)).all(|t| t.dtype() == DType::F64);
    let ints = inputs
        .iter()
        .any(|(n, v)| ["codes", "data"].contains(&n) && matches!(v, Value::Tensor(t) if !real(t)));
    (tensors().all(|t| finite(t) && shown(t)) && one_type && !(ints && open > 1) && !of_graph)
        .then(|| inputs.clone())
}

fn framed(head: &Json, tail: &[u8]) -> Vec<u8> {
    let head = head.to_string();
    [&(head.len() as u16).to_le_bytes(), head.as_bytes(), tail].concat()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let input = |name: &str, datatype: &str, shape: Json, more: Json| {
        let mut input = json!({"name": name, "datatype": datatype, "shape": shape});
        if let (Some(input), Json::Object(more)) = (input.as_object_mut(), more) {
            input.extend(more);
        }
        input
    };
    let sized = |n: usize| json!({"parameters": {"binary_data_size": n}});
    let numbers: Vec<u8> = [1.5f32, -2.0, 3.25, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let all = framed(
        &json!({"id": "7", "inputs": [
            input("a", "FP32", json!([2, 2]), sized(16)),
            input("ids", "UINT64", json!([1]), sized(8)),
            input("mask", "BOOL", json!([3]), sized(3)),
            input("flag", "BOOL", json!([1]), json!({"data": [true]})),
            input("text", "BYTES", json!([1]), sized(6))],
            "parameters": {"k": 3, "kind": "two", "deep": "{\"x\":1}", "priority": 2, "timeout": 1500, "binary_data_output": true},
            "outputs": [{"name": "result"}, {"name": "matches.scores", "parameters": {"binary_data": false}}]}),
        &[&numbers[..], &[7; 8], &[1, 0, 1], &[2, 0, 0, 0, b'o', b'k']].concat(),
    );
    let columns = framed(
        &json!({"inputs": [input("x", "FP64", json!([2]), sized(16)), input("y", "INT32", json!([2, 1]), sized(8))]}),
        &[1; 24],
    );
    let head = json!({"inputs": [
        input("a", "FP64", json!([2, 2]), json!({"data": [[1, 2], [3, 4.5]]})),
        input("small", "INT32", json!([0, 5]), json!({"data": []})),
        input("codes", "FP64", json!([1]), json!({"data": [1e300]})),
        {"name": "data", "parameters": {"dataset": "docs", "column": "c", "version": 7}}]});
    let text = [&(NO_HEAD as u16).to_le_bytes(), head.to_string().as_bytes()].concat();
    let graph = framed(
        &json!({"inputs": [input("graph.src", "UINT64", json!([1]), sized(8)), input("graph.dst", "UINT64", json!([1]), sized(8)),
            input("graph.weight", "FP64", json!([1]), sized(8)), input("file", "UINT8", json!([4]), sized(4))],
            "parameters": {"graph.directed": false}}),
        &[0; 28],
    );
    vec![all, columns, text, graph]
}
