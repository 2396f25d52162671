//! Windows on a device: joined from pieces whose lengths are powers of eight, so that every value is as much work as any
//! other and nothing is taken out of a sum; medians from a wavelet matrix.

use super::cpu::Windows;
use super::{Inputs, LONGEST, Statistic};
use crate::device::wavelet::{self, WAVELET, Wavelet};
use crate::device::{self, ITEMS, SERIES, covering, scan::SCAN, sum, taken_bytes};
use crate::series::{Extents, filled};
use offload_api::{Record, Tensor, TensorSpec, Value};
use offload_core::device::{Buffer, Gpu, Groups, KernelText};
use offload_core::{DeviceNeed, Failure};

offload_core::kernels! {
    /// Pieces, and what windows are joined of.
    pub(crate) static PIECES = "series_rolling" {
        text: include_str!("kernel.gpu.c"),
        block: ITEMS,
        elements: [],
        defines: [],
    }
    /// The least, or the largest, of the windows.
    fn rolling_extremes(
        count: u64, n: u32, size: u32, digit: u32, have: u32, grow: u32, largest: u32, x: [f64], out: [f64], whole: [f64],
    );
    /// Their sums, in two words.
    fn rolling_sums(
        count: u64, n: u32, size: u32, digit: u32, have: u32, grow: u32, in_high: [f64], in_low: [f64],
        out_high: [f64], out_low: [f64], whole_high: [f64], whole_low: [f64],
    );
    /// Their means, as differences from their last values, and sums of squares.
    fn rolling_moments(
        count: u64, n: u32, size: u32, digit: u32, have: u32, grow: u32, mark: u32, x: [f64], in_mean: [f64],
        in_squares: [f64], out_mean: [f64], out_squares: [f64], whole_mean: [f64], whole_squares: [f64],
    );
    /// A statistic of two words.
    fn rolling_finish(
        count: u64, n: u32, width: u32, fewest: u32, ddof: u32, what: u32, high: [f64], low: [f64], out: [f64],
    );
}

offload_core::kernels! {
    /// What windows have in the middle.
    static MEDIANS = "series_medians" {
        text: concat!(include_str!("../device/ranks.gpu.c"), include_str!("medians.gpu.c")),
        block: wavelet::ITEMS,
        elements: [],
        defines: [],
    }
    /// The medians of windows.
    fn rolling_medians(
        count: u32, n: u32, width: u32, fewest: u32, words: u32, marks: [u32], totals: [u32], out: [f64],
    );
}

/// What rolling statistics start.
pub(super) static KERNELS: &[&KernelText] = &[&SERIES, &PIECES, &WAVELET, &SCAN, &MEDIANS];

/// The most values of all series together that medians are taken of.
const MOST_FOR_MEDIANS: u64 = 1 << 31;

/// What it asks of a device.
pub(super) fn need(data: &TensorSpec, e: Extents, asked: &[(&'static str, Statistic)]) -> DeviceNeed {
    if e.values() == 0 {
        return device::EMPTY;
    }
    let medians = asked.iter().any(|(_, s)| *s == Statistic::Median);
    if medians && e.values() > MOST_FOR_MEDIANS {
        return DeviceNeed::CpuOnly(
            "medians of more than 2,147,483,648 values at once are not in the device path",
        );
    }
    // The values, and what comes out; pieces twice and the whole, in as many words as the statistics have.
    let words = asked.iter().map(|(_, s)| s.words()).max().unwrap_or(0) as u64;
    let each = 8 * (1 + 3 * words);
    let ranks = if medians { wavelet::bytes(e.values() as usize) } else { 0 };
    DeviceNeed::Bytes(sum(&[taken_bytes(data), e.values().saturating_mul(each), ranks]))
}

impl Statistic {
    /// Words that a piece has.
    fn words(self) -> usize {
        match self {
            Statistic::Median => 0,
            Statistic::Min | Statistic::Max => 1,
            Statistic::Sum | Statistic::Mean | Statistic::Var | Statistic::Std => 2,
        }
    }

    /// What the pieces are of.
    fn pieces(self) -> Option<Pieces> {
        match self {
            Statistic::Min => Some(Pieces::Extremes(false)),
            Statistic::Max => Some(Pieces::Extremes(true)),
            Statistic::Sum | Statistic::Mean => Some(Pieces::Sums),
            Statistic::Var | Statistic::Std => Some(Pieces::Moments { mark: false }),
            Statistic::Median => None,
        }
    }

    /// Its number in the kernel.
    fn number(self) -> u32 {
        match self {
            Statistic::Min | Statistic::Max | Statistic::Median => 0,
            Statistic::Sum => 1,
            Statistic::Mean => 2,
            Statistic::Var => 3,
            Statistic::Std => 4,
        }
    }
}

/// What is kept of pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pieces {
    /// The least value, or the largest.
    Extremes(bool),
    /// The sum.
    Sums,
    /// Means and squares; with `mark` no squares are 0 but those of a constant.
    Moments {
        /// Whether to mark what varies.
        mark: bool,
    },
}

pub(super) fn run(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of("data", &inputs.data.spec(), LONGEST)?;
    let (asked, fewest) = (inputs.asked()?, inputs.fewest()?);
    let width = (inputs.window as usize).clamp(1, e.n.max(1));
    let windows = Windows { width, fewest, ddof: inputs.ddof.unwrap_or(1) as usize };
    let x = device::take(gpu, "data", &inputs.data, e, false)?;
    let words = asked.iter().map(|(_, s)| s.words()).max().unwrap_or(0);
    let pieces = Joined::new(gpu, x.len(), words)?;
    let out = gpu.zeros::<f64>(x.len())?;
    let mut ranks: Option<Wavelet> = None;
    let mut there = None;
    let mut outputs = Record::new();
    for &(name, statistic) in &asked {
        match statistic.pieces() {
            None => {
                let ranks = match &mut ranks {
                    Some(ranks) => ranks,
                    none => none.insert(Wavelet::new(gpu, &x)?),
                };
                medians(gpu, ranks, e.n, windows, &out)?;
            }
            Some(of) => {
                // Sum and mean, and variance and its root, are of the same pieces.
                if there.replace(of) != Some(of) {
                    pieces.join(gpu, of, &x, e.n, width)?;
                }
                pieces.finish(gpu, statistic, e.n, windows, &out)?;
            }
        }
        outputs.set(name, Value::Gapped(filled(e.shape(e.n), gpu.download(&out)?)));
    }
    Ok(outputs)
}

/// The medians of the windows over series of `n` values.
fn medians(
    gpu: &mut Gpu<'_>,
    ranks: &Wavelet,
    n: usize,
    w: Windows,
    out: &Buffer<f64>,
) -> Result<(), Failure> {
    let groups = Groups::covering(ranks.count, wavelet::ITEMS);
    let (count, n, width, fewest) = (ranks.count as u32, n as u32, w.width as u32, w.fewest as u32);
    rolling_medians(gpu, groups, count, n, width, fewest, ranks.words, &ranks.marks, &ranks.totals, out)
}

/// Windows joined of pieces, and the memory for that.
pub(crate) struct Joined {
    /// Two words, one level after another in turns.
    levels: [Vec<Buffer<f64>>; 2],
    /// What windows are joined to: two words of each that ends at a value.
    pub(crate) whole: Vec<Buffer<f64>>,
    count: usize,
}

/// Bytes that windows of two words take.
pub(crate) fn moments_bytes(values: u64) -> u64 {
    values.saturating_mul(6 * 8)
}

impl Joined {
    /// Memory for windows over so many values of so many words.
    ///
    /// # Errors
    /// When the device has none.
    pub(crate) fn new(gpu: &mut Gpu<'_>, count: usize, words: usize) -> Result<Joined, Failure> {
        let mut some = |n: usize| (0..n).map(|_| gpu.zeros::<f64>(count)).collect::<Result<Vec<_>, _>>();
        Ok(Joined { levels: [some(words)?, some(words)?], whole: some(words)?, count })
    }

    /// Joins the windows of `width` values over series of `n`.
    ///
    /// # Errors
    /// When the device fails, or the job is to stop.
    pub(crate) fn join(
        &self,
        gpu: &mut Gpu<'_>,
        of: Pieces,
        x: &Buffer<f64>,
        n: usize,
        width: usize,
    ) -> Result<(), Failure> {
        let (count, groups) = (self.count as u64, covering(self.count));
        for (i, p) in passes(width as u32).into_iter().enumerate() {
            let (from, to) = (&self.levels[i % 2], &self.levels[(i + 1) % 2]);
            let (size, digit, have, grow) = (p.size, p.digit, p.have, u32::from(p.grow));
            let n = n as u32;
            match (of, &from[..], &to[..], &self.whole[..]) {
                (Pieces::Extremes(largest), [a, ..], [b, ..], [w, ..]) => {
                    let (largest, a) = (u32::from(largest), if i == 0 { x } else { a });
                    rolling_extremes(gpu, groups, count, n, size, digit, have, grow, largest, a, b, w)?;
                }
                (Pieces::Sums, [a, a_low], [b, b_low], [w, w_low]) => {
                    let a = if i == 0 { x } else { a };
                    rolling_sums(
                        gpu, groups, count, n, size, digit, have, grow, a, a_low, b, b_low, w, w_low,
                    )?;
                }
                (Pieces::Moments { mark }, [a, a_low], [b, b_low], [w, w_low]) => {
                    let mark = u32::from(mark);
                    rolling_moments(
                        gpu, groups, count, n, size, digit, have, grow, mark, x, a, a_low, b, b_low, w, w_low,
                    )?;
                }
                _ => unreachable!("as many words as the statistics have"),
            }
        }
        Ok(())
    }

    fn finish(
        &self,
        gpu: &mut Gpu<'_>,
        statistic: Statistic,
        n: usize,
        w: Windows,
        out: &Buffer<f64>,
    ) -> Result<(), Failure> {
        let [high, rest @ ..] = &self.whole[..] else { return Ok(()) };
        // An extreme has one word, and the other is not read.
        let low = rest.first().unwrap_or(high);
        let (count, groups) = (self.count as u64, covering(self.count));
        let (width, fewest, ddof) = (w.width as u32, w.fewest as u32, w.ddof as u32);
        rolling_finish(gpu, groups, count, n as u32, width, fewest, ddof, statistic.number(), high, low, out)
    }
}

/// One digit of a width in base eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    /// Values of a piece.
    size: u32,
    /// How many pieces go into the whole.
    digit: u32,
    /// Values that are in the whole before.
    have: u32,
    /// Whether pieces of eight times the size are made.
    grow: bool,
}

fn passes(width: u32) -> Vec<Pass> {
    let (mut size, mut have) = (1, 0);
    let mut all = Vec::new();
    loop {
        let (digit, grow) = (width / size % 8, width / size >= 8);
        all.push(Pass { size, digit, have, grow });
        if !grow {
            return all;
        }
        have += digit * size;
        size *= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_width_add_up_to_it() {
        for width in (1..3000).chain([1 << 30, (1 << 30) - 1, 8u32.pow(9), 8u32.pow(9) - 1]) {
            let all = passes(width);
            let sum: u32 = all.iter().map(|p| p.size * p.digit).sum();
            assert_eq!(sum, width);
            assert!(all.iter().all(|p| p.digit < 8 && p.have < width.min(p.size)), "{all:?}");
            assert!(
                all.windows(2).all(|w| w[0].grow && w[1].size == 8 * w[0].size)
                    && all.last().is_some_and(|p| !p.grow)
            );
        }
    }
}
