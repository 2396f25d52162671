//! A small Hessenberg matrix to quasi-triangular form by Francis' double-shift QR iteration (Computer J. 4, 1961/62).

use super::schur::{Pair, first_of_block};
use super::swap::standardise;
use super::sweep::step;
use crate::kernel::real::Real;
use faer::Mat;

/// Without a deflation for that many steps, shifts are made up.
const STALLED: usize = 10;

/// Replaces `t` by its quasi-triangular form, whose blocks of two rows have equal diagonal entries, and turns the
/// columns of `v` along. Whether that converged.
pub(super) fn decompose<T: Real>(t: &mut Mat<T>, v: &mut Mat<T>) -> bool {
    let n = t.nrows();
    let (mut stop, mut stalled) = (n, 0);
    for _ in 0..30 * n.max(10) {
        if stop == 0 {
            return true;
        }
        let start = first_of_block(&mut t.as_mut(), stop);
        if stop - start <= 2 {
            if stop - start == 2 {
                standardise(t, v, start);
            }
            (stop, stalled) = (start, 0);
            continue;
        }
        stalled += 1;
        let pair = if stalled % STALLED == 0 { made_up(t, stop) } else { last_two(t, stop) };
        for q in start..stop - 1 {
            step(t.as_mut(), v.as_mut(), q, stop, (q == start).then_some(pair));
        }
    }
    stop == 0
}

/// The eigenvalues of the last two rows and columns; of two real ones, twice the nearer to the last entry.
fn last_two<T: Real>(t: &Mat<T>, stop: usize) -> Pair {
    let entry = |i: usize, j: usize| t[(stop - 2 + i, stop - 2 + j)].wide();
    let (a, b, c, d) = (entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1));
    let half = 0.5 * (a - d);
    let discriminant = half * half + b * c;
    if discriminant >= 0.0 {
        let sum = half + discriminant.sqrt().copysign(half);
        let near = if sum == 0.0 { d } else { d - b * c / sum };
        return Pair { one: (near, 0.0), two: (near, 0.0) };
    }
    let (mean, off) = (d + half, (-discriminant).sqrt());
    Pair { one: (mean, off), two: (mean, -off) }
}

fn made_up<T: Real>(t: &Mat<T>, stop: usize) -> Pair {
    let entry = |i: usize, j: usize| t[(stop - i, stop - j)].wide();
    let s = entry(1, 2).abs() + if stop >= 3 { entry(2, 3).abs() } else { 0.0 };
    let (mean, off) = (entry(1, 1) + 0.75 * s, 0.4375f64.sqrt() * s);
    Pair { one: (mean, off), two: (mean, -off) }
}
