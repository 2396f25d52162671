//! Eigenvectors of a quasi-triangular matrix, by back-substitution in blocks: a block of vectors at a time, a block of
//! rows at a time, the rows above by a product. Vectors that grow too large are scaled down on the way.

use crate::kernel::real::Real;
use crate::kernel::run::Run;
use faer::{Accum, MatMut, MatRef};
use offload_core::Failure;

/// Rows and vectors of a block.
const BLOCK: usize = 32;

/// Operations, the products with the basis included.
pub(super) fn work(n: usize) -> f64 {
    4.0 / 3.0 * (n as f64).powi(3)
}

/// Elements of workspace.
pub(super) fn elements(n: usize) -> usize {
    2 * n * (BLOCK + 2) + n
}

/// A number with its imaginary part.
type Complex = (f64, f64);

/// Writes to `u` the products of the basis `z` with the eigenvectors of `t`, whose eigenvalues are `re` and `im`. A
/// conjugate pair has the real and the imaginary part of the first one's vector in its two columns.
///
/// # Errors
/// When the job is to stop.
pub(super) fn eigenvectors<T: Real>(
    run: &Run<'_>,
    t: &[T],
    re: &[T],
    im: &[T],
    z: MatRef<'_, T>,
    mut u: MatMut<'_, T>,
) -> Result<(), Failure> {
    let n = re.len();
    let zero = T::default();
    let mut bounds = vec![0];
    while let Some(&from) = bounds.last().filter(|&&from| from < n) {
        let mut to = (from + BLOCK).min(n);
        if to < n && t[(to - 1) * n + to] != zero {
            to += 1;
        }
        bounds.push(to);
    }
    let norm = t.iter().fold(0.0f64, |m, x| m.max(x.wide().abs()));
    let matrix = MatRef::from_column_major_slice(t, n, n);
    let mut x = vec![zero; n * (BLOCK + 1)];
    for group in bounds.windows(2) {
        let (first, end) = (group[0], group[1]);
        let count = end - first;
        let x = &mut x[..end * count];
        x.fill(zero);
        let own = bounds.partition_point(|&b| b < end);
        for block in bounds[..=own].windows(2).rev() {
            let (top, bottom) = (block[0], block[1]);
            let mut c = 0;
            while c < count {
                let k = first + c;
                let pair = im[k] != zero;
                let width = 1 + usize::from(pair);
                let columns = &mut x[c * end..(c + width) * end];
                let from = if bottom == end {
                    seed(t, n, k, im[k], columns, end);
                    k
                } else {
                    bottom
                };
                if bottom == end {
                    // What the vector's own entries put on the rows of this block.
                    for j in k..k + width {
                        let column = &t[j * n + top..j * n + k];
                        for part in columns.chunks_mut(end) {
                            let f = part[j];
                            for (x, &t) in part[top..k].iter_mut().zip(column) {
                                *x -= t * f;
                            }
                        }
                    }
                }
                let at = (re[k].wide(), im[k].wide());
                solve(t, n, top, from, at, norm, columns, end);
                c += width;
            }
            run.did(2.0 * (bottom - top) as f64 * (bottom - top) as f64 * count as f64)?;
            if top > 0 {
                // The rows above, with this block's entries of all vectors.
                let mut here = vec![zero; (bottom - top) * count];
                for (to, from) in here.chunks_mut(bottom - top).zip(x.chunks(end)) {
                    to.copy_from_slice(&from[top..bottom]);
                }
                let here = MatRef::from_column_major_slice(&here, bottom - top, count);
                let above = MatMut::from_column_major_slice_mut(x, end, count).subrows_mut(0, top);
                run.product(above, Accum::Add, matrix.submatrix(0, top, top, bottom - top), here, -T::ONE)?;
            }
        }
        let vectors = MatRef::from_column_major_slice(x, end, count);
        run.product(
            u.as_mut().subcols_mut(first, count),
            Accum::Replace,
            z.subcols(0, end),
            vectors,
            T::ONE,
        )?;
    }
    Ok(())
}

/// The entries of a vector at its own place: 1, or the null vector of the shifted two by two block.
fn seed<T: Real>(t: &[T], n: usize, k: usize, im: T, columns: &mut [T], end: usize) {
    if columns.len() == end {
        columns[k] = T::ONE;
        return;
    }
    let (right, below) = (t[(k + 1) * n + k].wide(), t[k * n + k + 1].wide());
    let w = im.wide();
    // Both forms are the same vector; the one with the larger divisor is the more exact.
    if right.abs() >= below.abs() {
        columns[k] = T::ONE;
        columns[end + k + 1] = T::narrow(w / right);
    } else {
        columns[k] = T::narrow(-w / below);
        columns[end + k + 1] = T::ONE;
    }
}

/// Solves `(t − at) x = x` for the rows `top..bottom` of a vector, from the last up.
#[allow(clippy::too_many_arguments, reason = "a matrix, a range of it, a shift and a vector")]
fn solve<T: Real>(
    t: &[T],
    n: usize,
    top: usize,
    bottom: usize,
    at: Complex,
    norm: f64,
    columns: &mut [T],
    end: usize,
) {
    let smallest = (T::EPS * norm).max(T::EPS * (at.0.abs() + at.1.abs())).max(f64::MIN_POSITIVE);
    let smallest = if smallest > f64::MIN_POSITIVE { smallest } else { 1.0 };
    let largest = 2f64.powi(T::SAFE_EXPONENT);
    let entry = |i: usize, j: usize| t[j * n + i].wide();
    let mut r = bottom;
    while r > top {
        let double = r >= top + 2 && t[(r - 2) * n + r - 1] != T::default();
        let height = 1 + usize::from(double);
        let first = r - height;
        let value = |columns: &[T], i: usize| -> Complex {
            (columns[i].wide(), if columns.len() > end { columns[end + i].wide() } else { 0.0 })
        };
        let mut found = [(0.0, 0.0); 2];
        if double {
            let one = [(entry(first, first) - at.0, -at.1), (entry(first, first + 1), 0.0)];
            let two = [(entry(first + 1, first), 0.0), (entry(first + 1, first + 1) - at.0, -at.1)];
            let right = [value(columns, first), value(columns, first + 1)];
            found = two_by_two(one, two, right, smallest);
        } else {
            let pivot = at_least((entry(first, first) - at.0, -at.1), smallest);
            found[0] = divide(value(columns, first), pivot);
        }
        let size = found.iter().fold(0.0f64, |m, x| m.max(x.0.abs()).max(x.1.abs()));
        if size > largest {
            let f = 1.0 / size;
            columns.iter_mut().for_each(|x| *x = T::narrow(x.wide() * f));
            found.iter_mut().for_each(|x| *x = (x.0 * f, x.1 * f));
        }
        for (i, x) in found.iter().enumerate().take(height) {
            columns[first + i] = T::narrow(x.0);
            if columns.len() > end {
                columns[end + first + i] = T::narrow(x.1);
            }
            let column = &t[(first + i) * n + top..(first + i) * n + first];
            for part in columns.chunks_mut(end) {
                let f = part[first + i];
                for (x, &t) in part[top..first].iter_mut().zip(column) {
                    *x -= t * f;
                }
            }
        }
        r = first;
    }
}

fn at_least(x: Complex, smallest: f64) -> Complex {
    if x.0.abs() + x.1.abs() < smallest { (smallest, 0.0) } else { x }
}

fn times(x: Complex, y: Complex) -> Complex {
    (x.0 * y.0 - x.1 * y.1, x.0 * y.1 + x.1 * y.0)
}

fn minus(x: Complex, y: Complex) -> Complex {
    (x.0 - y.0, x.1 - y.1)
}

/// The quotient by Smith's method (Comm. ACM 5, 1962), which leaves the range only where the quotient does.
fn divide(x: Complex, y: Complex) -> Complex {
    if y.0.abs() >= y.1.abs() {
        let r = y.1 / y.0;
        let d = y.0 + y.1 * r;
        ((x.0 + x.1 * r) / d, (x.1 - x.0 * r) / d)
    } else {
        let r = y.0 / y.1;
        let d = y.0 * r + y.1;
        ((x.0 * r + x.1) / d, (x.1 * r - x.0) / d)
    }
}

/// Two equations, by elimination with the larger pivot.
fn two_by_two(
    mut one: [Complex; 2],
    mut two: [Complex; 2],
    mut right: [Complex; 2],
    smallest: f64,
) -> [Complex; 2] {
    let size = |x: Complex| x.0.abs() + x.1.abs();
    if size(two[0]) > size(one[0]) {
        std::mem::swap(&mut one, &mut two);
        right.swap(0, 1);
    }
    let pivot = at_least(one[0], smallest);
    let factor = divide(two[0], pivot);
    let second = at_least(minus(two[1], times(factor, one[1])), smallest);
    let y = divide(minus(right[1], times(factor, right[0])), second);
    let x = divide(minus(right[0], times(one[1], y)), pivot);
    [x, y]
}
