//! A Hessenberg matrix to quasi-triangular form by QR iterations with many shifts at once and early deflation: Braman,
//! Byers and Mathias (SIAM J. Matrix Anal. Appl. 23, 2002, parts I and II). The work is done in small windows, whose
//! transformations reach the rest of the matrix as products, and the job can stop between those.

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

use super::small;
use super::swap::{height, move_up};
use super::sweep::sweep;
use crate::kernel::real::{Real, no_convergence};
use crate::kernel::run::Run;
use faer::linalg::householder::make_householder_in_place;
use faer::{Accum, Col, Mat, MatMut, MatRef};
use offload_core::Failure;

/// Up to this extent the double-shift iteration does what is left.
const SMALL: usize = 48;
/// Without a deflation for that many sweeps, shifts are made up.
const STALLED: usize = 6;

/// Operations.
pub(super) fn work(n: usize, vectors: bool) -> f64 {
    (n as f64).powi(3) * if vectors { 20.0 } else { 8.0 }
}

/// Elements of workspace.
pub(super) fn elements(n: usize) -> usize {
    let window = window(n).max(super::sweep::window(n));
    4 * (window + 32) * (window + 32) + (window + 32) * (n + 64) + 8 * n
}

/// Extent of the window that is looked at for values that have converged.
fn window(n: usize) -> usize {
    match n {
        0..600 => SMALL,
        600..3_000 => 64,
        _ => 96,
    }
}

/// Values that are shifted by in one sweep.
fn shifts(n: usize) -> usize {
    match n {
        0..600 => 20,
        600..3_000 => 36,
        _ => 60,
    }
}

/// The matrix on its way, and what is turned along with it.
pub(super) struct Active<'a, T> {
    pub(super) h: MatMut<'a, T>,
    pub(super) z: Option<MatMut<'a, T>>,
}

impl<T: Real> Active<'_, T> {
    /// Multiplies what lies beside the window of rows and columns from `first` on by the window's turn: of the rows
    /// and columns `start..stop` alone where no vectors are wanted.
    ///
    /// # Errors
    /// When the job is to stop.
    pub(super) fn turn(
        &mut self,
        run: &Run<'_>,
        first: usize,
        turn: MatRef<'_, T>,
        start: usize,
        stop: usize,
    ) -> Result<(), Failure> {
        let (n, w) = (self.h.nrows(), turn.nrows());
        let (start, stop) = if self.z.is_some() { (0, n) } else { (start, stop) };
        let right = self.h.as_mut().submatrix_mut(first, first + w, w, stop - first - w);
        product(run, right, turn.transpose(), true)?;
        product(run, self.h.as_mut().submatrix_mut(start, first, first - start, w), turn, false)?;
        if let Some(z) = &mut self.z {
            product(run, z.as_mut().subcols_mut(first, w), turn, false)?;
        }
        Ok(())
    }
}

/// Replaces `to` by its product with `turn`, from the left or from the right.
fn product<T: Real>(
    run: &Run<'_>,
    mut to: MatMut<'_, T>,
    turn: MatRef<'_, T>,
    left: bool,
) -> Result<(), Failure> {
    if to.nrows() == 0 || to.ncols() == 0 {
        return Ok(());
    }
    let old = to.as_ref().to_owned();
    let (one, two) = if left { (turn, old.as_ref()) } else { (old.as_ref(), turn) };
    run.product(to.as_mut(), Accum::Replace, one, two, T::ONE)
}

/// Replaces the Hessenberg matrix by its quasi-triangular form, where `z` is there, and turns `z` along; finds the
/// eigenvalues in any case.
///
/// # Errors
/// `no_convergence`; when the job is to stop.
pub(super) fn decompose<T: Real>(
    run: &Run<'_>,
    mut a: Active<'_, T>,
    re: &mut [T],
    im: &mut [T],
) -> Result<(), Failure> {
    let n = re.len();
    let (size, count) = (window(n), shifts(n));
    let (mut stop, mut stalled) = (n, 0);
    for _ in 0..30 * n.max(10) {
        if stop == 0 {
            return Ok(());
        }
        let start = first_of_block(&mut a.h, stop);
        let extent = stop - start;
        let w = if extent <= SMALL { extent } else { size.min(extent / 2) };
        let deflated = deflate(run, &mut a, re, im, start, stop, w)?;
        let left = w - deflated;
        stop -= deflated;
        if deflated > 0 {
            stalled = 0;
        }
        // A good harvest is worth another look at once.
        if stop <= start || deflated * 7 > w || stop - start <= SMALL {
            continue;
        }
        stalled += 1;
        let pairs = if stalled % STALLED == 0 {
            made_up(a.h.as_ref(), stop, count)
        } else {
            pairs(&re[stop - left..stop], &im[stop - left..stop], count)
        };
        sweep(run, &mut a, start, stop, &pairs)?;
    }
    Err(no_convergence())
}

/// Where the last block that does not fall apart begins; what is small below the diagonal on the way becomes zero.
pub(super) fn first_of_block<T: Real>(h: &mut MatMut<'_, T>, stop: usize) -> usize {
    let n = h.nrows();
    for i in (1..stop).rev() {
        let entry = |i: usize, j: usize| h[(i, j)].wide().abs();
        let below = entry(i, i - 1);
        let smallest = T::narrow(f64::MIN_POSITIVE).wide().max(if T::EPS > 1e-10 { 1e-37 } else { 1e-307 });
        if below <= smallest * n as f64 / T::EPS {
            h[(i, i - 1)] = T::default();
            return i;
        }
        let mut near = entry(i - 1, i - 1) + entry(i, i);
        if near == 0.0 {
            near = if i >= 2 { entry(i - 1, i - 2) } else { 0.0 }
                + if i + 1 < n { entry(i + 1, i) } else { 0.0 };
        }
        if below > T::EPS * near {
            continue;
        }
        // Ahues and Tisseur (LAPACK Working Note 122): small beside what it couples, too.
        let (large, small) = (below.max(entry(i - 1, i)), below.min(entry(i - 1, i)));
        let apart = (h[(i - 1, i - 1)].wide() - h[(i, i)].wide()).abs();
        let (aa, bb) = (entry(i, i).max(apart), entry(i, i).min(apart));
        let sum = aa + large;
        if small * (large / sum) <= (T::EPS * (bb * (aa / sum))).max(smallest) {
            h[(i, i - 1)] = T::default();
            return i;
        }
    }
    0
}

/// Looks at the last `w` rows and columns before `stop` for eigenvalues that have converged. Writes those, and before
/// them the window's others, which are shifts; returns how many have converged.
fn deflate<T: Real>(
    run: &Run<'_>,
    a: &mut Active<'_, T>,
    re: &mut [T],
    im: &mut [T],
    start: usize,
    stop: usize,
    w: usize,
) -> Result<usize, Failure> {
    let first = stop - w;
    let coupling = if first == start { T::default() } else { a.h[(first, first - 1)] };
    let mut t = Mat::<T>::zeros(w, w);
    for j in 0..w {
        for i in 0..w.min(j + 2) {
            t[(i, j)] = a.h[(first + i, first + j)];
        }
    }
    let mut v = Mat::<T>::identity(w, w);
    let (re, im) = (&mut re[first..stop], &mut im[first..stop]);
    if !small::decompose(&mut t, &mut v) {
        return Err(no_convergence());
    }
    run.did(10.0 * (w as f64).powi(3))?;
    let mut kept = w;
    let spike = coupling.wide().abs();
    if spike == 0.0 {
        kept = 0;
    }
    let mut placed = 0;
    while placed < kept {
        let double = kept >= 2 && t[(kept - 1, kept - 2)] != T::default();
        let rows = 1 + usize::from(double);
        let entry = |i: usize, j: usize| t[(i, j)].wide().abs();
        let mut size = entry(kept - 1, kept - 1);
        if double {
            size += (entry(kept - 1, kept - 2) * entry(kept - 2, kept - 1)).sqrt();
        }
        if size == 0.0 {
            size = spike;
        }
        let reach = (kept - rows..kept).fold(0.0f64, |m, j| m.max(v[(0, j)].wide().abs()));
        if spike * reach <= T::EPS * size {
            kept -= rows;
        } else {
            let to = move_up(&mut t, &mut v, kept - rows, placed);
            placed = to.max(placed) + height(t.as_ref(), to).max(1);
        }
    }
    let mut i = 0;
    while i < w {
        let rows = height(t.as_ref(), i);
        re[i] = t[(i, i)];
        im[i] = T::default();
        if rows == 2 {
            let x = (t[(i, i + 1)].wide().abs()).sqrt() * (t[(i + 1, i)].wide().abs()).sqrt();
            re[i + 1] = t[(i + 1, i + 1)];
            (im[i], im[i + 1]) = (T::narrow(x), T::narrow(-x));
        }
        i += rows;
    }
    if kept == w {
        return Ok(0);
    }
    if kept > 0 {
        reflect_spike(&mut t, &mut v, kept);
    }
    if first > start {
        a.h[(first, first - 1)] = if kept > 0 { coupling * v[(0, 0)] } else { T::default() };
    }
    for j in 0..w {
        for i in 0..w.min(j + 2) {
            a.h[(first + i, first + j)] = t[(i, j)];
        }
    }
    a.turn(run, first, v.as_ref(), start, stop)?;
    Ok(w - kept)
}

/// Brings the first `kept` rows and columns back to Hessenberg form, whose coupling to the row before has become a
/// whole row of `v`.
fn reflect_spike<T: Real>(t: &mut Mat<T>, v: &mut Mat<T>, kept: usize) {
    let mut x = Col::<T>::zeros(kept);
    for j in 0..kept {
        x[j] = v[(0, j)];
    }
    reflect(t, v, 0, kept, x);
    for j in 0..kept.saturating_sub(2) {
        let mut x = Col::<T>::zeros(kept - j - 1);
        for i in j + 1..kept {
            x[i - j - 1] = t[(i, j)];
        }
        reflect(t, v, j + 1, kept, x);
        for i in j + 2..kept {
            t[(i, j)] = T::default();
        }
    }
}

/// Turns the rows and columns `from..to` by the reflection that leaves `x` with its first entry only.
fn reflect<T: Real>(t: &mut Mat<T>, v: &mut Mat<T>, from: usize, to: usize, mut x: Col<T>) {
    let mut head = x[0];
    let tau = make_householder_in_place(&mut head, x.as_mut().subrows_mut(1, to - from - 1)).tau;
    if !tau.wide().is_finite() {
        return;
    }
    x[0] = T::ONE;
    let inverse = T::ONE / tau;
    let w = t.ncols();
    for j in from.saturating_sub(1)..w {
        let sum = (from..to).fold(T::default(), |s, i| s + t[(i, j)] * x[i - from]) * inverse;
        (from..to).for_each(|i| t[(i, j)] -= x[i - from] * sum);
    }
    for (q, rows) in [(t, to), (v, w)] {
        let mut sums = vec![T::default(); rows];
        for j in from..to {
            (0..rows).for_each(|i| sums[i] += q[(i, j)] * x[j - from]);
        }
        for j in from..to {
            let f = x[j - from] * inverse;
            (0..rows).for_each(|i| q[(i, j)] -= sums[i] * f);
        }
    }
}

/// Two shifts that a bulge brings in: of a conjugate pair, or two real ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) one: (f64, f64),
    pub(super) two: (f64, f64),
}

/// The last `count` of the values, in pairs.
fn pairs<T: Real>(re: &[T], im: &[T], count: usize) -> Vec<Pair> {
    let mut real = Vec::new();
    let mut out = Vec::new();
    let mut i = 0;
    while i < re.len() {
        let (x, y) = (re[i].wide(), im[i].wide());
        if y == 0.0 {
            real.push(x);
            i += 1;
        } else {
            out.push(Pair { one: (x, y), two: (x, -y) });
            i += 2;
        }
    }
    for two in real.chunks(2) {
        out.push(Pair { one: (two[0], 0.0), two: (*two.last().unwrap_or(&two[0]), 0.0) });
    }
    let size = |p: &Pair| p.one.0.abs() + p.one.1.abs();
    out.sort_by(|p, q| size(q).total_cmp(&size(p)));
    let most = (count / 2).max(1);
    out.split_off(out.len().saturating_sub(most))
}

/// Shifts that have nothing to do with the window, for when those of the window lead nowhere.
fn made_up<T: Real>(h: MatRef<'_, T>, stop: usize, count: usize) -> Vec<Pair> {
    (1..=count / 2)
        .filter(|i| 2 * i + 1 < stop)
        .map(|i| {
            let at = stop - 2 * i + 1;
            let s = h[(at, at - 1)].wide().abs() + h[(at - 1, at - 2)].wide().abs();
            let (mean, off) = (h[(at, at)].wide() + 0.75 * s, (0.4375f64).sqrt() * s);
            Pair { one: (mean, off), two: (mean, -off) }
        })
        .collect()
}
