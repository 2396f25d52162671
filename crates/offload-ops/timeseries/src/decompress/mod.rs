//! `timeseries.decompress`: the series that bytes were made from, to the bit.

mod cases;
mod cpu;
mod gpu;

use crate::codec;
use crate::compress::{MAX_BYTES, SMALL_BYTES};
use offload_api::{DType, Elem, Field, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{
    About, Case, Context, Failure, Operation, Plan, PlannedOutput, Rejection, Slot, bytes, int, one_of,
};

/// Values for each byte that are expected where nobody says how many there are: a ratio of 32.
const VALUES_EACH_BYTE: u64 = 4;
/// Values that are always expected.
const FEWEST_VALUES: u64 = 1 << 18;
const MOST_VALUES: i64 = 1 << 36;

offload_core::inputs! {
    /// Inputs of `timeseries.decompress`.
    pub struct Inputs<T> {
        /// What `timeseries.compress` gave.
        compressed: T = bytes(MAX_BYTES),
        /// The most values that may come out, timestamps counted: `values` of `timeseries.compress`. The memory of the job is
        /// reserved for so many. When absent 4 for each byte of `compressed`, and 262,144 at least.
        max_values: Option<i64> = int(1, MOST_VALUES),
    }
}

impl<T> Inputs<T> {
    fn limit(&self, bytes: u64) -> u64 {
        match self.max_values {
            Some(n) => n.max(1) as u64,
            None => bytes.saturating_mul(VALUES_EACH_BYTE).max(FEWEST_VALUES),
        }
    }
}

/// Reads series.
pub struct Decompress;

impl Operation for Decompress {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        let field = |name, doc, kind| Field { name, doc, kind, required: true, default: None };
        let stamps = Kind::Tensor { elem: Elem::Fixed(DType::I64), min_rank: 1, max_rank: 1 };
        About {
            family: "timeseries",
            name: "decompress",
            version: 1,
            summary: "The series that timeseries.compress made bytes of, to the bit",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: "values",
            outputs: vec![
                field(
                    "data",
                    "The values in their type and shape, `[n]` or `[series, n]`.",
                    one_of(&[DType::F64, DType::I64], 1, 2),
                ),
                field(
                    "timestamps",
                    "The timestamps, `[n]`; null when there are none.",
                    Kind::Nullable(Box::new(stamps)),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let compressed = &inputs.compressed;
        if compressed.dtype != DType::U8 || compressed.shape.len() != 1 {
            return Err(Rejection::new("compressed", "compressed must be bytes: u8 of one dimension"));
        }
        let limit = inputs.limit(compressed.bytes());
        let bytes_out = limit.saturating_mul(8);
        Ok(Plan {
            work: limit as f64,
            bytes_in: compressed.bytes(),
            bytes_out,
            host_bytes: bytes_out
                .saturating_add(codec::decode_workspace_bytes(compressed.bytes()))
                .saturating_add(SMALL_BYTES),
            device: gpu::need(compressed.bytes(), limit),
            outputs: ["data", "timestamps"]
                .into_iter()
                .map(|name| PlannedOutput { name, spec: None })
                .collect(),
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
