//! ALP, adaptive lossless floating point (Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless floating-Point compression",
//! SIGMOD 2024): numbers that were decimals become integers again, and what does not come back to the bit is an exception.
//!
//! A number `x` becomes the integer nearest to `x * 10^e * 10^-f`, and is `d * 10^f * 10^-e` again. The exponents are found
//! in two steps as in the paper: the best few of a sample of all data, and of these the best of a sample of the block.

use super::cursor::{Corrupt, Cursor};
use super::patches::{self, Patches};
use super::simd::{Loop, vectorised};
use super::{Effort, integers, spread};

/// The largest exponent: ten to it is below 2^63, and exact.
const MAX_EXPONENT: usize = 18;

const POWERS: [f64; MAX_EXPONENT + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

const INVERSES: [f64; MAX_EXPONENT + 1] = [
    1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15,
    1e-16, 1e-17, 1e-18,
];

/// 2^52 + 2^51: added to a number below 2^51, it leaves the nearest integer in the lowest bits.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// Numbers that become an integer are smaller when scaled: 2^51.
const MOST: f64 = 2_251_799_813_685_248.0;

/// Numbers that are looked at together.
const GROUP: usize = 64;

/// Values of each sample of all data.
const SAMPLE: usize = 32;

/// Samples of all data.
const SAMPLES: usize = 16;

/// A pair of exponents, `f` at most `e`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exponents {
    e: u8,
    f: u8,
}

impl Exponents {
    /// Both in one number, as the device takes them.
    pub(super) fn number(self) -> u32 {
        u32::from(self.e) | u32::from(self.f) << 8
    }

    /// All there are; of equally good ones the first is taken.
    fn all() -> impl Iterator<Item = Exponents> {
        (0..=MAX_EXPONENT as u8).flat_map(|e| (0..=e).map(move |f| Exponents { e, f }))
    }

    /// What a number is multiplied by to become an integer, and an integer to become a number again.
    #[inline(always)]
    fn factors(self) -> ([f64; 2], [f64; 2]) {
        let (e, f) = (usize::from(self.e), usize::from(self.f));
        ([POWERS[e], INVERSES[f]], [POWERS[f], INVERSES[e]])
    }

    /// The integer that a number becomes, and whether the number comes back to the bit.
    #[inline(always)]
    fn integer(self, bits: u64) -> (i64, bool) {
        let (there, back) = self.factors();
        let scaled = f64::from_bits(bits) * there[0] * there[1];
        let rounded = scaled + ROUNDING;
        let d = (rounded.to_bits() as i64).wrapping_sub(ROUNDING.to_bits() as i64);
        // Below 2^51 this difference is the integer as a floating-point number, exactly.
        let again = (rounded - ROUNDING) * back[0] * back[1];
        (d, (again.to_bits() == bits) & (scaled.abs() < MOST))
    }

    /// Bits that a sample would take; no matter how many where exceptions alone take more than `enough`.
    fn cost(self, sample: &[u64], enough: usize) -> usize {
        let (mut least, mut most, mut exceptions) = (i64::MAX, i64::MIN, 0);
        for &bits in sample {
            let (d, back) = self.integer(bits);
            if back {
                (least, most) = (least.min(d), most.max(d));
            } else {
                exceptions += 1;
                if exceptions * patches::BITS > enough {
                    return usize::MAX;
                }
            }
        }
        let range = if least <= most { most.wrapping_sub(least) as u64 } else { 0 };
        super::bits::width(range) as usize * sample.len() + exceptions * patches::BITS
    }
}

/// The best of these for a sample, and the bits that it takes.
fn best(of: impl Iterator<Item = Exponents>, sample: &[u64]) -> (usize, Exponents) {
    of.fold((usize::MAX, Exponents { e: 0, f: 0 }), |best, x| {
        let cost = x.cost(sample, best.0);
        if cost < best.0 { (cost, x) } else { best }
    })
}

/// Numbers from all over a run.
fn sample(of: &[u64], most: usize) -> Vec<u64> {
    spread(of.len(), most).map(|i| of[i]).collect()
}

/// The exponents that are best for parts of all data, those of most parts first.
pub(super) fn candidates(all: &[u64], effort: Effort) -> Vec<Exponents> {
    if effort.exponents == usize::MAX {
        return Exponents::all().collect();
    }
    let part = all.len().div_ceil(SAMPLES).max(super::BLOCK);
    let mut found: Vec<(usize, Exponents)> = Vec::new();
    for part in all.chunks(part) {
        let (_, x) = best(Exponents::all(), &sample(part, SAMPLE));
        match found.iter_mut().find(|(_, other)| *other == x) {
            Some((times, _)) => *times += 1,
            None => found.push((1, x)),
        }
    }
    found.sort_by_key(|(times, _)| std::cmp::Reverse(*times));
    found.truncate(effort.exponents);
    found.into_iter().map(|(_, x)| x).collect()
}

/// Reused between blocks.
#[derive(Default)]
pub(super) struct Scratch {
    integers: Vec<u64>,
    exceptions: Vec<u16>,
    patches: Patches,
}

/// The best exponents for a block, and the bits that a value takes with them.
pub(super) fn choose(numbers: &[u64], candidates: &[Exponents], effort: Effort) -> (Exponents, usize) {
    let sample = sample(numbers, effort.sample);
    let (bits, x) = best(candidates.iter().copied(), &sample);
    (x, bits / sample.len().max(1))
}

/// Appends a block.
pub(super) fn encode(
    numbers: &[u64],
    x: Exponents,
    effort: Effort,
    (s, packed): (&mut Scratch, &mut integers::Scratch),
    out: &mut Vec<u8>,
) {
    let Scratch { integers, exceptions, patches } = s;
    let count = vectorised(Integers { numbers, x, integers, exceptions });
    patches.clear();
    // An exception takes the integer before it, which makes the packing no wider; the first ones that of the first other.
    let exceptions = &exceptions[..count];
    let leading = exceptions.iter().zip(0..).take_while(|(at, i)| **at == *i).count();
    let first = integers.get(leading).copied().unwrap_or(0);
    for &at in exceptions {
        let at = usize::from(at);
        integers[at] = if at < leading { first } else { integers[at - 1] };
        patches.push(at, numbers[at]);
    }
    out.extend_from_slice(&[x.e, x.f]);
    patches.write_count(out);
    integers::encode(integers, effort, packed, out);
    patches.write(out);
}

/// The integers of numbers, and the places of those that do not come back; returns how many these are.
struct Integers<'a> {
    numbers: &'a [u64],
    x: Exponents,
    integers: &'a mut Vec<u64>,
    exceptions: &'a mut Vec<u16>,
}

impl Loop for Integers<'_> {
    type Output = usize;

    #[inline(always)]
    fn call(self) -> usize {
        let Integers { numbers, x, integers, exceptions } = self;
        integers.clear();
        integers.extend(numbers.iter().map(|&n| x.integer(n).0 as u64));
        exceptions.resize(numbers.len() + 1, 0);
        let mut count = 0;
        for (at, group) in (0..).step_by(GROUP).zip(numbers.chunks(GROUP)) {
            // Mostly none of a group is one, which is found without a step for each.
            if group.iter().fold(true, |all, &n| all & x.integer(n).1) {
                continue;
            }
            for (i, &n) in (at..).zip(group) {
                exceptions[count] = i;
                count += usize::from(!x.integer(n).1);
            }
        }
        count
    }
}

/// Reads as many numbers as `out` holds, at least one.
pub(super) fn decode(from: &mut Cursor<'_>, out: &mut [u64]) -> Result<(), Corrupt> {
    let x = Exponents { e: from.u8()?, f: from.u8()? };
    if usize::from(x.e) > MAX_EXPONENT || x.f > x.e {
        return Err(Corrupt("the exponents are beyond 18"));
    }
    let exceptions = usize::from(from.u16()?);
    integers::decode(from, out)?;
    let (_, back) = x.factors();
    out.iter_mut().for_each(|d| *d = (*d as i64 as f64 * back[0] * back[1]).to_bits());
    patches::apply(from, exceptions, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_their_digits() {
        let x = Exponents { e: 14, f: 13 };
        assert_eq!(x.integer(316.1f64.to_bits()), (3161, true));
        for odd in [f64::NAN, f64::INFINITY, -0.0, f64::MIN_POSITIVE / 8.0, 1e300, std::f64::consts::PI] {
            assert!(!x.integer(odd.to_bits()).1, "{odd}");
        }
    }

    #[test]
    fn candidates_are_the_exponents_of_most_parts() {
        let all: Vec<u64> = (0..20_000u32)
            .map(|i| if i < 15_000 { f64::from(i) / 10.0 } else { f64::from(i % 900) / 1000.0 })
            .map(f64::to_bits)
            .collect();
        let effort = Effort::of(5);
        let found = candidates(&all, effort);
        let failing = |x: Exponents, of: &[u64]| of.iter().filter(|&&n| !x.integer(n).1).count();
        assert!(failing(found[0], &all[..15_000]) < 100, "{found:?}");
        assert!(found.iter().any(|&x| failing(x, &all[15_000..]) < 100), "{found:?}");
    }
}
