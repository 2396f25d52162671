//! QR by Householder reflections, panel by panel: the job can stop between panels and between the blocks of an
//! update.

use super::real::Real;
use super::run::{BLOCK_WORK, Run, scratch};
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::householder::{
    apply_block_householder_on_the_left_in_place_scratch,
    apply_block_householder_on_the_left_in_place_with_conj,
    apply_block_householder_transpose_on_the_left_in_place_with_conj, upgrade_householder_factor,
};
use faer::linalg::qr::no_pivoting::factor::{
    QrParams, qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::{Auto, Conj, Mat, MatMut, MatRef};
use offload_core::Failure;

/// Operations of a factorisation of an `m × n` matrix.
pub(crate) fn work(m: usize, n: usize) -> f64 {
    let (m, n) = (m as f64, n as f64);
    let (long, short) = (m.max(n), m.min(n));
    2.0 * short * short * (long - short / 3.0)
}

/// Columns of a panel, and of the blocks of reflections within it.
fn widths<T: Real>(m: usize, n: usize) -> (usize, usize) {
    let block = recommended_block_size::<T>(m, n);
    let panel = ((BLOCK_WORK / (2.0 * m.max(1) as f64)).sqrt() as usize).clamp(64, 512);
    (panel.div_ceil(block) * block, block)
}

/// Workspace of a factorisation and of applying it to `columns` columns, the reflections' factors included.
pub(crate) fn req<T: Real>(m: usize, n: usize, columns: usize) -> StackReq {
    let (panel, block) = widths::<T>(m, n);
    StackReq::all_of(&[
        // Matrices of the library are padded to whole vectors and aligned.
        faer::linalg::temp_mat_scratch::<T>(block + 16, m.min(n)),
        StackReq::any_of(&[
            qr_in_place_scratch::<T>(m, panel, block, faer::Par::Seq, auto()),
            apply_block_householder_on_the_left_in_place_scratch::<T>(m, block, n.max(columns)),
        ]),
    ])
}

fn auto<T: Real>() -> faer::Spec<QrParams, T> {
    <QrParams as Auto<T>>::auto().into()
}

/// The factors of the blocks of reflections, whose vectors lie below the diagonal of the factored matrix.
pub(crate) struct Reflections<T> {
    factors: Mat<T>,
}

/// Replaces `a` by `R` on and above the diagonal and by the reflections' vectors below it.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn factor_in_place<T: Real>(
    run: &Run<'_>,
    mut a: MatMut<'_, T>,
) -> Result<Reflections<T>, Failure> {
    let (m, n) = (a.nrows(), a.ncols());
    let size = m.min(n);
    let (panel, block) = widths::<T>(m, n);
    let mut factors = Mat::zeros(block, size);
    let mut memory = scratch(StackReq::any_of(&[
        qr_in_place_scratch::<T>(m, panel.min(n), block, run.par(), auto()),
        apply_block_householder_on_the_left_in_place_scratch::<T>(m, block, n),
    ]));
    for k in (0..size).step_by(panel) {
        let b = panel.min(size - k);
        let (mut left, mut right) = a.as_mut().submatrix_mut(k, k, m - k, n - k).split_at_col_mut(b);
        let mut f = factors.as_mut().subcols_mut(k, b);
        qr_in_place(left.as_mut(), f.as_mut(), run.par(), MemStack::new(&mut memory), auto());
        run.did(work(m - k, b))?;
        for j in (0..b).step_by(block) {
            let w = block.min(b - j);
            let vectors = left.as_ref().submatrix(j, j, m - k - j, w);
            let factor = f.as_ref().submatrix(0, j, w, w);
            let to = right.as_mut().subrows_mut(j, m - k - j);
            apply(run, vectors, factor, to, true, &mut memory)?;
        }
    }
    Ok(Reflections { factors })
}

/// Applies one block of reflections, in bands of columns.
fn apply<T: Real>(
    run: &Run<'_>,
    vectors: MatRef<'_, T>,
    factor: MatRef<'_, T>,
    to: MatMut<'_, T>,
    transposed: bool,
    memory: &mut faer::dyn_stack::MemBuffer,
) -> Result<(), Failure> {
    let (m, n, w) = (to.nrows(), to.ncols(), vectors.ncols());
    if n == 0 {
        return Ok(());
    }
    let work = 4.0 * m as f64 * n as f64 * w as f64;
    if work > BLOCK_WORK && n > 64 {
        let (left, right) = to.split_at_col_mut(n / 2);
        apply(run, vectors, factor, left, transposed, memory)?;
        return apply(run, vectors, factor, right, transposed, memory);
    }
    let stack = MemStack::new(memory);
    if transposed {
        apply_block_householder_transpose_on_the_left_in_place_with_conj(
            vectors,
            factor,
            Conj::No,
            to,
            run.par(),
            stack,
        );
    } else {
        apply_block_householder_on_the_left_in_place_with_conj(
            vectors,
            factor,
            Conj::No,
            to,
            run.par(),
            stack,
        );
    }
    run.did(work)
}

impl<T: Real> Reflections<T> {
    /// The reflections with the columns of `vectors` below the diagonal, which is taken for ones, and one `τ` each.
    pub(crate) fn of(run: &Run<'_>, vectors: MatRef<'_, T>, taus: &[T]) -> Reflections<T> {
        let size = taus.len();
        let block = recommended_block_size::<T>(vectors.nrows(), size).clamp(1, size.max(1));
        let mut factors = Mat::zeros(block, size);
        for j in (0..size).step_by(block) {
            let w = block.min(size - j);
            let mut factor = factors.as_mut().submatrix_mut(0, j, w, w);
            for (i, &tau) in taus[j..j + w].iter().enumerate() {
                factor[(i, i)] = tau;
            }
            let vectors = vectors.submatrix(j, j, vectors.nrows() - j, w);
            upgrade_householder_factor(factor, vectors, w, 1, run.par());
        }
        Reflections { factors }
    }

    /// Replaces `to` by `Q · to`. Where `to` is zero but for its upper left block, which `Q`'s own columns are made
    /// from, `identity` saves the work on the zeros.
    ///
    /// # Errors
    /// When the job is to stop.
    pub(crate) fn apply(
        &self,
        run: &Run<'_>,
        factored: MatRef<'_, T>,
        mut to: MatMut<'_, T>,
        identity: bool,
    ) -> Result<(), Failure> {
        let (m, n, size) = (to.nrows(), to.ncols(), self.factors.ncols());
        let block = self.factors.nrows();
        // Blocks never cross panels, because a panel is a whole number of blocks.
        let mut memory = scratch(apply_block_householder_on_the_left_in_place_scratch::<T>(m, block, n));
        for j in (0..size).step_by(block).rev() {
            let w = block.min(size - j);
            let vectors = factored.submatrix(j, j, m - j, w);
            let factor = self.factors.as_ref().submatrix(0, j, w, w);
            let first = if identity { j.min(n) } else { 0 };
            let part = to.as_mut().submatrix_mut(j, first, m - j, n - first);
            apply(run, vectors, factor, part, false, &mut memory)?;
        }
        Ok(())
    }
}
