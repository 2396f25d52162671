//! Arrow streams: as columns and as requests. What is read is written by our encoder and read again.

use super::api::bounded;
use super::wire::{schema, smallest};
use offload_api::{Column, Memory, Record, Tensor, Value, arrow};
use std::sync::Arc;

const NAMES: [&str; 8] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];

fn memory(bytes: Vec<u8>) -> Arc<dyn Memory> {
    Arc::new(bytes)
}

fn written(record: &Record<Tensor>, metadata: Vec<(String, String)>) -> Option<Vec<u8>> {
    let buffers = arrow::encode(record, metadata).ok()?;
    Some(buffers.iter().flat_map(|b| b.as_slice().to_vec()).collect())
}

pub(crate) fn stream(bytes: &[u8]) -> bool {
    let body = memory(bytes.to_vec());
    if let Ok(decoded) = arrow::decode_request(&body, &[], schema()) {
        bounded(&decoded.inputs, bytes.len());
    }
    let Ok(columns) = arrow::columns(&body) else { return false };
    let size: u64 = columns.iter().map(|(_, c)| c.bytes()).sum();
    assert!(size <= 8 * bytes.len() as u64, "{size} bytes of columns from {}", bytes.len());
    let tensors: Vec<&Tensor> = columns
        .iter()
        .filter_map(|(_, column)| match column {
            Column::Tensor(t) => Some(t),
            Column::Text(texts) => {
                assert_eq!(texts.iter().map(str::len).sum::<usize>(), texts.all_bytes().len());
                None
            }
        })
        .collect();
    let record = NAMES.into_iter().zip(&tensors).fold(Record::new(), |record, (name, t)| {
        smallest(t.shape());
        record.with(name, Value::Tensor((*t).clone()))
    });
    if record.is_empty() {
        return true;
    }
    // An extent may be beyond what a list of Arrow has; nothing else is refused.
    if let Some(again) = written(&record, Vec::new()) {
        let again = arrow::columns(&memory(again)).expect("what is written can be read");
        for ((_, got), want) in again.iter().zip(&tensors) {
            assert_eq!(*got, Column::Tensor((*want).clone()));
        }
    }
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let tensor = |shape: &[usize]| {
        let n = shape.iter().product::<usize>();
        Value::Tensor(Tensor::new(shape, (0..n).map(|i| i as f32 / 4.0).collect()).expect("it fits"))
    };
    let whole = Record::new()
        .with("a", tensor(&[2, 3]))
        .with("ids", Value::Tensor(Tensor::vector(vec![7u64, 8])))
        .with("flag", Value::Bool(true))
        .with("k", Value::Int(3))
        .with("text", Value::Text("ü".into()));
    let deep = Record::new()
        .with("a", tensor(&[1, 2, 2]))
        .with("small", Value::Tensor(Tensor::vector(vec![1i32])))
        .with("mask", Value::Tensor(Tensor::new([2, 0], Vec::<u8>::new()).expect("it fits")))
        .with("data", Value::Tensor(Tensor::vector(vec![1i64, -1])));
    let metadata = vec![("offload:scale".into(), "0.5".into()), ("other".into(), "{".into())];
    let mut cut = written(&whole, Vec::new()).expect("it fits");
    // Without the mark of its end, which may be left out.
    cut.truncate(cut.len() - 8);
    let lists = include_bytes!("../seeds/arrow_pyarrow.bin").to_vec();
    vec![
        written(&whole, metadata).expect("it fits"),
        written(&deep, Vec::new()).expect("it fits"),
        cut,
        lists,
    ]
}
