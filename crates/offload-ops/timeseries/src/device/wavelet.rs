//! A wavelet matrix over the bits of values in device memory; kernels find values of any rank in it by `ranks.gpu.c`.

use super::scan;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// Few items a group: a small job starts few of them, and a tile's words fit in a group's memory many times.
pub(crate) const ITEMS: u32 = 64;
/// `LEVELS`, `TILE` and words of a tile in the text.
const LEVELS: usize = 64;
const TILE: usize = 8 * ITEMS as usize;
const WORDS: usize = TILE / 32;

offload_core::kernels! {
    /// Values parted by their bits.
    pub(crate) static WAVELET = "series_wavelet" {
        text: include_str!("wavelet.gpu.c"),
        block: ITEMS,
        elements: [],
        defines: [],
    }
    /// Numbers in the order of the values.
    fn wavelet_begin(count: u32, x: [f64], keys: [u64]);
    /// Zeros of each tile in one bit.
    fn wavelet_count(count: u32, shift: u32, keys: [u64], zeros: [u32]);
    /// Parts all by one bit.
    fn wavelet_part(
        count: u32, tiles: u32, shift: u32, keys: [u64], zeros: [u32], parted: [u64], marks: [u32], totals: [u32],
    );
}

/// Where the zeros of each level are.
pub(crate) struct Wavelet {
    /// How many values there are.
    pub(crate) count: usize,
    /// Words of a level, as kernels take it.
    pub(crate) words: u32,
    /// The zeros before each word of a level, and its bits.
    pub(crate) marks: Buffer<u32>,
    /// The zeros of each level.
    pub(crate) totals: Buffer<u32>,
}

/// Words of a level, and one behind them.
fn words(count: usize) -> usize {
    count.div_ceil(TILE) * WORDS + 1
}

/// Bytes that a matrix over so many values takes: two orders of the numbers, the tiles' zeros, and the marks.
pub(crate) fn bytes(count: usize) -> u64 {
    let (n, tiles) = (count as u64, count.div_ceil(TILE) as u64);
    16 * n + 4 * (tiles + 1) + 8 * (LEVELS * words(count)) as u64 + 4 * LEVELS as u64
}

impl Wavelet {
    /// Of these values.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn new(gpu: &mut Gpu<'_>, x: &Buffer<f64>) -> Result<Wavelet, Failure> {
        let (count, words, tiles) = (x.len(), words(x.len()), x.len().div_ceil(TILE));
        let keys = [gpu.zeros::<u64>(count)?, gpu.zeros::<u64>(count)?];
        let zeros = gpu.zeros::<u32>(tiles + 1)?;
        let (marks, totals) = (gpu.zeros(LEVELS * words * 2)?, gpu.zeros(LEVELS)?);
        let n = count as u32;
        wavelet_begin(gpu, Groups::covering(count, ITEMS), n, x, &keys[0])?;
        let groups = Groups([tiles as u32, 1, 1]);
        for level in 0..LEVELS {
            let (from, to) = (&keys[level % 2], &keys[(level + 1) % 2]);
            let shift = (LEVELS - 1 - level) as u32;
            wavelet_count(gpu, groups, n, shift, from, &zeros)?;
            scan::offsets(gpu, tiles, &zeros)?;
            wavelet_part(gpu, groups, n, tiles as u32, shift, from, &zeros, to, &marks, &totals)?;
        }
        Ok(Wavelet { count, words: words as u32, marks, totals })
    }
}
