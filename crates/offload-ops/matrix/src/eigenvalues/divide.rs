//! Eigenvalues and eigenvectors of a symmetric tridiagonal matrix by divide and conquer: Cuppen (Numer. Math. 36,
//! 1981) with the deflation of Dongarra and Sorensen (SIAM J. Sci. Stat. Comput. 8, 1987) and the weights of Gu and
//! Eisenstat. The two halves run beside each other; a merge is a product, in blocks between which the job can stop.
//!
//! Without vectors the same is done with the first and the last row of the vectors alone, which is all that a merge
//! reads: it then takes time in proportion to n², and no matrix.

use crate::kernel::merge::{self, Packed, Rows, pick, rotate};
use crate::kernel::real::{Real, exponent, no_convergence, power_of_two};
use crate::kernel::run::{Run, scratch};
use crate::kernel::secular::{Kind, Secular};
use faer::diag::{DiagMut, DiagRef};
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::evd::{
    ComputeEigenvectors, SelfAdjointEvdParams, self_adjoint_evd_scratch, tridiagonal_self_adjoint_evd,
};
use faer::linalg::temp_mat_scratch;
use faer::{Auto, Mat, MatMut, MatRef, Par};
use offload_core::Failure;

/// Up to this extent the library's QR iteration does it, in well under a millisecond.
const LEAF: usize = 48;
/// Operations.
pub(super) fn work(n: usize, vectors: bool) -> f64 {
    let n = n as f64;
    if vectors { 4.0 / 3.0 * n * n * n } else { 60.0 * n * n }
}

/// Workspace beyond the vectors.
pub(super) fn req<T: Real>(n: usize, vectors: bool) -> StackReq {
    let rows = if vectors { n } else { 2 };
    StackReq::all_of(&[
        // The columns that a merge multiplies and those it does not.
        temp_mat_scratch::<T>(rows + 64, n + 64),
        merge::req::<T>(n).array(2),
        leaf_req::<T>().array(crate::kernel::need::threads()),
    ])
}

fn leaf_req<T: Real>() -> StackReq {
    StackReq::all_of(&[
        self_adjoint_evd_scratch::<T>(LEAF, ComputeEigenvectors::Yes, Par::Seq, params()),
        temp_mat_scratch::<T>(LEAF, LEAF),
        StackReq::new::<T>(4 * LEAF),
    ])
}

fn params<T: Real>() -> faer::Spec<SelfAdjointEvdParams, T> {
    <SelfAdjointEvdParams as Auto<T>>::auto().into()
}

/// Replaces the diagonal `d` by the eigenvalues, in no order, and `q` by the vectors in the same order: all of
/// their rows when it has as many as `d`, else, of two, the first and the last. `e` is what stands below the diagonal.
///
/// # Errors
/// When the job is to stop.
pub(super) fn decompose<T: Real>(
    run: &Run<'_>,
    d: &mut [f64],
    e: &[f64],
    q: MatMut<'_, T>,
) -> Result<(), Failure> {
    let n = d.len();
    if n <= LEAF {
        return leaf(run, d, e, q);
    }
    let full = q.nrows() == n;
    let half = n / 2;
    let coupling = e[half - 1];
    d[half - 1] -= coupling.abs();
    d[half] -= coupling.abs();
    let mut q = q;
    {
        let (d1, d2) = d.split_at_mut(half);
        let (e1, e2) = (&e[..half - 1], &e[half..]);
        let (q1, q2) = if full {
            let (q1, _, _, q2) = q.as_mut().split_at_mut(half, half);
            (q1, q2)
        } else {
            q.as_mut().split_at_col_mut(half)
        };
        if run.threads() > 1 && n >= merge::PARALLEL {
            let (ctx, threads) = (run.context(), run.threads() / 2);
            let (one, two) = rayon::join(
                || decompose(&Run::part(ctx, threads), d1, e1, q1),
                || decompose(&Run::part(ctx, threads), d2, e2, q2),
            );
            one.and(two)?;
            run.did(2.0 * work(half, full))?;
        } else {
            decompose(run, d1, e1, q1)?;
            decompose(run, d2, e2, q2)?;
        }
    }
    join(run, d, half, coupling, q, full)
}

fn leaf<T: Real>(run: &Run<'_>, d: &mut [f64], e: &[f64], mut q: MatMut<'_, T>) -> Result<(), Failure> {
    let n = d.len();
    let diagonal: Vec<T> = d.iter().map(|&x| T::narrow(x)).collect();
    let mut below: Vec<T> = e.iter().map(|&x| T::narrow(x)).collect();
    below.resize(n, T::default());
    let mut values = vec![T::default(); n];
    let mut vectors = Mat::<T>::zeros(n, n);
    let mut memory = scratch(self_adjoint_evd_scratch::<T>(n, ComputeEigenvectors::Yes, Par::Seq, params()));
    tridiagonal_self_adjoint_evd(
        DiagRef::from_slice(&diagonal),
        DiagRef::from_slice(&below),
        DiagMut::from_slice_mut(&mut values),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        params(),
    )
    .map_err(|_| no_convergence())?;
    for (d, v) in d.iter_mut().zip(&values) {
        *d = v.wide();
    }
    if q.nrows() == n {
        q.copy_from(&vectors);
    } else {
        for j in 0..n {
            q[(0, j)] = vectors[(0, j)];
            q[(1, j)] = vectors[(n - 1, j)];
        }
    }
    run.did(work(n, true))
}

/// What is left of a rank-one update after deflation.
struct Deflated {
    /// The columns that take part, by ascending pole.
    kept: Vec<usize>,
    /// The others: their values stand.
    settled: Vec<usize>,
}

/// The decomposition of two decomposed halves whose coupling was taken off.
fn join<T: Real>(
    run: &Run<'_>,
    d: &mut [f64],
    half: usize,
    coupling: f64,
    mut q: MatMut<'_, T>,
    full: bool,
) -> Result<(), Failure> {
    let n = d.len();
    let largest = d.iter().fold(coupling.abs(), |m, x| m.max(x.abs()));
    let scale = if largest > 0.0 { exponent(largest) } else { 0 };
    let coupling = coupling * power_of_two(-scale);
    d.iter_mut().for_each(|x| *x *= power_of_two(-scale));
    let upper_rows = if full { half } else { 1 };
    let (last, first) = if full { (half - 1, half) } else { (1, 0) };
    let sign = if coupling < 0.0 { -1.0 } else { 1.0 };
    // Both rows have length 1, so the whole has length √2, which goes into the coupling.
    let norm = std::f64::consts::FRAC_1_SQRT_2;
    let mut z: Vec<f64> = (0..n)
        .map(|j| norm * if j < half { q[(last, j)].wide() } else { sign * q[(first, j)].wide() })
        .collect();
    let rho = 2.0 * coupling.abs();
    if !full {
        // Of the first row of the whole the lower half has nothing, of the last row the upper.
        for j in 0..n {
            q[(if j < half { 1 } else { 0 }, j)] = T::default();
        }
    }
    let mut rows: Vec<Rows> = (0..n).map(|j| if j < half { Rows::Upper } else { Rows::Lower }).collect();
    let Deflated { kept, settled } = deflate(d, &mut z, rho, &mut rows, q.as_mut());
    let k = kept.len();
    let poles: Vec<f64> = kept.iter().map(|&j| d[j]).collect();
    let weights: Vec<f64> = kept.iter().map(|&j| rho * z[j] * z[j]).collect();
    let secular = Secular { kind: Kind::Eigen, poles: &poles, weights: &weights };
    let (zeros, mut roots) = merge::solve(run, &secular)?;
    for (root, &j) in roots.iter_mut().zip(&kept) {
        *root = root.copysign(z[j]);
    }

    let packed = Packed::new((0..k).collect(), |i| rows[kept[i]]);
    let (upper, both) = (packed.upper, packed.both);
    let (q_upper, q_lower) = q.as_ref().split_at_row(upper_rows);
    let q_upper = pick(q_upper, packed.order[..upper + both].iter().map(|&i| kept[i]));
    let q_lower = pick(q_lower, packed.order[upper..].iter().map(|&i| kept[i]));
    merge::settle(q.as_mut(), k, &settled);
    let resting: Vec<f64> = settled.iter().map(|&j| d[j]).collect();
    d[k..].copy_from_slice(&resting);
    for (to, zero) in d.iter_mut().zip(&zeros) {
        *to = secular.value(*zero);
    }
    d.iter_mut().for_each(|x| *x *= power_of_two(scale));
    merge::bands(run, k, k, |from, count, band| {
        merge::unit_columns(run, band, k, |c, p| {
            let i = packed.order[p];
            roots[i] / secular.difference(i, zeros[from + c])
        });
        run.did(6.0 * k as f64 * count as f64)?;
        let vectors = MatRef::from_column_major_slice(band, k, count);
        let to = q.as_mut().subcols_mut(from, count);
        merge::product(run, to, upper_rows, &q_upper, &q_lower, vectors, upper, both)
    })
}

/// Takes out what the update does not change: columns with no weight, and all but one of those with one pole,
/// which a rotation leaves without weight.
fn deflate<T: Real>(
    d: &mut [f64],
    z: &mut [f64],
    rho: f64,
    rows: &mut [Rows],
    mut q: MatMut<'_, T>,
) -> Deflated {
    let mut order: Vec<usize> = (0..d.len()).collect();
    order.sort_by(|&i, &j| d[i].total_cmp(&d[j]));
    let largest = |x: &[f64]| x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let tolerance = 4.0 * T::EPS * largest(d).max(largest(z));
    let mut out = Deflated { kept: Vec::with_capacity(d.len()), settled: Vec::new() };
    let mut pending: Option<usize> = None;
    for j in order {
        if rho * z[j].abs() <= tolerance {
            out.settled.push(j);
            continue;
        }
        let Some(i) = pending.replace(j) else { continue };
        let length = z[i].hypot(z[j]);
        let (c, s) = (z[j] / length, -z[i] / length);
        if ((d[j] - d[i]) * c * s).abs() > tolerance {
            out.kept.push(i);
            continue;
        }
        (z[i], z[j]) = (0.0, length);
        if rows[i] != rows[j] {
            rows[j] = Rows::Both;
        }
        rotate(q.as_mut(), i, j, c, s);
        (d[i], d[j]) = (d[i] * c * c + d[j] * s * s, d[i] * s * s + d[j] * c * c);
        out.settled.push(i);
    }
    out.kept.extend(pending);
    out
}
