//! Inputs of a device path: which matrices of a stack have an answer at all, and bringing them over, scaled.

use crate::kernel::real::{Real, Scale, largest};
use crate::kernel::stack::{Stack, name_matrix};
use offload_api::Tensor;
use offload_core::Failure;
use offload_core::device::{Buffer, Gpu};

/// What the host saw of a stack.
pub(crate) struct Seen {
    /// How many matrices, from the first on, are finite; the device computes with these.
    pub(crate) sound: usize,
    /// Why the next one is not.
    pub(crate) failure: Option<Failure>,
    /// How the sound ones are scaled.
    pub(crate) scales: Vec<Scale>,
}

impl Seen {
    /// Whether there is nothing to compute, as the first matrix has no answer.
    ///
    /// # Errors
    /// That of the first matrix.
    pub(crate) fn begin(self) -> Result<Seen, Failure> {
        match (self.sound, self.failure) {
            (0, Some(failure)) => Err(failure),
            (sound, failure) => Ok(Seen { sound, failure, scales: self.scales }),
        }
    }

    /// Once the sound matrices had an answer: the failure of the one behind them.
    ///
    /// # Errors
    /// That.
    pub(crate) fn end(self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// The part of a matrix that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// The lower triangle with the diagonal.
    Lower,
}

/// Looks for the first matrix that is not finite, and for the extent of those before it.
pub(crate) fn look<T: Real>(a: &[T], s: Stack, part: Part) -> Seen {
    let mut scales = Vec::with_capacity(s.count());
    for (i, matrix) in a.chunks(s.len().max(1)).take(s.count()).enumerate() {
        let quick = match part {
            Part::Whole => extent(matrix),
            Part::Lower => lower_rows(matrix, s.columns).try_fold(0.0f64, |m, row| Some(m.max(extent(row)?))),
        };
        // Whoever is not finite is looked for slowly, to be named.
        let slow = || match part {
            Part::Whole => largest(matrix, s.columns),
            Part::Lower => lower_largest(matrix, s.columns),
        };
        match quick.map_or_else(slow, Ok) {
            Ok(extent) => scales.push(Scale::of::<T>(extent)),
            Err(failure) => {
                let failure = if s.batch.is_some() { name_matrix(failure, i) } else { failure };
                return Seen { sound: i, failure: Some(failure), scales };
            }
        }
    }
    Seen { sound: s.count(), failure: None, scales }
}

/// The largest magnitude; `None` when an entry is not finite. As quick as memory.
fn extent<T: Real>(a: &[T]) -> Option<f64> {
    const LANES: usize = 16;
    let (mut zeros, mut largest) = ([0.0f64; LANES], [0.0f64; LANES]);
    let mut take = |chunk: &[T]| {
        for ((z, l), x) in zeros.iter_mut().zip(&mut largest).zip(chunk) {
            let x = x.wide();
            // The sum of zeros is zero exactly when every entry is finite.
            *z += x * 0.0;
            *l = if x.abs() > *l { x.abs() } else { *l };
        }
    };
    let chunks = a.chunks_exact(LANES);
    take(chunks.remainder());
    chunks.for_each(take);
    (zeros.iter().sum::<f64>() == 0.0).then(|| largest.iter().fold(0.0f64, |m, x| m.max(*x)))
}

fn lower_rows<T>(matrix: &[T], columns: usize) -> impl Iterator<Item = &[T]> {
    matrix.chunks(columns.max(1)).enumerate().map(|(i, row)| &row[..row.len().min(i + 1)])
}

/// As [`largest`], of the lower triangle.
fn lower_largest<T: Real>(matrix: &[T], columns: usize) -> Result<f64, Failure> {
    let mut lower = vec![T::default(); matrix.len()];
    for (to, row) in lower.chunks_mut(columns.max(1)).zip(lower_rows(matrix, columns)) {
        to[..row.len()].copy_from_slice(row);
    }
    largest(&lower, columns)
}

/// A stack on the device, row-major, which must not be written. Where a matrix needs it, they are scaled on the way.
///
/// # Errors
/// When the device refuses.
pub(crate) fn bring<T: Real>(
    gpu: &mut Gpu<'_>,
    name: &'static str,
    tensor: &Tensor,
    a: &[T],
    each: usize,
    scales: &[Scale],
) -> Result<Buffer<T>, Failure> {
    if !scales.iter().any(|s| s.is_some()) {
        return gpu.input::<T>(name, tensor);
    }
    let mut scaled = a.to_vec();
    for (matrix, scale) in scaled.chunks_mut(each.max(1)).zip(scales) {
        scale.apply(matrix);
    }
    gpu.upload(&scaled)
}

/// A copy that may be written.
///
/// # Errors
/// When the device refuses.
pub(crate) fn copied<T: Real>(gpu: &mut Gpu<'_>, from: &Buffer<T>) -> Result<Buffer<T>, Failure> {
    let to = gpu.zeros::<T>(from.len())?;
    gpu.copy((from, 0), (&to, 0), from.len())?;
    Ok(to)
}
