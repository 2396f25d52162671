//! Offsets from counts, by one group: for counts of tiles, of which there are few.

use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// Few, as a job starts this once for each bit of its values, and mostly has few tiles.
const ITEMS: u32 = 64;

offload_core::kernels! {
    /// Sums of all counts before each.
    pub(crate) static SCAN = "series_scan" {
        text: include_str!("scan.gpu.c"),
        block: ITEMS,
        elements: [],
        defines: [],
    }
    /// `counts[i]` becomes the sum of those before it, for `i` up to and with `count`.
    fn series_scan(count: u32, counts: [u32]);
}

/// Makes offsets of `count` counts; what stands behind them becomes their sum.
///
/// # Errors
/// When the device fails.
pub(crate) fn offsets(gpu: &mut Gpu<'_>, count: usize, counts: &Buffer<u32>) -> Result<(), Failure> {
    series_scan(gpu, Groups([1, 1, 1]), count as u32, counts)
}
