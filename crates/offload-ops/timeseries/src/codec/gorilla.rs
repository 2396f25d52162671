//! Gorilla's XOR coding (Pelkonen et al., "Gorilla: a fast, scalable, in-memory time series database", VLDB 2015).
//!
//! Each number is XORed with the one before; of what is not zero, the window of bits between the leading and the trailing
//! zeros is kept. The paper writes control bits before each number, which a decoder has to follow one by one. Here they
//! stand apart: one bit for each number says whether its XOR is zero, and a window says for how many numbers it holds, so
//! that numbers within a window are a run of one width.

use super::bits::{Writer, bytes, read};
use super::cursor::{Corrupt, Cursor};
use super::{Effort, MAX_BLOCK};

/// Bits that another window costs.
const WINDOW_BITS: usize = 32;

/// Reused between blocks.
pub(super) struct Scratch {
    xors: Vec<u64>,
    zero: Vec<u64>,
    windows: Vec<Window>,
    tried: Vec<Window>,
}

impl Default for Scratch {
    fn default() -> Self {
        // One more than numbers: the place that is written before it is known to be needed.
        Scratch {
            xors: vec![0; MAX_BLOCK + 1],
            zero: vec![0; MAX_BLOCK / 64],
            windows: Vec::new(),
            tried: Vec::new(),
        }
    }
}

/// Numbers that share a window.
#[derive(Clone, Copy)]
struct Window {
    /// All of their bits.
    or: u64,
    run: usize,
}

impl Window {
    fn shift(self) -> u32 {
        self.or.trailing_zeros()
    }
    fn width(self) -> u32 {
        64 - self.or.leading_zeros() - self.or.trailing_zeros()
    }
    fn bits(self) -> usize {
        self.run * self.width() as usize
    }
    fn with(self, other: Window) -> Window {
        Window { or: self.or | other.or, run: self.run + other.run }
    }
}

/// Appends a block of 1 to [`MAX_BLOCK`] numbers.
pub(super) fn encode(numbers: &[u64], effort: Effort, s: &mut Scratch, out: &mut Vec<u8>) {
    let Some((&first, rest)) = numbers.split_first() else { return };
    let mut count = 0;
    for ((before, after), changed) in numbers.chunks(64).zip(rest.chunks(64)).zip(&mut s.zero) {
        let mut bits = 0;
        for (i, (b, a)) in before.iter().zip(after).enumerate() {
            let xor = a ^ b;
            s.xors[count] = xor;
            bits |= u64::from(xor != 0) << i;
            count += usize::from(xor != 0);
        }
        *changed = bits;
    }
    let xors = &s.xors[..count];
    s.windows.clear();
    for &leaf in effort.leaves {
        windows(xors, leaf, &mut s.tried);
        if s.windows.is_empty() || bits(&s.tried) < bits(&s.windows) {
            std::mem::swap(&mut s.windows, &mut s.tried);
        }
    }
    let begin = out.len();
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&(count as u16).to_le_bytes());
    out.extend_from_slice(&(s.windows.len() as u16).to_le_bytes());
    if count > 0 && count < rest.len() {
        let start = out.len();
        s.zero[..rest.len().div_ceil(64)].iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
        out.truncate(start + rest.len().div_ceil(8));
    }
    for w in &s.windows {
        out.extend_from_slice(&[w.shift() as u8, w.width() as u8]);
        out.extend_from_slice(&(w.run as u16).to_le_bytes());
    }
    let bits: usize = s.windows.iter().map(|w| w.bits()).sum();
    let start = out.len();
    out.resize(start + bits.div_ceil(8), 0);
    if out.len() - begin > 8 * numbers.len() {
        // Longer than the values, so it will not be kept: its length is all that counts.
        return;
    }
    let mut writer = Writer::new(&mut out[start..]);
    let mut at = 0;
    for w in &s.windows {
        writer.run(&xors[at..at + w.run], w.shift(), w.width());
        at += w.run;
    }
    writer.finish();
}

/// Bits of windows and of the numbers in them.
fn bits(windows: &[Window]) -> usize {
    windows.iter().map(|w| w.bits() + WINDOW_BITS).sum()
}

/// Cuts numbers into runs with a window each: pieces of `leaf` numbers, of which neighbours are merged while that saves.
fn windows(xors: &[u64], leaf: usize, found: &mut Vec<Window>) {
    found.clear();
    for piece in xors.chunks(leaf) {
        let mut last = Window { or: piece.iter().fold(0, |or, x| or | x), run: piece.len() };
        while let Some(&before) = found.last() {
            let both = before.with(last);
            if both.bits() > before.bits() + last.bits() + WINDOW_BITS {
                break;
            }
            last = both;
            found.pop();
        }
        found.push(last);
    }
}

/// Reads as many numbers as `out` holds, at least one.
pub(super) fn decode(from: &mut Cursor<'_>, s: &mut Scratch, out: &mut [u64]) -> Result<(), Corrupt> {
    let Some((first, rest)) = out.split_first_mut() else { return Err(Corrupt("a block has no values")) };
    *first = from.u64()?;
    let (count, windows) = (usize::from(from.u16()?), usize::from(from.u16()?));
    if count > rest.len() {
        return Err(Corrupt("more values change than there are"));
    }
    let some_change = count > 0 && count < rest.len();
    let changed = if some_change { from.take(rest.len().div_ceil(8))? } else { &[] };
    if some_change && changed.iter().map(|b| b.count_ones() as usize).sum::<usize>() != count {
        return Err(Corrupt("the number of changes is not that of their bits"));
    }
    if some_change && !rest.len().is_multiple_of(8) && changed[changed.len() - 1] >> (rest.len() % 8) != 0 {
        return Err(Corrupt("a bit stands where no value does"));
    }
    let windows = from.take(4 * windows)?;
    let (mut runs, mut bits) = (0, 0);
    for w in windows.chunks_exact(4) {
        let (shift, width, run) = window(w);
        if width == 0 || shift + width > 64 || run == 0 {
            return Err(Corrupt("a window is no window"));
        }
        runs += run;
        bits += run * width as usize;
    }
    if runs != count {
        return Err(Corrupt("the windows hold for another number of values"));
    }
    let payload = from.take(bytes(bits, 1))?;
    let (mut at, mut bit) = (0, 0);
    // Straight into place where every value changes.
    let xors = if some_change { &mut s.xors[..count + 1] } else { &mut *rest };
    for w in windows.chunks_exact(4) {
        let (shift, width, run) = window(w);
        read(payload, bit, width, shift, &mut xors[at..at + run]);
        at += run;
        bit += run * width as usize;
    }
    let mut x = *first;
    if some_change {
        expand(x, changed, &s.xors[..count + 1], rest);
    } else if count > 0 {
        for place in rest {
            x ^= *place;
            *place = x;
        }
    } else {
        rest.fill(x);
    }
    Ok(())
}

fn window(w: &[u8]) -> (u32, u32, usize) {
    (u32::from(w[0]), u32::from(w[1]), usize::from(w[2]) | usize::from(w[3]) << 8)
}

/// Numbers from the XORs of those that change; one XOR more than changes is there to be looked at.
fn expand(mut x: u64, changed: &[u8], xors: &[u64], rest: &mut [u64]) {
    let mut at = 0;
    for (places, &bits) in rest.chunks_mut(8).zip(changed) {
        for (i, place) in places.iter_mut().enumerate() {
            let bit = u64::from(bits >> i) & 1;
            x ^= xors[at] & bit.wrapping_neg();
            *place = x;
            at += bit as usize;
        }
    }
}
