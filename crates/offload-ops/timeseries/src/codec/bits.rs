//! Runs of numbers of one width as a stream of bits, least significant bit first.
//!
//! A run has one width, so that neither side decides anything per number: both move a whole word and a position.

/// Bytes of `count` numbers of `width` bits.
#[inline(always)]
pub(super) fn bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// A number whose lowest `width` bits are set.
#[inline(always)]
pub(super) fn mask(width: u32) -> u64 {
    if width == 0 { 0 } else { u64::MAX >> (64 - width) }
}

/// Bits that a number needs.
#[inline(always)]
pub(super) fn width(number: u64) -> u32 {
    64 - number.leading_zeros()
}

/// Fills bytes with runs, one behind the other.
pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
    word: u64,
    filled: u32,
}

impl<'a> Writer<'a> {
    /// Writes into `out`, which has as many bytes as the runs need.
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Writer { out, at: 0, word: 0, filled: 0 }
    }

    /// Writes bits `shift` to `shift + width` of each number; `width` is 1 to 64, and at most `64 - shift`.
    #[inline(always)]
    pub(super) fn run(&mut self, numbers: &[u64], shift: u32, width: u32) {
        let mask = mask(width);
        let (mut at, mut word, mut filled) = (self.at, self.word, self.filled);
        for &number in numbers {
            let number = (number >> shift) & mask;
            word |= number << filled;
            let reach = filled + width;
            if reach >= 64 {
                if let Some(place) = self.out.get_mut(at..at + 8) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
                at += 8;
                // Shifted in two steps, because nothing is left over when the word was empty.
                word = (number >> 1) >> (63 - filled);
                filled = reach - 64;
            } else {
                filled = reach;
            }
        }
        (self.at, self.word, self.filled) = (at, word, filled);
    }

    /// Writes the bits that fill no whole word.
    #[inline(always)]
    pub(super) fn finish(self) {
        let bytes = self.filled.div_ceil(8) as usize;
        if let Some(place) = self.out.get_mut(self.at..self.at + bytes) {
            place.copy_from_slice(&self.word.to_le_bytes()[..bytes]);
        }
    }
}

/// Appends numbers of one width and returns nothing to be finished: the run ends with its last byte.
#[inline(always)]
pub(super) fn append(out: &mut Vec<u8>, numbers: &[u64], width: u32) {
    if width == 0 {
        return;
    }
    let start = out.len();
    out.resize(start + bytes(numbers.len(), width), 0);
    let mut writer = Writer::new(&mut out[start..]);
    writer.run(numbers, 0, width);
    writer.finish();
}

/// The eight bytes at `at`, or as many of them as there are.
#[inline(always)]
fn load(from: &[u8], at: usize) -> u64 {
    match from.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => load_end(from, at),
    }
}

#[cold]
fn load_end(from: &[u8], at: usize) -> u64 {
    let rest = from.get(at..).unwrap_or_default();
    rest.iter().take(8).rev().fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

/// Reads numbers of `width` bits from bit `start` on, each shifted left by `shift`. What lies beyond the end is zero;
/// the caller has seen to it that nothing does.
pub(super) fn read(from: &[u8], start: usize, width: u32, shift: u32, out: &mut [u64]) {
    let mask = mask(width);
    let mut at = start;
    if width == 0 {
        out.fill(0);
    } else if width <= 57 {
        // One word holds such a number wherever in a byte it begins.
        for out in out {
            *out = ((load(from, at >> 3) >> (at & 7)) & mask) << shift;
            at += width as usize;
        }
    } else {
        for out in out {
            let (byte, bit) = (at >> 3, at & 7);
            let next = from.get(byte + 8).copied().unwrap_or(0);
            let word = (load(from, byte) >> bit) | ((u64::from(next) << 1) << (63 - bit));
            *out = (word & mask) << shift;
            at += width as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_every_width_come_back_from_any_bit() {
        for width in 1..=64 {
            for before in 0..9 {
                let numbers: Vec<u64> =
                    (0..70u64).map(|i| (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask(width)).collect();
                let mut out = vec![0; (before + 70 * width as usize).div_ceil(8)];
                let mut writer = Writer::new(&mut out);
                writer.run(&vec![1; before], 0, 1);
                writer.run(&numbers, 0, width);
                writer.finish();
                let mut back = vec![0; 70];
                read(&out, before, width, 0, &mut back);
                assert_eq!(back, numbers, "{width} bits after {before}");
                // Bit by bit, as the page defines the stream.
                let bit = |i: usize| u64::from(out[i / 8] >> (i % 8) & 1);
                for (i, &number) in numbers.iter().enumerate() {
                    let by_bits =
                        (0..width as usize).map(|b| bit(before + i * width as usize + b) << b).sum::<u64>();
                    assert_eq!(by_bits, number, "{width} bits after {before}");
                }
            }
        }
    }

    #[test]
    fn a_window_is_cut_out_and_put_back() {
        let numbers = [0b1011_0000u64, 0b0110_0000, 0b1111_0000];
        let mut out = vec![0; bytes(3, 4)];
        let mut writer = Writer::new(&mut out);
        writer.run(&numbers, 4, 4);
        writer.finish();
        assert_eq!(out, [0b0110_1011, 0b0000_1111]);
        let mut back = [0; 3];
        read(&out, 0, 4, 4, &mut back);
        assert_eq!(back, numbers);
    }
}
