//! k-means on short vectors (Lloyd, "Least squares quantization in PCM", 1982), the same for any number of threads.

use crate::kernel::random::below;
use crate::kernel::simd::{Loop, vectorised};
use offload_core::{Context, Failure};
use rayon::prelude::*;

/// Rows that one thread takes at a time; sums are formed of such pieces in order.
pub(super) const PIECE_ROWS: usize = 2048;
/// Centroids whose scores are in registers together.
const TOGETHER: usize = 64;

/// Centroids, laid out for scoring: component by component, padded to whole groups of [`TOGETHER`].
struct Scored {
    d: usize,
    /// `[d, padded]`.
    columns: Vec<f32>,
    /// Half the square of each centroid; infinite for the padding, which is nearest to nothing.
    half_squares: Vec<f32>,
}

impl Scored {
    fn of(centroids: &[f32], d: usize) -> Scored {
        let k = centroids.len() / d;
        let padded = k.next_multiple_of(TOGETHER);
        let mut columns = vec![0.0; d * padded];
        let mut half_squares = vec![f32::INFINITY; padded];
        for (c, centroid) in centroids.chunks(d).enumerate() {
            for (j, &x) in centroid.iter().enumerate() {
                columns[j * padded + c] = x;
            }
            half_squares[c] = centroid.iter().map(|x| x * x).sum::<f32>() * 0.5;
        }
        Scored { d, columns, half_squares }
    }

    /// The nearest centroid, ties by the lower number.
    #[inline(always)]
    fn nearest(&self, x: &[f32]) -> usize {
        let padded = self.half_squares.len();
        let mut best = (f32::INFINITY, 0);
        for (g, half_squares) in self.half_squares.as_chunks::<TOGETHER>().0.iter().enumerate() {
            let mut scores = *half_squares;
            for (j, &x) in x.iter().enumerate().take(self.d) {
                let from = j * padded + g * TOGETHER;
                if let Some(column) = self.columns[from..].first_chunk::<TOGETHER>() {
                    for c in 0..TOGETHER {
                        scores[c] -= x * column[c];
                    }
                }
            }
            let least = scores.iter().fold(f32::INFINITY, |m, &s| if s < m { s } else { m });
            if least < best.0 {
                let at = scores.iter().position(|&s| s == least).unwrap_or(0);
                best = (least, g * TOGETHER + at);
            }
        }
        best.1
    }
}

/// The nearest centroids of rows.
struct Nearest<'a> {
    scored: &'a Scored,
    rows: &'a [f32],
}

impl Loop for Nearest<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        let mut codes = Vec::with_capacity(self.rows.len() / self.scored.d);
        for x in self.rows.chunks(self.scored.d) {
            codes.push(self.scored.nearest(x) as u8);
        }
        codes
    }
}

/// The square of the distance.
#[inline(always)]
fn apart(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b) * f64::from(a - b)).sum()
}

/// The number of the nearest centroid of each row.
///
/// # Errors
/// When the job is to stop.
pub(super) fn assign(ctx: &Context, rows: &[f32], centroids: &[f32], d: usize) -> Result<Vec<u8>, Failure> {
    let scored = Scored::of(centroids, d);
    let pieces: Vec<Vec<u8>> = rows
        .par_chunks(PIECE_ROWS * d)
        .map(|rows| {
            ctx.check()?;
            Ok(vectorised(Nearest { scored: &scored, rows }))
        })
        .collect::<Result<_, Failure>>()?;
    Ok(pieces.concat())
}

/// At most `k` centroids of these rows, of which there is at least one.
///
/// # Errors
/// When the job is to stop.
pub(super) fn train(
    ctx: &Context,
    rows: &[f32],
    d: usize,
    k: usize,
    iterations: usize,
    seed: u64,
) -> Result<Vec<f32>, Failure> {
    let n = rows.len() / d;
    let row = |i: usize| &rows[i * d..(i + 1) * d];
    let mut centroids: Vec<f32> = first(n, k, seed).iter().flat_map(|&i| row(i as usize)).copied().collect();
    let mut assigned = Vec::new();
    for _ in 0..iterations {
        let now = assign(ctx, rows, &centroids, d)?;
        if now == assigned {
            break;
        }
        assigned = now;
        update(rows, d, &assigned, &mut centroids);
    }
    Ok(centroids)
}

/// The rows that `k` centroids begin at: distinct ones, a shuffle cut short.
pub(super) fn first(n: usize, k: usize, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for i in 0..k {
        order.swap(i, i + below(seed, i as u64, n - i));
    }
    order.truncate(k);
    order.shrink_to_fit();
    order
}

/// Moves each centroid to the mean of its rows; one without rows goes to the row that is furthest from its own.
fn update(rows: &[f32], d: usize, assigned: &[u8], centroids: &mut [f32]) {
    let k = centroids.len() / d;
    let sums: Vec<(Vec<f64>, Vec<u64>)> = rows
        .par_chunks(PIECE_ROWS * d)
        .zip(assigned.par_chunks(PIECE_ROWS))
        .map(|(rows, assigned)| {
            let (mut sums, mut counts) = (vec![0.0f64; k * d], vec![0u64; k]);
            for (x, &c) in rows.chunks(d).zip(assigned) {
                let c = usize::from(c);
                counts[c] += 1;
                sums[c * d..(c + 1) * d].iter_mut().zip(x).for_each(|(s, x)| *s += f64::from(*x));
            }
            (sums, counts)
        })
        .collect();
    let (mut total, mut count) = (vec![0.0f64; k * d], vec![0u64; k]);
    for (sums, counts) in &sums {
        total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
        count.iter_mut().zip(counts).for_each(|(t, c)| *t += c);
    }
    for c in (0..k).filter(|&c| count[c] > 0) {
        for j in c * d..(c + 1) * d {
            centroids[j] = (total[j] / count[c] as f64) as f32;
        }
    }
    let empty: Vec<usize> = (0..k).filter(|&c| count[c] == 0).collect();
    if !empty.is_empty() {
        refill(rows, d, assigned, centroids, &empty);
    }
}

/// Moves centroids without rows to the rows that are furthest from their own.
pub(super) fn refill(rows: &[f32], d: usize, assigned: &[u8], centroids: &mut [f32], empty: &[usize]) {
    let mut far: Vec<(f64, usize)> = rows
        .chunks(d)
        .zip(assigned)
        .map(|(x, &c)| apart(x, &centroids[usize::from(c) * d..(usize::from(c) + 1) * d]))
        .enumerate()
        .map(|(i, off)| (off, i))
        .collect();
    far.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (&c, &(_, i)) in empty.iter().zip(&far) {
        centroids[c * d..(c + 1) * d].copy_from_slice(&rows[i * d..(i + 1) * d]);
    }
}
