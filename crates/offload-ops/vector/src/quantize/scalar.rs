//! Codes of one component each: bytes between the ends of its column, or bits.

use super::cpu::{mean, tensor};
use crate::kernel::pair::Real;
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Rows that one thread takes at a time. Sums are formed of such pieces in order, so that they do not depend on the
/// number of threads.
const PIECE_ROWS: usize = 4096;

/// Bytes beside the outputs: sums and counts of each piece.
pub(super) fn workspace_bytes(n: usize, d: usize) -> u64 {
    (n.div_ceil(PIECE_ROWS) as u64 + 2) * (d as u64 * 32 + 128)
}

/// What `part` gives for each piece of the rows, in order.
fn pieces<T: Real, R: Send>(
    corpus: &[T],
    d: usize,
    ctx: &Context,
    part: impl Fn(&[T]) -> R + Sync,
) -> Result<Vec<R>, Failure> {
    corpus
        .par_chunks(PIECE_ROWS * d.max(1))
        .map(|rows| {
            ctx.check()?;
            Ok(part(rows))
        })
        .collect()
}

/// A byte for each component: 0 for the least of its column, 255 for the largest.
pub(super) fn bytes<T: Real>(
    corpus: &[T],
    n: usize,
    d: usize,
    ctx: &Context,
) -> Result<Record<Tensor>, Failure> {
    let ends = pieces(corpus, d, ctx, |rows| {
        let (mut low, mut high) = (vec![f64::INFINITY; d], vec![f64::NEG_INFINITY; d]);
        for row in rows.chunks(d) {
            for ((x, low), high) in row.iter().zip(&mut low).zip(&mut high) {
                *low = low.min(x.wide());
                *high = high.max(x.wide());
            }
        }
        (low, high)
    })?;
    let (mut offset, mut most) = (vec![0.0; d], vec![0.0; d]);
    for (i, (low, high)) in ends.iter().enumerate() {
        for j in 0..d {
            offset[j] = if i == 0 { low[j] } else { low[j].min(offset[j]) };
            most[j] = if i == 0 { high[j] } else { high[j].max(most[j]) };
        }
    }
    // What is given out is what codes are made with, so rounding it comes first.
    let offset: Vec<T> = offset.into_iter().map(T::narrow).collect();
    let scale: Vec<T> = offset.iter().zip(&most).map(|(o, m)| T::narrow((m - o.wide()) / 255.0)).collect();
    let mut codes = vec![0u8; n * d];
    let errors: Vec<f64> = corpus
        .par_chunks(PIECE_ROWS * d.max(1))
        .zip(codes.par_chunks_mut(PIECE_ROWS * d.max(1)))
        .map(|(rows, codes)| {
            ctx.check()?;
            let mut error = 0.0;
            for (row, codes) in rows.chunks(d).zip(codes.chunks_mut(d)) {
                for j in 0..d {
                    let (x, o, s) = (row[j].wide(), offset[j].wide(), scale[j].wide());
                    // A column without spread has the code 0.
                    let code = if s > 0.0 { ((x - o) / s).round().clamp(0.0, 255.0) } else { 0.0 };
                    codes[j] = code as u8;
                    let off = x - (o + s * code);
                    error += off * off;
                }
            }
            Ok(error)
        })
        .collect::<Result<_, Failure>>()?;
    ctx.block(1, 1)?;
    Ok(Record::new()
        .with("codes", tensor(&[n, d], codes))
        .with("scale", tensor(&[d], scale))
        .with("offset", tensor(&[d], offset))
        .with("distortion", mean(errors.iter().sum(), n)))
}

/// A bit for each component, the lowest first in each byte: whether it is above zero.
pub(super) fn bits<T: Real>(
    corpus: &[T],
    n: usize,
    d: usize,
    ctx: &Context,
) -> Result<Record<Tensor>, Failure> {
    let sums = pieces(corpus, d, ctx, |rows| {
        let (mut below, mut above, mut count) = (vec![0.0; d], vec![0.0; d], vec![0u64; d]);
        for row in rows.chunks(d) {
            for j in 0..d {
                let x = row[j].wide();
                let set = x > 0.0;
                above[j] += if set { x } else { 0.0 };
                below[j] += if set { 0.0 } else { x };
                count[j] += u64::from(set);
            }
        }
        (below, above, count)
    })?;
    // What a bit means is the mean of the components that have it.
    let (mut means, mut counts) = (vec![0.0; 2 * d], vec![0u64; d]);
    for (below, above, count) in &sums {
        for j in 0..d {
            means[j] += below[j];
            means[d + j] += above[j];
            counts[j] += count[j];
        }
    }
    for j in 0..d {
        means[j] /= (n as u64 - counts[j]).max(1) as f64;
        means[d + j] /= counts[j].max(1) as f64;
    }
    let codebook: Vec<T> = means.into_iter().map(T::narrow).collect();
    let width = d.div_ceil(8);
    let mut codes = vec![0u8; n * width];
    let errors: Vec<f64> = corpus
        .par_chunks(PIECE_ROWS * d.max(1))
        .zip(codes.par_chunks_mut(PIECE_ROWS * width.max(1)))
        .map(|(rows, codes)| {
            ctx.check()?;
            let mut error = 0.0;
            for (row, codes) in rows.chunks(d).zip(codes.chunks_mut(width)) {
                for (j, x) in row.iter().enumerate() {
                    let x = x.wide();
                    let set = x > 0.0;
                    codes[j / 8] |= u8::from(set) << (j % 8);
                    let off = x - codebook[if set { d + j } else { j }].wide();
                    error += off * off;
                }
            }
            Ok(error)
        })
        .collect::<Result<_, Failure>>()?;
    ctx.block(1, 1)?;
    Ok(Record::new()
        .with("codes", tensor(&[n, width], codes))
        .with("codebook", tensor(&[2, d], codebook))
        .with("distortion", mean(errors.iter().sum(), n)))
}
