//! Slices of a card: parts with memory and multiprocessors of their own, each of which a process sees as a whole device.

use serde::{Deserialize, Serialize};

/// A part of a card (a MIG device of NVIDIA's).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// What its driver names it by (`MIG-…`).
    pub uuid: String,
    /// The part of the card that it lies in (its GPU instance). Slices of one part share their memory, so only one of them
    /// is used at a time.
    pub part: u32,
    /// Bytes of its memory.
    pub memory_bytes: u64,
    /// Its multiprocessors; 1 where the driver does not tell.
    pub units: u32,
}

impl Slice {
    /// The slice with the most memory, then with the most multiprocessors; of equal ones the first.
    pub fn largest(slices: &[Slice]) -> Option<&Slice> {
        slices.iter().rev().max_by_key(|s| (s.memory_bytes, s.units))
    }
}

/// Who uses a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceUse {
    /// Every tenant that asks for no slice.
    Shared,
    /// One tenant.
    Tenant,
    /// Nobody.
    Free,
    /// Nobody, because another slice of its part is used.
    Shut,
}

impl SliceUse {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            SliceUse::Shared => "shared",
            SliceUse::Tenant => "tenant",
            SliceUse::Free => "free",
            SliceUse::Shut => "shut",
        }
    }
}

/// How a slice is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceView {
    /// The slice.
    pub slice: Slice,
    /// Who uses it.
    pub used: SliceUse,
    /// Bytes of its memory in use, while a worker is there to tell.
    pub memory_used_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_slice_has_the_most_memory_then_the_most_units() {
        let slice =
            |uuid: &str, memory_bytes, units| Slice { uuid: uuid.into(), part: 0, memory_bytes, units };
        let all = [slice("a", 5, 14), slice("b", 20, 14), slice("c", 20, 42), slice("d", 20, 42)];
        let largest = |slices| Slice::largest(slices).map(|s| s.uuid.as_str());
        assert_eq!(largest(&all), Some("c"));
        assert_eq!(largest(&all[..2]), Some("b"));
        assert_eq!(largest(&[]), None);
    }
}
