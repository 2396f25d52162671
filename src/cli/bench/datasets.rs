//! A dataset loaded from an Arrow stream over HTTP: read, checked and kept on the disk before it is acknowledged.

use super::service::Server;
use super::wire::{Connection, send};
use super::{Figure, progress};
use offload_api::{Record, Tensor, Value, arrow};
use std::error::Error;
use std::time::Instant;

const RUNS: usize = 9;
/// 64 MiB of `f32`.
const SHAPE: [usize; 2] = [131_072, 128];

/// Measures loads that replace one another, after one that is not counted.
pub fn measure() -> Result<Vec<Figure>, Box<dyn Error>> {
    let values = (0..SHAPE[0] * SHAPE[1]).map(|i| (i % 65_521) as f32).collect();
    let rows = Tensor::new(SHAPE, values).ok_or("the values fill the shape")?;
    let stream = arrow::encode(&Record::new().with("v", Value::Tensor(rows)), Vec::new())?;
    let body: Vec<u8> = stream.iter().flat_map(|part| part.as_slice().to_vec()).collect();
    let service = Server::start(&["serve", "--dev"], "datasets")?;
    let headers = format!("Content-Type: {}\r\n", arrow::MEDIA_TYPE);
    let request = send("PUT", "/api/v1/datasets/bench", &service.key, &headers, &body);
    let mut connection = Connection::open(&service.address)?;
    let bar = progress("datasets", RUNS);
    let mut samples = Vec::new();
    for run in 0..=RUNS {
        let start = Instant::now();
        connection.exchange(&request)?;
        if run > 0 {
            samples.push(start.elapsed().as_secs_f64() * 1e3);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(vec![Figure::of("dataset of 64 MiB from an Arrow stream", "ms", samples)])
}
