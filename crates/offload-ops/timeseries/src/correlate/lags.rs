//! Sums of products at every lag: each on its own where that is little, else by transforms of blocks, whose products are
//! added up before they are transformed back (Stockham 1966). Blocks are short, so that there is a look at the cancel
//! flag between them.

use offload_core::{Context, Failure};
use rayon::prelude::*;
use rustfft::num_complex::Complex64;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Products that are made one by one rather than by transforms.
const FEW_PRODUCTS: usize = 1 << 22;
const SHORTEST_BLOCK: usize = 1 << 10;
const LONGEST_BLOCK: usize = 1 << 15;

fn by_products(n: usize, farthest: usize, pair: bool) -> bool {
    let lags = (farthest + 1) * if pair { 2 } else { 1 };
    n.saturating_mul(lags) <= FEW_PRODUCTS
}

fn block(farthest: usize) -> usize {
    (farthest + 1).next_power_of_two().clamp(SHORTEST_BLOCK, LONGEST_BLOCK)
}

/// Operations for one series, and bytes of workspace.
pub(super) fn cost(n: usize, farthest: usize, pair: bool) -> (f64, u64) {
    let sides = if pair { 2 } else { 1 };
    let copies = 8 * (n * sides) as u64;
    if by_products(n, farthest, pair) {
        return (2.0 * n as f64 * ((farthest + 1) * sides) as f64, copies);
    }
    let b = block(farthest);
    let blocks = n.div_ceil(b);
    let shifts = sides * (farthest.div_ceil(b) + 1);
    let transform = 5.0 * 2.0 * b as f64 * (2.0 * b as f64).log2();
    let work = transform * (blocks * sides + shifts) as f64 + (shifts * blocks) as f64 * 16.0 * b as f64;
    let spectra = 32 * (b * blocks * sides) as u64;
    let sums = 16 * (b * shifts) as u64;
    // For each thread a sum of products and the scratch of its transform; and the tables of both directions.
    let threads = rayon::current_num_threads() as u64;
    (work, copies + spectra + sums + threads * 64 * b as u64 + 256 * b as u64 + (1 << 20))
}

/// Writes `Σ a[t + lag] b[t]` for each lag: from 0 without `b`, which then is `a`, else from `−farthest`.
pub(super) fn correlate(
    a: &[f64],
    b: Option<&[f64]>,
    farthest: usize,
    to: &mut [f64],
    ctx: &Context,
) -> Result<(), Failure> {
    let n = a.len();
    if n == 0 {
        return Ok(());
    }
    let first = if b.is_some() { -(farthest as isize) } else { 0 };
    let other = b.unwrap_or(a);
    if by_products(n, farthest, b.is_some()) {
        return to.par_iter_mut().enumerate().try_for_each(|(i, to)| {
            ctx.check()?;
            let lag = first + i as isize;
            let (late, early) = (lag.max(0) as usize, (-lag).max(0) as usize);
            *to = product(&a[late..n - early], &other[early..n - late]);
            Ok(())
        });
    }
    let size = block(farthest);
    let t = Transform::new(size);
    let spectra_a = t.spectra(a, ctx)?;
    let own;
    let spectra_b = match b {
        Some(b) => {
            own = t.spectra(b, ctx)?;
            &own
        }
        None => &spectra_a,
    };
    // The lags between a block of `a` and one `shift` blocks before it are those around `shift · size`.
    let least = first.div_euclid(size as isize);
    let most = (farthest as isize).div_euclid(size as isize) + 1;
    let sums = (least..=most)
        .into_par_iter()
        .map(|shift| t.at_shift(&spectra_a, spectra_b, shift, ctx))
        .collect::<Result<Vec<Vec<f64>>, Failure>>()?;
    for (i, to) in to.iter_mut().enumerate() {
        let lag = first + i as isize;
        let shift = (lag.div_euclid(size as isize) - least) as usize;
        let within = lag.rem_euclid(size as isize) as usize;
        // From these blocks, and from those one further, of which it is a lag below zero.
        *to = sums[shift][within] + if within > 0 { sums[shift + 1][size + within] } else { 0.0 };
    }
    Ok(())
}

/// The sum of products, in eight sums that are added in a fixed order.
pub(crate) fn product(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (whole, rest) = (a.chunks_exact(8), a.chunks_exact(8).remainder());
    let from = a.len() - rest.len();
    for (a, b) in whole.zip(b.chunks_exact(8)) {
        (0..8).for_each(|i| sums[i] += a[i] * b[i]);
    }
    let tail: f64 = rest.iter().zip(&b[from..]).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + tail
}

/// Transforms of blocks of `size` values and as many zeros.
struct Transform {
    size: usize,
    there: Arc<dyn Fft<f64>>,
    back: Arc<dyn Fft<f64>>,
}

impl Transform {
    fn new(size: usize) -> Transform {
        let mut planner = FftPlanner::new();
        Transform {
            size,
            there: planner.plan_fft_forward(2 * size),
            back: planner.plan_fft_inverse(2 * size),
        }
    }

    fn spectra(&self, x: &[f64], ctx: &Context) -> Result<Vec<Vec<Complex64>>, Failure> {
        x.par_chunks(self.size)
            .map(|x| {
                ctx.check()?;
                let mut s = vec![Complex64::default(); 2 * self.size];
                s.iter_mut().zip(x).for_each(|(s, x)| s.re = *x);
                self.there.process(&mut s);
                Ok(s)
            })
            .collect()
    }

    /// Sums over all pairs of blocks `shift` apart: the lags from 0 up, then those from `−size` up.
    fn at_shift(
        &self,
        a: &[Vec<Complex64>],
        b: &[Vec<Complex64>],
        shift: isize,
        ctx: &Context,
    ) -> Result<Vec<f64>, Failure> {
        let mut sum = vec![Complex64::default(); 2 * self.size];
        for (j, b) in b.iter().enumerate() {
            let Some(a) = j.checked_add_signed(shift).and_then(|i| a.get(i)) else { continue };
            ctx.check()?;
            sum.iter_mut().zip(a.iter().zip(b)).for_each(|(s, (a, b))| *s += a * b.conj());
        }
        ctx.check()?;
        self.back.process(&mut sum);
        let by = 1.0 / (2 * self.size) as f64;
        Ok(sum.iter().map(|s| s.re * by).collect())
    }
}
