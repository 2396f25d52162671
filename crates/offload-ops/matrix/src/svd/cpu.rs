//! Singular values and vectors: of stacks, of tall and wide matrices, and from a sample of the range.

use super::{Inputs, Method, reduced};
use crate::kernel::copy::{transpose, write_rows};
use crate::kernel::need::tensor;
use crate::kernel::qr;
use crate::kernel::real::{Real, Scale, by_dtype, elements, largest};
use crate::kernel::run::Run;
use crate::kernel::stack::{Stack, for_each};
use faer::dyn_stack::StackReq;
use faer::linalg::svd::ComputeSvdVectors;
use faer::linalg::temp_mat_scratch;
use faer::{Accum, Mat, MatMut, MatRef};
use offload_api::{Record, Tensor, TensorSpec};
use offload_core::{Context, Failure, Rejection};

/// The largest smaller extent of a matrix whose spectrum is computed.
pub(crate) const MAX_SPECTRAL_EXTENT: usize = 8_192;
/// Columns of the sample beyond `k`, which make missing a large singular value very unlikely.
const OVERSAMPLING: usize = 10;
/// Passes of the power iteration, each of which sharpens the decay of the singular values by the square.
pub(super) const POWER_PASSES: usize = 2;
/// From this ratio of the extents on, the square factor is split off first.
const TALL: usize = 2;

/// A matrix whose spectrum is small enough to compute.
///
/// # Errors
/// When it is not.
pub(crate) fn spectral_limit(field: &'static str, s: Stack) -> Result<(), Rejection> {
    let extent = s.rows.min(s.columns);
    if extent <= MAX_SPECTRAL_EXTENT {
        return Ok(());
    }
    Err(Rejection::new(
        field,
        format!(
            "{field} is {} by {}, the smaller dimension must be at most {MAX_SPECTRAL_EXTENT}",
            s.rows, s.columns
        ),
    ))
}

/// Operations of singular values without vectors.
pub(crate) fn values_work(m: usize, n: usize) -> f64 {
    exact_work(m.max(n), m.min(n), 0)
}

/// Operations of a decomposition with that many vectors on the long side.
fn exact_work(long: usize, short: usize, columns: usize) -> f64 {
    if !is_tall(long, short) {
        return reduced::work(long, short, columns);
    }
    let back = 2.0 * short as f64 * (2 * long - short) as f64 * columns as f64;
    qr::work(long, short) + reduced::work(short, short, columns.min(short)) + back
}

/// Workspace of singular values without vectors.
pub(crate) fn values_workspace<T: Real>(m: usize, n: usize) -> StackReq {
    req::<T>(m, n, ComputeSvdVectors::No)
}

fn req<T: Real>(m: usize, n: usize, vectors: ComputeSvdVectors) -> StackReq {
    let (long, short) = (m.max(n), m.min(n));
    let u_columns = match vectors {
        ComputeSvdVectors::No => 0,
        ComputeSvdVectors::Thin => short,
        ComputeSvdVectors::Full => long,
    };
    let square = if is_tall(long, short) { short } else { long };
    let inner = if is_tall(long, short) && vectors == ComputeSvdVectors::Full {
        ComputeSvdVectors::Thin
    } else {
        vectors
    };
    StackReq::all_of(&[
        // The scaled copy, the square factor, both sides' vectors by columns, a few vectors of each thread.
        StackReq::new::<T>(long * short),
        StackReq::new::<T>(short * short),
        temp_mat_scratch::<T>(long, u_columns),
        temp_mat_scratch::<T>(short, if u_columns == 0 { 0 } else { short }),
        StackReq::new::<T>((crate::kernel::need::threads() + 4) * (long + 64)),
        StackReq::any_of(&[reduced::req::<T>(square, short, inner), qr::req::<T>(long, short, u_columns)]),
    ])
}

fn is_tall(long: usize, short: usize) -> bool {
    short > 0 && long >= TALL * short
}

/// The extents of a decomposition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub(super) stack: Stack,
    pub(super) u_columns: usize,
    pub(super) values: usize,
    pub(super) vt_rows: usize,
    pub(super) method: Method,
    pub(super) full: bool,
}

impl Extents {
    pub(super) fn of<T: offload_core::Slot>(
        inputs: &Inputs<T>,
        a: &TensorSpec,
    ) -> Result<Extents, Rejection> {
        let stack = Stack::of("a", a)?;
        let size = stack.rows.min(stack.columns);
        if inputs.full && inputs.k.is_some() {
            return Err(Rejection::new("full", "full and k exclude each other"));
        }
        let values = match inputs.k {
            None if inputs.method == Method::Randomised => {
                return Err(Rejection::new("k", "the randomised method needs k"));
            }
            None => size,
            Some(k) => match usize::try_from(k) {
                Ok(k) if k >= 1 && k <= size => k,
                _ => return Err(Rejection::new("k", format!("k is {k}, it must be from 1 to {size}"))),
            },
        };
        if inputs.method == Method::Exact {
            spectral_limit("a", stack)?;
        } else if values + OVERSAMPLING > MAX_SPECTRAL_EXTENT {
            let most = MAX_SPECTRAL_EXTENT - OVERSAMPLING;
            return Err(Rejection::new(
                "k",
                format!("k is {values}, the randomised method takes at most {most}"),
            ));
        }
        let (u_columns, vt_rows) = if inputs.full { (stack.rows, stack.columns) } else { (values, values) };
        Ok(Extents { stack, u_columns, values, vt_rows, method: inputs.method, full: inputs.full })
    }

    pub(super) fn sample(&self) -> usize {
        (self.values + OVERSAMPLING).min(self.stack.rows.min(self.stack.columns))
    }

    pub(super) fn work(&self) -> f64 {
        let (m, n) = (self.stack.rows, self.stack.columns);
        if self.method == Method::Randomised {
            let (m, n, l) = (m as f64, n as f64, self.sample() as f64);
            return 4.0 * m * n * l * (POWER_PASSES + 1) as f64 + 20.0 * (m + n) * l * l;
        }
        let (long, short) = (m.max(n), m.min(n));
        exact_work(long, short, if self.full { long } else { short })
    }

    pub(super) fn req<T: Real>(&self) -> StackReq {
        let (m, n) = (self.stack.rows, self.stack.columns);
        if self.method == Method::Randomised {
            let (long, l) = (m.max(n), self.sample());
            return StackReq::all_of(&[
                StackReq::new::<T>(m * n),
                StackReq::new::<T>(3 * long * l),
                temp_mat_scratch::<T>(l, l).array(2),
                req::<T>(long, l, ComputeSvdVectors::Thin),
            ]);
        }
        req::<T>(m, n, if self.full { ComputeSvdVectors::Full } else { ComputeSvdVectors::Thin })
    }
}

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of(inputs, &inputs.a.spec())?;
    let (m, n) = (e.stack.rows, e.stack.columns);
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let count = e.stack.count();
        let lens = [m * e.u_columns, e.values, e.vt_rows * n];
        let [mut u, mut s, mut vt] = lens.map(|len| vec![T::default(); count * len]);
        for_each(ctx, e.stack.batch, e.work(), lens, [&mut u, &mut s, &mut vt], |i, [u, s, vt], run| {
            decompose(&a[i * m * n..(i + 1) * m * n], e, u, s, vt, run)
        })?;
        Ok(Record::new()
            .with("u", tensor(e.stack.shape(&[m, e.u_columns]), u))
            .with("s", tensor(e.stack.shape(&[e.values]), s))
            .with("vt", tensor(e.stack.shape(&[e.vt_rows, n]), vt)))
    })
}

fn decompose<T: Real>(
    a: &[T],
    e: Extents,
    u: &mut [T],
    s: &mut [T],
    vt: &mut [T],
    run: &Run<'_>,
) -> Result<(), Failure> {
    let (m, n) = (e.stack.rows, e.stack.columns);
    let scale = Scale::of::<T>(largest(a, n)?);
    let size = m.min(n);
    // A wide matrix is decomposed transposed: the rows of what was given are the columns of what is wanted.
    let wide = n > m;
    let (long, short) = (m.max(n), size);
    let mut columns = vec![T::default(); m * n];
    if wide {
        columns.copy_from_slice(a)
    } else {
        transpose(a, m, n, &mut columns)
    }
    scale.apply(&mut columns);
    let parts = if e.method == Method::Randomised {
        sampled(&columns, long, short, e.values, e.sample(), run)?
    } else {
        decompose_tall(columns, long, short, Some(e.full), run)?
    };
    s.copy_from_slice(&parts.values[..e.values]);
    scale.undo(s);
    let (left, right) = if wide { (&parts.right, &parts.left) } else { (&parts.left, &parts.right) };
    write_rows(left.as_ref().subcols(0, e.u_columns), u);
    write_rows(right.as_ref().subcols(0, e.vt_rows).transpose(), vt);
    Ok(())
}

/// The singular values, descending.
///
/// # Errors
/// `not_finite`; when the job is to stop.
pub(crate) fn singular_values<T: Real>(
    a: &[T],
    m: usize,
    n: usize,
    run: &Run<'_>,
) -> Result<Vec<T>, Failure> {
    let scale = Scale::of::<T>(largest(a, n)?);
    let mut columns = vec![T::default(); m * n];
    if n > m {
        columns.copy_from_slice(a)
    } else {
        transpose(a, m, n, &mut columns)
    }
    scale.apply(&mut columns);
    let mut values = decompose_tall(columns, m.max(n), m.min(n), None, run)?.values;
    scale.undo(&mut values);
    Ok(values)
}

struct Parts<T> {
    left: Mat<T>,
    values: Vec<T>,
    right: Mat<T>,
}

/// Decomposes an `m × n` matrix by columns, `m ≥ n`: without vectors, with as many as there are values, or with all.
fn decompose_tall<T: Real>(
    mut a: Vec<T>,
    m: usize,
    n: usize,
    vectors: Option<bool>,
    run: &Run<'_>,
) -> Result<Parts<T>, Failure> {
    let u_columns = match vectors {
        None => 0,
        Some(false) => n,
        Some(true) => m,
    };
    let mut left = Mat::<T>::zeros(if vectors.is_some() { m } else { 0 }, u_columns);
    let mut right =
        Mat::<T>::zeros(if vectors.is_some() { n } else { 0 }, if vectors.is_some() { n } else { 0 });
    let mut values = vec![T::default(); n];
    if n == 0 {
        for j in 0..u_columns {
            left[(j, j)] = T::ONE;
        }
        return Ok(Parts { left, values, right });
    }
    if is_tall(m, n) {
        let reflections = qr::factor_in_place(run, MatMut::from_column_major_slice_mut(&mut a, m, n))?;
        let mut r = vec![T::default(); n * n];
        for j in 0..n {
            r[j * n..=j * n + j].copy_from_slice(&a[j * m..=j * m + j]);
        }
        if vectors.is_none() {
            reduced::decompose(&mut r, n, n, &mut values, None, run)?;
            return Ok(Parts { left, values, right });
        }
        let u = left.as_mut().submatrix_mut(0, 0, n, n);
        reduced::decompose(&mut r, n, n, &mut values, Some((u, right.as_mut())), run)?;
        for j in n..u_columns {
            left[(j, j)] = T::ONE;
        }
        reflections.apply(run, MatRef::from_column_major_slice(&a, m, n), left.as_mut(), false)?;
    } else {
        let both = vectors.is_some().then(|| (left.as_mut(), right.as_mut()));
        reduced::decompose(&mut a, m, n, &mut values, both, run)?;
    }
    Ok(Parts { left, values, right })
}

/// The `k` largest from a sample of the range: Halko, Martinsson and Tropp (SIAM Review 53, 2011), algorithms 4.4
/// and 5.1. The sample's seed is fixed, so a result repeats.
fn sampled<T: Real>(
    a: &[T],
    m: usize,
    n: usize,
    k: usize,
    sample: usize,
    run: &Run<'_>,
) -> Result<Parts<T>, Failure> {
    let a = MatRef::from_column_major_slice(a, m, n);
    let mut range = vec![T::default(); m * sample];
    let mut corange: Vec<T> = crate::reference::normal(n * sample).map(T::narrow).collect();
    for pass in 0..=POWER_PASSES {
        let to = MatMut::from_column_major_slice_mut(&mut range, m, sample);
        run.product(to, Accum::Replace, a, MatRef::from_column_major_slice(&corange, n, sample), T::ONE)?;
        orthonormalise(&mut range, m, sample, run)?;
        let to = MatMut::from_column_major_slice_mut(&mut corange, n, sample);
        let q = MatRef::from_column_major_slice(&range, m, sample);
        run.product(to, Accum::Replace, a.transpose(), q, T::ONE)?;
        if pass < POWER_PASSES {
            orthonormalise(&mut corange, n, sample, run)?;
        }
    }
    // Now a ≈ q · corangeᵀ, and the small factor's right vectors turn q into left vectors.
    let small = decompose_tall(corange, n, sample, Some(false), run)?;
    let mut left = Mat::<T>::zeros(m, k);
    let q = MatRef::from_column_major_slice(&range, m, sample);
    run.product(left.as_mut(), Accum::Replace, q, small.right.as_ref().subcols(0, k), T::ONE)?;
    Ok(Parts { left, values: small.values, right: small.left })
}

/// Replaces the columns by an orthonormal basis of at least what they span.
fn orthonormalise<T: Real>(a: &mut [T], m: usize, n: usize, run: &Run<'_>) -> Result<(), Failure> {
    let reflections = qr::factor_in_place(run, MatMut::from_column_major_slice_mut(a, m, n))?;
    let mut q = vec![T::default(); m * n];
    for j in 0..n {
        q[j * m + j] = T::ONE;
    }
    let factored = MatRef::from_column_major_slice(a, m, n);
    reflections.apply(run, factored, MatMut::from_column_major_slice_mut(&mut q, m, n), true)?;
    a.copy_from_slice(&q);
    Ok(())
}
