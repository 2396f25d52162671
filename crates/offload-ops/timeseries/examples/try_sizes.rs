//! temporary
#![allow(clippy::unwrap_used)]
use offload_api::{Record, Tensor, Value};
use offload_core::{AnyOperation, Context};
use offload_ops_timeseries::Compress;
fn main() {
    for f in std::fs::read_dir("/work/lstm-exp/series").unwrap() {
        let f = f.unwrap().path();
        let v: Vec<f64> = std::fs::read(&f).unwrap().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
        print!("{} {}", f.file_stem().unwrap().to_string_lossy(), v.len());
        for m in ["gorilla", "delta", "alp", "auto"] {
            for level in [5, 9] {
                let inputs = Record::new().with("data", Value::Tensor(Tensor::vector(v.clone()))).with("method", Value::Text(m.into())).with("compression_level", Value::Int(level));
                let mut out = Compress.cpu(inputs, &Context::default()).unwrap();
                let Some(Value::Bytes(b)) = out.take("compressed") else { panic!() };
                print!(" {m}{level} {}", b.len());
            }
        }
        println!();
    }
}
