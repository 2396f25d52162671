//! A wavelet matrix over the bits of values in device memory, and the medians of windows from it.

use super::cpu::Windows;
use crate::device::scan;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu, Groups};

/// Few items a group: a small job starts few of them, and a tile's words fit in a group's memory many times.
const ITEMS: u32 = 64;
/// `LEVELS`, `TILE` and words of a tile in the text.
const LEVELS: usize = 64;
const TILE: usize = 8 * ITEMS as usize;
const WORDS: usize = TILE / 32;

offload_core::kernels! {
    /// Values parted by their bits.
    pub(super) static WAVELET = "series_wavelet" {
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
    /// The medians of windows.
    fn wavelet_medians(
        count: u32, n: u32, width: u32, fewest: u32, words: u32, marks: [u32], totals: [u32], out: [f64],
    );
}

/// Where the zeros of each level are.
pub(super) struct Wavelet {
    count: usize,
    words: usize,
    keys: [Buffer<u64>; 2],
    zeros: Buffer<u32>,
    marks: Buffer<u32>,
    totals: Buffer<u32>,
}

/// Words of a level, and one behind them.
fn words(count: usize) -> usize {
    count.div_ceil(TILE) * WORDS + 1
}

/// Bytes that a matrix over so many values takes: two orders of the numbers, the tiles' zeros, and the marks.
pub(super) fn bytes(count: usize) -> u64 {
    let (n, tiles) = (count as u64, count.div_ceil(TILE) as u64);
    16 * n + 4 * (tiles + 1) + 8 * (LEVELS * words(count)) as u64 + 4 * LEVELS as u64
}

impl Wavelet {
    /// Of these values.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn new(gpu: &mut Gpu<'_>, x: &Buffer<f64>) -> Result<Wavelet, Failure> {
        let (count, words) = (x.len(), words(x.len()));
        let made = Wavelet {
            count,
            words,
            keys: [gpu.zeros::<u64>(count)?, gpu.zeros::<u64>(count)?],
            zeros: gpu.zeros::<u32>(count.div_ceil(TILE) + 1)?,
            marks: gpu.zeros(LEVELS * words * 2)?,
            totals: gpu.zeros(LEVELS)?,
        };
        made.build(gpu, x)?;
        Ok(made)
    }

    fn build(&self, gpu: &mut Gpu<'_>, x: &Buffer<f64>) -> Result<(), Failure> {
        let (n, tiles) = (self.count as u32, self.count.div_ceil(TILE));
        wavelet_begin(gpu, Groups::covering(self.count, ITEMS), n, x, &self.keys[0])?;
        let groups = Groups([tiles as u32, 1, 1]);
        for level in 0..LEVELS {
            let (from, to) = (&self.keys[level % 2], &self.keys[(level + 1) % 2]);
            let shift = (LEVELS - 1 - level) as u32;
            wavelet_count(gpu, groups, n, shift, from, &self.zeros)?;
            scan::offsets(gpu, tiles, &self.zeros)?;
            let (zeros, marks, totals) = (&self.zeros, &self.marks, &self.totals);
            wavelet_part(gpu, groups, n, tiles as u32, shift, from, zeros, to, marks, totals)?;
        }
        Ok(())
    }

    /// The medians of the windows over series of `n` values.
    pub(super) fn medians(
        &self,
        gpu: &mut Gpu<'_>,
        n: usize,
        w: Windows,
        out: &Buffer<f64>,
    ) -> Result<(), Failure> {
        wavelet_medians(
            gpu,
            Groups::covering(self.count, ITEMS),
            self.count as u32,
            n as u32,
            w.width as u32,
            w.fewest as u32,
            self.words as u32,
            &self.marks,
            &self.totals,
            out,
        )
    }
}
