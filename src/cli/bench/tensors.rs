//! Binary tensors through the service, beside a bare echo of as many bytes: what a large body costs beyond HTTP and
//! the work itself. The work is a transposition, which is not more than moving the bytes once.

use super::service::Server;
use super::wire::{Connection, post};
use super::{Figure, progress};
use std::error::Error;
use std::time::Instant;

const ROUNDS: usize = 9;
const PATH: &str = "/v2/models/matrix.transpose/infer";

/// The request for an `n` by `n` matrix of `f32`.
fn transpose(key: &str, n: usize) -> Vec<u8> {
    let size = 4 * n * n;
    let head = format!(
        "{{\"inputs\":[{{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[{n},{n}],\"parameters\":{{\"binary_data_size\":{size}}}}}],\
         \"parameters\":{{\"binary_data_output\":true,\"cache\":false}}}}"
    );
    let mut body = head.clone().into_bytes();
    (0..n * n).for_each(|i| body.extend_from_slice(&((i % 65_521) as f32).to_le_bytes()));
    let headers = format!(
        "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {}\r\n",
        head.len()
    );
    post(PATH, key, &headers, &body)
}

/// Milliseconds of one request.
fn timed(connection: &mut Connection, request: &[u8]) -> std::io::Result<f64> {
    let start = Instant::now();
    connection.exchange(request)?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Milliseconds that the last answer says its computation took.
fn compute_ms(connection: &Connection) -> Option<f64> {
    let text = String::from_utf8_lossy(connection.body_start());
    let (_, after) = text.split_once("\"compute_us\":")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse::<f64>().ok().map(|us| us / 1e3)
}

/// Measures 4 MiB and 64 MiB, the service and the echo in turns.
pub fn measure() -> Result<Vec<Figure>, Box<dyn Error>> {
    let service = Server::start(&["serve", "--dev"], "tensors")?;
    let bar = progress("tensors", 2 * ROUNDS);
    let mut figures = Vec::new();
    for (name, n) in [("4 MiB", 1024), ("64 MiB", 4096)] {
        let request = transpose(&service.key, n);
        let mut ours = Connection::open(&service.address)?;
        let length = ours.exchange(&request)?;
        let echo = Server::start(&["echo", "--answer-bytes", &length.to_string()], "tensors-echo")?;
        let mut theirs = Connection::open(&echo.address)?;
        theirs.exchange(&request)?;
        let mut samples: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let whole = timed(&mut ours, &request)?;
            let compute = compute_ms(&ours).ok_or("the answer does not say what it computed")?;
            let bare = timed(&mut theirs, &request)?;
            for (all, value) in samples.iter_mut().zip([whole, compute, bare, (whole - compute) / bare]) {
                all.push(value);
            }
            bar.inc(1);
        }
        let names = [
            "transpose over /v2",
            "of which computing",
            "echo of the same bytes",
            "without computing, to the echo",
        ];
        for ((what, unit), all) in names.into_iter().zip(["ms", "ms", "ms", "x"]).zip(samples) {
            figures.push(Figure::of(format!("{name}: {what}"), unit, all));
        }
    }
    bar.finish_and_clear();
    Ok(figures)
}
