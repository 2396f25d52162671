//! Sums before each number of a list, on the device: what turns counts into places.

use super::BLOCK;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// Groups at most, whose totals one group sums.
const MOST_GROUPS: usize = 1024;

offload_core::kernels! {
    /// Exclusive sums.
    pub(crate) static SCAN = "graph_scan" {
        text: concat!(include_str!("frontier.gpu.c"), include_str!("scan.gpu.c")),
        block: BLOCK,
        elements: [],
        defines: [],
    }
    /// The total of each group's part.
    fn graph_scan_parts(n: u64, values: [u32], totals: [u32]);
    /// The sums before each total, and that of all.
    fn graph_scan_totals(groups: u32, totals: [u32]);
    /// The sums before each value, in place.
    fn graph_scan_places(n: u64, totals: [u32], values: [u32]);
}

/// Turns lists of numbers into the sums before each.
pub(crate) struct Scan {
    totals: Buffer<u32>,
}

impl Scan {
    /// Bytes of device memory that it takes.
    pub(crate) const BYTES: u64 = 4 * (MOST_GROUPS as u64 + 1);

    /// Room for the totals of groups.
    ///
    /// # Errors
    /// When the device has no memory.
    pub(crate) fn new(gpu: &mut Gpu<'_>) -> Result<Scan, Failure> {
        Ok(Scan { totals: gpu.zeros(MOST_GROUPS + 1)? })
    }

    /// Replaces the first `n` values by the sums of those before each. Sums wrap at 2³².
    ///
    /// # Errors
    /// When the device fails, or the job is to stop.
    pub(crate) fn run(&self, gpu: &mut Gpu<'_>, values: &Buffer<u32>, n: usize) -> Result<(), Failure> {
        let groups = n.div_ceil(BLOCK as usize).clamp(1, MOST_GROUPS);
        let all = Groups([groups as u32, 1, 1]);
        graph_scan_parts(gpu, all, n as u64, values, &self.totals)?;
        graph_scan_totals(gpu, Groups([1, 1, 1]), groups as u32, &self.totals)?;
        graph_scan_places(gpu, all, n as u64, &self.totals, values)
    }

    /// The sum of all `n` values of the last run.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn total(&self, gpu: &mut Gpu<'_>, n: usize) -> Result<u32, Failure> {
        let groups = n.div_ceil(BLOCK as usize).clamp(1, MOST_GROUPS);
        Ok(gpu.download_range(&self.totals, groups, 1)?.first().copied().unwrap_or(0))
    }
}
