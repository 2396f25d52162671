//! Products with vectors, written so that the compiler turns them into the widest instructions the machine has.

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

use super::real::Real;

/// Elements that are in work at once.
const LANES: usize = 8;
/// Below this many elements a second thread costs more than it brings.
const PARALLEL: usize = 160_000;

/// `y += x · factor`.
pub(crate) fn add_scaled<T: Real>(y: &mut [T], x: &[T], factor: T) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x * factor;
    }
}

/// The inner product.
pub(crate) fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [T::default(); LANES];
    for (x, y) in xs.iter().zip(ys) {
        for l in 0..LANES {
            sums[l] += x[l] * y[l];
        }
    }
    let rest = x_rest.iter().zip(y_rest).fold(T::default(), |s, (&x, &y)| s + x * y);
    sums.into_iter().fold(rest, |a, b| a + b)
}

/// `y = A x` for the symmetric part of the `n × n` matrix `a`, by columns, from row and column `first` on, of which
/// only the lower triangle is read. `sums` has `n` elements for each thread.
pub(crate) fn symmetric_times<T: Real>(
    a: &[T],
    n: usize,
    first: usize,
    x: &[T],
    y: &mut [T],
    sums: &mut [T],
    threads: usize,
) {
    let m = n - first;
    y.fill(T::default());
    if threads < 2 || m * m / 2 < PARALLEL {
        columns_times(a, n, first, first..n, x, y);
        return;
    }
    // The columns are shared so that each thread has the same area.
    let bound = |t: usize| first + m - (m as f64 * (1.0 - t as f64 / threads as f64).sqrt()) as usize;
    rayon::scope(|s| {
        for (t, part) in sums.chunks_mut(n).enumerate().take(threads).skip(1) {
            s.spawn(move |_| {
                part[..m].fill(T::default());
                columns_times(a, n, first, bound(t)..bound(t + 1), x, &mut part[..m]);
            });
        }
        columns_times(a, n, first, first..bound(1), x, y);
    });
    for part in sums.chunks(n).take(threads).skip(1) {
        y.iter_mut().zip(part).for_each(|(y, &s)| *y += s);
    }
}

/// What the columns of the lower triangle, and the rows they mirror, add to the product.
fn columns_times<T: Real>(
    a: &[T],
    n: usize,
    first: usize,
    columns: std::ops::Range<usize>,
    x: &[T],
    y: &mut [T],
) {
    pulp::Arch::new().dispatch(|| {
        let mut j = columns.start;
        while j + 4 <= columns.end {
            // The triangle on the diagonal entry by entry, and four columns together below it.
            for c in j..j + 4 {
                y[c - first] += a[c * n + c] * x[c - first];
                for r in c + 1..j + 4 {
                    let entry = a[c * n + r];
                    y[r - first] += entry * x[c - first];
                    y[c - first] += entry * x[r - first];
                }
            }
            let below = |c: usize| &a[c * n + j + 4..(c + 1) * n];
            let at = j - first;
            let factors = [x[at], x[at + 1], x[at + 2], x[at + 3]];
            let (top, rest) = y.split_at_mut(at + 4);
            let sums = four_columns(
                [below(j), below(j + 1), below(j + 2), below(j + 3)],
                &x[at + 4..],
                factors,
                rest,
            );
            for (y, s) in top[at..].iter_mut().zip(sums) {
                *y += s;
            }
            j += 4;
        }
        for c in j..columns.end {
            y[c - first] += a[c * n + c] * x[c - first];
            for r in c + 1..n {
                let entry = a[c * n + r];
                y[r - first] += entry * x[c - first];
                y[c - first] += entry * x[r - first];
            }
        }
    });
}

/// Adds the columns times the factors to `y`, and returns the columns' inner products with `x`.
#[inline(always)]
fn four_columns<T: Real>(columns: [&[T]; 4], x: &[T], factors: [T; 4], y: &mut [T]) -> [T; 4] {
    let len = y.len();
    let (xs, x_rest) = x[..len].as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks_mut::<LANES>();
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = columns.map(|s| s[..len].as_chunks::<LANES>());
    let mut sums = [[T::default(); LANES]; 4];
    for (((((y, x), a), b), c), d) in ys.iter_mut().zip(xs).zip(a).zip(b).zip(c).zip(d) {
        for l in 0..LANES {
            y[l] += (a[l] * factors[0] + b[l] * factors[1]) + (c[l] * factors[2] + d[l] * factors[3]);
            sums[0][l] += a[l] * x[l];
            sums[1][l] += b[l] * x[l];
            sums[2][l] += c[l] * x[l];
            sums[3][l] += d[l] * x[l];
        }
    }
    let mut out = sums.map(|s| s.into_iter().fold(T::default(), |p, q| p + q));
    for (i, (y, &x)) in y_rest.iter_mut().zip(x_rest).enumerate() {
        let entries = [a_rest[i], b_rest[i], c_rest[i], d_rest[i]];
        for l in 0..4 {
            *y += entries[l] * factors[l];
            out[l] += entries[l] * x;
        }
    }
    out
}
