//! Norms on a device: partial sums and maxima there, which are joined here, or the singular values.

use super::{Inputs, Kind};
use crate::device::groups;
use crate::device::kernels::OF_SPECTRA;
use crate::kernel::need::tensor;
use crate::kernel::real::{Real, by_dtype, exponent, larger, power_of_two};
use crate::kernel::stack::Stack;
use crate::svd::{device_values, device_values_bytes};
use offload_api::{Record, Tensor};
use offload_core::Failure;
use offload_core::device::{Buffer, DeviceError, Gpu, KernelText};

offload_core::kernels! {
    /// Partial sums and maxima.
    static NORM = "matrix_norm" {
        text: include_str!("kernel.gpu.c"),
        block: 256,
        elements: [F32, F64],
        defines: [],
    }
    /// The largest magnitude of each piece.
    fn norm_largest<T>(len: u64, piece: u64, pieces: u32, a: [T], out: [f64]);
    /// The sum of squares of each piece.
    fn norm_squares<T>(len: u64, piece: u64, pieces: u32, a: [T], factor: [f64], out: [f64]);
    /// The sum of magnitudes of each row.
    fn norm_rows<T>(columns: u32, a: [T], out: [f64]);
    /// The sum of magnitudes of each column over each band of rows.
    fn norm_columns<T>(rows: u32, columns: u32, band: u32, a: [T], out: [f64]);
}

/// What norms start.
pub(super) static KERNELS: &[&KernelText] = &{
    let spectra = [OF_SPECTRA[0], OF_SPECTRA[1], OF_SPECTRA[2], OF_SPECTRA[3]];
    [&NORM, spectra[0], spectra[1], spectra[2], spectra[3]]
};

/// Entries of a piece, which a group takes.
const PIECE: usize = 1 << 14;
/// Rows of a band, which an item takes of its column.
const BAND: usize = 1 << 8;

fn pieces(s: Stack) -> usize {
    s.len().div_ceil(PIECE)
}

/// Bytes of a stack and what its norm takes.
pub(super) fn bytes(s: Stack, kind: Kind, size: u64) -> u64 {
    let given = (s.len() as u64).saturating_mul(s.count() as u64).saturating_mul(size);
    let partial = match kind {
        Kind::Two | Kind::Nuclear => return device_values_bytes(s, size),
        Kind::Max => pieces(s),
        Kind::Frobenius => 2 * pieces(s) + 1,
        Kind::Inf => s.rows,
        Kind::One => s.columns * s.rows.div_ceil(BAND),
    };
    given.saturating_add((8 * partial as u64).saturating_mul(s.count() as u64))
}

pub(super) fn run(inputs: &Inputs, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let s = Stack::of("a", &inputs.a.spec())?;
    by_dtype!(inputs.a, T => {
        let result = norms::<T>(inputs, s, gpu)?;
        Ok(Record::new().with("result", tensor(s.shape(&[]), result)))
    })
}

fn norms<T: Real>(inputs: &Inputs, s: Stack, gpu: &mut Gpu<'_>) -> Result<Vec<T>, Failure> {
    if inputs.kind.is_spectral() {
        let values = device_values::<T>(gpu, &inputs.a, s)?;
        let nuclear = |v: &[T]| T::narrow(v.iter().map(|x| x.wide()).sum());
        let of = |v: &[T]| if inputs.kind == Kind::Two { v[0] } else { nuclear(v) };
        return Ok(values.chunks(s.rows.min(s.columns)).map(of).collect());
    }
    if !gpu.device().f64 {
        return Err(DeviceError::Unsupported("norms are sums in f64".into()).into());
    }
    let a = gpu.input::<T>("a", &inputs.a)?;
    let found = match inputs.kind {
        Kind::Inf => {
            let out = gpu.zeros::<f64>(s.rows * s.count())?;
            norm_rows::<T>(gpu, groups(out.len())?, s.columns as u32, &a, &out)?;
            joined(&gpu.download(&out)?, s.rows, larger)
        }
        Kind::One => column_sums(gpu, s, &a)?,
        Kind::Max => largest(gpu, s, &a)?,
        _ => frobenius(gpu, s, &a)?,
    };
    Ok(found.into_iter().map(T::narrow).collect())
}

fn joined(partial: &[f64], each: usize, join: fn(f64, f64) -> f64) -> Vec<f64> {
    partial.chunks(each).map(|p| p.iter().fold(0.0, |all, x| join(all, *x))).collect()
}

fn column_sums<T: Real>(gpu: &mut Gpu<'_>, s: Stack, a: &Buffer<T>) -> Result<Vec<f64>, Failure> {
    let bands = s.rows.div_ceil(BAND);
    let out = gpu.zeros::<f64>(s.columns * bands * s.count())?;
    let strips = s.columns.div_ceil(NORM.block as usize) * bands * s.count();
    norm_columns::<T>(gpu, groups(strips)?, s.rows as u32, s.columns as u32, BAND as u32, a, &out)?;
    let partial = gpu.download(&out)?;
    let of_matrix = |matrix: &[f64]| {
        let column = |c: usize| matrix.iter().skip(c).step_by(s.columns).sum::<f64>();
        (0..s.columns).map(column).fold(0.0, larger)
    };
    Ok(partial.chunks(s.columns * bands).map(of_matrix).collect())
}

fn largest<T: Real>(gpu: &mut Gpu<'_>, s: Stack, a: &Buffer<T>) -> Result<Vec<f64>, Failure> {
    let out = gpu.zeros::<f64>(pieces(s) * s.count())?;
    let (len, piece) = (s.len() as u64, PIECE as u64);
    norm_largest::<T>(gpu, groups(out.len())?, len, piece, pieces(s) as u32, a, &out)?;
    Ok(joined(&gpu.download(&out)?, pieces(s), larger))
}

/// Entries are scaled by the power of two of the largest, so that squares stay in range.
fn frobenius<T: Real>(gpu: &mut Gpu<'_>, s: Stack, a: &Buffer<T>) -> Result<Vec<f64>, Failure> {
    let largest = largest(gpu, s, a)?;
    let scale = |l: f64| if l > 0.0 && l.is_finite() { exponent(l).clamp(-1000, 1000) } else { 0 };
    let factors: Vec<f64> = largest.iter().map(|l| power_of_two(-scale(*l))).collect();
    let (factors, out) = (gpu.upload(&factors)?, gpu.zeros::<f64>(pieces(s) * s.count())?);
    let (len, piece) = (s.len() as u64, PIECE as u64);
    norm_squares::<T>(gpu, groups(out.len())?, len, piece, pieces(s) as u32, a, &factors, &out)?;
    let squares = joined(&gpu.download(&out)?, pieces(s), |a, b| a + b);
    // What is not finite goes through, as it does in every other norm.
    let of =
        |(square, l): (f64, &f64)| if l.is_finite() { square.sqrt() * power_of_two(scale(*l)) } else { *l };
    Ok(squares.into_iter().zip(&largest).map(of).collect())
}
