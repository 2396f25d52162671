//! Factorisations of the test device: the textbook's loops in `f64`, column-major as LAPACK has them. They are slow and
//! independent of the CPU path, so whoever lays matrices out for a vendor's library is checked on a machine without one.

use super::{Lane, block, range, spectrum};
use offload_core::device::{At, DeviceError, Solver};

impl Lane {
    fn numbers(
        &mut self,
        call: &'static str,
        double: bool,
        at: At,
        count: usize,
    ) -> Result<Vec<f64>, DeviceError> {
        let mut state = self.shared.call(call)?;
        let bytes = block(&mut state, at.handle)?;
        let size = if double { 8 } else { 4 };
        let bytes = &bytes[range(bytes.len(), at.offset_bytes as usize, count * size)?];
        Ok(if double {
            bytes.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x)).collect()
        } else {
            bytes.as_chunks::<4>().0.iter().map(|x| f64::from(f32::from_le_bytes(*x))).collect()
        })
    }

    fn integers(&mut self, at: At, count: usize) -> Result<Vec<i32>, DeviceError> {
        let mut state = self.shared.lock();
        let bytes = block(&mut state, at.handle)?;
        let bytes = &bytes[range(bytes.len(), at.offset_bytes as usize, count * 4)?];
        Ok(bytes.as_chunks::<4>().0.iter().map(|x| i32::from_le_bytes(*x)).collect())
    }

    fn put(&mut self, double: bool, at: At, numbers: &[f64]) -> Result<(), DeviceError> {
        if double {
            self.put_bytes(at, numbers.iter().flat_map(|x| x.to_le_bytes()))
        } else {
            self.put_bytes(at, numbers.iter().flat_map(|x| (*x as f32).to_le_bytes()))
        }
    }

    fn put_integers(&mut self, at: At, numbers: &[i32]) -> Result<(), DeviceError> {
        self.put_bytes(at, numbers.iter().flat_map(|x| x.to_le_bytes()))
    }

    fn put_bytes(&mut self, at: At, from: impl Iterator<Item = u8>) -> Result<(), DeviceError> {
        let from: Vec<u8> = from.collect();
        let mut state = self.shared.lock();
        let bytes = block(&mut state, at.handle)?;
        let range = range(bytes.len(), at.offset_bytes as usize, from.len())?;
        bytes[range].copy_from_slice(&from);
        Ok(())
    }
}

fn after(at: At, elements: usize, size: usize) -> At {
    At { handle: at.handle, offset_bytes: at.offset_bytes + (elements * size) as u64 }
}

impl Solver for Lane {
    fn transpose(
        &mut self,
        double: bool,
        rows: usize,
        columns: usize,
        batch: usize,
        from: At,
        to: At,
    ) -> Result<(), DeviceError> {
        let size = if double { 8 } else { 4 };
        let mut state = self.shared.call("transpose")?;
        let source = block(&mut state, from.handle)?;
        let len = batch * rows * columns * size;
        let source = source[range(source.len(), from.offset_bytes as usize, len)?].to_vec();
        let target = block(&mut state, to.handle)?;
        let target_range = range(target.len(), to.offset_bytes as usize, len)?;
        let target = &mut target[target_range];
        // Bytes, because an entry's payload must arrive as it is.
        for i in 0..batch * rows * columns {
            let (matrix, row, column) = (i / (rows * columns), i / columns % rows, i % columns);
            let at = (matrix * rows * columns + column * rows + row) * size;
            target[at..at + size].copy_from_slice(&source[i * size..(i + 1) * size]);
        }
        Ok(())
    }

    fn getrf(&mut self, double: bool, n: usize, a: At, pivots: At, info: At) -> Result<(), DeviceError> {
        let mut m = self.numbers("getrf", double, a, n * n)?;
        let (order, first_zero) = factor(&mut m, n);
        self.put(double, a, &m)?;
        self.put_integers(pivots, &order)?;
        self.put_integers(info, &[first_zero])
    }

    fn getrs(
        &mut self,
        double: bool,
        transpose: bool,
        n: usize,
        columns: usize,
        a: At,
        pivots: At,
        b: At,
    ) -> Result<(), DeviceError> {
        let lu = self.numbers("getrs", double, a, n * n)?;
        let pivots = self.integers(pivots, n)?;
        let mut x = self.numbers("getrs", double, b, n * columns)?;
        for x in x.chunks_mut(n.max(1)) {
            solve(&lu, &pivots, transpose, x);
        }
        self.put(double, b, &x)
    }

    fn getrf_batched(
        &mut self,
        double: bool,
        n: usize,
        batch: usize,
        a: At,
        pivots: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let size = if double { 8 } else { 4 };
        (0..batch).try_for_each(|i| {
            self.getrf(double, n, after(a, i * n * n, size), after(pivots, i * n, 4), after(info, i, 4))
        })
    }

    fn getri_batched(
        &mut self,
        double: bool,
        n: usize,
        batch: usize,
        a: At,
        pivots: At,
        inverse: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let size = if double { 8 } else { 4 };
        for i in 0..batch {
            let lu = self.numbers("getri", double, after(a, i * n * n, size), n * n)?;
            let pivots = self.integers(after(pivots, i * n, 4), n)?;
            let mut x = vec![0.0; n * n];
            for (j, x) in x.chunks_mut(n.max(1)).enumerate() {
                x[j] = 1.0;
                solve(&lu, &pivots, false, x);
            }
            let first_zero = (0..n).find(|&j| lu[j * n + j] == 0.0).map_or(0, |j| j as i32 + 1);
            self.put(double, after(inverse, i * n * n, size), &x)?;
            self.put_integers(after(info, i, 4), &[first_zero])?;
        }
        Ok(())
    }

    fn potrf(&mut self, double: bool, lower: bool, n: usize, a: At, info: At) -> Result<(), DeviceError> {
        let mut m = self.numbers("potrf", double, a, n * n)?;
        // Entry (i, j) of the lower factor, wherever the triangle lies.
        let place = |i: usize, j: usize| if lower { j * n + i } else { i * n + j };
        let mut failed = 0;
        'columns: for j in 0..n {
            for i in j..n {
                let inner: f64 = (0..j).map(|k| m[place(i, k)] * m[place(j, k)]).sum();
                let rest = m[place(i, j)] - inner;
                if i == j && (rest <= 0.0 || rest.is_nan()) {
                    failed = j as i32 + 1;
                    break 'columns;
                }
                m[place(i, j)] = if i == j { rest.sqrt() } else { rest / m[place(j, j)] };
            }
        }
        self.put(double, a, &m)?;
        self.put_integers(info, &[failed])
    }

    fn geqrf(
        &mut self,
        double: bool,
        m: usize,
        n: usize,
        a: At,
        tau: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let mut x = self.numbers("geqrf", double, a, m * n)?;
        let taus: Vec<f64> = (0..m.min(n)).map(|j| reflect(&mut x, m, n, j)).collect();
        self.put(double, a, &x)?;
        self.put(double, tau, &taus)?;
        self.put_integers(info, &[0])
    }

    fn orgqr(
        &mut self,
        double: bool,
        m: usize,
        n: usize,
        k: usize,
        a: At,
        tau: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let reflectors = self.numbers("orgqr", double, a, m * n)?;
        let taus = self.numbers("orgqr", double, tau, k)?;
        let mut q = vec![0.0; m * n];
        for j in 0..n {
            q[j * m + j] = 1.0;
        }
        for j in (0..k).rev() {
            let mut v = reflectors[j * m + j..(j + 1) * m].to_vec();
            v[0] = 1.0;
            for c in 0..n {
                apply(&v, taus[j], &mut q[c * m + j..(c + 1) * m]);
            }
        }
        self.put(double, a, &q)?;
        self.put_integers(info, &[0])
    }

    fn syevd(
        &mut self,
        double: bool,
        vectors: bool,
        n: usize,
        a: At,
        values: At,
        info: At,
    ) -> Result<(), DeviceError> {
        let m = self.numbers("syevd", double, a, n * n)?;
        let (found, columns) = spectrum::symmetric(&m, n);
        self.put(double, values, &found)?;
        if vectors {
            self.put(double, a, &columns)?;
        }
        self.put_integers(info, &[0])
    }

    fn gesvd(
        &mut self,
        double: bool,
        vectors: bool,
        full: bool,
        m: usize,
        n: usize,
        a: At,
        values: At,
        u: At,
        vt: At,
        info: At,
    ) -> Result<(), DeviceError> {
        if m < n {
            return Err(DeviceError::Call(format!("gesvd: {m} by {n} has more columns than rows")));
        }
        let x = self.numbers("gesvd", double, a, m * n)?;
        let (found, left, right) = spectrum::singular(x, m, n, if full { m } else { n });
        self.put(double, values, &found)?;
        if vectors {
            self.put(double, u, &left)?;
            let transposed: Vec<f64> = (0..n * n).map(|i| right[i % n * n + i / n]).collect();
            self.put(double, vt, &transposed)?;
        }
        // The matrix is destroyed, so that nobody relies on what is left of it.
        self.put(double, a, &vec![f64::NAN; m * n])?;
        self.put_integers(info, &[0])
    }
}

fn factor(a: &mut [f64], n: usize) -> (Vec<i32>, i32) {
    let (mut pivots, mut first_zero) = (Vec::with_capacity(n), 0);
    for j in 0..n {
        let mut p = j;
        for i in j..n {
            if a[j * n + i].abs() > a[j * n + p].abs() {
                p = i;
            }
        }
        pivots.push(p as i32 + 1);
        if a[j * n + p] == 0.0 {
            if first_zero == 0 {
                first_zero = j as i32 + 1;
            }
            continue;
        }
        for c in 0..n {
            a.swap(c * n + j, c * n + p);
        }
        for i in j + 1..n {
            a[j * n + i] /= a[j * n + j];
        }
        for c in j + 1..n {
            for i in j + 1..n {
                a[c * n + i] -= a[j * n + i] * a[c * n + j];
            }
        }
    }
    (pivots, first_zero)
}

fn solve(lu: &[f64], pivots: &[i32], transpose: bool, x: &mut [f64]) {
    let n = x.len();
    if transpose {
        for i in 0..n {
            let inner: f64 = (0..i).map(|k| lu[i * n + k] * x[k]).sum();
            x[i] = (x[i] - inner) / lu[i * n + i];
        }
        for i in (0..n).rev() {
            let inner: f64 = (i + 1..n).map(|k| lu[i * n + k] * x[k]).sum();
            x[i] -= inner;
        }
        for (i, p) in pivots.iter().enumerate().rev() {
            x.swap(i, *p as usize - 1);
        }
    } else {
        for (i, p) in pivots.iter().enumerate() {
            x.swap(i, *p as usize - 1);
        }
        for i in 0..n {
            let inner: f64 = (0..i).map(|k| lu[k * n + i] * x[k]).sum();
            x[i] -= inner;
        }
        for i in (0..n).rev() {
            let inner: f64 = (i + 1..n).map(|k| lu[k * n + i] * x[k]).sum();
            x[i] = (x[i] - inner) / lu[i * n + i];
        }
    }
}

/// Applies `I − tau v vᵀ`.
fn apply(v: &[f64], tau: f64, x: &mut [f64]) {
    let inner: f64 = v.iter().zip(&*x).map(|(v, x)| v * x).sum();
    for (x, v) in x.iter_mut().zip(v) {
        *x -= tau * inner * v;
    }
}

/// The reflection that clears column `j` of an `m × n` matrix below its diagonal, applied to the columns right of it;
/// gives its factor.
fn reflect(x: &mut [f64], m: usize, n: usize, j: usize) -> f64 {
    let column = &mut x[j * m + j..(j + 1) * m];
    let below: f64 = column[1..].iter().map(|x| x * x).sum();
    if below == 0.0 {
        return 0.0;
    }
    let alpha = column[0];
    let beta = -(alpha * alpha + below).sqrt().copysign(alpha);
    column[1..].iter_mut().for_each(|x| *x /= alpha - beta);
    column[0] = 1.0;
    let v = column.to_vec();
    let tau = (beta - alpha) / beta;
    for c in j + 1..n {
        apply(&v, tau, &mut x[c * m + j..(c + 1) * m]);
    }
    x[j * m + j] = beta;
    tau
}
