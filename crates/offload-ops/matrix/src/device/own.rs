//! Factorisations by the kernels beside this, with the meaning of the vendor's: for devices that have none, and over stacks
//! of matrices, where the vendor takes a call each.

use super::kernels::{
    self, cholesky_block, lu_panel, matrix_identity, matrix_product, qr_panel, qr_reflectors,
    triangle_exchange, triangle_solve,
};
use crate::kernel::real::Real;
use offload_core::Failure;
use offload_core::device::{Buffer, DeviceError, Gpu, Groups, KernelSource, KernelText};

/// Columns of a panel; `SIDE` in the texts.
pub(super) const PANEL: usize = 32;
/// Side of a tile of the product; in its text.
const TILE: usize = 64;

/// Whether the device has a compiler for the text, and so its kernels.
///
/// # Errors
/// When the text does not compile.
pub(crate) fn compiles<T: Real>(gpu: &mut Gpu<'_>, text: &'static KernelText) -> Result<bool, Failure> {
    match gpu.compile(&KernelSource { text, element: Some(T::DTYPE) }) {
        Ok(_) => Ok(true),
        Err(Failure::Fault(DeviceError::Unsupported(_))) => Ok(false),
        Err(e) => Err(e),
    }
}

fn word(x: usize) -> u32 {
    // Extents are at most 65,536 and counts of a kind are bounded by them.
    x as u32
}

/// A group for each of these.
///
/// # Errors
/// When they are more than every driver takes.
pub(crate) fn groups(count: usize) -> Result<Groups, Failure> {
    match i32::try_from(count) {
        Ok(groups) => Ok(Groups([groups.unsigned_abs(), 1, 1])),
        Err(_) => Err(DeviceError::Unsupported(format!("{count} groups of a kernel")).into()),
    }
}

/// An item for each of these.
pub(super) fn items(count: usize, text: &KernelText) -> Groups {
    Groups::covering(count, text.block)
}

/// Matrices in a buffer: where an entry of the first lies, how far rows and columns are apart, and matrices.
pub(super) struct Operand<'a, T> {
    pub(super) buffer: &'a Buffer<T>,
    pub(super) at: usize,
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) each: usize,
}

impl<T> Clone for Operand<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Operand<'_, T> {}

impl<'a, T> Operand<'a, T> {
    /// By columns of that length.
    pub(super) fn columns(buffer: &'a Buffer<T>, at: usize, length: usize, each: usize) -> Self {
        Operand { buffer, at, row: 1, column: length, each }
    }

    /// The transpose.
    pub(super) fn transposed(self) -> Self {
        Operand { row: self.column, column: self.row, ..self }
    }
}

/// The extents of a product, and how many.
#[derive(Clone, Copy)]
pub(super) struct Extents {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) count: usize,
}

/// `c = beta · c + alpha · a · b`, with `c` by columns.
pub(super) fn product<T: Real>(
    gpu: &mut Gpu<'_>,
    e: Extents,
    (alpha, beta): (f64, f64),
    a: Operand<'_, T>,
    b: Operand<'_, T>,
    c: Operand<'_, T>,
) -> Result<(), Failure> {
    product_part(gpu, e, (alpha, beta), false, a, b, c)
}

fn product_part<T: Real>(
    gpu: &mut Gpu<'_>,
    e: Extents,
    (alpha, beta): (f64, f64),
    upper: bool,
    a: Operand<'_, T>,
    b: Operand<'_, T>,
    c: Operand<'_, T>,
) -> Result<(), Failure> {
    if e.m == 0 || e.n == 0 || e.count == 0 {
        return Ok(());
    }
    let tiles = e.m.div_ceil(TILE) * e.n.div_ceil(TILE);
    let [m, n, k] = [e.m, e.n, e.k].map(word);
    let (alpha, beta) = (T::narrow(alpha), T::narrow(beta));
    let wide = |x: usize| x as u64;
    matrix_product::<T>(
        gpu,
        groups(tiles * e.count)?,
        m,
        n,
        k,
        alpha,
        beta,
        u32::from(upper),
        a.buffer,
        wide(a.at),
        word(a.row),
        word(a.column),
        wide(a.each),
        b.buffer,
        wide(b.at),
        word(b.row),
        word(b.column),
        wide(b.each),
        c.buffer,
        wide(c.at),
        word(c.column),
        wide(c.each),
    )
}

/// Ones on the diagonals of `count` matrices of `m × n`.
pub(super) fn identity<T: Real>(
    gpu: &mut Gpu<'_>,
    (m, n): (usize, usize),
    count: usize,
    to: &Buffer<T>,
) -> Result<(), Failure> {
    let len = m * n * count;
    matrix_identity::<T>(gpu, items(len, &kernels::PRODUCT), word(m), word(n), len as u64, to)
}

/// A triangle, and which one of the matrix it lies in.
#[derive(Clone, Copy)]
struct Triangle<'a, T> {
    a: Operand<'a, T>,
    upper: bool,
    unit: bool,
}

/// Solves with a triangular block for `columns` columns of each matrix.
fn solve_block<T: Real>(
    gpu: &mut Gpu<'_>,
    t: Triangle<'_, T>,
    b: usize,
    x: Operand<'_, T>,
    (columns, count): (usize, usize),
) -> Result<(), Failure> {
    let total = columns * count;
    if total == 0 {
        return Ok(());
    }
    triangle_solve::<T>(
        gpu,
        items(total, &kernels::TRIANGLE),
        word(b),
        u32::from(t.upper),
        u32::from(t.unit),
        t.a.buffer,
        t.a.at as u64,
        word(t.a.row),
        word(t.a.column),
        t.a.each as u64,
        word(columns),
        total as u64,
        x.buffer,
        x.at as u64,
        word(x.column),
        x.each as u64,
    )
}

/// Solves with a whole triangle of extent `n`, block by block.
fn solve_triangle<T: Real>(
    gpu: &mut Gpu<'_>,
    t: Triangle<'_, T>,
    n: usize,
    x: Operand<'_, T>,
    (columns, count): (usize, usize),
) -> Result<(), Failure> {
    let blocks = n.div_ceil(PANEL);
    let at = |a: Operand<'_, T>, i: usize, j: usize| a.at + i * a.row + j * a.column;
    for s in 0..blocks {
        let k = if t.upper { blocks - 1 - s } else { s } * PANEL;
        let b = PANEL.min(n - k);
        let diagonal = Triangle { a: Operand { at: at(t.a, k, k), ..t.a }, ..t };
        let here = Operand { at: at(x, k, 0), ..x };
        solve_block(gpu, diagonal, b, here, (columns, count))?;
        // The rows that are still to come.
        let (from, rows) = if t.upper { (0, k) } else { (k + b, n - k - b) };
        let e = Extents { m: rows, n: columns, k: b, count };
        let a = Operand { at: at(t.a, from, k), ..t.a };
        product(gpu, e, (-1.0, 1.0), a, here, Operand { at: at(x, from, 0), ..x })?;
    }
    Ok(())
}

/// LU of `count` matrices of extent `n`.
pub(super) fn lu<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    a: &Buffer<T>,
    pivots: &Buffer<i32>,
    info: &Buffer<i32>,
) -> Result<(), Failure> {
    let part = |i: usize, j: usize| Operand::columns(a, j * n + i, n, n * n);
    for k in (0..n).step_by(PANEL) {
        let b = PANEL.min(n - k);
        lu_panel::<T>(gpu, groups(count)?, word(n), word(k), word(b), a, pivots, info)?;
        let rest = n - k - b;
        let exchange = Exchange { first: k, count: b, backward: false, skip: (k, b) };
        exchange_rows(gpu, exchange, n, (pivots, 0), part(0, 0), (n - b, count))?;
        let l11 = Triangle { a: part(k, k), upper: false, unit: true };
        solve_block(gpu, l11, b, part(k, k + b), (rest, count))?;
        let e = Extents { m: rest, n: rest, k: b, count };
        product(gpu, e, (-1.0, 1.0), part(k + b, k), part(k, k + b), part(k + b, k + b))?;
        gpu.context().block(k + b, n)?;
    }
    Ok(())
}

/// Rows that are exchanged, and columns that are left out: the first and how many.
struct Exchange {
    first: usize,
    count: usize,
    backward: bool,
    skip: (usize, usize),
}

fn exchange_rows<T: Real>(
    gpu: &mut Gpu<'_>,
    e: Exchange,
    n: usize,
    (pivots, pivots_at): (&Buffer<i32>, usize),
    x: Operand<'_, T>,
    (columns, count): (usize, usize),
) -> Result<(), Failure> {
    let total = columns * count;
    if total == 0 {
        return Ok(());
    }
    triangle_exchange::<T>(
        gpu,
        items(total, &kernels::TRIANGLE),
        word(e.first),
        word(e.count),
        u32::from(e.backward),
        word(n),
        pivots,
        pivots_at as u64,
        word(columns),
        word(e.skip.0),
        word(e.skip.1),
        total as u64,
        x.buffer,
        x.at as u64,
        word(x.column),
        x.each as u64,
    )
}

/// Solutions of `count` matrices, or of their transposes, from their factors: `columns` columns of `x` each.
pub(super) fn lu_solve<T: Real>(
    gpu: &mut Gpu<'_>,
    (n, count): (usize, usize),
    transposed: bool,
    (a, at): (&Buffer<T>, usize),
    (pivots, pivots_at): (&Buffer<i32>, usize),
    columns: usize,
    (x, x_at): (&Buffer<T>, usize),
) -> Result<(), Failure> {
    let a = Operand::columns(a, at, n, n * n);
    let x = Operand::columns(x, x_at, n, n * columns);
    let many = (columns, count);
    let rows = |backward| Exchange { first: 0, count: n, backward, skip: (columns, 0) };
    let lower = Triangle { a, upper: false, unit: true };
    let upper = Triangle { a, upper: true, unit: false };
    if transposed {
        let a = a.transposed();
        solve_triangle(gpu, Triangle { a, upper: false, unit: false }, n, x, many)?;
        solve_triangle(gpu, Triangle { a, upper: true, unit: true }, n, x, many)?;
        return exchange_rows(gpu, rows(true), n, (pivots, pivots_at), x, many);
    }
    exchange_rows(gpu, rows(false), n, (pivots, pivots_at), x, many)?;
    solve_triangle(gpu, lower, n, x, many)?;
    solve_triangle(gpu, upper, n, x, many)
}

/// Cholesky of `count` matrices whose lower triangles lie by rows.
pub(super) fn cholesky<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    a: &Buffer<T>,
    info: &Buffer<i32>,
) -> Result<(), Failure> {
    // Entry (i, j) of a matrix by rows.
    let part = |i: usize, j: usize| Operand { buffer: a, at: i * n + j, row: n, column: 1, each: n * n };
    for k in (0..n).step_by(PANEL) {
        let b = PANEL.min(n - k);
        cholesky_block::<T>(gpu, groups(count)?, word(n), word(k), word(b), a, info)?;
        let rest = n - k - b;
        // Rows below: their transposes are columns, of which L11 is solved for.
        let below = Operand::columns(a, (k + b) * n + k, n, n * n);
        let l11 = Triangle { a: part(k, k), upper: false, unit: false };
        solve_block(gpu, l11, b, below, (rest, count))?;
        // By columns the lower triangle is the upper one.
        let e = Extents { m: rest, n: rest, k: b, count };
        let l21 = part(k + b, k);
        let to = Operand::columns(a, (k + b) * (n + 1), n, n * n);
        product_part(gpu, e, (-1.0, 1.0), true, l21, l21.transposed(), to)?;
        gpu.context().block(k + b, n)?;
    }
    Ok(())
}

/// What QR of `count` matrices of `m × n` needs beside them.
pub(super) struct Panels<T> {
    /// Triangular factors of the panels of each matrix.
    factors: Buffer<T>,
    /// The reflectors of a panel written out.
    reflectors: Buffer<T>,
    /// Two products of reflectors with what they turn.
    inner: [Buffer<T>; 2],
}

fn panels(m: usize, n: usize) -> usize {
    m.min(n).div_ceil(PANEL)
}

/// Elements of [`Panels`] where up to `widest` columns are turned.
pub(super) fn panels_elements(m: usize, n: usize, widest: usize, count: usize) -> u64 {
    let each = panels(m, n) * PANEL * PANEL + m * PANEL + 2 * PANEL * widest;
    (each as u64).saturating_mul(count as u64)
}

impl<T: Real> Panels<T> {
    pub(super) fn room(
        gpu: &mut Gpu<'_>,
        (m, n): (usize, usize),
        widest: usize,
        count: usize,
    ) -> Result<Self, Failure> {
        Ok(Panels {
            factors: gpu.zeros(panels(m, n) * PANEL * PANEL * count)?,
            reflectors: gpu.zeros(m * PANEL * count)?,
            inner: [gpu.zeros(PANEL * widest * count)?, gpu.zeros(PANEL * widest * count)?],
        })
    }

    /// Factors `count` matrices of `m × n`.
    pub(super) fn factor(
        &self,
        gpu: &mut Gpu<'_>,
        (m, n): (usize, usize),
        count: usize,
        a: &Buffer<T>,
        tau: &Buffer<T>,
    ) -> Result<(), Failure> {
        let size = m.min(n);
        let each = panels(m, n) * PANEL * PANEL;
        for k in (0..size).step_by(PANEL) {
            let b = PANEL.min(size - k);
            let at = k / PANEL * PANEL * PANEL;
            let (k32, b32) = (word(k), word(b));
            qr_panel::<T>(
                gpu,
                groups(count)?,
                word(m),
                word(n),
                k32,
                b32,
                a,
                tau,
                word(size),
                &self.factors,
                at as u64,
                each as u64,
            )?;
            if k + b < n {
                let rest = Operand::columns(a, (k + b) * m + k, m, m * n);
                self.turn(gpu, (m, n), count, (a, m * n), (k, b), true, (rest, n - k - b))?;
            }
            gpu.context().block(k + b, size)?;
        }
        Ok(())
    }

    /// Writes the first `columns` columns of each `Q` from the reflectors in `a`, whose matrices are `m × n`.
    pub(super) fn write(
        &self,
        gpu: &mut Gpu<'_>,
        (m, n): (usize, usize),
        columns: usize,
        count: usize,
        a: &Buffer<T>,
        q: &Buffer<T>,
    ) -> Result<(), Failure> {
        identity(gpu, (m, columns), count, q)?;
        let size = m.min(n);
        for k in (0..size).step_by(PANEL).rev() {
            let b = PANEL.min(size - k);
            // Columns before the panel's first are those of the identity still, which it does not touch.
            let to = Operand::columns(q, k * m + k, m, m * columns);
            self.turn(gpu, (m, n), count, (a, m * n), (k, b), false, (to, columns - k))?;
        }
        Ok(())
    }

    /// Applies the reflections of a panel, or their transpose, to `columns` columns.
    #[allow(clippy::too_many_arguments, reason = "the formula's own operands")]
    fn turn(
        &self,
        gpu: &mut Gpu<'_>,
        (m, n): (usize, usize),
        count: usize,
        (a, each): (&Buffer<T>, usize),
        (k, b): (usize, usize),
        transposed: bool,
        (to, columns): (Operand<'_, T>, usize),
    ) -> Result<(), Failure> {
        let rows = m - k;
        let total = rows * b * count;
        qr_reflectors::<T>(
            gpu,
            items(total, &kernels::QR),
            word(m),
            word(k),
            word(b),
            total as u64,
            a,
            each as u64,
            &self.reflectors,
            (rows * b) as u64,
        )?;
        let v = Operand::columns(&self.reflectors, 0, rows, rows * b);
        let of_panel = k / PANEL * PANEL * PANEL;
        let w = Operand::columns(&self.factors, of_panel, PANEL, panels(m, n) * PANEL * PANEL);
        let w = if transposed { w.transposed() } else { w };
        let [first, second] = [0, 1].map(|i| Operand::columns(&self.inner[i], 0, b, b * columns));
        let e = |m, n, k| Extents { m, n, k, count };
        product(gpu, e(b, columns, rows), (1.0, 0.0), v.transposed(), to, first)?;
        product(gpu, e(b, columns, b), (1.0, 0.0), w, first, second)?;
        product(gpu, e(rows, columns, b), (-1.0, 1.0), v, second, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::rotations::WHOLE;

    #[test]
    fn the_texts_are_compiled_for_the_extents_that_the_code_counts_on() {
        let define = |text: &KernelText, name: &str| -> usize {
            let (_, value) = text.defines.iter().find(|(n, _)| *n == name).unwrap();
            value.trim_end_matches('u').parse().unwrap()
        };
        assert_eq!(define(&kernels::QR, "SIDE"), PANEL);
        assert_eq!(define(&kernels::CHOLESKY, "SIDE"), PANEL);
        assert_eq!(define(&kernels::SMALL, "SIDE"), kernels::SMALL_EXTENT);
        assert_eq!(2 * define(&kernels::JACOBI, "PAIRS"), WHOLE);
        assert!(kernels::PRODUCT.text.contains(&format!("#define SIDE {TILE}u")));
    }
}
