//! A matrix to upper Hessenberg form by Householder reflections, panel by panel: Quintana-Orti and van de Geijn (ACM
//! TOMS 32, 2006). A fifth of the work is products with the part that is not reduced yet, one for each column, and
//! the job can stop after each.

#![allow(clippy::needless_range_loop, reason = "formulas of matrices read best with their indices")]

use super::real::Real;
use super::run::Run;
use super::vector::add_scaled;
use faer::linalg::householder::make_householder_in_place;
use faer::linalg::matmul::matmul;
use faer::{Accum, ColMut, MatMut, MatRef, Par};
use offload_core::Failure;

/// Columns of a panel.
const PANEL: usize = 32;

/// Operations.
pub(crate) fn work(n: usize) -> f64 {
    10.0 / 3.0 * (n as f64).powi(3)
}

/// Elements of workspace.
pub(crate) fn elements(n: usize) -> usize {
    n * (4 * PANEL + 2) + 4 * PANEL * PANEL
}

/// Reduces the `n × n` matrix `a`, by columns. Below its subdiagonal it is left with the vectors of the reflections, of
/// which one `τ` each is returned, as the library has it: a reflection is `I − v vᵀ / τ`.
///
/// # Errors
/// When the job is to stop.
pub(crate) fn reduce<T: Real>(run: &Run<'_>, a: &mut [T], n: usize) -> Result<Vec<T>, Failure> {
    let last = n.saturating_sub(2);
    let mut taus = vec![T::default(); last];
    let (mut vs, mut ys) = (vec![T::default(); n * PANEL], vec![T::default(); n * PANEL]);
    let mut ws = vec![T::default(); n * PANEL];
    let mut heads = [T::default(); PANEL];
    for k in (0..last).step_by(PANEL) {
        let b = PANEL.min(last - k);
        // All vectors of the panel live in the rows after its first.
        let top = k + 1;
        let m = n - top;
        vs[..m * b].fill(T::default());
        // The panel's reflections together are I − V S Vᵀ.
        let mut s = [[T::default(); PANEL]; PANEL];
        for i in 0..b {
            let c = k + i;
            let (before, after) = a.split_at_mut((c + 1) * n);
            let column = &mut before[c * n + top..];
            for j in 0..i {
                add_scaled(column, &ys[j * m..(j + 1) * m], -vs[j * m + i - 1]);
            }
            let mut t = [T::default(); PANEL];
            for (j, t) in t.iter_mut().enumerate().take(i) {
                *t = super::vector::dot(&vs[j * m..(j + 1) * m], column);
            }
            for j in 0..i {
                let sum = (0..=j).fold(T::default(), |sum, l| sum + s[l][j] * t[l]);
                add_scaled(column, &vs[j * m..(j + 1) * m], -sum);
            }
            let (head, tail) = column[i..].split_at_mut(1);
            let tau = make_householder_in_place(&mut head[0], ColMut::from_slice_mut(tail)).tau;
            taus[c] = tau;
            heads[i] = head[0];
            let inverse = if tau.wide().is_finite() { T::ONE / tau } else { T::default() };
            let (vs_before, vs_here) = vs.split_at_mut(i * m);
            let v = &mut vs_here[..m];
            v[i] = T::ONE;
            v[i + 1..].copy_from_slice(tail);
            let (ys_before, ys_here) = ys.split_at_mut(i * m);
            let y = &mut ys_here[..m];
            let trailing = MatRef::from_column_major_slice(after, n, n - c - 1).subrows(top, m);
            let v_part = MatRef::from_column_major_slice(&v[i..], m - i, 1);
            let to = MatMut::from_column_major_slice_mut(y, m, 1);
            matmul(to, Accum::Replace, trailing, v_part, inverse, run.par());
            // s[..i][i] = −S (Vᵀ v) / τ, and of y what the reflections before have changed.
            for (j, t) in t.iter_mut().enumerate().take(i) {
                *t = super::vector::dot(&vs_before[j * m + i..(j + 1) * m], &v[i..]) * inverse;
            }
            for j in 0..i {
                add_scaled(y, &ys_before[j * m..(j + 1) * m], -t[j]);
            }
            for j in 0..i {
                s[j][i] = (j..i).fold(T::default(), |sum, l| sum - s[j][l] * t[l]);
            }
            s[i][i] = inverse;
            run.did(2.0 * m as f64 * (m - i) as f64)?;
        }
        let factor: Vec<T> = (0..b * b).map(|at| s[at % b][at / b]).collect();
        let factor = MatRef::from_column_major_slice(&factor, b, b);
        let v = MatRef::from_column_major_slice(&vs[..m * b], m, b);
        let y = MatRef::from_column_major_slice(&ys[..m * b], m, b);
        let (panel, rest) = a.split_at_mut((k + b) * n);
        let columns = n - k - b;
        // From the right, the rows that the panel's products left out first: A V S, into the scratch.
        {
            let mut w = MatMut::from_column_major_slice_mut(&mut ws[..top * b], top, b);
            let ahead = MatRef::from_column_major_slice(&panel[top * n..], n, b - 1).subrows(0, top);
            let behind = MatRef::from_column_major_slice(rest, n, columns).subrows(0, top);
            run.product(w.as_mut(), Accum::Replace, behind, v.subrows(b - 1, columns), T::ONE)?;
            run.product(w.as_mut(), Accum::Add, ahead, v.subrows(0, b - 1), T::ONE)?;
            let copy = w.as_ref().to_owned();
            matmul(w.as_mut(), Accum::Replace, copy.as_ref(), factor, T::ONE, Par::Seq);
        }
        let w = MatRef::from_column_major_slice(&ws[..top * b], top, b);
        let ahead = MatMut::from_column_major_slice_mut(&mut panel[top * n..], n, b - 1).subrows_mut(0, top);
        run.product(ahead, Accum::Add, w, v.subrows(0, b - 1).transpose(), -T::ONE)?;
        let mut trailing = MatMut::from_column_major_slice_mut(rest, n, columns);
        let v_columns = v.subrows(b - 1, columns).transpose();
        run.product(trailing.as_mut().subrows_mut(0, top), Accum::Add, w, v_columns, -T::ONE)?;
        let mut lower = trailing.subrows_mut(top, m);
        run.product(lower.as_mut(), Accum::Add, y, v_columns, -T::ONE)?;
        // From the left.
        let mut product = MatMut::from_column_major_slice_mut(&mut ws[..b * columns], b, columns);
        run.product(product.as_mut(), Accum::Replace, v.transpose(), lower.as_ref(), T::ONE)?;
        let copy = product.as_ref().to_owned();
        matmul(product.as_mut(), Accum::Replace, factor.transpose(), copy.as_ref(), T::ONE, run.par());
        run.product(lower, Accum::Add, v, product.as_ref(), -T::ONE)?;
        for (i, head) in heads.iter().enumerate().take(b) {
            a[(k + i) * n + k + i + 1] = *head;
        }
    }
    Ok(taus)
}
