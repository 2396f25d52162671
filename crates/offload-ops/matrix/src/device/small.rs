//! Stacks of small matrices, a group of the device each: one start for LU and all that follows from it, where a library's
//! calls, or passes over memory, would take longer than the arithmetic.

use super::kernels::{self, SMALL_EXTENT, small_inverse, small_pivots, small_solve};
use super::own::{compiles, groups};
use crate::kernel::real::Real;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu};

/// What became of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It has factors.
    Factors,
    /// That pivot, counted from 0, is zero.
    ZeroPivot(usize),
    /// An entry is not finite.
    Wild,
}

/// The answers of a stack.
pub(crate) struct Solved<T> {
    /// Inverses or solutions, by rows.
    pub(crate) result: Vec<T>,
    /// For each matrix, its norm and that of its inverse.
    pub(crate) norms: Vec<T>,
    /// What became of each.
    pub(crate) found: Vec<Found>,
}

/// Bytes that an answer takes beyond its results: what became of each matrix, and the order of its rows.
pub(crate) fn bytes(count: usize) -> u64 {
    8 * count as u64
}

/// Whether matrices of this extent are small, and the device has a compiler for what is done with such.
///
/// # Errors
/// When the kernels do not compile.
pub(crate) fn takes<T: Real>(gpu: &mut Gpu<'_>, n: usize, count: usize) -> Result<bool, Failure> {
    Ok(n <= SMALL_EXTENT && count >= MANY && compiles::<T>(gpu, &kernels::SMALL)?)
}

/// Of fewer matrices than these, a group each leaves the device idle.
const MANY: usize = 4;

fn found(info: Vec<i32>) -> Vec<Found> {
    let of = |i: i32| match usize::try_from(i) {
        Ok(0) => Found::Factors,
        Ok(k) => Found::ZeroPivot(k - 1),
        Err(_) => Found::Wild,
    };
    info.into_iter().map(of).collect()
}

/// The inverses.
///
/// # Errors
/// When the device refuses.
pub(crate) fn inverses<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    a: &Buffer<T>,
) -> Result<Solved<T>, Failure> {
    let (result, norms) = (gpu.zeros::<T>(n * n * count)?, gpu.zeros::<T>(2 * count)?);
    let info = gpu.zeros::<i32>(count)?;
    small_inverse::<T>(gpu, groups(count)?, n as u32, a, &result, &norms, &info)?;
    let found = found(gpu.download(&info)?);
    Ok(Solved { result: gpu.download(&result)?, norms: gpu.download(&norms)?, found })
}

/// The solutions for `k` right-hand sides by rows, of each matrix its own or of all the same.
///
/// # Errors
/// When the device refuses.
pub(crate) fn solutions<T: Real>(
    gpu: &mut Gpu<'_>,
    (n, k): (usize, usize),
    count: usize,
    a: &Buffer<T>,
    (b, own): (&Buffer<T>, bool),
) -> Result<Solved<T>, Failure> {
    let (result, inverse) = (gpu.zeros::<T>(n * k * count)?, gpu.zeros::<T>(n * n * count)?);
    let (norms, info) = (gpu.zeros::<T>(2 * count)?, gpu.zeros::<i32>(count)?);
    let each = if own { (n * k) as u64 } else { 0 };
    let all = groups(count)?;
    small_solve::<T>(gpu, all, n as u32, k as u32, a, b, each, &result, &inverse, &norms, &info)?;
    let found = found(gpu.download(&info)?);
    Ok(Solved { result: gpu.download(&result)?, norms: gpu.download(&norms)?, found })
}

/// The pivots of a stack.
pub(crate) struct Pivots<T> {
    /// Of each matrix `n`, up to the first that is zero.
    pub(crate) pivots: Vec<T>,
    /// Whether its rows were permuted oddly.
    pub(crate) odd: Vec<bool>,
    /// What became of it.
    pub(crate) found: Vec<Found>,
}

/// The pivots.
///
/// # Errors
/// When the device refuses.
pub(crate) fn pivots<T: Real>(
    gpu: &mut Gpu<'_>,
    n: usize,
    count: usize,
    a: &Buffer<T>,
) -> Result<Pivots<T>, Failure> {
    let (out, odds) = (gpu.zeros::<T>(n * count)?, gpu.zeros::<u32>(count)?);
    let info = gpu.zeros::<i32>(count)?;
    small_pivots::<T>(gpu, groups(count)?, n as u32, a, &out, &odds, &info)?;
    let odd = gpu.download(&odds)?.into_iter().map(|x| x == 1).collect();
    Ok(Pivots { pivots: gpu.download(&out)?, odd, found: found(gpu.download(&info)?) })
}
