//! Writes the series of the tests, compressed in every way, and their raw bytes beside them, for `scripts/timeseries_check.py`.
//!
//! `cargo run --release -p offload-ops-timeseries --example write -- FOLDER`

#[path = "../tests/series/mod.rs"]
mod series;

use offload_api::{Data, Tensor};
use series::*;
use std::io::Write;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args().nth(1) else { panic!("the folder to write to is missing") };
    let mut list = std::fs::File::create(format!("{folder}/list"))?;
    let mut count = 0;
    let mut write = |data: &Tensor, stamps: Option<&Vec<i64>>, method: &str, level| -> std::io::Result<()> {
        let file = compressed(inputs(data.clone(), stamps.cloned(), method, level));
        std::fs::write(format!("{folder}/{count}.hts"), file)?;
        std::fs::write(format!("{folder}/{count}.raw"), data.data().as_bytes())?;
        if let Some(t) = stamps {
            let stamps = Tensor::vector(t.clone());
            std::fs::write(format!("{folder}/{count}.stamps"), stamps.data().as_bytes())?;
        }
        let shape: Vec<String> = data.shape().iter().map(ToString::to_string).collect();
        let element = if matches!(data.data(), Data::F64(_)) { "f8" } else { "i8" };
        writeln!(list, "{count} {element} {} {method} {level}", shape.join(","))?;
        count += 1;
        Ok(())
    };
    for (_, values) in reals() {
        for method in ["gorilla", "delta", "alp", "auto"] {
            for level in [1, 5, 9] {
                write(&Tensor::vector(values.clone()), None, method, level)?;
            }
        }
    }
    for (_, values) in integers() {
        for method in ["gorilla", "delta", "auto"] {
            write(&Tensor::vector(values.clone()), Some(&values), method, 5)?;
        }
    }
    for (series, n) in [(0, 0), (0, 5), (5, 0), (1, 1), (3, 2048), (7, 2049), (40, 3)] {
        let values: Vec<f64> = (0..(series * n) as u64).map(|i| (unit(i) * 1e4).round() / 100.0).collect();
        let stamps = (0..n as i64).map(|i| i * 1000).collect();
        if let Some(data) = Tensor::new([series, n], values) {
            write(&data, Some(&stamps), "auto", 5)?;
            write(&data, None, "gorilla", 5)?;
        }
    }
    println!("{count} files");
    Ok(())
}
