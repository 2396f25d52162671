//! `timeseries.compress`: series as bytes, to the bit.

mod cases;
mod cpu;
mod gpu;
mod method;

use crate::codec;
use method::Method;
use offload_api::{DType, Field, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{
    About, Case, Context, Failure, Operation, Plan, PlannedOutput, Rejection, Slot, int, integers, one_of,
};
use serde_json::{Value as Json, json};

/// The largest result.
pub(crate) const MAX_BYTES: usize = 1 << 36;
const LEVEL: i64 = 5;
/// Names, the tally of blocks, closures, samples.
pub(crate) const SMALL_BYTES: u64 = 256 * 1024;

offload_core::inputs! {
    /// Inputs of `timeseries.compress`.
    pub struct Inputs<T> {
        /// The values: one series `[n]`, or several of one length `[series, n]`. Integers are read as `i64` with `dtype: i64`.
        data: T = one_of(&[DType::F64, DType::I64], 1, 2),
        /// When the values were taken, `[n]`, in any unit and any order; all series share them.
        timestamps: Option<T> = integers(DType::I64, 1, 1),
        /// How values are coded: `gorilla` (XOR with the value before), `delta` (differences), `alp` (decimals as integers, `f64`
        /// alone), or `auto`, which chooses for each block. `lstm` is refused: its model takes more bytes than it saves.
        method: Method,
        /// How much is tried to make the result small, from 1 to 9; 5 when absent.
        compression_level: Option<i64> = int(1, 9),
    }
}

/// What shapes tell.
#[derive(Clone, Copy, Debug)]
struct Extents {
    series: Option<usize>,
    length: usize,
    /// Series, and one for the timestamps.
    columns: u64,
}

impl<T> Inputs<T> {
    fn level(&self) -> u8 {
        self.compression_level.unwrap_or(LEVEL).clamp(1, 9) as u8
    }
}

fn extents(inputs: &Inputs<TensorSpec>) -> Result<Extents, Rejection> {
    let data = &inputs.data;
    if !matches!(data.dtype, DType::F64 | DType::I64) {
        return Err(Rejection::new("data", format!("data is {}, it must be f64 or i64", data.dtype)));
    }
    let (series, length) = match data.shape[..] {
        [n] => (None, n),
        [series, n] => (Some(series), n),
        _ => return Err(Rejection::new("data", "data must be [n] or [series, n]")),
    };
    if let Some(t) = &inputs.timestamps {
        if t.dtype != DType::I64 {
            return Err(Rejection::new(
                "timestamps",
                format!("timestamps are {}, they must be i64", t.dtype),
            ));
        }
        if t.shape != [length] {
            let message =
                format!("timestamps have shape {:?}, they must have one for each value: [{length}]", t.shape);
            return Err(Rejection::new("timestamps", message));
        }
    }
    let columns = (series.unwrap_or(1) as u64).saturating_add(u64::from(inputs.timestamps.is_some()));
    let most = codec::most_bytes(columns, length as u64);
    if most > MAX_BYTES as u64 {
        let message = format!("the result could have {most} bytes, the limit is {MAX_BYTES}");
        return Err(Rejection::new("data", message));
    }
    Ok(Extents { series, length, columns })
}

fn tally_schema() -> Json {
    json!({"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}})
}

/// Writes series.
pub struct Compress;

impl Operation for Compress {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        let field = |name, doc, kind| Field { name, doc, kind, required: true, default: None };
        About {
            family: "timeseries",
            name: "compress",
            version: 1,
            summary: "Series as bytes, to the bit: gorilla, delta, alp",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "values",
            outputs: vec![
                field(
                    "compressed",
                    "The series in the format of docs/timeseries-format.md.",
                    Kind::Bytes { max_bytes: MAX_BYTES },
                ),
                field(
                    "compression_ratio",
                    "Bytes of data and timestamps by bytes of `compressed`.",
                    Kind::Float { min: 0.0, max: f64::INFINITY },
                ),
                field(
                    "method",
                    "The method; of `auto` the coding that most blocks have, `auto` when there are none.",
                    Kind::Choice(&["gorilla", "delta", "alp", "constant", "raw", "auto"]),
                ),
                field(
                    "blocks",
                    "How many blocks of 2,048 values have which coding: `gorilla`, `delta`, `alp`, `alp_split`, `constant`, `raw`.",
                    Kind::Json { schema: tally_schema },
                ),
                field(
                    "values",
                    "How many values there are, timestamps counted, and one for each series without values: `max_values` of `timeseries.decompress`.",
                    Kind::Int { min: 0, max: i64::MAX },
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        inputs.method.coding(inputs.data.dtype)?;
        let Extents { length, columns, .. } = extents(inputs)?;
        let bytes_out = codec::most_bytes(columns, length as u64);
        let outputs = ["compressed", "compression_ratio", "method", "blocks", "values"];
        Ok(Plan {
            work: columns as f64 * length as f64,
            bytes_in: inputs
                .data
                .bytes()
                .saturating_add(inputs.timestamps.as_ref().map_or(0, TensorSpec::bytes)),
            bytes_out,
            host_bytes: bytes_out
                .saturating_add(codec::encode_workspace_bytes(columns, length as u64))
                .saturating_add(SMALL_BYTES),
            device: gpu::need(inputs)?,
            outputs: outputs.into_iter().map(|name| PlannedOutput { name, spec: None }).collect(),
        })
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(&inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(&inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        gpu::KERNELS
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
