//! A series as season, trend and remainder by local regressions (STL: Cleveland, Cleveland, McRae and Terpenning 1990).

pub(crate) mod gpu;
mod loess;

use crate::median;
use crate::series::BLOCK;
use loess::{Fit, at, smooth};
use offload_core::{Context, Failure};

/// Bytes that a decomposition takes for each value: the two parts that are given back, the series less its offset, the
/// weights before and after a round, rows of work, the longer rows of the seasons, and one season of the shortest period.
pub(crate) const BYTES_PER_VALUE: u64 = 8 * 11;
/// And for each value of a period: that longer row twice, and one season's values.
pub(crate) const BYTES_PER_PERIOD: u64 = 8 * 8;

/// How a series is taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stl {
    /// Values of a period; at least 2, and at most half of the series.
    pub(crate) period: usize,
    /// Seasons that a smoothed one is fitted to; odd, at least 3.
    pub(crate) seasons: usize,
    /// Rounds for each set of weights.
    pub(crate) inner: usize,
    /// How often values far from the fit lose weight.
    pub(crate) outer: usize,
}

/// What a series was taken apart to, beside the trend.
pub(crate) struct Parts {
    /// What repeats with the period.
    pub(crate) season: Vec<f64>,
    /// What is left.
    pub(crate) remainder: Vec<f64>,
}

/// The next odd number.
fn odd(span: usize) -> usize {
    span | 1
}

impl Stl {
    /// The span of the trend: the shortest that leaves the season its variation (section 3.4).
    fn trend_span(&self) -> usize {
        odd((1.5 * self.period as f64 / (1.0 - 1.5 / self.seasons as f64)).ceil() as usize)
    }

    /// How the trend is smoothed, what of the seasons is trend, and the values of each place of the period.
    fn trends(&self) -> Fit {
        Fit::of(self.trend_span())
    }
    fn lows(&self) -> Fit {
        Fit::of(odd(self.period))
    }
    fn season_fit(&self) -> Fit {
        Fit::of(self.seasons)
    }

    /// Multiplications and additions.
    pub(crate) fn work(&self, n: f64) -> f64 {
        // A fit sees its span, and is made for each tenth of it; seasons have short spans, and all of them.
        let each = 12.0 * (10.0 + 10.0 + self.seasons.min(10) as f64) + 60.0;
        each * n * (self.inner * (self.outer + 1)) as f64
    }

    /// Takes a series apart.
    ///
    /// # Errors
    /// When the job is cancelled.
    pub(crate) fn parts(&self, y: &[f64], ctx: &Context) -> Result<Parts, Failure> {
        let (n, period) = (y.len(), self.period);
        // Fits are the same wherever zero is; near the values they keep their digits.
        let origin = y.first().copied().unwrap_or(0.0);
        let mut y: Vec<f64> = y.iter().map(|v| v - origin).collect();
        let mut season = vec![0.0; n];
        let mut trend = vec![0.0; n];
        let mut weights: Option<Vec<f64>> = None;
        let mut work = vec![0.0; n];
        let mut seasons = vec![0.0; n + 2 * period];
        let mut averages = vec![0.0; n + 2 * period];
        let (trends, low) = (self.trends(), self.lows());
        for outer in 0..=self.outer {
            for _ in 0..self.inner {
                work.iter_mut().zip(&y).zip(&trend).for_each(|((w, y), t)| *w = y - t);
                self.seasons(&work, weights.as_deref(), &mut seasons, ctx)?;
                // What of the seasons is trend: averages over two periods and three values, smoothed.
                average(&seasons, period, &mut averages, ctx)?;
                let once: Vec<f64> = averages[..n + period + 1].to_vec();
                average(&once, period, &mut averages, ctx)?;
                drop(once);
                let twice: Vec<f64> = averages[..n + 2].to_vec();
                average(&twice, 3, &mut averages, ctx)?;
                smooth(&averages[..n], low, None, &mut work, ctx)?;
                season.iter_mut().zip(&seasons[period..]).zip(&work).for_each(|((s, c), l)| *s = c - l);
                averages[..n].iter_mut().zip(&y).zip(&season).for_each(|((w, y), s)| *w = y - s);
                smooth(&averages[..n], trends, weights.as_deref(), &mut trend, ctx)?;
            }
            if outer < self.outer {
                work.iter_mut()
                    .zip(&y)
                    .zip(season.iter().zip(&trend))
                    .for_each(|((w, y), (s, t))| *w = (y - s - t).abs());
                bisquare(&mut work, ctx)?;
                weights = Some(work.clone());
            }
        }
        y.iter_mut().zip(season.iter().zip(&trend)).for_each(|(y, (s, t))| *y = *y - s - t);
        Ok(Parts { season, remainder: y })
    }

    /// Smooths the values of each place of the period on their own, and one more at each end of them.
    fn seasons(
        &self,
        y: &[f64],
        weights: Option<&[f64]>,
        to: &mut [f64],
        ctx: &Context,
    ) -> Result<(), Failure> {
        let fit = self.season_fit();
        let count = y.len().div_ceil(self.period);
        let (mut one, mut smoothed) = (Vec::with_capacity(count), vec![0.0; count]);
        let mut weight = Vec::with_capacity(count);
        for place in 0..self.period {
            one.clear();
            weight.clear();
            one.extend(y[place..].iter().step_by(self.period));
            weight.extend(weights.iter().flat_map(|w| w[place..].iter().step_by(self.period)));
            let weight = weights.map(|_| &weight[..]);
            let k = one.len();
            smooth(&one, fit, weight, &mut smoothed[..k], ctx)?;
            let first = at(&one, fit.span, -1, 0..fit.span.min(k), weight).unwrap_or(smoothed[0]);
            let last = at(&one, fit.span, k as isize, k.saturating_sub(fit.span)..k, weight);
            to[place] = first;
            for (i, v) in smoothed[..k].iter().enumerate() {
                to[place + (i + 1) * self.period] = *v;
            }
            to[place + (k + 1) * self.period] = last.unwrap_or(smoothed[k - 1]);
        }
        Ok(())
    }
}

/// The means of `width` values in a row. Each is summed from its own block's start, as nothing is taken out of a sum.
fn average(x: &[f64], width: usize, to: &mut [f64], ctx: &Context) -> Result<(), Failure> {
    let count = x.len() + 1 - width;
    let mut ends = vec![0.0; width];
    for (block, out) in to[..count].chunks_mut(width).enumerate() {
        if (block * width).is_multiple_of(BLOCK) || width > BLOCK {
            ctx.check()?;
        }
        let here = &x[block * width..];
        let mut end = 0.0;
        for i in (0..width).rev() {
            end += here[i];
            ends[i] = end;
        }
        let mut head = 0.0;
        for (i, out) in out.iter_mut().enumerate() {
            *out = (ends[i] + head) / width as f64;
            head += here.get(width + i).copied().unwrap_or(0.0);
        }
    }
    Ok(())
}

/// Weights from distances: none beyond six times their median.
fn bisquare(distance: &mut [f64], ctx: &Context) -> Result<(), Failure> {
    let far = 6.0 * median::of(distance.len(), |i| distance[i], ctx)?.value();
    for d in distance.iter_mut() {
        let r = *d;
        *d = if r <= 0.001 * far {
            1.0
        } else if r <= 0.999 * far {
            let u = r / far;
            (1.0 - u * u) * (1.0 - u * u)
        } else {
            0.0
        };
    }
    Ok(())
}
