//! Two vectors, or rows of them, into scores: what the operations on pairs share.

use super::device;
use super::metric::Metric;
use super::pair::Real;
use super::search::{MAX_DIMENSIONS, slice};
use super::simd::{Loop, vectorised};
use crate::reference::{exact, holds, known, numbers, of as inputs_of, output, refused, rows, vectors};
use offload_api::{DType, Record, Tensor, TensorSpec, Value};
use offload_core::device::Gpu;
use offload_core::{Case, Context, DeviceNeed, Expect, Failure, Plan, PlannedOutput, Rejection, Tolerance};
use rayon::prelude::*;
use std::marker::PhantomData;

offload_core::inputs! {
    /// Inputs of the operations on pairs.
    pub struct Inputs<T> (dtype: F32) {
        /// A vector `[d]`, or rows of them `[n, d]`, `f32` or `f64`.
        a: T = offload_core::real(1, 2),
        /// A vector `[d]`, or rows of them `[n, d]`, of the same type. A vector is paired with every row of the other.
        b: T = offload_core::real(1, 2),
    }
}

/// Rows between two looks at the cancel flag, in components.
const BLOCK_COMPONENTS: usize = 1 << 18;
/// Components below which one thread is quicker than several.
const PARALLEL_COMPONENTS: usize = 1 << 18;
/// Shapes and names.
const SMALL_BYTES: u64 = 1024;

/// What is computed of a pair, for either type.
pub(crate) trait Pair: Sync {
    /// What a device computes of it.
    const METRIC: Metric;
    /// The score of two vectors of one length.
    fn score<T: Real>(a: &[T], b: &[T]) -> f64;
}

/// How pairs are formed: how many, `None` for two vectors, and of how many components.
fn extents(a: &TensorSpec, b: &TensorSpec) -> Result<(Option<usize>, usize), Rejection> {
    if a.dtype != b.dtype {
        return Err(Rejection::new("b", format!("b is {}, it must be as a: {}", b.dtype, a.dtype)));
    }
    if !a.dtype.is_real() {
        return Err(Rejection::new("a", format!("a is {}, it must be f32 or f64", a.dtype)));
    }
    let rows = |spec: &TensorSpec, field: &str| match spec.shape[..] {
        [d] => Ok((None, d)),
        [n, d] => Ok((Some(n), d)),
        _ => Err(Rejection::new(field, format!("{field} must have 1 or 2 dimensions"))),
    };
    let ((an, ad), (bn, bd)) = (rows(a, "a")?, rows(b, "b")?);
    if ad != bd {
        return Err(Rejection::new("b", format!("b has {bd} components, it must have as many as a: {ad}")));
    }
    if ad > MAX_DIMENSIONS {
        return Err(Rejection::new("a", format!("a has {ad} components, the limit is {MAX_DIMENSIONS}")));
    }
    match (an, bn) {
        (Some(x), Some(y)) if x != y => {
            Err(Rejection::new("b", format!("b has {y} rows, it must have as many as a: {x}")))
        }
        _ => Ok((an.or(bn), ad)),
    }
}

/// What a job needs; `work` is in components.
///
/// # Errors
/// When the inputs do not fit together.
pub(crate) fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
    let (rows, d) = extents(&inputs.a, &inputs.b)?;
    let spec = TensorSpec::new(DType::F64, rows.into_iter().collect::<Vec<_>>());
    let bytes_out = spec.bytes();
    let device = if rows == Some(0) || d == 0 {
        DeviceNeed::CpuOnly("empty vectors have nothing to compute")
    } else {
        DeviceNeed::Bytes(inputs.a.bytes().saturating_add(inputs.b.bytes()).saturating_add(bytes_out))
    };
    Ok(Plan {
        work: rows.unwrap_or(1) as f64 * d as f64,
        bytes_in: inputs.a.bytes().saturating_add(inputs.b.bytes()),
        bytes_out,
        host_bytes: bytes_out.saturating_add(SMALL_BYTES),
        device,
        outputs: vec![PlannedOutput { name: "score", spec: Some(spec) }],
    })
}

/// The score of each pair.
///
/// # Errors
/// When the inputs do not fit together, or the job is to stop.
pub(crate) fn run<P: Pair>(inputs: &Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
    let (rows, d) = extents(&inputs.a.spec(), &inputs.b.spec())?;
    let scores = match inputs.a.dtype() {
        DType::F32 => of::<P, f32>(inputs, rows, d, ctx)?,
        _ => of::<P, f64>(inputs, rows, d, ctx)?,
    };
    Ok(record(rows, scores))
}

/// The score of each pair, on a device.
///
/// # Errors
/// When the inputs do not fit together, the device fails, or the job is to stop.
pub(crate) fn run_on<P: Pair>(inputs: &Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
    let (rows, d) = extents(&inputs.a.spec(), &inputs.b.spec())?;
    let (pair, count) = ((&inputs.a, &inputs.b), (rows.unwrap_or(1), d));
    let scores = match inputs.a.dtype() {
        DType::F32 => device::pairs::scores::<f32>(P::METRIC, pair, count, gpu)?,
        _ => device::pairs::scores::<f64>(P::METRIC, pair, count, gpu)?,
    };
    Ok(record(rows, scores))
}

fn record(rows: Option<usize>, scores: Vec<f64>) -> Record<Tensor> {
    let shape: Vec<usize> = rows.into_iter().collect();
    match Tensor::new(shape, scores) {
        Some(t) => Record::new().with("score", Value::Tensor(t)),
        None => panic!("there is a score for each pair"),
    }
}

fn of<P: Pair, T: Real>(
    inputs: &Inputs<Tensor>,
    rows: Option<usize>,
    d: usize,
    ctx: &Context,
) -> Result<Vec<f64>, Failure> {
    let (a, b) = (slice::<T>(&inputs.a), slice::<T>(&inputs.b));
    // A vector that stands alone is the same for every row.
    let step = |t: &Tensor| if t.shape().len() == 1 { 0 } else { d };
    let (a_step, b_step) = (step(&inputs.a), step(&inputs.b));
    let mut scores = vec![0.0f64; rows.unwrap_or(1)];
    let block = (BLOCK_COMPONENTS / d.max(1)).max(1);
    let each = |(i, scores): (usize, &mut [f64])| {
        ctx.check()?;
        vectorised(Scores::<P, T> { a, b, d, a_step, b_step, first: i * block, scores, of: PhantomData });
        Ok::<(), Failure>(())
    };
    if scores.len().saturating_mul(d) <= PARALLEL_COMPONENTS {
        scores.chunks_mut(block).enumerate().try_for_each(each)?;
    } else {
        scores.par_chunks_mut(block).enumerate().try_for_each(each)?;
    }
    Ok(scores)
}

/// The scores of some consecutive pairs.
struct Scores<'a, P, T> {
    a: &'a [T],
    b: &'a [T],
    d: usize,
    a_step: usize,
    b_step: usize,
    first: usize,
    scores: &'a mut [f64],
    of: PhantomData<P>,
}

impl<P: Pair, T: Real> Loop for Scores<'_, P, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (row, score) in (self.first..).zip(self.scores) {
            let (a, b) = (row * self.a_step, row * self.b_step);
            *score = P::score(&self.a[a..a + self.d], &self.b[b..b + self.d]);
        }
    }
}

/// Worked examples of the operation of that name: of these vectors in both types, of rows, and of NumPy's figures.
pub(crate) fn examples(name: &'static str, vectors_of: &[(&str, &[f64], &[f64], f64)]) -> Vec<Case> {
    const SOURCE: &str = "NumPy 2.4.6";
    let mut cases = Vec::new();
    for &(about, a, b, score) in vectors_of {
        for dtype in [DType::F32, DType::F64] {
            let inputs =
                inputs_of(&[("a", &exact(&[a.len()], a, dtype)), ("b", &exact(&[b.len()], b, dtype))]);
            let score = Record::new().with("score", Value::Tensor(exact(&[], &[score], DType::F64)));
            // What is rounded to f32 on its way in is off by as much.
            let relative = if dtype == DType::F32 { 3e-7 } else { 4e-15 };
            cases.push(known(&format!("{about}, {dtype}"), inputs, score, Tolerance::new(0.0, relative)));
        }
    }
    let pair = |a: &[usize], b: &[usize], of: DType| {
        let zeros = |shape: &[usize], of| exact(shape, &vec![0.0; shape.iter().product()], of);
        inputs_of(&[("a", &zeros(a, DType::F64)), ("b", &zeros(b, of))])
    };
    let none = Record::new().with("score", Value::Tensor(exact(&[0], &[], DType::F64)));
    cases.push(known("no rows", pair(&[0, 3], &[3], DType::F64), none, Tolerance::EXACT));
    cases.push(refused("lengths that differ", pair(&[2], &[3], DType::F64), Expect::Rejected("b")));
    cases.push(refused("rows that differ", pair(&[2, 3], &[4, 3], DType::F64), Expect::Rejected("b")));
    cases.push(refused("types that differ", pair(&[2], &[2], DType::F32), Expect::Rejected("b")));
    for row in rows(include_str!("../../data/pairs.json"), SOURCE) {
        let shape = |key: &str| numbers(&row[key]).iter().map(|&x| x as usize).collect::<Vec<_>>();
        let inputs =
            inputs_of(&[("a", &vectors(&row, &shape("a"), 0)), ("b", &vectors(&row, &shape("b"), 1))]);
        let about = format!("{:?} and {:?} {} {}", shape("a"), shape("b"), row["kind"], row["dtype"]);
        cases.push(holds(about, SOURCE, inputs, move |inputs, outputs| {
            let got = output(outputs, "score")?.as_slice::<f64>().ok_or("score is not f64")?;
            let want = numbers(&row[name]);
            if got.len() != want.len() {
                return Err(format!("{} scores, expected {}", got.len(), want.len()));
            }
            // Products of components that cancel leave an error in proportion to their magnitudes.
            let d = output(inputs, "a")?.shape().last().copied().unwrap_or(1);
            let scale = if name == "dot_product" { d as f64 } else { 1.0 };
            let near = |g: f64, w: f64| (g - w).abs() <= 1e-14 * scale.max(w.abs());
            match got.iter().zip(&want).find(|(g, w)| !near(**g, **w)) {
                Some((g, w)) => Err(format!("score {g:e}, expected {w:e}")),
                None => Ok(()),
            }
        }));
    }
    cases
}
