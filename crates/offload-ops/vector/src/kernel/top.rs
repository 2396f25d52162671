//! The best few of many, ties by the lower index.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A row and what it costs to take it: the less, the better. NaN is kept out before one is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) cost: f64,
    pub(crate) row: u32,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        // Zeros of either sign are one cost, which the total order of f64 denies.
        self.cost.partial_cmp(&other.cost).unwrap_or(Ordering::Equal).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` best rows so far.
#[derive(Clone, Debug)]
pub(crate) struct Top {
    k: usize,
    heap: BinaryHeap<Ranked>,
}

impl Top {
    /// None yet. Room is taken as rows come.
    pub(crate) fn new(k: usize) -> Top {
        Top { k, heap: BinaryHeap::new() }
    }

    /// The worst row that is still among the best; `None` while there is room.
    #[inline(always)]
    pub(crate) fn worst(&self) -> Option<Ranked> {
        if self.heap.len() < self.k { None } else { self.heap.peek().copied() }
    }

    /// Takes a row in when it is among the best.
    #[inline(always)]
    pub(crate) fn offer(&mut self, cost: f64, row: u32) {
        if cost.is_nan() || self.k == 0 {
            return;
        }
        let new = Ranked { cost, row };
        if self.heap.len() < self.k {
            self.heap.push(new);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && new < *worst
        {
            *worst = new;
        }
    }

    /// Takes in what another one holds.
    pub(crate) fn merge(&mut self, other: Top) {
        for r in other.heap {
            self.offer(r.cost, r.row);
        }
    }

    /// Best first.
    pub(crate) fn into_sorted(self) -> Vec<Ranked> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_row_and_nan_never_ranks() {
        let mut top = Top::new(3);
        for (row, cost) in [(5, 0.0), (4, f64::NAN), (3, -0.0), (9, 0.0), (1, 0.0), (2, 7.0)] {
            top.offer(cost, row);
        }
        let rows: Vec<u32> = top.into_sorted().iter().map(|r| r.row).collect();
        assert_eq!(rows, [1, 3, 5]);
    }
}
