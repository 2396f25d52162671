//! The rows with the lowest bounds so far, for each query of a piece of work.

/// A bound and its row in one number that sorts as the bound does, then as the row.
pub(crate) fn key(bound: f32, row: u32) -> u64 {
    let bits = bound.to_bits();
    // Order of the numbers as order of the bits: negative ones are reversed.
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 };
    u64::from(ordered) << 32 | u64::from(row)
}

/// The bound and the row of a key.
pub(crate) fn unkey(key: u64) -> (f32, u32) {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered };
    (f32::from_bits(bits), key as u32)
}

/// Keys of one query: at least the lowest `keep`, with room for more so that they are sorted out rarely.
pub(crate) struct Shortlist {
    keep: usize,
    keys: Vec<u64>,
    /// Bounds of at least this are not of interest any more.
    limit: f32,
}

/// How many keys a list of `keep` has room for.
pub(crate) fn room(keep: usize) -> usize {
    keep + keep.max(32)
}

impl Shortlist {
    pub(crate) fn new(keep: usize) -> Shortlist {
        Shortlist { keep, keys: Vec::with_capacity(room(keep)), limit: f32::INFINITY }
    }

    /// Takes in the bounds of consecutive packed rows.
    #[inline(always)]
    pub(crate) fn offer(&mut self, bounds: &[f32], rows: &[u32]) {
        let (chunks, rest) = bounds.as_chunks::<32>();
        for (chunk, rows) in chunks.iter().zip(rows.chunks(32)) {
            let limit = self.limit;
            let mut below = false;
            for bound in chunk {
                below |= *bound < limit;
            }
            if below {
                self.offer_each(chunk, rows);
            }
        }
        self.offer_each(rest, &rows[bounds.len() - rest.len()..]);
    }

    fn offer_each(&mut self, bounds: &[f32], rows: &[u32]) {
        for (&bound, &row) in bounds.iter().zip(rows) {
            if bound < self.limit {
                self.keys.push(key(bound, row));
                if self.keys.len() >= room(self.keep) {
                    self.shorten();
                }
            }
        }
    }

    /// Keeps the lowest; what is dropped, and what is not taken in from now on, is at or above the limit.
    fn shorten(&mut self) {
        if self.keys.len() > self.keep {
            let (_, highest, _) = self.keys.select_nth_unstable(self.keep - 1);
            self.limit = unkey(*highest).0;
            self.keys.truncate(self.keep);
        }
    }

    /// Takes in what another list of the same query holds.
    pub(crate) fn merge(&mut self, other: Shortlist) {
        self.limit = self.limit.min(other.limit);
        self.keys.extend(other.keys);
    }

    /// The keys in order, and the bound that every row which is not among them is at or above (infinite when there
    /// is none).
    pub(crate) fn into_sorted(mut self) -> (Vec<u64>, f32) {
        let limit = self.limit;
        if self.keys.len() > self.keep {
            self.shorten();
        }
        self.keys.sort_unstable();
        (self.keys, self.limit.min(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_bounds_do() {
        let bounds = [f32::MIN, -2.5, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-40, 1.0, f32::MAX];
        for w in bounds.windows(2) {
            assert!(key(w[0], 9) < key(w[1], 3), "{w:?}");
        }
        for b in bounds {
            assert_eq!(unkey(key(b, 77)), (b, 77));
        }
    }

    #[test]
    fn what_is_left_out_is_at_or_above_the_limit() {
        let mut state = 1u64;
        let bounds: Vec<f32> = (0..5000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 40) % 997) as f32
            })
            .collect();
        let rows: Vec<u32> = (0..5000).collect();
        let (mut a, mut b) = (Shortlist::new(20), Shortlist::new(20));
        a.offer(&bounds[..1777], &rows[..1777]);
        b.offer(&bounds[1777..], &rows[1777..]);
        a.merge(b);
        let (keys, limit) = a.into_sorted();
        let kept: Vec<u32> = keys.iter().map(|&k| unkey(k).1).collect();
        assert_eq!(kept.len(), 20);
        for r in rows {
            assert!(kept.contains(&r) || bounds[r as usize] >= limit, "row {r}");
        }
        let mut sorted = bounds.clone();
        sorted.sort_by(f32::total_cmp);
        assert_eq!(kept.iter().map(|&r| bounds[r as usize]).collect::<Vec<_>>(), sorted[..20]);
    }
}
