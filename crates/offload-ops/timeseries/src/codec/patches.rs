//! The few numbers of a block that its rule does not fit: their places and what stands there.

use super::cursor::{Corrupt, Cursor, u16s, u64s};

/// Bits that one costs, its share of the count aside.
pub(super) const BITS: usize = 16 + 64;

/// Numbers that replace others.
#[derive(Default)]
pub(super) struct Patches {
    places: Vec<u16>,
    numbers: Vec<u64>,
}

impl Patches {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.numbers.clear();
    }

    /// Adds one; places come in rising order. Blocks are shorter than 2^16.
    pub(super) fn push(&mut self, place: usize, number: u64) {
        self.places.push(place as u16);
        self.numbers.push(number);
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many there are, as their block has it.
    pub(super) fn write_count(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u16).to_le_bytes());
    }

    /// Places, then numbers.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.places.iter().for_each(|p| out.extend_from_slice(&p.to_le_bytes()));
        self.numbers.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
    }
}

/// Reads `count` patches and puts their numbers into place.
pub(super) fn apply(from: &mut Cursor<'_>, count: usize, out: &mut [u64]) -> Result<(), Corrupt> {
    let places = from.take(2 * count)?;
    let numbers = from.take(8 * count)?;
    let mut least = 0;
    for (place, number) in u16s(places).map(usize::from).zip(u64s(numbers)) {
        if place < least {
            return Err(Corrupt("the places of exceptions do not rise"));
        }
        *out.get_mut(place).ok_or(Corrupt("an exception lies outside of its block"))? = number;
        least = place + 1;
    }
    Ok(())
}
