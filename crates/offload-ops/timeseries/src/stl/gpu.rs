//! Many series taken apart on a device, to the bit as on the CPU: every place, and every fit, is an item's.

use super::Stl;
use super::loess::Fit;
use crate::device::select::{self, Select};
use crate::device::{ITEMS, covering, sum};
use crate::series::Extents;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu};

/// The longest season: averages read one for each value.
pub(crate) const MOST_PERIOD: usize = 1 << 12;

offload_core::kernels! {
    /// Seasons, trends and what is left.
    pub(crate) static STL = "series_stl" {
        text: include_str!("kernel.gpu.c"),
        block: ITEMS,
        elements: [],
        defines: [],
    }
    /// Values less the first of their series.
    fn stl_begin(count: u64, n: u64, x: [f64], y: [f64]);
    /// The values of each place of the period smoothed, and one more at each end.
    fn stl_seasons(
        count: u64, n: u32, period: u32, span: u32, weighted: u32, y: [f64], trend: [f64], weights: [f64],
        seasons: [f64],
    );
    /// The means of values in a row.
    fn stl_average(count: u64, has: u32, gets: u32, width: u32, x: [f64], out: [f64]);
    /// Fits at every so-many-th value.
    fn stl_fit(
        count: u64, n: u32, span: u32, jump: u32, fits: u32, weighted: u32, y: [f64], weights: [f64], out: [f64],
    );
    /// The season, and the values without it.
    fn stl_season(
        count: u64, n: u32, period: u32, jump: u32, fits: u32, lows: [f64], seasons: [f64], y: [f64], season: [f64],
        rest: [f64],
    );
    /// The trend from fits.
    fn stl_trend(count: u64, n: u32, jump: u32, fits: u32, made: [f64], trend: [f64]);
    /// What is left, or how much.
    fn stl_remainder(count: u64, much: u32, y: [f64], season: [f64], trend: [f64], out: [f64]);
    /// Weights from distances.
    fn stl_weights(count: u64, n: u64, middles: [f64], weights: [f64]);
}

/// How many fits a series of `n` values has.
fn fits(fit: Fit, n: usize) -> usize {
    (n - 1).div_ceil(fit.jump.min(n - 1)) + 1
}

impl Stl {
    /// The most fits that are made of a series at once.
    fn most_fits(&self, n: usize) -> usize {
        fits(self.trends(), n).max(fits(self.lows(), n))
    }

    /// Bytes that [`remainders`](Self::remainders) takes beside the values.
    pub(crate) fn device_bytes(&self, e: Extents) -> u64 {
        let (series, n, longer) = (e.series as u64, e.n as u64, (e.n + 2 * self.period) as u64);
        let each = 8 * (4 * n + 3 * longer + self.most_fits(e.n) as u64 + 2);
        sum(&[series.saturating_mul(each), select::bytes(e.series, e.n)])
    }

    /// What is left of each of these series without trend and season.
    ///
    /// # Errors
    /// When the device fails, or the job is to stop.
    pub(crate) fn remainders(
        &self,
        gpu: &mut Gpu<'_>,
        x: &Buffer<f64>,
        e: Extents,
    ) -> Result<Buffer<f64>, Failure> {
        let (values, n, period) = (x.len(), e.n, self.period);
        let longer = e.series * (n + 2 * period);
        let (y, trend) = (gpu.zeros::<f64>(values)?, gpu.zeros::<f64>(values)?);
        let (season, weights) = (gpu.zeros::<f64>(values)?, gpu.zeros::<f64>(values)?);
        let (seasons, one) = (gpu.zeros::<f64>(longer)?, gpu.zeros::<f64>(longer)?);
        let other = gpu.zeros::<f64>(longer)?;
        let made = gpu.zeros::<f64>(e.series * self.most_fits(n))?;
        let middles = gpu.zeros::<f64>(2 * e.series)?;
        let select = Select::new(gpu, e.series, n)?;
        let (all, groups) = (values as u64, covering(values));
        let (span, n32, period32) = (self.season_fit().span as u32, n as u32, period as u32);
        stl_begin(gpu, groups, all, n as u64, x, &y)?;
        for outer in 0..=self.outer {
            let weighted = (outer > 0).then_some(&weights);
            for _ in 0..self.inner {
                let (some, flag) = (covering(longer), u32::from(outer > 0));
                stl_seasons(
                    gpu,
                    some,
                    longer as u64,
                    n32,
                    period32,
                    span,
                    flag,
                    &y,
                    &trend,
                    &weights,
                    &seasons,
                )?;
                // What of the seasons is trend: averages over two periods and three values, smoothed.
                average(gpu, e.series, n + 2 * period, period, &seasons, &one)?;
                average(gpu, e.series, n + period + 1, period, &one, &other)?;
                average(gpu, e.series, n + 2, 3, &other, &one)?;
                let lows = self.fit(gpu, self.lows(), e, &one, None, &made)?;
                let jump = lows.jump as u32;
                let count = fits(lows, n) as u32;
                stl_season(
                    gpu, groups, all, n32, period32, jump, count, &made, &seasons, &y, &season, &other,
                )?;
                let trends = self.fit(gpu, self.trends(), e, &other, weighted, &made)?;
                stl_trend(gpu, groups, all, n32, trends.jump as u32, fits(trends, n) as u32, &made, &trend)?;
            }
            let more = outer < self.outer;
            stl_remainder(gpu, groups, all, u32::from(more), &y, &season, &trend, &weights)?;
            if more {
                select.middles(gpu, &weights, &middles)?;
                stl_weights(gpu, groups, all, n as u64, &middles, &weights)?;
            }
        }
        // There are no weights after the last round.
        Ok(weights)
    }

    /// Fits of each series.
    fn fit(
        &self,
        gpu: &mut Gpu<'_>,
        fit: Fit,
        e: Extents,
        y: &Buffer<f64>,
        weights: Option<&Buffer<f64>>,
        made: &Buffer<f64>,
    ) -> Result<Fit, Failure> {
        let fit = Fit { jump: fit.jump.min(e.n - 1), ..fit };
        let each = fits(fit, e.n);
        let count = e.series * each;
        let (n, span, jump, flag) =
            (e.n as u32, fit.span as u32, fit.jump as u32, u32::from(weights.is_some()));
        let weights = weights.unwrap_or(y);
        stl_fit(gpu, covering(count), count as u64, n, span, jump, each as u32, flag, y, weights, made)?;
        Ok(fit)
    }
}

/// The means of `width` values in a row of each series of `has`.
fn average(
    gpu: &mut Gpu<'_>,
    series: usize,
    has: usize,
    width: usize,
    x: &Buffer<f64>,
    out: &Buffer<f64>,
) -> Result<(), Failure> {
    let gets = has + 1 - width;
    let count = series * gets;
    stl_average(gpu, covering(count), count as u64, has as u32, gets as u32, width as u32, x, out)
}
