//! General matrices: reduced to Hessenberg form, that form made quasi-triangular, its vectors carried back. The job can
//! stop between the columns of the reduction, and between blocks of the other two.

use super::schur::{self, Active};
use super::vectors;
use crate::kernel::copy::transpose;
use crate::kernel::hessenberg;
use crate::kernel::qr::{self, Reflections};
use crate::kernel::real::{Real, Scale, largest, no_convergence};
use crate::kernel::run::{Run, scratch};
use faer::diag::DiagMut;
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::evd::{ComputeEigenvectors, EvdParams, evd_real, evd_scratch};
use faer::linalg::temp_mat_scratch;
use faer::{Auto, Mat, MatMut, MatRef, Par};
use offload_core::Failure;

/// Up to this extent one call of the library does it, in a few milliseconds.
const WHOLE: usize = 96;

/// Operations.
pub(super) fn work(n: usize, vectors: bool) -> f64 {
    let back = if vectors { 4.0 / 3.0 * (n as f64).powi(3) + vectors::work(n) } else { 0.0 };
    hessenberg::work(n) + schur::work(n, vectors) + back
}

/// Workspace.
pub(super) fn req<T: Real>(n: usize, vectors: bool) -> StackReq {
    let columns = if vectors { n } else { 0 };
    let shared = StackReq::all_of(&[
        StackReq::new::<T>(n * n),
        temp_mat_scratch::<T>(n, columns),
        StackReq::new::<T>((crate::kernel::need::threads() + 8) * (n + 64)),
        StackReq::new::<u64>(4 * n),
    ]);
    if n <= WHOLE {
        let compute = if vectors { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
        let library = evd_scratch::<T>(n, ComputeEigenvectors::No, compute, Par::rayon(0), params());
        return StackReq::all_of(&[shared, library]);
    }
    StackReq::all_of(&[
        shared,
        temp_mat_scratch::<T>(n, columns),
        StackReq::any_of(&[
            StackReq::new::<T>(hessenberg::elements(n)),
            qr::req::<T>(n, n, columns),
            StackReq::new::<T>(schur::elements(n)),
            StackReq::new::<T>(vectors::elements(n)),
        ]),
    ])
}

fn params<T: Real>() -> faer::Spec<EvdParams, T> {
    <EvdParams as Auto<T>>::auto().into()
}

/// The values, ascending, and the vectors where there is room for them.
///
/// # Errors
/// `not_finite`; when the job is to stop.
pub(super) fn decompose<T: Real>(
    a: &[T],
    n: usize,
    values: &mut [T],
    vectors: &mut [T],
    run: &Run<'_>,
) -> Result<(), Failure> {
    let scale = Scale::of::<T>(largest(a, n)?);
    let mut w = vec![T::default(); n * n];
    transpose(a, n, n, &mut w);
    scale.apply(&mut w);
    let (mut re, mut im) = (vec![T::default(); n], vec![T::default(); n]);
    let mut u = (!vectors.is_empty()).then(|| Mat::<T>::zeros(n, n));
    let target = u.as_mut().map(|u| u.as_mut());
    if n <= WHOLE {
        whole(&w, n, &mut re, &mut im, target, run)?;
    } else {
        divided(&mut w, n, &mut re, &mut im, target, run)?;
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| re[i].wide().total_cmp(&re[j].wide()).then(im[i].wide().total_cmp(&im[j].wide())));
    if let Some(u) = &u {
        for (to, &from) in order.iter().enumerate() {
            write_vector(u, &im, from, vectors, to);
            run.did(0.0)?;
        }
    }
    scale.undo(&mut re);
    scale.undo(&mut im);
    for (value, &from) in values.chunks_mut(2).zip(&order) {
        value[0] = re[from];
        value[1] = im[from];
    }
    Ok(())
}

fn whole<T: Real>(
    w: &[T],
    n: usize,
    re: &mut [T],
    im: &mut [T],
    u: Option<MatMut<'_, T>>,
    run: &Run<'_>,
) -> Result<(), Failure> {
    let wanted = u.is_some();
    let compute = if wanted { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let req = evd_scratch::<T>(n, ComputeEigenvectors::No, compute, run.par(), params());
    let mut memory = scratch(req);
    evd_real(
        MatRef::from_column_major_slice(w, n, n),
        DiagMut::from_slice_mut(re),
        DiagMut::from_slice_mut(im),
        None,
        u,
        run.par(),
        MemStack::new(&mut memory),
        params(),
    )
    .map_err(|_| no_convergence())?;
    run.did(work(n, wanted))
}

fn divided<T: Real>(
    w: &mut [T],
    n: usize,
    re: &mut [T],
    im: &mut [T],
    u: Option<MatMut<'_, T>>,
    run: &Run<'_>,
) -> Result<(), Failure> {
    let taus = hessenberg::reduce(run, w, n)?;
    let mut z = u.is_some().then(|| Mat::<T>::identity(n, n));
    if let Some(z) = &mut z {
        let reflectors = MatRef::from_column_major_slice(w, n, n).submatrix(1, 0, n - 1, n - 2);
        let to = z.as_mut().submatrix_mut(1, 1, n - 1, n - 1);
        Reflections::of(run, reflectors, &taus).apply(run, reflectors, to, true)?;
    }
    for (j, column) in w.chunks_mut(n).enumerate() {
        column[(j + 2).min(n)..].fill(T::default());
    }
    let h = MatMut::from_column_major_slice_mut(w, n, n);
    schur::decompose(run, Active { h, z: z.as_mut().map(|z| z.as_mut()) }, re, im)?;
    match (u, z) {
        (Some(u), Some(z)) => vectors::eigenvectors(run, w, re, im, z.as_ref(), u),
        _ => Ok(()),
    }
}

/// Writes one eigenvector of length 1, turned so that its largest entry is real. The library gives a pair of
/// conjugate vectors as one real and one imaginary part, in the columns of the pair.
fn write_vector<T: Real>(u: &Mat<T>, im: &[T], from: usize, vectors: &mut [T], to: usize) {
    let n = im.len();
    let zero = T::default();
    let part = |i: usize| -> (f64, f64) {
        if im[from] == zero {
            return (u[(i, from)].wide(), 0.0);
        }
        let first = pair_start(im, from);
        let sign = if from == first { 1.0 } else { -1.0 };
        (u[(i, first)].wide(), sign * u[(i, first + 1)].wide())
    };
    let mut scale = 0.0f64;
    for i in 0..n {
        let (x, y) = part(i);
        scale = scale.max(x.abs()).max(y.abs());
    }
    let scale = if scale > 0.0 { 1.0 / scale } else { 1.0 };
    let mut length = 0.0;
    let mut peak = (0.0, 1.0, 0.0);
    for i in 0..n {
        let (x, y) = part(i);
        let (x, y) = (x * scale, y * scale);
        let square = x * x + y * y;
        length += square;
        if square > peak.0 {
            peak = (square, x, y);
        }
    }
    let length = length.sqrt();
    // Multiplying by the conjugate of the largest entry's direction makes that entry real and positive; a real
    // vector keeps its sign.
    let (c, s) = if im[from] == zero {
        (1.0, 0.0)
    } else {
        let r = peak.0.sqrt().max(f64::MIN_POSITIVE);
        (peak.1 / r, -peak.2 / r)
    };
    let f = if length > 0.0 { scale / length } else { 0.0 };
    for i in 0..n {
        let (x, y) = part(i);
        vectors[(i * n + to) * 2] = T::narrow((x * c - y * s) * f);
        vectors[(i * n + to) * 2 + 1] = T::narrow((x * s + y * c) * f);
    }
}

/// The first column of the conjugate pair that `at` is in: pairs start after an even number of complex columns.
fn pair_start<T: Real>(im: &[T], at: usize) -> usize {
    let zero = T::default();
    let run_start = (0..at).rev().take_while(|&i| im[i] != zero).last().unwrap_or(at);
    at - (at - run_start) % 2
}
