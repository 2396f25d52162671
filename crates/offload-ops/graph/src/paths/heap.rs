//! A queue of nodes by distance: a heap of four children, which is half as deep as a binary one and reads the children
//! of a node from one or two cache lines (LaMarca and Ladner, "The influence of caches on the performance of heaps",
//! 1996). A node may stand in it several times; its first appearance is the nearest.

/// A queue of nodes. Of equal distances, the smaller node comes first.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    entries: Vec<(f64, u32)>,
}

impl Heap {
    /// Adds a node at a distance that is not NaN.
    #[inline]
    pub(crate) fn push(&mut self, distance: f64, node: u32) {
        let entry = (distance, node);
        let mut at = self.entries.len();
        self.entries.push(entry);
        while at > 0 {
            let parent = (at - 1) / 4;
            if !before(entry, self.entries[parent]) {
                break;
            }
            self.entries[at] = self.entries[parent];
            at = parent;
        }
        self.entries[at] = entry;
    }

    /// The nearest node, taken out.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(f64, u32)> {
        let last = self.entries.pop()?;
        let Some(&first) = self.entries.first() else { return Some(last) };
        let len = self.entries.len();
        let mut at = 0;
        loop {
            let children = 4 * at + 1;
            if children >= len {
                break;
            }
            let mut least = children;
            for c in children + 1..(children + 4).min(len) {
                if before(self.entries[c], self.entries[least]) {
                    least = c;
                }
            }
            if !before(self.entries[least], last) {
                break;
            }
            self.entries[at] = self.entries[least];
            at = least;
        }
        self.entries[at] = last;
        Some(first)
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[inline]
fn before(a: (f64, u32), b: (f64, u32)) -> bool {
    a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_leave_in_order() {
        let mut heap = Heap::default();
        let mut want: Vec<(f64, u32)> = (0..5000u32).map(|i| (f64::from(i * 7919 % 701), i)).collect();
        want.iter().for_each(|&(d, v)| heap.push(d, v));
        want.sort_by(|a, b| a.partial_cmp(b).unwrap());
        for want in want {
            assert_eq!(heap.pop(), Some(want));
        }
        assert_eq!(heap.pop(), None);
    }
}
