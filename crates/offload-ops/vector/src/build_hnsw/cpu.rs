//! The index on the CPU: levels, insertion in batches, the file.

use super::distance::Distance;
use super::graph::Graph;
use super::insert::{Points, insert_all};
use super::{Inputs, Metric, file, level};
use crate::kernel::pair::square;
use crate::kernel::rows::{extents, finite};
use crate::kernel::search::slice;
use offload_api::{Record, Tensor, Value};
use offload_core::{Context, Failure};
use serde_json::json;
use std::borrow::Cow;

/// Squares of rows beyond this leave `f32`, in which an index computes.
const LARGEST_SQUARE: f64 = 1e37;

pub(super) fn run(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let p = inputs.parameters();
    let (n, d) = extents(&inputs.corpus.spec(), super::MAX_ROWS)?;
    let corpus = slice::<f32>(&inputs.corpus);
    finite(corpus, d)?;
    if let Some(row) = corpus.chunks(d).position(|x| square(x) > LARGEST_SQUARE) {
        return Err(Failure::unprocessable(
            "out_of_range",
            format!("the square of row {row} of corpus is beyond {LARGEST_SQUARE:e}; scale the vectors down"),
            json!({"row": row}),
        ));
    }
    ctx.check()?;
    let (values, distance) = match p.metric {
        Metric::L2 => (Cow::Borrowed(corpus), Distance::Square),
        Metric::Dot => (Cow::Borrowed(corpus), Distance::Product),
        Metric::Cosine => (Cow::Owned(unit_vectors(corpus, d)), Distance::Product),
    };
    let mut graph = Graph::new(p.m, (0..n as u32).map(|node| level(p, node)).collect());
    insert_all(ctx, &mut graph, &Points { values: &values, d, distance }, p.ef)?;
    let file = file::write(ctx, &graph, &values, d, p.ef)?;
    Ok(Record::new().with("index", Value::Bytes(file.into())))
}

/// The rows at length one; a zero row stays zero, as it does in hnswlib.
fn unit_vectors(corpus: &[f32], d: usize) -> Vec<f32> {
    let mut values = corpus.to_vec();
    for x in values.chunks_mut(d) {
        let norm = square(x).sqrt();
        if norm > 0.0 {
            x.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
    }
    values
}
