//! Scores by medians on a device, for whole series: the middle of each, that of the distances from it, and what is left is
//! one division a value. To the bit what the CPU gives.

use super::select::{self, SELECT, Select};
use super::{Detector, Inputs, LONGEST, cpu, global};
use crate::device::{self, SERIES, covering, sum, taken_bytes};
use crate::series::{Extents, values_at};
use offload_api::{Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{DeviceNeed, Failure};

/// The most values of all series together.
const MOST: u64 = 1 << 31;

offload_core::kernels! {
    /// Distances from medians.
    static SCORES = "series_anomaly" {
        text: include_str!("kernel.gpu.c"),
        block: device::ITEMS,
        elements: [],
        defines: [],
    }
    /// How far each value is from the middle of its series.
    fn anomaly_apart(count: u64, n: u64, middles: [f64], x: [f64], out: [f64]);
    /// The same in deviations.
    fn anomaly_scores(count: u64, n: u64, middles: [f64], deviations: [f64], x: [f64], out: [f64]);
}

/// What anomaly detection starts.
pub(super) static KERNELS: &[&KernelText] = &[&SERIES, &SCORES, &SELECT];

/// What it asks of a device.
pub(super) fn need(data: &TensorSpec, e: Extents, detector: Detector) -> DeviceNeed {
    if !matches!(detector, Detector::Global(global::Scale::Median)) {
        return DeviceNeed::CpuOnly(
            "only mad over whole series has a device path; windows and other methods have not yet",
        );
    }
    if e.values() == 0 {
        return device::EMPTY;
    }
    if e.values() > MOST {
        return DeviceNeed::CpuOnly(
            "medians of more than 2,147,483,648 values at once are not in the device path",
        );
    }
    let middles = 2 * 2 * 8 * e.series as u64;
    DeviceNeed::Bytes(sum(&[taken_bytes(data), 16 * e.values(), select::bytes(e.series, e.n), middles]))
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let ctx = gpu.context().clone();
    let e = Extents::of("data", &inputs.data.spec(), LONGEST)?;
    let x = device::take(gpu, "data", &inputs.data, e, false)?;
    let (count, n, groups) = (x.len() as u64, e.n as u64, covering(x.len()));
    let (apart, scores) = (gpu.zeros::<f64>(x.len())?, gpu.zeros::<f64>(x.len())?);
    let (middles, deviations) = (gpu.zeros::<f64>(2 * e.series)?, gpu.zeros::<f64>(2 * e.series)?);
    let select = Select::new(gpu, e.series, e.n)?;
    select.middles(gpu, &x, &middles)?;
    anomaly_apart(gpu, groups, count, n, &middles, &x, &apart)?;
    select.middles(gpu, &apart, &deviations)?;
    anomaly_scores(gpu, groups, count, n, &middles, &deviations, &x, &scores)?;
    let (mut scores, deviations) = (gpu.download(&scores)?, gpu.download(&deviations)?);
    // More than half of the values of such a series are one: the CPU holds the others against their mean deviation.
    for (s, _) in deviations.chunks_exact(2).enumerate().filter(|(_, d)| d[0] + d[1] == 0.0) {
        let places = s * e.n..(s + 1) * e.n;
        let x = values_at(&inputs.data, places.clone());
        global::score(global::Scale::Median, &x, 0.0, &mut scores[places], &ctx)?;
    }
    cpu::outputs(inputs, e, scores, &ctx)
}
