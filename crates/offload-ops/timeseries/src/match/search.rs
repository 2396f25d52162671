//! Distances of all windows from a query: its products with them are a convolution, made by transforms of overlapping
//! pieces (MASS: Mueen et al. 2017), two pieces at a time as the two parts of complex numbers.

use super::Asked;
use super::windows::{deviations, distance, standard};
use crate::correlate::product;
use offload_core::{Context, Failure};
use rayon::prelude::*;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

/// Queries up to this are multiplied out.
const SHORT: usize = 48;
/// Windows between two looks at the cancel flag where products are multiplied out.
const FEW: usize = 1 << 12;
/// A correlation whose error may be larger than this is multiplied out.
const NEAR: f64 = 1e-9;

fn piece(m: usize) -> usize {
    (4 * m).next_power_of_two().max(1 << 13)
}

/// Operations and bytes of workspace.
pub(super) fn cost(a: Asked) -> (f64, u64) {
    let (n, m) = ((a.windows + a.m) as f64, a.m as f64);
    let size = piece(a.m);
    let threads = rayon::current_num_threads() as u64;
    let products = if a.m <= SHORT { 2.0 * n * m } else { 20.0 * n * (size as f64).log2() };
    // The deviations twice while they are made, what the ends of windows take for each thread; the query's spectrum, the tables
    // of both directions, and for each thread a piece and its scratch.
    let bytes = 16 * (a.windows + a.m) as u64
        + 40 * threads * (a.m as u64 + 1)
        + 160 * size as u64
        + 48 * threads * size as u64;
    (products + 60.0 * n, bytes)
}

/// The distance of each window from the query.
pub(super) fn distances(x: &[f64], query: &[f64], ctx: &Context) -> Result<Vec<f64>, Failure> {
    let m = query.len();
    let spread = deviations(x, m, ctx)?;
    let of_constant = (m as f64).sqrt();
    let Some(q) = standard(query) else {
        return Ok(spread.iter().map(|s| if *s == 0.0 { 0.0 } else { of_constant }).collect());
    };
    let mut out = vec![0.0f64; spread.len()];
    // The query's values sum to zero, so any level may be taken off a window.
    let exactly = |i: usize| {
        let origin = x[i];
        let moved: Vec<f64> = x[i..i + m].iter().map(|v| v - origin).collect();
        product(&q, &moved)
    };
    let finish = |i: usize, sum: f64| match spread[i] {
        0.0 => of_constant,
        s => distance(m, sum / (m as f64 * s)),
    };
    if m <= SHORT {
        out.par_chunks_mut(FEW).enumerate().try_for_each(|(block, out)| {
            ctx.check()?;
            out.iter_mut().enumerate().for_each(|(i, to)| {
                let i = block * FEW + i;
                *to = finish(i, exactly(i));
            });
            Ok::<_, Failure>(())
        })?;
        return Ok(out);
    }
    let size = piece(m);
    let each = size - m + 1;
    let mut planner = FftPlanner::<f64>::new();
    let (there, back) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let mut spectrum = vec![Complex64::default(); size];
    spectrum.iter_mut().zip(&q).for_each(|(s, q)| s.re = *q);
    there.process(&mut spectrum);
    // Conjugated: products with values that come after, and not before.
    spectrum.iter_mut().for_each(|s| *s = s.conj() / size as f64);
    out.par_chunks_mut(2 * each).enumerate().try_for_each(|(pair, out)| {
        ctx.check()?;
        let starts = [2 * pair * each, (2 * pair + 1) * each];
        let part = |start: usize| &x[start.min(x.len())..(start + size).min(x.len())];
        let level = starts.map(|s| part(s).iter().sum::<f64>() / part(s).len().max(1) as f64);
        let mut z = vec![Complex64::default(); size];
        z.iter_mut().zip(part(starts[0])).for_each(|(z, v)| z.re = v - level[0]);
        z.iter_mut().zip(part(starts[1])).for_each(|(z, v)| z.im = v - level[1]);
        let norm = z.iter().map(|z| z.norm_sqr()).sum::<f64>().sqrt();
        there.process(&mut z);
        z.iter_mut().zip(&spectrum).for_each(|(z, s)| *z *= s);
        back.process(&mut z);
        // What roundings of the transforms may add to a sum, to the query's norm √m and to both pieces'.
        let error = 4.0 * f64::EPSILON * (size as f64).log2() * norm * (m as f64).sqrt();
        for (i, to) in out.iter_mut().enumerate() {
            let at = starts[0] + i;
            let near = if i < each { z[i].re } else { z[i - each].im };
            let doubtful = error > NEAR * m as f64 * spread[at];
            if doubtful && i.is_multiple_of(16) {
                ctx.check()?;
            }
            *to = finish(at, if doubtful && spread[at] > 0.0 { exactly(at) } else { near });
        }
        Ok::<_, Failure>(())
    })?;
    Ok(out)
}
