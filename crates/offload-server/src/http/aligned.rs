//! A body in one piece of memory, in which a place that is known before the first byte comes is aligned, so that
//! tensors behind a head can be used where they lie.

use std::io::{self, Write};

/// What the place is aligned to: a cache line, which is more than any element needs.
const ALIGNMENT: usize = 64;

/// The bytes, behind so many that only align them.
pub struct Aligned {
    bytes: Vec<u8>,
    before: usize,
    place: usize,
}

impl Aligned {
    /// No bytes yet, with room for `capacity`; byte `place` will be aligned.
    pub fn new(capacity: usize, place: usize) -> Aligned {
        let (bytes, before) = Aligned::memory(capacity, place);
        Aligned { bytes, before, place }
    }

    fn memory(capacity: usize, place: usize) -> (Vec<u8>, usize) {
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity.saturating_add(ALIGNMENT));
        let misplaced = bytes.as_ptr().addr().wrapping_add(place) % ALIGNMENT;
        let before = (ALIGNMENT - misplaced) % ALIGNMENT;
        bytes.resize(before, 0u8);
        (bytes, before)
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.before
    }

    /// Adds bytes.
    pub fn push(&mut self, more: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < more.len() {
            // Moved by hand: a vector that grows by itself keeps no alignment.
            let capacity = self.len().saturating_mul(2).max(self.len().saturating_add(more.len()));
            let (mut bytes, before) = Aligned::memory(capacity, self.place);
            bytes.extend_from_slice(self.as_ref());
            (self.bytes, self.before) = (bytes, before);
        }
        self.bytes.extend_from_slice(more);
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.before..]
    }
}

impl Write for Aligned {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        self.push(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_aligned_however_the_bytes_come() {
        let all: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        for place in [0, 1, 7, 63, 64, 200, 4999, 5000, 6000] {
            for (capacity, step) in [(0, 1), (0, 999), (5000, 17), (5000, 5000), (100, 4096)] {
                let mut body = Aligned::new(capacity, place);
                all.chunks(step).for_each(|part| body.push(part));
                assert_eq!(body.as_ref(), all);
                let at = body.as_ref().as_ptr().addr().wrapping_add(place);
                assert_eq!(at % ALIGNMENT, 0, "place {place}, capacity {capacity}, step {step}");
            }
        }
    }

    #[test]
    fn known_lengths_are_received_without_moving() {
        let mut body = Aligned::new(1000, 10);
        let start = body.as_ref().as_ptr();
        (0..100).for_each(|_| body.push(&[1; 10]));
        assert_eq!((body.len(), body.as_ref().as_ptr()), (1000, start));
    }
}
