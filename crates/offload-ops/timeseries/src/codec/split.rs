//! ALP's way for numbers that are no decimals ("ALP for real doubles" in the paper): the left bits of a number, sign,
//! exponent and the first of the mantissa, are a place in a small dictionary, the right ones are kept as they are.

use super::bits::{append, bytes, mask, read};
use super::cursor::{Corrupt, Cursor, u16s};
use super::spread;

/// The fewest bits on the right; the left ones fill 16.
const LEAST_RIGHT: u32 = 48;
const MOST_RIGHT: u32 = 63;

/// Left parts of a dictionary.
const WORDS: usize = 8;

/// Bits that an exception costs: its place and its left part.
const EXCEPTION_BITS: usize = 16 + 16;

/// Values of all data that decide where to split.
const SAMPLE: usize = 512;

const GROUP: usize = 64;

/// Reused between blocks.
#[derive(Default)]
pub(super) struct Scratch {
    /// How often each left part occurs; all zero between blocks.
    times: Vec<u16>,
    /// The left parts that occur.
    lefts: Vec<u16>,
    numbers: Vec<u64>,
    exceptions: Vec<(u16, u16)>,
}

/// Bits of a place in a dictionary.
fn index_bits(words: usize) -> u32 {
    words.next_power_of_two().trailing_zeros()
}

/// Where a sample of all values is split best: how many bits stand on the right.
pub(super) fn right_bits(values: &[u64]) -> u32 {
    let mut sample: Vec<u64> = spread(values.len(), SAMPLE).map(|i| values[i]).collect();
    sample.sort_unstable();
    let taken = sample.len();
    (LEAST_RIGHT..=MOST_RIGHT)
        .min_by_key(|&right| {
            let runs = sample.chunk_by(|a, b| a >> right == b >> right).map(<[u64]>::len);
            let mut runs: Vec<usize> = runs.collect();
            runs.sort_unstable_by_key(|&n| std::cmp::Reverse(n));
            runs.truncate(WORDS);
            let known: usize = runs.iter().sum();
            let bits = right + index_bits(runs.len().max(1));
            taken * bits as usize + (taken - known) * EXCEPTION_BITS
        })
        .unwrap_or(LEAST_RIGHT)
}

/// Appends a block, `right` bits of each number on the right.
pub(super) fn encode(numbers: &[u64], right: u32, s: &mut Scratch, out: &mut Vec<u8>) {
    let right = right.clamp(LEAST_RIGHT, MOST_RIGHT);
    s.times.resize(1 << (64 - LEAST_RIGHT), 0);
    s.lefts.clear();
    for &n in numbers {
        let times = &mut s.times[(n >> right) as usize];
        if *times == 0 {
            s.lefts.push((n >> right) as u16);
        }
        *times += 1;
    }
    let Scratch { times, lefts, .. } = s;
    let rank = |&left: &u16| (std::cmp::Reverse(times[usize::from(left)]), left);
    if lefts.len() > WORDS {
        lefts.select_nth_unstable_by_key(WORDS, rank);
    }
    let known = lefts.len().min(WORDS);
    lefts[..known].sort_unstable_by_key(rank);
    let words = best_words(&lefts[..known], times, numbers.len());
    // The counts of those in the dictionary become their places, from 1; all others become 0.
    lefts.iter().for_each(|&left| times[usize::from(left)] = 0);
    lefts[..words].iter().zip(1..).for_each(|(&left, place)| times[usize::from(left)] = place);
    s.exceptions.clear();
    s.numbers.clear();
    for (i, &n) in numbers.iter().enumerate() {
        let place = times[(n >> right) as usize];
        if place == 0 {
            s.exceptions.push((i as u16, (n >> right) as u16));
        }
        s.numbers.push(u64::from(place.saturating_sub(1)));
    }
    lefts[..words].iter().for_each(|&left| times[usize::from(left)] = 0);

    out.extend_from_slice(&[right as u8, words as u8]);
    lefts[..words].iter().for_each(|left| out.extend_from_slice(&left.to_le_bytes()));
    out.extend_from_slice(&(s.exceptions.len() as u16).to_le_bytes());
    append(out, &s.numbers, index_bits(words));
    append(out, numbers, right);
    s.exceptions.iter().for_each(|(place, _)| out.extend_from_slice(&place.to_le_bytes()));
    s.exceptions.iter().for_each(|(_, left)| out.extend_from_slice(&left.to_le_bytes()));
}

/// How many left parts, the most frequent first, make the smallest block.
fn best_words(lefts: &[u16], times: &[u16], numbers: usize) -> usize {
    [1, 2, 4, WORDS]
        .into_iter()
        .map(|words| words.min(lefts.len()).max(1))
        .min_by_key(|&words| {
            let known: usize =
                lefts.iter().take(words).map(|&left| usize::from(times[usize::from(left)])).sum();
            numbers * index_bits(words) as usize + (numbers - known) * EXCEPTION_BITS
        })
        .unwrap_or(1)
}

/// Reads as many numbers as `out` holds, at least one.
pub(super) fn decode(from: &mut Cursor<'_>, out: &mut [u64]) -> Result<(), Corrupt> {
    let (right, words) = (u32::from(from.u8()?), usize::from(from.u8()?));
    if !(LEAST_RIGHT..=MOST_RIGHT).contains(&right) || !(1..=WORDS).contains(&words) {
        return Err(Corrupt("a split lies outside of its number"));
    }
    let fits = |left: u16| u64::from(left) <= mask(64 - right);
    let mut dictionary = [0u64; WORDS];
    for (word, left) in dictionary.iter_mut().zip(u16s(from.take(2 * words)?)) {
        if !fits(left) {
            return Err(Corrupt("a left part is too wide"));
        }
        *word = u64::from(left) << right;
    }
    let exceptions = usize::from(from.u16()?);
    let width = index_bits(words);
    let places = from.take(bytes(out.len(), width))?;
    let rights = from.take(bytes(out.len(), right))?;
    read(rights, 0, right, 0, out);
    let mut group = [0; GROUP];
    for (g, out) in out.chunks_mut(GROUP).enumerate() {
        let group = &mut group[..out.len()];
        read(places, g * GROUP * width as usize, width, 0, group);
        if group.iter().any(|&place| place >= words as u64) {
            return Err(Corrupt("a place lies outside of its dictionary"));
        }
        out.iter_mut().zip(group).for_each(|(n, place)| *n |= dictionary[*place as usize & (WORDS - 1)]);
    }
    let places = from.take(2 * exceptions)?;
    let lefts = from.take(2 * exceptions)?;
    let mut least = 0;
    for (place, left) in u16s(places).map(usize::from).zip(u16s(lefts)) {
        let number = out.get_mut(place).ok_or(Corrupt("an exception lies outside of its block"))?;
        if place < least || !fits(left) {
            return Err(Corrupt("the places of exceptions do not rise"));
        }
        *number = (u64::from(left) << right) | (*number & mask(right));
        least = place + 1;
    }
    Ok(())
}
