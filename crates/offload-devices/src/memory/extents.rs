//! Free extents of a set of address spaces: best fit, coalesced with their neighbours.

use std::collections::{BTreeMap, BTreeSet};

/// A place: which space, and how far from its beginning.
pub(super) type Place = (u32, u64);

/// Free extents, found by size and by place, both in O(log n).
///
/// Best fit with the lowest place among equals: what is left at the end of a split is as small as it can be, and
/// large extents stay whole for large requests (Johnstone and Wilson, *The memory fragmentation problem: solved?*,
/// 1998, found address-ordered best fit to waste least on real programs).
#[derive(Debug, Default)]
pub(super) struct Extents {
    by_place: BTreeMap<Place, u64>,
    by_size: BTreeSet<(u64, Place)>,
}

impl Extents {
    /// Takes `bytes` from the smallest extent that has them.
    pub(super) fn take(&mut self, bytes: u64) -> Option<Place> {
        let (size, place) = *self.by_size.range((bytes, (0, 0))..).next()?;
        self.remove(place, size);
        if size > bytes {
            self.insert((place.0, place.1 + bytes), size - bytes);
        }
        Some(place)
    }

    /// Makes an extent free, together with what is free on both sides of it; returns what it became part of.
    pub(super) fn give(&mut self, (space, offset): Place, bytes: u64) -> (Place, u64) {
        let (mut start, mut end) = (offset, offset + bytes);
        let before = self.by_place.range((space, 0)..(space, offset)).next_back().map(|(p, b)| (*p, *b));
        if let Some((place, size)) = before {
            debug_assert!(place.1 + size <= offset, "freed twice: {offset} of space {space}");
            if place.1 + size == offset {
                self.remove(place, size);
                start = place.1;
            }
        }
        let after = self.by_place.range((space, offset)..).next().map(|(p, b)| (*p, *b));
        if let Some((place, size)) = after.filter(|(p, _)| p.0 == space) {
            debug_assert!(place.1 >= end, "freed twice: {offset} of space {space}");
            if place.1 == end {
                self.remove(place, size);
                end += size;
            }
        }
        self.insert((space, start), end - start);
        ((space, start), end - start)
    }

    /// Forgets an extent: its space belongs to somebody else now.
    pub(super) fn forget(&mut self, place: Place) {
        if let Some(size) = self.by_place.get(&place).copied() {
            self.remove(place, size);
        }
    }

    /// The extent that begins there.
    pub(super) fn at(&self, place: Place) -> Option<u64> {
        self.by_place.get(&place).copied()
    }

    /// The largest extent, 0 when there is none.
    pub(super) fn largest(&self) -> u64 {
        self.by_size.last().map_or(0, |(size, _)| *size)
    }

    /// All of them, by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, u64)> + '_ {
        self.by_place.iter().map(|(place, size)| (*place, *size))
    }

    fn insert(&mut self, place: Place, size: u64) {
        self.by_place.insert(place, size);
        self.by_size.insert((size, place));
    }

    fn remove(&mut self, place: Place, size: u64) {
        self.by_place.remove(&place);
        self.by_size.remove(&(size, place));
    }
}
