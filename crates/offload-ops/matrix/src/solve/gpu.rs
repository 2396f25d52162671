//! Solutions on a device: factors, the solutions, and those that the estimate of the condition asks for.

use super::{Extents, Inputs};
use crate::device::estimate::{InverseNorm, MOST_SOLUTIONS};
use crate::device::factor::{self, Lu};
use crate::device::inputs::{Part, Seen, look};
use crate::device::small::{self, Found};
use crate::kernel::lu::{overflow, singular};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements, one_norm, reciprocal_condition};
use crate::kernel::run::Run;
use crate::kernel::stack::{Stack, name_matrix};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu};

/// Bytes of `a` and its factors, of `b`, of the solutions by columns and by rows, of the vectors of the estimate.
pub(super) fn bytes(e: Extents, size: u64) -> u64 {
    let count = e.batch.unwrap_or(1) as u64;
    let (factored, given) = (if e.own.0 { count } else { 1 }, if e.own.1 { count } else { 1 });
    let (n, k) = (e.n as u64, e.k as u64);
    let matrices = (2 * n * n).saturating_mul(factored);
    let sides = (n * k).saturating_mul(2 * given + 2 * count);
    let vectors = n.saturating_mul(factored).saturating_mul(MOST_SOLUTIONS as u64);
    matrices
        .saturating_add(sides)
        .saturating_add(vectors)
        .saturating_add(2 * factored)
        .saturating_mul(size)
        .saturating_add(factor::lu_bytes(e.n, factored as usize))
        .saturating_add(small::bytes(factored as usize))
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let e = Extents::of(&inputs.a.spec(), &inputs.b.spec())?;
    by_dtype!(inputs.a, T => {
        let (x, rcond) = solve::<T>(inputs, e, gpu)?;
        Ok(Record::new()
            .with("x", tensor(e.shape(), x))
            .with("rcond", tensor(e.batch.into_iter().collect(), rcond)))
    })
}

fn solve<T: Real>(inputs: &Inputs, e: Extents, gpu: &mut Gpu<'_>) -> Result<(Vec<T>, Vec<T>), Failure> {
    let (n, k, count) = (e.n, e.k, e.batch.unwrap_or(1));
    let (a, b) = (elements::<T>(&inputs.a, "a")?, elements::<T>(&inputs.b, "b")?);
    // A stack of one that serves all is no stack: its failure is that of every system.
    let stack = |own: bool, rows, columns| Stack { batch: own.then_some(count), rows, columns };
    let matrices = look(a, stack(e.own.0, n, n), Part::Whole).begin()?;
    let mut sides = look(b, stack(e.own.1, n, k), Part::Whole);
    if !e.own.1 && e.batch.is_some() {
        sides.failure = sides.failure.map(|failure| name_matrix(failure, 0));
    }
    let factored = matrices.sound;
    if e.own.0 && small::takes::<T>(gpu, n, factored)? {
        return solve_small(inputs, e, gpu, (&matrices, &sides));
    }
    let rows = gpu.input::<T>("a", &inputs.a)?;
    let columns = gpu.zeros::<T>(n * n * factored)?;
    factor::transpose(gpu, (n, n), factored, (&rows, 0), (&columns, 0))?;
    let lu = factor::lu(gpu, n, factored, columns)?;
    let in_stack = e.own.0 || (count == 1 && e.batch.is_some());
    let named = |i: usize, e: Failure| if in_stack { name_matrix(e, i) } else { e };
    let zero_pivots = lu.zero_pivots(gpu)?;
    // The matrix of the first system without a finite right-hand side comes before that.
    let tried = if sides.failure.is_some() { sides.sound + 1 } else { factored };
    for (i, zero) in zero_pivots.iter().enumerate().take(tried) {
        if let Some(k) = zero {
            return Err(named(i, singular(*k)));
        }
    }
    first_failure(e, &matrices, &sides)?;
    let x = solutions(gpu, inputs, e, &lu)?;
    let norms = inverse_norms(gpu, &lu, n, factored)?;
    let mut rcond = Vec::with_capacity(count);
    for (i, inverse_norm) in norms.into_iter().enumerate() {
        if !inverse_norm.is_finite() {
            let diagonals = lu.diagonals(gpu, factored)?;
            if diagonals[i * n..(i + 1) * n].iter().any(|p| !p.wide().is_finite()) {
                return Err(named(i, overflow()));
            }
        }
        rcond.push(T::narrow(reciprocal_condition(one_norm(&a[i * n * n..][..n * n], n), inverse_norm)));
    }
    if !e.own.0 {
        rcond.resize(count, rcond.first().copied().unwrap_or(T::ONE));
    }
    Ok((x, rcond))
}

/// Every system has a matrix of its own, and they are small.
fn solve_small<T: Real>(
    inputs: &Inputs,
    e: Extents,
    gpu: &mut Gpu<'_>,
    (matrices, sides): (&Seen, &Seen),
) -> Result<(Vec<T>, Vec<T>), Failure> {
    let (n, k, factored) = (e.n, e.k, matrices.sound);
    let a = gpu.input::<T>("a", &inputs.a)?;
    let b = gpu.input::<T>("b", &inputs.b)?;
    let solved = small::solutions(gpu, (n, k), factored, &a, (&b, e.own.1))?;
    let tried = if sides.failure.is_some() { sides.sound + 1 } else { factored };
    for (i, found) in solved.found.iter().enumerate().take(tried) {
        if let Found::ZeroPivot(k) = found {
            return Err(name_matrix(singular(*k), i));
        }
    }
    first_failure(e, matrices, sides)?;
    let mut rcond = Vec::with_capacity(factored);
    for (i, norms) in solved.norms.chunks(2).enumerate() {
        let [norm, inverse_norm] = [norms[0], norms[1]].map(|x| x.wide());
        if !norm.is_finite() || !inverse_norm.is_finite() {
            // Beyond the range, which may be that of the factors: the CPU knows.
            let a = &elements::<T>(&inputs.a, "a")?[i * n * n..(i + 1) * n * n];
            let run = Run::alone(gpu.context(), i, factored, 0.0);
            rcond.push(T::narrow(super::cpu::condition(a, n, &run).map_err(|e| name_matrix(e, i))?));
            continue;
        }
        rcond.push(T::narrow(reciprocal_condition(norm, inverse_norm)));
    }
    Ok((solved.result, rcond))
}

/// Whether every system has finite entries on both sides.
///
/// # Errors
/// The failure of the first that has not.
fn first_failure(e: Extents, matrices: &Seen, sides: &Seen) -> Result<(), Failure> {
    match (&matrices.failure, &sides.failure) {
        (Some(matrix), Some(side)) => {
            Err(if e.own.0 && matrices.sound <= sides.sound { matrix } else { side }.clone())
        }
        (Some(failure), None) | (None, Some(failure)) => Err(failure.clone()),
        (None, None) => Ok(()),
    }
}

fn solutions<T: Real>(gpu: &mut Gpu<'_>, inputs: &Inputs, e: Extents, lu: &Lu<T>) -> Result<Vec<T>, Failure> {
    let (n, k, count) = (e.n, e.k, e.batch.unwrap_or(1));
    let rows = gpu.input::<T>("b", &inputs.b)?;
    let given = if e.own.1 { count } else { 1 };
    let x = gpu.zeros::<T>(n * k * count)?;
    factor::transpose(gpu, (n, k), given, (&rows, 0), (&x, 0))?;
    if e.own.0 {
        for i in given..count {
            gpu.copy((&x, 0), (&x, i * n * k), n * k)?;
        }
        for i in 0..count {
            lu.solve(gpu, i, false, k, (&x, i * n * k))?;
        }
    } else {
        // One matrix under all: their right-hand sides lie beside each other, as columns of one.
        lu.solve(gpu, 0, false, k * given, (&x, 0))?;
        for i in given..count {
            gpu.copy((&x, 0), (&x, i * n * k), n * k)?;
        }
    }
    let result = gpu.zeros::<T>(n * k * count)?;
    factor::transpose(gpu, (k, n), count, (&x, 0), (&result, 0))?;
    gpu.download(&result)
}

/// The norms of the inverses of a stack, whose searches go along beside each other.
fn inverse_norms<T: Real>(
    gpu: &mut Gpu<'_>,
    lu: &Lu<T>,
    n: usize,
    count: usize,
) -> Result<Vec<f64>, Failure> {
    let mut searches: Vec<InverseNorm> = (0..count).map(|_| InverseNorm::new(n)).collect();
    loop {
        let asked: Vec<(usize, Vec<f64>, bool)> = searches
            .iter()
            .enumerate()
            .filter_map(|(i, s)| s.ask().map(|(x, transposed)| (i, x, transposed)))
            .collect();
        if asked.is_empty() {
            return Ok(searches.iter().map(InverseNorm::norm).collect());
        }
        let vectors: Vec<T> = asked.iter().flat_map(|(_, x, _)| x.iter().map(|x| T::narrow(*x))).collect();
        let vectors: Buffer<T> = gpu.upload(&vectors)?;
        for (place, (i, _, transposed)) in asked.iter().enumerate() {
            lu.solve(gpu, *i, *transposed, 1, (&vectors, place * n))?;
        }
        let answers: Vec<f64> = gpu.download(&vectors)?.into_iter().map(|x| x.wide()).collect();
        for ((i, ..), answer) in asked.iter().zip(answers.chunks(n)) {
            searches[*i].answer(answer);
        }
    }
}
