//! The values in the middle of series in device memory, without sorting them: radix selection from the highest bits (Alabi,
//! Blanchard, Gordon and Steinbach, "Fast k-selection algorithms for graphics processing units", 2012).

use super::ITEMS;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// Values of a series that one group goes through eight times; of longer ones many groups have parts.
const WHOLE: usize = 1 << 12;
/// Values of such a part.
const PART: usize = 1 << 13;
/// Counts that a long series has.
const COUNTS: usize = 512;

offload_core::kernels! {
    /// Values by their rank.
    pub(crate) static SELECT = "series_select" {
        text: include_str!("select.gpu.c"),
        block: ITEMS,
        elements: [],
        defines: [],
    }
    /// The two values in the middle of each short series.
    fn select_whole(count: u32, n: u32, x: [f64], middles: [f64]);
    /// Nothing is known yet.
    fn select_begin(series: u32, n: u32, found: [u64], places: [u32]);
    /// How often each digit comes next.
    fn select_count(n: u32, parts: u32, part_n: u32, shift: u32, x: [f64], found: [u64], counts: [u32]);
    /// The next digit.
    fn select_narrow(shift: u32, counts: [u32], found: [u64], places: [u32], middles: [f64]);
}

/// Bytes that this takes beside values and middles.
pub(crate) fn bytes(series: usize, n: usize) -> u64 {
    if n <= WHOLE { 0 } else { series as u64 * (2 * 8 + 2 * 4 + 4 * COUNTS as u64) }
}

/// What is known of the two values that are looked for in each series.
pub(crate) struct Select {
    series: usize,
    n: usize,
    /// Of long series: how the values begin, their ranks among those that begin so, and counts of the next digit.
    long: Option<(Buffer<u64>, Buffer<u32>, Buffer<u32>)>,
}

impl Select {
    /// For so many series of `n` values, at least one.
    ///
    /// # Errors
    /// When the device has no memory.
    pub(crate) fn new(gpu: &mut Gpu<'_>, series: usize, n: usize) -> Result<Select, Failure> {
        let long = match n <= WHOLE {
            true => None,
            false => Some((gpu.zeros(2 * series)?, gpu.zeros(2 * series)?, gpu.zeros(COUNTS * series)?)),
        };
        Ok(Select { series, n, long })
    }

    /// The two values in the middle of each series of `x`; of an odd number they are one.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn middles(
        &self,
        gpu: &mut Gpu<'_>,
        x: &Buffer<f64>,
        middles: &Buffer<f64>,
    ) -> Result<(), Failure> {
        let (series, n) = (self.series as u32, self.n as u32);
        let Some((found, places, counts)) = &self.long else {
            return select_whole(gpu, Groups::covering(self.series, 1), series, n, x, middles);
        };
        select_begin(gpu, Groups::covering(2 * self.series, ITEMS), series, n, found, places)?;
        let parts = self.n.div_ceil(PART) as u32;
        for shift in (0..64).step_by(8).rev() {
            let all = Groups([series * parts, 1, 1]);
            select_count(gpu, all, n, parts, PART as u32, shift, x, found, counts)?;
            select_narrow(gpu, Groups([series, 1, 1]), shift, counts, found, places, middles)?;
        }
        Ok(())
    }
}
