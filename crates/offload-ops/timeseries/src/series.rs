//! One series or many: what shapes tell of them, and their values as `f64`.

use offload_api::{DType, Element, Field, Kind, Tensor, TensorSpec, Value};
use offload_core::{Context, DeviceNeed, Failure, Plan, PlannedOutput, Rejection, integers, real};
use rayon::prelude::*;
use serde_json::json;
use std::borrow::Cow;

/// The largest magnitude that is taken: squares of it and sums of those stay far from what `f64` ends at.
pub(crate) const LARGEST: f64 = 1e100;

/// Small allocations of every job: names, tasks, closures, the thread pool's own.
pub(crate) const SMALL_BYTES: u64 = 256 * 1024;

/// Values between two looks at the cancel flag.
pub(crate) const BLOCK: usize = 1 << 14;

/// The extents of one series `[n]` or of many `[series, n]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// How many series.
    pub(crate) series: usize,
    /// Values of each.
    pub(crate) n: usize,
    /// Whether they came as `[series, n]`.
    pub(crate) many: bool,
    bytes: u64,
}

impl Extents {
    /// The extents of the tensor `name`.
    ///
    /// # Errors
    /// When it is no series, or a series is longer than `longest`.
    pub(crate) fn of(name: &'static str, spec: &TensorSpec, longest: usize) -> Result<Extents, Rejection> {
        if !spec.dtype.is_real() {
            return Err(Rejection::new(name, format!("{name} is {}, it must be f64 or f32", spec.dtype)));
        }
        let (series, n, many) = match spec.shape[..] {
            [n] => (1, n, false),
            [series, n] => (series, n, true),
            _ => return Err(Rejection::new(name, format!("{name} must be [n] or [series, n]"))),
        };
        if n > longest {
            return Err(Rejection::new(name, format!("{name} has {n} values, the limit is {longest}")));
        }
        Ok(Extents { series, n, many, bytes: spec.bytes() })
    }

    /// The extents of the tensor `name`, once it is known that the arithmetic holds every value.
    ///
    /// # Errors
    /// As [`of`](Self::of) and [`checked`].
    pub(crate) fn of_checked(
        name: &'static str,
        tensor: &Tensor,
        longest: usize,
        ctx: &Context,
    ) -> Result<Extents, Failure> {
        let e = Extents::of(name, &tensor.spec(), longest)?;
        checked(name, tensor, e, ctx)?;
        Ok(e)
    }

    /// All values.
    pub(crate) fn values(&self) -> u64 {
        (self.series as u64).saturating_mul(self.n as u64)
    }

    /// The shape of outputs with `n` values for each series.
    pub(crate) fn shape(&self, n: usize) -> Vec<usize> {
        if self.many { vec![self.series, n] } else { vec![n] }
    }

    /// How many series are computed at once, at most.
    pub(crate) fn at_once(&self) -> u64 {
        (self.series as u64).min(rayon::current_num_threads() as u64)
    }

    /// A plan over these series and other inputs of `more_bytes_in`.
    pub(crate) fn plan(&self, need: Need) -> Plan {
        let bytes_out = need
            .outputs
            .iter()
            .flat_map(|o| &o.spec)
            .fold(need.more_bytes_out, |sum, s| sum.saturating_add(s.bytes()));
        Plan {
            work: need.work,
            bytes_in: self.bytes.saturating_add(need.more_bytes_in),
            bytes_out,
            host_bytes: bytes_out.saturating_add(need.workspace).saturating_add(SMALL_BYTES),
            device: need.device,
            outputs: need.outputs,
        }
    }
}

/// What a job needs beyond its series.
pub(crate) struct Need {
    /// Work in the operation's unit.
    pub(crate) work: f64,
    /// Bytes of inputs beside the series.
    pub(crate) more_bytes_in: u64,
    /// Bytes, at most, of the outputs whose shape depends on data.
    pub(crate) more_bytes_out: u64,
    /// Bytes of workspace.
    pub(crate) workspace: u64,
    /// What it asks of a device.
    pub(crate) device: DeviceNeed,
    /// The outputs.
    pub(crate) outputs: Vec<PlannedOutput>,
}

/// One series `[n]` or many `[series, n]` as an input; [`Extents::of`] takes it.
pub(crate) fn one_or_many() -> Kind {
    real(1, 2)
}

/// An output of this type and shape.
pub(crate) fn planned(name: &'static str, dtype: DType, shape: Vec<usize>) -> PlannedOutput {
    PlannedOutput { name, spec: Some(TensorSpec::new(dtype, shape)) }
}

/// An output whose shape depends on data, or that is no tensor.
pub(crate) fn unplanned(name: &'static str) -> PlannedOutput {
    PlannedOutput { name, spec: None }
}

/// An output that is always there.
pub(crate) fn output(name: &'static str, doc: &'static str, kind: Kind) -> Field {
    Field { name, doc, kind, required: true, default: None }
}

/// An output that is there for some inputs.
pub(crate) fn sometimes(name: &'static str, doc: &'static str, kind: Kind) -> Field {
    Field { name, doc, kind, required: false, default: None }
}

/// Numbers as an output.
pub(crate) fn numbers(min_rank: usize, max_rank: usize) -> Kind {
    integers(DType::F64, min_rank, max_rank)
}

/// Places as an output.
pub(crate) fn places(min_rank: usize, max_rank: usize) -> Kind {
    integers(DType::I64, min_rank, max_rank)
}

/// All values of a tensor that [`Extents::of`] took: in place where they are `f64`, copied where they are `f32`.
pub(crate) fn values(tensor: &Tensor) -> Cow<'_, [f64]> {
    match (tensor.as_slice::<f64>(), tensor.as_slice::<f32>()) {
        (Some(all), _) => Cow::Borrowed(all),
        (_, Some(all)) => all.iter().map(|&x| f64::from(x)).collect(),
        _ => Cow::Borrowed(&[]),
    }
}

/// Some values of a tensor that [`Extents::of`] took, as [`values`] gives all.
pub(crate) fn values_at(tensor: &Tensor, places: std::ops::Range<usize>) -> Cow<'_, [f64]> {
    match (tensor.as_slice::<f64>(), tensor.as_slice::<f32>()) {
        (Some(all), _) => Cow::Borrowed(&all[places]),
        (_, Some(all)) => all[places].iter().map(|&x| f64::from(x)).collect(),
        _ => Cow::Borrowed(&[]),
    }
}

/// Bytes that [`values`] takes.
pub(crate) fn values_bytes(spec: &TensorSpec) -> u64 {
    if spec.dtype == DType::F32 { spec.bytes().saturating_mul(2) } else { 0 }
}

/// Checks that the arithmetic holds every value.
///
/// # Errors
/// `not_finite` or `out_of_range` with the first value that it does not, or that the job is cancelled.
pub(crate) fn checked(name: &'static str, tensor: &Tensor, e: Extents, ctx: &Context) -> Result<(), Failure> {
    fn first<T: Element + Into<f64>>(values: &[T], ctx: &Context) -> Result<Option<usize>, Failure> {
        let found = values.par_chunks(BLOCK).enumerate().find_map_first(|(block, values)| {
            if let Err(stopped) = ctx.check() {
                return Some(Err(stopped));
            }
            // NaN is in no range.
            let bad = values.iter().position(|&x| !(-LARGEST..=LARGEST).contains(&x.into()))?;
            Some(Ok(block * BLOCK + bad))
        });
        found.transpose()
    }
    let (at, value) = if let Some(all) = tensor.as_slice::<f64>() {
        let Some(at) = first(all, ctx)? else { return Ok(()) };
        (at, all[at])
    } else if let Some(all) = tensor.as_slice::<f32>() {
        let Some(at) = first(all, ctx)? else { return Ok(()) };
        (at, f64::from(all[at]))
    } else {
        return Ok(());
    };
    let (series, index) = (at / e.n.max(1), at % e.n.max(1));
    let place = if e.many { format!("{name}[{series}, {index}]") } else { format!("{name}[{index}]") };
    let details = json!({"series": series, "index": index});
    Err(if value.is_finite() {
        let message =
            format!("{place} is {value:e}, the limit of a magnitude is {LARGEST:e}; scale the data down");
        Failure::unprocessable("out_of_range", message, details)
    } else {
        Failure::unprocessable(
            "not_finite",
            format!("{place} is {value}, it must be a finite number"),
            details,
        )
    })
}

/// Elements that were counted to fill their shape.
///
/// # Panics
/// When they do not.
pub(crate) fn filled<T: Element>(shape: Vec<usize>, elements: Vec<T>) -> Tensor {
    let len = elements.len();
    match Tensor::new(shape, elements) {
        Some(t) => t,
        None => panic!("{len} elements do not fill the shape they were counted for"),
    }
}

/// Elements in rank one as a value.
pub(crate) fn vector<T: Element>(elements: Vec<T>) -> Value {
    Value::Tensor(Tensor::vector(elements))
}
