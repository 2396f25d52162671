//! Eigenvalues and eigenvectors. A symmetric matrix is reduced to tridiagonal form, that form is decomposed, and
//! the vectors are carried back: the job can stop between the three, and between the blocks of the last. A general
//! matrix is one call of the library.
//!
//! What cannot be stopped, in f64 on two busy cores at n = 512, 1,000 and 2,000: a symmetric matrix in all 50 ms, 0.13 s
//! and 1 s, of which the longest stage is a part; a general one 0.15 s, 0.5 s and 2.4 s, with vectors 0.23 s, 0.75 s
//! and 9.3 s.

use super::{Inputs, Symmetric};
use crate::kernel::copy::{transpose, write_rows};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, Scale, by_dtype, elements, largest, no_convergence};
use crate::kernel::run::{Run, scratch};
use crate::kernel::stack::{Stack, for_each};
use faer::diag::{DiagMut, DiagRef};
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::evd::tridiag::{TridiagParams, tridiag_in_place, tridiag_in_place_scratch};
use faer::linalg::evd::{
    ComputeEigenvectors, EvdParams, SelfAdjointEvdParams, evd_real, evd_scratch, self_adjoint_evd_scratch,
    tridiagonal_self_adjoint_evd,
};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj,
};
use faer::linalg::qr::no_pivoting::factor::recommended_block_size;
use faer::linalg::temp_mat_scratch;
use faer::{Auto, Conj, Mat, MatMut, MatRef, Par};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

/// Columns of eigenvectors that are carried back between two looks at the cancel flag.
const BAND: usize = 256;

/// Operations.
pub(super) fn work(n: usize, vectors: bool, symmetric: bool) -> f64 {
    let cube = (n as f64).powi(3);
    cube * match (symmetric, vectors) {
        (true, false) => 4.0 / 3.0,
        (true, true) => 9.0,
        (false, false) => 10.0,
        (false, true) => 25.0,
    }
}

/// Workspace.
pub(super) fn req<T: Real>(n: usize, vectors: bool, symmetric: bool) -> StackReq {
    let compute = if vectors { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let columns = if vectors { n } else { 0 };
    let library = if symmetric {
        StackReq::all_of(&[
            self_adjoint_evd_scratch::<T>(n.max(1), compute, Par::rayon(0), symmetric_params()),
            StackReq::new::<T>(2 * n),
        ])
    } else {
        StackReq::all_of(&[
            evd_scratch::<T>(n, ComputeEigenvectors::No, compute, Par::rayon(0), general_params()),
            StackReq::new::<T>(n * n),
        ])
    };
    let vectors = temp_mat_scratch::<T>(n, columns);
    StackReq::all_of(&[
        library,
        vectors,
        StackReq::new::<T>((crate::kernel::need::threads() + 8) * (n + 64)),
        StackReq::new::<u64>(4 * n),
    ])
}

fn symmetric_params<T: Real>() -> faer::Spec<SelfAdjointEvdParams, T> {
    <SelfAdjointEvdParams as Auto<T>>::auto().into()
}

fn general_params<T: Real>() -> faer::Spec<EvdParams, T> {
    <EvdParams as Auto<T>>::auto().into()
}

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let s = Stack::square("a", &inputs.a.spec())?;
    let n = s.rows;
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let symmetric = match inputs.symmetric {
            Symmetric::Yes => true,
            Symmetric::No => false,
            Symmetric::Auto => a.chunks((n * n).max(1)).all(|a| is_symmetric(a, n)),
        };
        let pair: &[usize] = if symmetric { &[] } else { &[2] };
        let each = if symmetric { 1 } else { 2 };
        let columns = if inputs.vectors { n } else { 0 };
        let lens = [n * each, n * columns * each];
        let [mut values, mut vectors] = lens.map(|len| vec![T::default(); s.count() * len]);
        let work = work(n, inputs.vectors, symmetric);
        for_each(ctx, s.batch, work, lens, [&mut values, &mut vectors], |i, [values, vectors], run| {
            let a = &a[i * n * n..(i + 1) * n * n];
            match (n, symmetric) {
                (0, _) => Ok(()),
                (_, true) => self_adjoint(a, n, values, vectors, run),
                (_, false) => general(a, n, values, vectors, run),
            }
        })?;
        let mut out = Record::new().with("values", tensor(s.shape(&[&[n], pair].concat()), values));
        if inputs.vectors {
            out.set("vectors", tensor(s.shape(&[&[n, n], pair].concat()), vectors));
        }
        Ok(out)
    })
}

fn is_symmetric<T: Real>(a: &[T], n: usize) -> bool {
    (0..n).all(|i| (0..i).all(|j| a[i * n + j] == a[j * n + i]))
}

fn self_adjoint<T: Real>(
    a: &[T],
    n: usize,
    values: &mut [T],
    vectors: &mut [T],
    run: &Run<'_>,
) -> Result<(), Failure> {
    // The reduction reads the lower triangle alone, so that is all that must be finite.
    let mut w = Mat::<T>::zeros(n, n);
    let mut extent = 0.0f64;
    for i in 0..n {
        let row = &a[i * n..=i * n + i];
        extent = extent.max(largest(row, n).map_err(|e| at_row(e, i))?);
        for (j, &x) in row.iter().enumerate() {
            w[(i, j)] = x;
        }
    }
    let scale = Scale::of::<T>(extent);
    if scale.is_some() {
        for column in w.as_mut().col_iter_mut() {
            if let Some(c) = column.try_as_col_major_mut() {
                scale.apply(c.as_slice_mut());
            }
        }
    }
    let block = recommended_block_size::<T>(n, n);
    let mut factors = Mat::<T>::zeros(block, n - 1);
    let params = <TridiagParams as Auto<T>>::auto();
    {
        let mut memory = scratch(tridiag_in_place_scratch::<T>(n, run.par(), params.into()));
        tridiag_in_place(w.as_mut(), factors.as_mut(), run.par(), MemStack::new(&mut memory), params.into());
    }
    run.did(work(n, false, true))?;
    let diagonal: Vec<T> = (0..n).map(|i| w[(i, i)]).collect();
    let below: Vec<T> = (0..n).map(|i| if i + 1 < n { w[(i + 1, i)] } else { T::default() }).collect();
    let mut u = (!vectors.is_empty()).then(|| Mat::<T>::zeros(n, n));
    {
        let req = if u.is_some() {
            self_adjoint_evd_scratch::<T>(n, ComputeEigenvectors::Yes, run.par(), symmetric_params())
        } else {
            temp_mat_scratch::<T>(n, 1).array(4)
        };
        let mut memory = scratch(req);
        tridiagonal_self_adjoint_evd(
            DiagRef::from_slice(&diagonal),
            DiagRef::from_slice(&below),
            DiagMut::from_slice_mut(values),
            u.as_mut().map(|u| u.as_mut()),
            run.par(),
            MemStack::new(&mut memory),
            symmetric_params(),
        )
        .map_err(|_| no_convergence())?;
    }
    scale.undo(values);
    let Some(mut u) = u else { return Ok(()) };
    run.did(work(n, true, true) / 3.0)?;
    if n > 1 {
        let req =
            apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(n - 1, block, BAND.min(n));
        let mut memory = scratch(req);
        for j in (0..n).step_by(BAND) {
            let width = BAND.min(n - j);
            apply_block_householder_sequence_on_the_left_in_place_with_conj(
                w.as_ref().submatrix(1, 0, n - 1, n - 1),
                factors.as_ref(),
                Conj::No,
                u.as_mut().submatrix_mut(1, j, n - 1, width),
                run.par(),
                MemStack::new(&mut memory),
            );
            run.did(2.0 * (n * n) as f64 * width as f64)?;
        }
    }
    write_rows(u.as_ref(), vectors);
    Ok(())
}

/// The row was looked at alone; the failure names its place in the matrix.
fn at_row(failure: Failure, row: usize) -> Failure {
    match failure {
        Failure::Unprocessable { reason, mut details, .. } => {
            details["row"] = row.into();
            let message =
                format!("the entry at row {row}, column {} is not a finite number", details["column"]);
            Failure::Unprocessable { reason, message, details }
        }
        other => other,
    }
}

fn general<T: Real>(
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
    let compute = if u.is_some() { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    {
        let req = evd_scratch::<T>(n, ComputeEigenvectors::No, compute, run.par(), general_params());
        let mut memory = scratch(req);
        evd_real(
            MatRef::from_column_major_slice(&w, n, n),
            DiagMut::from_slice_mut(&mut re),
            DiagMut::from_slice_mut(&mut im),
            None,
            u.as_mut().map(|u: &mut Mat<T>| -> MatMut<'_, T> { u.as_mut() }),
            run.par(),
            MemStack::new(&mut memory),
            general_params(),
        )
        .map_err(|_| no_convergence())?;
    }
    run.did(work(n, u.is_some(), false))?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| re[i].wide().total_cmp(&re[j].wide()).then(im[i].wide().total_cmp(&im[j].wide())));
    if let Some(u) = &u {
        for (to, &from) in order.iter().enumerate() {
            write_vector(u, &im, from, vectors, to);
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
