//! The least of many values again and again, with what lies near them left out.

use offload_core::{Context, Failure};
use std::ops::Range;

/// Values of a block.
pub(super) const BLOCK: usize = 1 << 12;

/// Values of which places are left out.
pub(super) trait Left {
    /// How many there are.
    fn len(&self) -> usize;
    /// The least value of each of these blocks of [`BLOCK`], the first of equals, and where it is; none where nothing is
    /// left. Values that are not numbers are no values.
    ///
    /// # Errors
    /// When it cannot be found, or the job is to stop.
    fn least(&mut self, blocks: Range<usize>) -> Result<Vec<Option<(f64, usize)>>, Failure>;
    /// Leaves these places out.
    ///
    /// # Errors
    /// As [`least`](Self::least).
    fn leave_out(&mut self, places: Range<usize>) -> Result<(), Failure>;
}

/// Values in host memory.
pub(super) struct Host<'a> {
    left: Vec<f64>,
    ctx: &'a Context,
}

impl<'a> Host<'a> {
    /// A copy of these values.
    pub(super) fn new(values: &[f64], ctx: &'a Context) -> Host<'a> {
        Host { left: values.to_vec(), ctx }
    }
}

impl Left for Host<'_> {
    fn len(&self) -> usize {
        self.left.len()
    }

    fn least(&mut self, blocks: Range<usize>) -> Result<Vec<Option<(f64, usize)>>, Failure> {
        let mut all = Vec::with_capacity(blocks.len());
        for block in blocks {
            self.ctx.check()?;
            let from = block * BLOCK;
            let mut best: Option<(f64, usize)> = None;
            for (i, v) in self.left[from..(from + BLOCK).min(self.left.len())].iter().enumerate() {
                if !v.is_nan() && best.is_none_or(|(b, _)| *v < b) {
                    best = Some((*v, from + i));
                }
            }
            all.push(best);
        }
        Ok(all)
    }

    fn leave_out(&mut self, places: Range<usize>) -> Result<(), Failure> {
        self.left[places].fill(f64::NAN);
        Ok(())
    }
}

/// Places in the order of their values, the first of equals first, that are more than `apart` from those before; at most
/// `k`. What `used` says of a place also leaves out its neighbours.
pub(super) fn least(
    left: &mut impl Left,
    k: usize,
    apart: usize,
    used: impl Fn(usize) -> Option<usize>,
) -> Result<Vec<usize>, Failure> {
    let len = left.len();
    let mut best = left.least(0..len.div_ceil(BLOCK))?;
    let mut picked = Vec::new();
    while picked.len() < k {
        let Some((_, at)) = best.iter().flatten().copied().reduce(|a, b| if b.0 < a.0 { b } else { a })
        else {
            break;
        };
        picked.push(at);
        for near in [Some(at), used(at)].into_iter().flatten() {
            let (from, to) = (near.saturating_sub(apart), (near + apart + 1).min(len));
            left.leave_out(from..to)?;
            let blocks = from / BLOCK..(to - 1) / BLOCK + 1;
            let again = left.least(blocks.clone())?;
            best[blocks].copy_from_slice(&again);
        }
    }
    Ok(picked)
}
