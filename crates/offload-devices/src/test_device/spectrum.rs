//! Spectra of the test device, by Jacobi's rotations: of a symmetric matrix from both sides, singular values from one
//! side (Hestenes 1958).

/// Sweeps after which every matrix has long converged.
const SWEEPS: usize = 60;

/// The eigenvalues, ascending, and the vectors as columns, of the matrix whose lower triangle is read.
pub(super) fn symmetric(lower: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = vec![0.0; n * n];
    for j in 0..n {
        for i in j..n {
            (a[j * n + i], a[i * n + j]) = (lower[j * n + i], lower[j * n + i]);
        }
    }
    let mut v = identity(n);
    let norm = a.iter().map(|x| x * x).sum::<f64>().sqrt();
    for _ in 0..SWEEPS {
        let mut turned = false;
        for p in 0..n {
            for q in p + 1..n {
                let off = a[q * n + p];
                if off.abs() <= f64::EPSILON * 0.01 * norm {
                    continue;
                }
                turned = true;
                let (c, s) = rotation(a[p * n + p], off, a[q * n + q]);
                turn(&mut a, n, p, q, c, s);
                for column in a.chunks_mut(n) {
                    (column[p], column[q]) = (c * column[p] - s * column[q], s * column[p] + c * column[q]);
                }
                turn(&mut v, n, p, q, c, s);
            }
        }
        if !turned {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i * n + i].total_cmp(&a[j * n + j]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    (values, order.iter().flat_map(|&i| v[i * n..(i + 1) * n].iter().copied()).collect())
}

/// The singular values, descending, `columns` left vectors and all right ones, as columns, of an `m × n` matrix.
pub(super) fn singular(
    mut a: Vec<f64>,
    m: usize,
    n: usize,
    columns: usize,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut v = identity(n);
    let largest = (0..n).map(|j| length(&a[j * m..(j + 1) * m])).fold(0.0, f64::max);
    // Columns as short as this are rounding errors, and stay what they are.
    let null = largest * f64::EPSILON * 1e-3;
    for _ in 0..SWEEPS {
        let mut turned = false;
        for p in 0..n {
            for q in p + 1..n {
                let (x, y) = (&a[p * m..(p + 1) * m], &a[q * m..(q + 1) * m]);
                let inner: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                let (lx, ly) = (length(x), length(y));
                if lx <= null || ly <= null || inner.abs() <= 4.0 * f64::EPSILON * lx * ly {
                    continue;
                }
                turned = true;
                let (c, s) = rotation(lx * lx, inner, ly * ly);
                turn(&mut a, m, p, q, c, s);
                turn(&mut v, n, p, q, c, s);
            }
        }
        if !turned {
            break;
        }
    }
    let lengths: Vec<f64> = (0..n).map(|j| length(&a[j * m..(j + 1) * m])).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| lengths[j].total_cmp(&lengths[i]));
    let mut left: Vec<Vec<f64>> = Vec::new();
    for &j in order.iter().filter(|&&j| lengths[j] > null) {
        left.push(a[j * m..(j + 1) * m].iter().map(|x| x / lengths[j]).collect());
    }
    complete(&mut left, m, columns);
    (
        order.iter().map(|&j| lengths[j]).collect(),
        left.concat(),
        order.iter().flat_map(|&j| v[j * n..(j + 1) * n].iter().copied()).collect(),
    )
}

/// Adds unit vectors, made orthogonal to what is there, until there are `columns`.
fn complete(basis: &mut Vec<Vec<f64>>, m: usize, columns: usize) {
    for axis in 0..m {
        if basis.len() >= columns {
            return;
        }
        let mut x = vec![0.0; m];
        x[axis] = 1.0;
        // Twice is enough (Kahan and Parlett).
        for _ in 0..2 {
            for b in basis.iter() {
                let inner: f64 = x.iter().zip(b).map(|(x, b)| x * b).sum();
                x.iter_mut().zip(b).for_each(|(x, b)| *x -= inner * b);
            }
        }
        let size = length(&x);
        // Of all axes, some always keep this much.
        if size * size * 2.0 * m as f64 > 1.0 {
            x.iter_mut().for_each(|x| *x /= size);
            basis.push(x);
        }
    }
}

fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|i| if i % (n + 1) == 0 { 1.0 } else { 0.0 }).collect()
}

fn length(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Cosine and sine that make `[[p, off], [off, q]]` diagonal.
fn rotation(p: f64, off: f64, q: f64) -> (f64, f64) {
    let half = (q - p) / (2.0 * off);
    let t = if half.is_infinite() { 0.0 } else { 1f64.copysign(half) / (half.abs() + half.hypot(1.0)) };
    let c = 1.0 / t.hypot(1.0);
    (c, t * c)
}

fn turn(a: &mut [f64], rows: usize, p: usize, q: usize, c: f64, s: f64) {
    let (left, right) = a.split_at_mut(q * rows);
    for (x, y) in left[p * rows..(p + 1) * rows].iter_mut().zip(right) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}
