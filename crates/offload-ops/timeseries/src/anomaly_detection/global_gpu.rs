//! Scores of whole series on a device: their middles by medians or by clipping, and what is left is one division a value. To
//! the bit what the CPU gives, whose sums are made in the same order.

use super::global::ROUNDS;
use crate::device::select::{self, Select};
use crate::device::{ITEMS, covering};
use crate::series::Extents;
use crate::sums;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// Rounds of clipping between two looks whether any series goes on.
const TOGETHER: usize = 4;
/// Words of what is known of a series: `USUAL` in the text.
const USUAL: usize = 8;
/// `VALUES`, `SQUARES`, `SPREAD` and `LARGEST` in the text.
const VALUES: u32 = 0;
const SQUARES: u32 = 1;
const SPREAD: u32 = 2;
const LARGEST: u32 = 3;

const _: () = assert!(sums::RUN == 8192 && sums::LANES == ITEMS as usize, "as the text has it");

offload_core::kernels! {
    /// Distances from the middles of series.
    pub(super) static GLOBAL = "series_anomaly" {
        text: concat!(include_str!("scores.gpu.c"), include_str!("global.gpu.c")),
        block: ITEMS,
        elements: [],
        defines: [("RUN", "8192u")],
    }
    /// All values are usual.
    fn global_begin(series: u32, n: u32, x: [f64], usual: [f64]);
    /// Medians are what is known.
    fn global_medians(series: u32, middles: [f64], deviations: [f64], usual: [f64]);
    /// The sums of each run.
    fn global_runs(n: u32, runs: u32, what: u32, paired: u32, x: [f64], usual: [f64], sums: [f64]);
    /// Runs joined to what they say of their series; `open` becomes 1 when one of them goes on.
    fn global_join(n: u32, runs: u32, what: u32, sums: [f64], usual: [f64], open: [u32]);
    /// All rounds of short series.
    fn global_clip(series: u32, n: u32, rounds: u32, x: [f64], usual: [f64]);
    /// How far each value is from the middle of its series.
    fn global_apart(count: u64, n: u64, middles: [f64], x: [f64], out: [f64]);
    /// The same in deviations.
    fn global_scores(count: u64, n: u64, paired: u32, usual: [f64], x: [f64], out: [f64]);
}

fn runs(e: Extents) -> usize {
    e.n.div_ceil(sums::RUN)
}

/// Bytes that scores take beside values and scores.
fn usual_bytes(e: Extents) -> u64 {
    8 * e.series as u64 * (USUAL as u64 + 2 * runs(e) as u64) + 4
}

/// Bytes that [`by_medians`] takes beside values and scores.
pub(super) fn medians_bytes(e: Extents) -> u64 {
    usual_bytes(e) + 2 * 2 * 8 * e.series as u64 + select::bytes(e.series, e.n)
}

/// Bytes that [`by_clipping`] takes beside values and scores.
pub(super) fn clipping_bytes(e: Extents) -> u64 {
    usual_bytes(e)
}

/// Writes how far values are from the median of their series. Deviations are taken for no smaller than the roundings of the
/// median, and of the values of `sizes`.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(super) fn by_medians(
    gpu: &mut Gpu<'_>,
    x: &Buffer<f64>,
    e: Extents,
    sizes: Option<&Buffer<f64>>,
    out: &Buffer<f64>,
) -> Result<(), Failure> {
    let usual = Usual::new(gpu, e)?;
    let (middles, deviations) = (gpu.zeros::<f64>(2 * e.series)?, gpu.zeros::<f64>(2 * e.series)?);
    let select = Select::new(gpu, e.series, e.n)?;
    select.middles(gpu, x, &middles)?;
    // Where scores will be there are distances before.
    global_apart(gpu, covering(x.len()), x.len() as u64, e.n as u64, &middles, x, out)?;
    select.middles(gpu, out, &deviations)?;
    global_medians(gpu, covering(e.series), e.series as u32, &middles, &deviations, &usual.known)?;
    if let Some(sizes) = sizes {
        usual.join(gpu, LARGEST, true, sizes)?;
    }
    usual.scores(gpu, true, x, out)
}

/// Writes how far values are from the mean of what is usual in their series.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(super) fn by_clipping(
    gpu: &mut Gpu<'_>,
    x: &Buffer<f64>,
    e: Extents,
    out: &Buffer<f64>,
) -> Result<(), Failure> {
    let usual = Usual::new(gpu, e)?;
    let (series, n) = (e.series as u32, e.n as u32);
    if usual.runs == 1 {
        global_clip(gpu, Groups::covering(e.series, 1), series, n, ROUNDS as u32, x, &usual.known)?;
        return usual.scores(gpu, false, x, out);
    }
    global_begin(gpu, covering(USUAL * e.series), series, n, x, &usual.known)?;
    for round in 1..=ROUNDS {
        let look = round.is_multiple_of(TOGETHER);
        if look {
            gpu.clear(&usual.open)?;
        }
        usual.join(gpu, VALUES, false, x)?;
        usual.join(gpu, SQUARES, false, x)?;
        if look && gpu.download(&usual.open)?[0] == 0 {
            break;
        }
    }
    usual.scores(gpu, false, x, out)
}

/// What is known of each series.
struct Usual {
    e: Extents,
    runs: usize,
    known: Buffer<f64>,
    sums: Buffer<f64>,
    open: Buffer<u32>,
}

impl Usual {
    fn new(gpu: &mut Gpu<'_>, e: Extents) -> Result<Usual, Failure> {
        let runs = runs(e);
        let (known, sums) = (gpu.zeros(USUAL * e.series)?, gpu.zeros(2 * e.series * runs)?);
        Ok(Usual { e, runs, known, sums, open: gpu.zeros(1)? })
    }

    /// Joins something of the values of each series to what is known.
    fn join(&self, gpu: &mut Gpu<'_>, what: u32, paired: bool, x: &Buffer<f64>) -> Result<(), Failure> {
        let (n, runs, paired) = (self.e.n as u32, self.runs as u32, u32::from(paired));
        let (all, each) = (Groups([self.e.series as u32 * runs, 1, 1]), Groups([self.e.series as u32, 1, 1]));
        global_runs(gpu, all, n, runs, what, paired, x, &self.known, &self.sums)?;
        global_join(gpu, each, n, runs, what, &self.sums, &self.known, &self.open)
    }

    fn scores(
        &self,
        gpu: &mut Gpu<'_>,
        paired: bool,
        x: &Buffer<f64>,
        out: &Buffer<f64>,
    ) -> Result<(), Failure> {
        self.join(gpu, SPREAD, paired, x)?;
        let (count, n) = (x.len() as u64, self.e.n as u64);
        global_scores(gpu, covering(x.len()), count, n, u32::from(paired), &self.known, x, out)
    }
}
