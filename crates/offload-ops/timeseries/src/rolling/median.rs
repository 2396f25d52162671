//! Medians of windows in O(log window) for each value: each block is sorted once and kept as a linked list, out of
//! which the values before the window are taken, and into which those of the next are put back (Suomela 2014,
//! "Median filtering is equivalent to sorting", arXiv:1406.1717).

use super::cpu::Windows;
use crate::series::BLOCK;
use offload_core::{Context, Failure};
use std::cmp::Ordering;

/// What one value of a block takes: two blocks of three words, and two orders while one is sorted.
pub(super) const BYTES_PER_VALUE: u64 = 2 * 3 * 4 + 2 * 4;

/// Writes the medians of the windows that end at `start` and after. `start` is where a block starts.
pub(super) fn slide(
    x: &[f64],
    start: usize,
    out: &mut [f64],
    w: Windows,
    ctx: &Context,
) -> Result<(), Failure> {
    let mut before = match start.checked_sub(w.width) {
        Some(from) => Some(Block::new(&x[from..start], w.width / 2, ctx)?),
        None => None,
    };
    for (block, out) in out.chunks_mut(w.width).enumerate() {
        let from = start + block * w.width;
        let mut here = Block::new(&x[from..from + out.len()], w.width / 2, ctx)?;
        match &mut before {
            None => growing(&mut here, out, w.fewest, ctx)?,
            Some(before) => {
                here.unwind(ctx)?;
                moving(before, &mut here, w.width, out, ctx)?;
            }
        }
        before = Some(here);
    }
    Ok(())
}

/// The windows that reach from one block into the next.
fn moving(a: &mut Block, b: &mut Block, width: usize, out: &mut [f64], ctx: &Context) -> Result<(), Failure> {
    let half = width / 2;
    for (i, out) in out.iter_mut().enumerate() {
        if i.is_multiple_of(BLOCK) {
            ctx.check()?;
        }
        a.delete(i);
        b.undelete(i);
        if a.small + b.small < half {
            if a.peek() <= b.peek() { a.advance() } else { b.advance() }
        }
        let upper = a.peek().min(b.peek());
        *out = if width.is_multiple_of(2) { (a.below().max(b.below()) + upper) / 2.0 } else { upper };
    }
    Ok(())
}

/// The windows at the start of a series, from the longest back; `a` is left whole.
fn growing(a: &mut Block, out: &mut [f64], fewest: usize, ctx: &Context) -> Result<(), Failure> {
    let (middle, small) = (a.middle, a.small);
    a.middle = a.at_rank(out.len() / 2);
    for count in (fewest.max(1)..=out.len()).rev() {
        if count.is_multiple_of(BLOCK) {
            ctx.check()?;
        }
        let m = a.middle;
        let upper = a.peek();
        out[count - 1] = if count.is_multiple_of(2) { (a.below() + upper) / 2.0 } else { upper };
        let gone = (count - 1) as u32;
        let is_small = a.is_small(gone);
        a.middle = match (count.is_multiple_of(2), gone == m || !is_small) {
            (true, true) => a.before[m as usize],
            (false, _) if gone == m || is_small => a.after[m as usize],
            _ => m,
        };
        a.unlink(gone);
    }
    for i in fewest.max(1)..=out.len() {
        a.link((i - 1) as u32);
    }
    (a.middle, a.small) = (middle, small);
    Ok(())
}

/// A block as a list in the order of its values; equal ones are in the order of time.
struct Block<'a> {
    x: &'a [f64],
    /// The next larger, and the next smaller; the place after the last stands for both ends.
    after: Vec<u32>,
    before: Vec<u32>,
    /// The first value that is not among the `small` smallest.
    middle: u32,
    small: usize,
}

impl<'a> Block<'a> {
    fn new(x: &'a [f64], half: usize, ctx: &Context) -> Result<Block<'a>, Failure> {
        let order = sorted(x, ctx)?;
        let end = x.len() as u32;
        let (mut after, mut before) = (vec![end; x.len() + 1], vec![end; x.len() + 1]);
        let mut p = end;
        for &q in &order {
            after[p as usize] = q;
            before[q as usize] = p;
            p = q;
        }
        after[p as usize] = end;
        before[end as usize] = p;
        let middle = order.get(half).copied().unwrap_or(end);
        Ok(Block { x, after, before, middle, small: half.min(x.len()) })
    }

    fn end(&self) -> u32 {
        self.x.len() as u32
    }

    /// The value in this place of the order.
    fn at_rank(&self, rank: usize) -> u32 {
        let mut at = self.after[self.x.len()];
        for _ in 0..rank {
            at = self.after[at as usize];
        }
        at
    }

    fn unlink(&mut self, i: u32) {
        let (b, a) = (self.before[i as usize], self.after[i as usize]);
        self.after[b as usize] = a;
        self.before[a as usize] = b;
    }

    /// Puts back what was taken out last.
    fn link(&mut self, i: u32) {
        let (b, a) = (self.before[i as usize], self.after[i as usize]);
        self.after[b as usize] = i;
        self.before[a as usize] = i;
    }

    /// Takes everything out, from the last back.
    fn unwind(&mut self, ctx: &Context) -> Result<(), Failure> {
        for i in (0..self.end()).rev() {
            if (i as usize).is_multiple_of(BLOCK) {
                ctx.check()?;
            }
            self.unlink(i);
        }
        (self.middle, self.small) = (self.end(), 0);
        Ok(())
    }

    fn is_small(&self, i: u32) -> bool {
        if self.middle == self.end() {
            return true;
        }
        let (v, m) = (self.x[i as usize], self.x[self.middle as usize]);
        v < m || (v == m && i < self.middle)
    }

    fn delete(&mut self, i: usize) {
        let i = i as u32;
        self.unlink(i);
        if self.is_small(i) {
            self.small -= 1;
        } else {
            if self.middle == i {
                self.middle = self.after[i as usize];
            }
            if self.small > 0 {
                self.middle = self.before[self.middle as usize];
                self.small -= 1;
            }
        }
    }

    fn undelete(&mut self, i: usize) {
        let i = i as u32;
        self.link(i);
        if self.is_small(i) {
            self.middle = self.before[self.middle as usize];
        }
    }

    fn advance(&mut self) {
        self.middle = self.after[self.middle as usize];
        self.small += 1;
    }

    /// The first value that is not small.
    fn peek(&self) -> f64 {
        self.x.get(self.middle as usize).copied().unwrap_or(f64::INFINITY)
    }

    /// The last value that is small.
    fn below(&self) -> f64 {
        let at = self.before[self.middle as usize];
        self.x.get(at as usize).copied().unwrap_or(f64::NEG_INFINITY)
    }
}

/// Places in the order of their values, equal ones in the order of time. Runs are sorted and then merged, so that there
/// is a look at the cancel flag between them.
fn sorted(x: &[f64], ctx: &Context) -> Result<Vec<u32>, Failure> {
    let less =
        |a: u32, b: u32| x[a as usize].partial_cmp(&x[b as usize]).unwrap_or(Ordering::Equal).then(a.cmp(&b));
    let mut order: Vec<u32> = (0..x.len() as u32).collect();
    for run in order.chunks_mut(BLOCK) {
        ctx.check()?;
        run.sort_unstable_by(|&a, &b| less(a, b));
    }
    let mut run = BLOCK;
    let mut merged = if order.len() > run { vec![0u32; order.len()] } else { Vec::new() };
    while run < order.len() {
        for (pair, to) in order.chunks(2 * run).zip(merged.chunks_mut(2 * run)) {
            let (a, b) = pair.split_at(run.min(pair.len()));
            let (mut i, mut j) = (0, 0);
            for (k, to) in to.iter_mut().enumerate() {
                if k.is_multiple_of(BLOCK) {
                    ctx.check()?;
                }
                let first = j >= b.len() || (i < a.len() && less(a[i], b[j]).is_lt());
                *to = if first { a[i] } else { b[j] };
                if first { i += 1 } else { j += 1 }
            }
        }
        std::mem::swap(&mut order, &mut merged);
        run *= 2;
    }
    Ok(order)
}
