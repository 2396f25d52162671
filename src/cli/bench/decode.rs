//! Decoding a 1024×1024 matrix from JSON, beside serde_json into nested vectors.

use super::{Figure, progress};
use offload_api::json::decode_request;
use std::fmt::Write;
use std::time::Instant;

const N: usize = 1024;
const RUNS: usize = 7;

/// Measures both, in turn.
pub fn measure() -> Vec<Figure> {
    let mut matrix = String::from("[");
    for i in 0..N {
        matrix.push_str(if i > 0 { ",[" } else { "[" });
        for j in 0..N {
            let x = ((i * N + j) as f64 * 0.618_033_988_749_894_9).fract() * 2.0 - 1.0;
            // Writing to a string cannot fail.
            let _ = write!(matrix, "{}{x}", if j > 0 { "," } else { "" });
        }
        matrix.push(']');
    }
    matrix.push(']');
    let body = format!("{{\"a\":{matrix}}}");
    let registry = offload_ops::registry();
    let Some(transpose) = registry.find("matrix", "transpose") else { return Vec::new() };
    let bar = progress("decode", RUNS);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let start = Instant::now();
        let decoded = decode_request(body.as_bytes(), &transpose.schema);
        ours.push(body.len() as f64 / 1e6 / start.elapsed().as_secs_f64());
        std::hint::black_box(decoded.is_ok());
        let start = Instant::now();
        let decoded: Result<Vec<Vec<f64>>, _> = serde_json::from_str(&matrix);
        theirs.push(matrix.len() as f64 / 1e6 / start.elapsed().as_secs_f64());
        std::hint::black_box(decoded.is_ok());
        bar.inc(1);
    }
    bar.finish_and_clear();
    vec![
        Figure::of("json decode 1024x1024", "MB/s", ours),
        Figure::of("json decode 1024x1024, serde_json Vec<Vec>", "MB/s", theirs),
    ]
}
