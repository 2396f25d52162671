//! Stacks of matrices: their shapes, and running over them with as many threads as pay.

use super::run::Run;
use offload_api::{Shape, TensorSpec};
use offload_core::{Context, Failure, Rejection};
use rayon::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The largest extent of a dimension.
pub(crate) const MAX_EXTENT: usize = 65_536;
/// The largest number of elements of a result.
pub(crate) const MAX_ELEMENTS: u64 = 1 << 32;
/// Matrices of a stack with less work than this each run beside each other, one thread each; larger ones run one
/// after another, all threads each.
const BESIDE_WORK: f64 = 3e7;
/// At most this many matrices of a stack are in work at once, which bounds the workspace.
const BESIDE_LIMIT: usize = 64;

/// A matrix, or a stack of matrices of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// How many matrices; `None` for one that is not in a stack.
    pub(crate) batch: Option<usize>,
    /// Rows of each.
    pub(crate) rows: usize,
    /// Columns of each.
    pub(crate) columns: usize,
}

impl Stack {
    /// The stack that a tensor of rank 2 or 3 is.
    ///
    /// # Errors
    /// When it is of another rank or too large.
    pub(crate) fn of(field: &'static str, spec: &TensorSpec) -> Result<Stack, Rejection> {
        check_extents(field, spec)?;
        match spec.shape[..] {
            [rows, columns] => Ok(Stack { batch: None, rows, columns }),
            [batch, rows, columns] => Ok(Stack { batch: Some(batch), rows, columns }),
            _ => Err(Rejection::new(
                field,
                format!("{field} has {} dimensions, it must have 2 or 3", spec.shape.len()),
            )),
        }
    }

    /// The stack of square matrices that a tensor is.
    ///
    /// # Errors
    /// As [`of`](Self::of), and when the matrices are not square.
    pub(crate) fn square(field: &'static str, spec: &TensorSpec) -> Result<Stack, Rejection> {
        let stack = Stack::of(field, spec)?;
        if stack.rows != stack.columns {
            return Err(Rejection::new(
                field,
                format!("{field} is {} by {}, it must be square", stack.rows, stack.columns),
            ));
        }
        Ok(stack)
    }

    /// How many matrices there are.
    pub(crate) fn count(&self) -> usize {
        self.batch.unwrap_or(1)
    }

    /// The shape of a result with these trailing extents.
    pub(crate) fn shape(&self, trailing: &[usize]) -> Shape {
        self.batch.iter().chain(trailing).copied().collect()
    }

    /// Elements of each matrix.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.columns
    }
}

/// The stack that the operands `a` and `b` give, one of which may be shared by all matrices of the other.
///
/// # Errors
/// When both are stacks and of different lengths.
pub(crate) fn joint_batch(
    a: Option<usize>,
    b: Option<usize>,
    field: &'static str,
) -> Result<Option<usize>, Rejection> {
    match (a, b) {
        (None, other) | (other, None) => Ok(other),
        (Some(x), Some(y)) if x == y || y == 1 => Ok(Some(x)),
        (Some(1), Some(y)) => Ok(Some(y)),
        (Some(x), Some(y)) => Err(Rejection::new(
            field,
            format!("{field} is a stack of {y} matrices, it must have as many as a: {x}, or 1"),
        )),
    }
}

/// Extents within their limits.
///
/// # Errors
/// When one is beyond.
pub(crate) fn check_extents(field: &'static str, spec: &TensorSpec) -> Result<(), Rejection> {
    match spec.shape.iter().find(|&&d| d > MAX_EXTENT) {
        Some(d) => Err(Rejection::new(
            field,
            format!("{field} has a dimension of {d}, each must be at most {MAX_EXTENT}"),
        )),
        None => Ok(()),
    }
}

/// Types that agree.
///
/// # Errors
/// When they do not.
pub(crate) fn same_dtype(a: &TensorSpec, b: &TensorSpec, field: &'static str) -> Result<(), Rejection> {
    if a.dtype == b.dtype {
        return Ok(());
    }
    Err(Rejection::new(field, format!("{field} is {}, it must be of the type of a: {}", b.dtype, a.dtype)))
}

/// How many matrices of a stack are in work at once.
pub(crate) fn at_once(count: usize, work_each: f64) -> usize {
    if count > 1 && work_each < BESIDE_WORK { count.min(BESIDE_LIMIT) } else { count.min(1) }
}

/// Calls `f` for every matrix of a stack with its parts of the outputs, whose lengths per matrix are `lens`.
/// A failure names the matrix, and is that of the first matrix that fails, whatever the threads did.
///
/// # Errors
/// The first failure of `f`.
pub(crate) fn for_each<T: Send, const N: usize>(
    ctx: &Context,
    batch: Option<usize>,
    work_each: f64,
    lens: [usize; N],
    outputs: [&mut [T]; N],
    f: impl Fn(usize, [&mut [T]; N], &Run<'_>) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    ctx.check()?;
    let count = batch.unwrap_or(1);
    let named = |i: usize, failure: Failure| if batch.is_some() { name_matrix(failure, i) } else { failure };
    let mut parts = split(count, lens, outputs);
    let workers = at_once(count, work_each);
    if workers <= 1 {
        for (i, part) in parts.into_iter().enumerate() {
            let run = Run::alone(ctx, i, count, work_each);
            f(i, part, &run).map_err(|e| named(i, e))?;
            ctx.block(i + 1, count)?;
        }
        return Ok(());
    }
    let first_failure: Mutex<Option<(usize, Failure)>> = Mutex::new(None);
    let done = AtomicUsize::new(0);
    let per_worker = count.div_ceil(workers);
    parts.par_chunks_mut(per_worker).enumerate().for_each(|(w, chunk)| {
        let run = Run::beside_others(ctx);
        for (j, part) in chunk.iter_mut().enumerate() {
            let i = w * per_worker + j;
            let part = std::mem::replace(part, std::array::from_fn(|_| Default::default()));
            let result = f(i, part, &run).and_then(|()| {
                let finished = done.fetch_add(1, Ordering::Relaxed) + 1;
                // Matrices can take microseconds, so progress is not written after each.
                if finished.is_multiple_of(64) { ctx.block(finished, count) } else { ctx.check() }
            });
            if let Err(e) = result {
                let mut first = first_failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if first.as_ref().is_none_or(|(k, _)| i < *k) {
                    *first = Some((i, e));
                }
                // Every matrix before the first failure is still tried, or "first" would depend on timing.
                return;
            }
        }
    });
    match first_failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some((i, e)) => Err(named(i, e)),
        None => Ok(()),
    }
}

fn split<T, const N: usize>(count: usize, lens: [usize; N], outputs: [&mut [T]; N]) -> Vec<[&mut [T]; N]> {
    let mut rest = outputs;
    (0..count)
        .map(|_| {
            std::array::from_fn(|i| {
                let (head, tail) = std::mem::take(&mut rest[i]).split_at_mut(lens[i]);
                rest[i] = tail;
                head
            })
        })
        .collect()
}

/// A failure of the matrix at that place of a stack.
pub(crate) fn name_matrix(failure: Failure, index: usize) -> Failure {
    match failure {
        Failure::Unprocessable { reason, message, mut details } => {
            if let Some(map) = details.as_object_mut() {
                map.insert("batch".into(), index.into());
            }
            Failure::Unprocessable {
                reason,
                message: format!("matrix {index} of the stack: {message}"),
                details,
            }
        }
        other => other,
    }
}
