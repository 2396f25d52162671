//! Builds an index of the vectors in a file, and says how long it took.
//!
//! `index VECTORS D INDEX [metric [m [ef_construction [seed]]]]`: `VECTORS` holds rows of `D` little-endian `f32`. Used by
//! `scripts/hnsw_check.py`.

use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_vector::BuildHnsw;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [vectors, d, index, options @ ..] = &args[..] else {
        return Err("usage: index VECTORS D INDEX [metric [m [ef_construction [seed]]]]".into());
    };
    let values: Vec<f32> =
        std::fs::read(vectors)?.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let d: usize = d.parse()?;
    let corpus = Tensor::new([values.len() / d, d], values).ok_or("the rows do not fill the file")?;
    let mut inputs = Record::new().with("corpus", Value::Tensor(corpus));
    if let Some(metric) = options.first() {
        inputs.set("metric", Value::Text(metric.clone()));
    }
    for (name, value) in ["m", "ef_construction", "seed"].into_iter().zip(options.iter().skip(1)) {
        inputs.set(name, Value::Int(value.parse()?));
    }
    let start = Instant::now();
    let outputs = BuildHnsw.cpu(inputs, &Context::default())?;
    println!("{:.3}", start.elapsed().as_secs_f64());
    if let Some(Value::Bytes(file)) = outputs.get("index") {
        std::fs::write(index, &file[..])?;
    }
    Ok(())
}
