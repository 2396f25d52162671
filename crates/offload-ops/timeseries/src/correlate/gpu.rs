//! Correlations on a device: product by product at every lag, where a CPU that has many to make takes transforms.

use super::{Inputs, LONGEST, Normalization};
use crate::device::{self, SERIES, sum, taken_bytes};
use crate::series::{Extents, filled, vector};
use offload_api::{Record, Tensor, TensorSpec, Value};
use offload_core::device::{Buffer, Gpu, Groups, KernelText};
use offload_core::{DeviceNeed, Failure};

/// Items of a group, and lags of a group: `SPAN` in the text.
const ITEMS: u32 = 64;
const SPAN: usize = 7 * ITEMS as usize;
/// Values of a run that is summed, and of a stretch whose products are: at least, and at most where memory allows.
const RUN: usize = 1 << 13;
const SHORTEST: usize = 4 * 252;
const LONGEST_STRETCH: usize = 1 << 14;
/// Groups that keep a large device busy.
const BUSY: usize = 4096;
/// Bytes of sums before stretches are added up.
const SUMS_BYTES: u64 = 256 << 20;
/// Series at once, so that groups can be numbered.
const MOST_SERIES: usize = 1 << 20;
/// Products that are made one by one.
const MOST_PRODUCTS: u64 = 1 << 40;

offload_core::kernels! {
    /// Sums of products.
    pub(super) static CORRELATE = "series_correlate" {
        text: include_str!("kernel.gpu.c"),
        block: ITEMS,
        elements: [],
        defines: [],
    }
    /// The sum of each run, or of its squares about `mean`.
    fn correlate_sums(n: u32, runs: u32, run: u32, level: u32, mean: [f64], x: [f64], sums: [f64]);
    /// Runs added up.
    fn correlate_join(series: u32, runs: u32, by: f64, sums: [f64], out: [f64]);
    /// Sums of products over stretches.
    fn correlate_products(
        n: u32, lags: u32, before: u32, tiles: u32, stretch: u32, one: u32, a: [f64], b: [f64], sums: [f64],
    );
    /// Stretches added up and divided.
    fn correlate_finish(
        count: u64, n: u32, lags: u32, stretches: u32, what: u32, one: u32, sums: [f64], squares_a: [f64],
        squares_b: [f64], out: [f64],
    );
}

/// What correlations start.
pub(super) static KERNELS: &[&KernelText] = &[&SERIES, &CORRELATE];

/// How the products of `lags` lags are cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    tiles: usize,
    stretch: usize,
    stretches: usize,
}

impl Cut {
    fn of(e: Extents, lags: usize) -> Cut {
        let tiles = lags.div_ceil(SPAN);
        let shortest = e.n.div_ceil(SHORTEST).max(1);
        let wanted = (BUSY / (tiles * e.series).max(1)).max(e.n.div_ceil(LONGEST_STRETCH));
        let fits = SUMS_BYTES / 8 / (e.series as u64 * lags as u64).max(1);
        let stretches = wanted.min(fits as usize).clamp(1, shortest);
        let stretch = e.n.div_ceil(stretches).max(1);
        Cut { tiles, stretch, stretches: e.n.div_ceil(stretch) }
    }
}

fn runs(n: usize) -> usize {
    n.div_ceil(RUN)
}

/// What it asks of a device.
pub(super) fn need(inputs: &Inputs<TensorSpec>, e: Extents) -> DeviceNeed {
    let lags = inputs.count(e.n);
    let outputs = (e.series as u64).saturating_mul(lags as u64);
    if outputs == 0 {
        return device::EMPTY;
    }
    if outputs.saturating_mul(e.n as u64) > MOST_PRODUCTS {
        return DeviceNeed::CpuOnly("more than 2^40 products are made by transforms, which are on the CPU");
    }
    if e.series > MOST_SERIES {
        return DeviceNeed::CpuOnly("more than 1,048,576 series at once are not in the device path");
    }
    let cut = Cut::of(e, lags);
    let series = e.series as u64;
    // For each side its sums by runs, its mean and its squares.
    let levels = 2 * 8 * series * (runs(e.n) as u64 + 2);
    let sums = outputs.saturating_mul(8 * (cut.stretches as u64 + 1));
    let b = inputs.b.as_ref().map_or(0, taken_bytes);
    DeviceNeed::Bytes(sum(&[taken_bytes(&inputs.a), b, levels, sums]))
}

/// A series without its mean, where that is asked for, and the sum of its squares.
struct Prepared {
    values: Buffer<f64>,
    squares: Buffer<f64>,
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of("a", &inputs.a.spec(), LONGEST)?;
    let lags = inputs.count(e.n);
    let cut = Cut::of(e, lags);
    let a = prepared(gpu, "a", &inputs.a, inputs.normalization)?;
    let b = match &inputs.b {
        Some(b) => Some(prepared(gpu, "b", b, inputs.normalization)?),
        None => None,
    };
    let farthest = inputs.farthest(e.n);
    let before = if b.is_some() { farthest } else { 0 };
    let one = u32::from(b.as_ref().is_some_and(|b| b.values.len() < a.values.len()));
    let b = b.as_ref().unwrap_or(&a);
    let sums = gpu.zeros::<f64>(e.series * cut.stretches * lags)?;
    let groups = Groups([(e.series * cut.tiles) as u32, cut.stretches as u32, 1]);
    let (n, m) = (e.n as u32, lags as u32);
    correlate_products(
        gpu,
        groups,
        n,
        m,
        before as u32,
        cut.tiles as u32,
        cut.stretch as u32,
        one,
        &a.values,
        &b.values,
        &sums,
    )?;
    let what = match inputs.normalization {
        Normalization::None => 0,
        Normalization::Covariance => 1,
        Normalization::Coefficient => 2,
    };
    let count = e.series * lags;
    let out = gpu.zeros::<f64>(count)?;
    correlate_finish(
        gpu,
        Groups::covering(count, ITEMS),
        count as u64,
        n,
        m,
        cut.stretches as u32,
        what,
        one,
        &sums,
        &a.squares,
        &b.squares,
        &out,
    )?;
    let first = -(before as i64);
    Ok(Record::new()
        .with("lags", vector((0..lags as i64).map(|i| first + i).collect::<Vec<_>>()))
        .with("values", Value::Gapped(filled(e.shape(lags), gpu.download(&out)?))))
}

/// Takes the means off differences from the first values, as the CPU does.
fn prepared(
    gpu: &mut Gpu<'_>,
    name: &'static str,
    tensor: &Tensor,
    normalization: Normalization,
) -> Result<Prepared, Failure> {
    let e = Extents::of(name, &tensor.spec(), LONGEST)?;
    let level = normalization != Normalization::None;
    let values = device::take(gpu, name, tensor, e, level)?;
    let (mean, squares) = (gpu.zeros::<f64>(e.series)?, gpu.zeros::<f64>(e.series)?);
    if level {
        let runs = runs(e.n);
        let sums = gpu.zeros::<f64>(e.series * runs)?;
        let (groups, each) = (Groups([(e.series * runs) as u32, 1, 1]), Groups::covering(e.series, ITEMS));
        let (n, r, run, series) = (e.n as u32, runs as u32, RUN as u32, e.series as u32);
        correlate_sums(gpu, groups, n, r, run, 0, &mean, &values, &sums)?;
        correlate_join(gpu, each, series, r, e.n as f64, &sums, &mean)?;
        correlate_sums(gpu, groups, n, r, run, 1, &mean, &values, &sums)?;
        correlate_join(gpu, each, series, r, 1.0, &sums, &squares)?;
    }
    Ok(Prepared { values, squares })
}
