//! The least of many values again and again, with what lies near them left out.

use offload_core::{Context, Failure};

const BLOCK: usize = 1 << 12;

/// Places in the order of their values, the first of equals first, that are more than `apart` from those before; at most
/// `k`. What `used` says of a place also leaves out its neighbours. Values that are not numbers are not picked.
pub(super) fn least(
    values: &[f64],
    k: usize,
    apart: usize,
    ctx: &Context,
    used: impl Fn(usize) -> Option<usize>,
) -> Result<Vec<usize>, Failure> {
    let mut left = values.to_vec();
    let of_block = |left: &[f64], block: usize| {
        let from = block * BLOCK;
        let mut best: Option<usize> = None;
        for (i, v) in left[from..(from + BLOCK).min(left.len())].iter().enumerate() {
            if !v.is_nan() && best.is_none_or(|b| *v < left[b]) {
                best = Some(from + i);
            }
        }
        best
    };
    let blocks = left.len().div_ceil(BLOCK);
    let mut best = Vec::with_capacity(blocks);
    for block in 0..blocks {
        ctx.check()?;
        best.push(of_block(&left, block));
    }
    let mut picked = Vec::new();
    while picked.len() < k {
        ctx.check()?;
        let Some(at) = best.iter().flatten().copied().reduce(|a, b| if left[b] < left[a] { b } else { a })
        else {
            break;
        };
        picked.push(at);
        for near in [Some(at), used(at)].into_iter().flatten() {
            let (from, to) = (near.saturating_sub(apart), (near + apart + 1).min(left.len()));
            left[from..to].fill(f64::NAN);
            let blocks = from / BLOCK..=(to - 1) / BLOCK;
            for (block, best) in best.iter_mut().enumerate().filter(|(block, _)| blocks.contains(block)) {
                *best = of_block(&left, block);
            }
        }
    }
    Ok(picked)
}
