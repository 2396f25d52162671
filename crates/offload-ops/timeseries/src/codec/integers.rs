//! Integers of 64 bits as differences of the order that makes them smallest, around a base, packed by groups of 64.
//!
//! Timestamps, integers, and what ALP makes of floating-point numbers end here. Order 0 is a frame of reference, order 1
//! delta, order 2 delta of deltas. All arithmetic wraps, so that every integer comes back, the extremes too.

use super::bits::{append, bytes, mask, read, width};
use super::cursor::{Corrupt, Cursor};
use super::patches::{self, Patches};
use super::simd::{Loop, vectorised};
use super::{Effort, MAX_BLOCK, spread};

/// Numbers that share a width. As many as a word has bits, so that a full group ends with a byte.
const GROUP: usize = 64;

/// The bit of the first byte that says all groups have one width.
const UNIFORM: u8 = 4;

/// A group is looked at for exceptions when the highest two bits of its numbers add up to no more than this.
const FEW: u64 = 24;

/// Groups that decide about the order of differences.
const SAMPLED_GROUPS: usize = 8;

/// Numbers of which one in the middle may be a base.
const SAMPLE: usize = 31;

/// Reused between blocks.
#[derive(Default)]
pub(super) struct Scratch {
    differences: Vec<u64>,
    widths: Vec<u8>,
    patches: Patches,
}

/// Small magnitudes to small numbers: 0, -1, 1, -2, … to 0, 1, 2, 3, ….
#[inline(always)]
fn zigzag(x: u64) -> u64 {
    (x << 1) ^ ((x as i64 >> 63) as u64)
}

#[inline(always)]
fn unzigzag(z: u64) -> u64 {
    (z >> 1) ^ (z & 1).wrapping_neg()
}

/// Appends a run of integers, of which there are 1 to [`MAX_BLOCK`].
pub(super) fn encode(numbers: &[u64], effort: Effort, s: &mut Scratch, out: &mut Vec<u8>) {
    vectorised(Encode { numbers, effort, s, out });
}

struct Encode<'a> {
    numbers: &'a [u64],
    effort: Effort,
    s: &'a mut Scratch,
    out: &'a mut Vec<u8>,
}

impl Loop for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Encode { numbers, effort, s, out } = self;
        let groups = numbers.len().div_ceil(GROUP);
        let stride = if effort.whole { 1 } else { groups.div_ceil(SAMPLED_GROUPS).max(1) };
        let order = best_order(numbers, effort, stride, &mut s.differences);
        let of = &mut s.differences;
        of.clear();
        match order {
            0 => of.extend_from_slice(numbers),
            1 => of.extend(numbers.windows(2).map(|w| step(w[0], w[1]))),
            _ => of.extend(numbers.windows(3).map(|w| step(step(w[0], w[1]), step(w[1], w[2])))),
        }
        let (base, _) = best_base(of, effort, stride);
        write(&numbers[..order], base, s, out);
    }
}

#[inline(always)]
fn step(before: u64, after: u64) -> u64 {
    after.wrapping_sub(before)
}

/// The order of differences that takes the fewest bits in every `stride`-th group.
#[inline(always)]
fn best_order(numbers: &[u64], effort: Effort, stride: usize, differences: &mut Vec<u64>) -> usize {
    let groups = numbers.len().div_ceil(GROUP);
    let mut best = (usize::MAX, 0);
    for order in 0..=2.min(numbers.len() - 1) {
        differences.clear();
        for group in (0..groups).step_by(stride) {
            let end = ((group + 1) * GROUP + order).min(numbers.len());
            let of = &numbers[group * GROUP..end];
            match order {
                0 => differences.extend_from_slice(of),
                1 => differences.extend(of.windows(2).map(|w| step(w[0], w[1]))),
                _ => differences.extend(of.windows(3).map(|w| step(step(w[0], w[1]), step(w[1], w[2])))),
            }
        }
        let (_, bits) = best_base(differences, effort, 1);
        // The numbers that the differences start from are whole, and count as far as the sample is.
        best = best.min((bits + order * 64 / stride, order));
    }
    best.1
}

/// A number that the others are near, and the bits that every `stride`-th group takes around it: the middle of their
/// range, or one in the middle of a sample.
#[inline(always)]
fn best_base(of: &[u64], effort: Effort, stride: usize) -> (u64, usize) {
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for &x in of {
        (least, most) = (least.min(x as i64), most.max(x as i64));
    }
    let range = if least <= most { most.wrapping_sub(least) as u64 } else { 0 };
    // Half the range rounded up: the zigzag of what is around it is then no wider than the range.
    let middle = (least as u64).wrapping_add(range / 2 + range % 2);
    let by_middle = (cost(of, middle, stride), middle);
    let (bits, base) = if effort.bases_by_median && range > 1 {
        let median = median(of);
        by_middle.min((cost(of, median, stride), median))
    } else {
        by_middle
    };
    (base, bits)
}

/// One in the middle of a few from all over.
#[inline(always)]
fn median(of: &[u64]) -> u64 {
    let mut sample = [0i64; SAMPLE];
    let mut taken = 0;
    for (place, i) in sample.iter_mut().zip(spread(of.len(), SAMPLE)) {
        *place = of[i] as i64;
        taken += 1;
    }
    let sample = &mut sample[..taken];
    if sample.is_empty() { 0 } else { *sample.select_nth_unstable(taken / 2).1 as u64 }
}

/// Bits of every `stride`-th group around a base.
#[inline(always)]
fn cost(of: &[u64], base: u64, stride: usize) -> usize {
    let mut around = [0; GROUP];
    let mut bits = 0;
    for group in of.chunks(GROUP).step_by(stride) {
        let around = &mut around[..group.len()];
        let mut or = 0;
        for (z, x) in around.iter_mut().zip(group) {
            *z = zigzag(x.wrapping_sub(base));
            or |= *z;
        }
        bits += best_width(around, width(or)).0;
    }
    bits
}

#[inline(always)]
fn write(first: &[u64], base: u64, s: &mut Scratch, out: &mut Vec<u8>) {
    let zigzags = &mut s.differences;
    s.widths.clear();
    s.patches.clear();
    for (g, group) in zigzags.chunks_mut(GROUP).enumerate() {
        let mut or = 0;
        for x in group.iter_mut() {
            *x = zigzag(x.wrapping_sub(base));
            or |= *x;
        }
        let (_, w) = best_width(group, width(or));
        if w < width(or) {
            for (i, &z) in group.iter().enumerate().filter(|(_, z)| **z > mask(w)) {
                s.patches.push(g * GROUP + i, z);
            }
        }
        s.widths.push(w as u8);
    }
    let uniform = s.widths.first().is_some_and(|first| s.widths.iter().all(|w| w == first));
    out.push(first.len() as u8 | if uniform { UNIFORM } else { 0 });
    first.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    out.extend_from_slice(&base.to_le_bytes());
    s.patches.write_count(out);
    out.extend_from_slice(if uniform { &s.widths[..1] } else { &s.widths });
    for (group, &w) in zigzags.chunks(GROUP).zip(&s.widths) {
        append(out, group, u32::from(w));
    }
    s.patches.write(out);
}

/// The width that costs a group of zigzags least, where numbers that are wider become exceptions, and what it costs.
#[inline(always)]
fn best_width(group: &[u64], widest: u32) -> (usize, u32) {
    let without = (group.len() * widest as usize, widest);
    // The sum of the highest two bits is at least as large as the count of those that have any, and quicker to take.
    if widest < 2 || group.iter().map(|&z| z >> (widest - 2)).sum::<u64>() > FEW {
        return without;
    }
    let mut of_width = [0usize; 65];
    group.iter().for_each(|&z| of_width[width(z) as usize] += 1);
    let (mut best, mut exceptions) = (without, 0);
    for w in (0..widest).rev() {
        exceptions += of_width[w as usize + 1];
        if exceptions * patches::BITS > best.0 {
            break;
        }
        best = best.min((group.len() * w as usize + exceptions * patches::BITS, w));
    }
    best
}

/// Reads as many integers as `out` holds, at least one.
pub(super) fn decode(from: &mut Cursor<'_>, out: &mut [u64]) -> Result<(), Corrupt> {
    debug_assert!(!out.is_empty() && out.len() <= MAX_BLOCK);
    let form = from.u8()?;
    let (order, uniform) = (usize::from(form & 3), form & UNIFORM != 0);
    if order > 2 || form > 3 + UNIFORM || order > out.len() {
        return Err(Corrupt("the order of differences is none of 0, 1 and 2"));
    }
    let (first, rest) = out.split_at_mut(order);
    for place in first.iter_mut() {
        *place = from.u64()?;
    }
    let base = from.u64()?;
    let exceptions = usize::from(from.u16()?);
    let groups = rest.len().div_ceil(GROUP);
    let widths = from.take(if uniform { 1 } else { groups })?;
    for (g, group) in rest.chunks_mut(GROUP).enumerate() {
        let w = u32::from(widths[if uniform { 0 } else { g }]);
        if w > 64 {
            return Err(Corrupt("a group is wider than 64 bits"));
        }
        read(from.take(bytes(group.len(), w))?, 0, w, 0, group);
    }
    patches::apply(from, exceptions, rest)?;
    let of = |z: u64| unzigzag(z).wrapping_add(base);
    match *first {
        [] => rest.iter_mut().for_each(|z| *z = of(*z)),
        [mut x] => {
            for z in rest {
                x = x.wrapping_add(of(*z));
                *z = x;
            }
        }
        [before, mut x] => {
            let mut step = x.wrapping_sub(before);
            for z in rest {
                step = step.wrapping_add(of(*z));
                x = x.wrapping_add(step);
                *z = x;
            }
        }
        _ => {}
    }
    Ok(())
}
