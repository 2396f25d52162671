//! Norms: one pass over the entries, or the singular values.

use super::{Inputs, Kind};
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, elements, exponent, larger, largest, one_norm, power_of_two};
use crate::kernel::run::Run;
use crate::kernel::stack::{Stack, for_each};
use crate::svd::{singular_values, values_work};
use offload_api::{Record, Tensor};
use offload_core::{Context, Failure};

/// Elements between two looks at the cancel flag.
const BLOCK: usize = 1 << 22;

pub(super) fn run(inputs: &Inputs, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let s = Stack::of("a", &inputs.a.spec())?;
    by_dtype!(inputs.a, T => {
        let a = elements::<T>(&inputs.a, "a")?;
        let mut result = vec![T::default(); s.count()];
        let work = if inputs.kind.is_spectral() {
            values_work(s.rows, s.columns)
        } else {
            2.0 * s.len() as f64
        };
        for_each(ctx, s.batch, work, [1], [&mut result], |i, [to], run| {
            to[0] = T::narrow(norm(&a[i * s.len()..(i + 1) * s.len()], s, inputs.kind, run)?);
            Ok(())
        })?;
        Ok(Record::new().with("result", tensor(s.shape(&[]), result)))
    })
}

fn norm<T: Real>(a: &[T], s: Stack, kind: Kind, run: &Run<'_>) -> Result<f64, Failure> {
    if a.is_empty() {
        return Ok(0.0);
    }
    match kind {
        Kind::Two => Ok(singular_values(a, s.rows, s.columns, run)?[0].wide()),
        Kind::Nuclear => Ok(singular_values(a, s.rows, s.columns, run)?.iter().map(|x| x.wide()).sum()),
        Kind::Frobenius => frobenius(a, run),
        Kind::Max => blocks(a, BLOCK, run, |x| x.iter().fold(0.0, |m, x| larger(m, x.wide().abs())), larger),
        Kind::Inf => {
            let rows = (BLOCK / s.columns).max(1) * s.columns;
            let row_sum = |row: &[T]| row.iter().map(|x| x.wide().abs()).sum::<f64>();
            blocks(a, rows, run, |x| x.chunks(s.columns).map(row_sum).fold(0.0, larger), larger)
        }
        Kind::One => {
            let norm = one_norm(a, s.columns);
            run.did(2.0 * a.len() as f64)?;
            Ok(norm)
        }
    }
}

fn blocks<T>(
    a: &[T],
    size: usize,
    run: &Run<'_>,
    part: impl Fn(&[T]) -> f64,
    join: impl Fn(f64, f64) -> f64,
) -> Result<f64, Failure> {
    let mut all = 0.0;
    for block in a.chunks(size) {
        all = join(all, part(block));
        run.did(2.0 * block.len() as f64)?;
    }
    Ok(all)
}

/// Squares of entries beyond 1e154 overflow, so entries are scaled by the power of two of the largest.
fn frobenius<T: Real>(a: &[T], run: &Run<'_>) -> Result<f64, Failure> {
    let largest = match largest(a, a.len()) {
        Ok(l) => l,
        // What is not finite goes through, as it does in every other norm.
        Err(_) => return Ok(a.iter().fold(0.0, |s, x| s + x.wide().abs())),
    };
    if largest == 0.0 {
        return Ok(0.0);
    }
    // Short of the ends of the range, so that both powers are normal numbers.
    let e = exponent(largest).clamp(-1000, 1000);
    let down = power_of_two(-e);
    let few = |x: &[T]| {
        let mut sums = [0.0f64; 8];
        for chunk in x.chunks(8) {
            for (s, x) in sums.iter_mut().zip(chunk) {
                let x = x.wide() * down;
                *s += x * x;
            }
        }
        sums.iter().sum::<f64>()
    };
    // Sums of sums: rounding always goes the same way where the entries have few digits, so one long sum would
    // drift off.
    let squares = |x: &[T]| x.chunks(1 << 16).map(|x| x.chunks(256).map(few).sum::<f64>()).sum::<f64>();
    Ok(blocks(a, BLOCK, run, squares, |a, b| a + b)?.sqrt() * power_of_two(e))
}
