//! Scores against the values before on a device: by medians to the bit what the CPU gives, by means what windows joined of
//! pieces are exact to.

use super::global::Scale;
use crate::device::covering;
use crate::device::wavelet::{self, Wavelet};
use crate::rolling::gpu::{Joined, Pieces, moments_bytes};
use crate::series::Extents;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// Values of windows that a start goes through at most, should more than half of each be one.
const AT_ONCE: usize = 1 << 33;

offload_core::kernels! {
    /// Distances from the middles of windows.
    pub(super) static LOCAL = "series_anomaly_before" {
        text: concat!(include_str!("../device/ranks.gpu.c"), include_str!("scores.gpu.c"), include_str!("local.gpu.c")),
        block: wavelet::ITEMS,
        elements: [],
        defines: [],
    }
    /// Scores by medians.
    fn local_medians(
        first: u32, count: u32, n: u32, width: u32, words: u32, marks: [u32], totals: [u32], x: [f64], out: [f64],
    );
    /// Scores by means.
    fn local_means(count: u64, n: u32, width: u32, x: [f64], means: [f64], squares: [f64], out: [f64]);
}

/// Bytes that this takes beside values and scores.
pub(super) fn bytes(scale: Scale, window: usize, e: Extents) -> u64 {
    match scale {
        _ if window >= e.n => 0,
        Scale::Median => wavelet::bytes(e.values() as usize),
        Scale::Clipped => moments_bytes(e.values()),
    }
}

/// Writes how far values are from the middle of the `window` values before them; 0 stays where there are fewer.
///
/// # Errors
/// When the device fails, or the job is to stop.
pub(super) fn score(
    gpu: &mut Gpu<'_>,
    scale: Scale,
    window: usize,
    x: &Buffer<f64>,
    e: Extents,
    out: &Buffer<f64>,
) -> Result<(), Failure> {
    if window >= e.n {
        return Ok(());
    }
    let (count, n, width) = (x.len(), e.n as u32, window as u32);
    match scale {
        Scale::Median => {
            let ranks = Wavelet::new(gpu, x)?;
            let (words, marks, totals) = (ranks.words, &ranks.marks, &ranks.totals);
            let together = AT_ONCE / window;
            for first in (0..count).step_by(together) {
                let some = together.min(count - first);
                let groups = Groups::covering(some, wavelet::ITEMS);
                local_medians(
                    gpu,
                    groups,
                    first as u32,
                    some as u32,
                    n,
                    width,
                    words,
                    marks,
                    totals,
                    x,
                    out,
                )?;
            }
            Ok(())
        }
        Scale::Clipped => {
            let windows = Joined::new(gpu, count, 2)?;
            windows.join(gpu, Pieces::Moments { mark: false }, x, e.n, window)?;
            let [means, squares] = &windows.whole[..] else { return Ok(()) };
            local_means(gpu, covering(count), count as u64, n, width, x, means, squares, out)
        }
    }
}
