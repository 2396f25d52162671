//! `timeseries.downsample`: fewer points that look the same when they are drawn.

mod cases;
mod cpu;
mod gpu;

use crate::series::{Extents, Need, numbers, one_or_many, output, places, planned, values_bytes};
use offload_api::{DType, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Operation, Plan, Rejection, Slot, int, one_of};

/// The most values of a series.
const LONGEST: usize = 1 << 40;

offload_core::inputs! {
    /// Inputs of `timeseries.downsample`.
    pub struct Inputs<T> (dtype: F64) {
        /// The values, one series `[n]` or many `[series, n]`, in the order of time.
        data: T = one_or_many(),
        /// How many points to keep of each series; all where a series has no more.
        points: i64 = int(2, 1 << 31),
        /// When each value was taken, `[n]`, for all series alike, ascending; evenly spaced when left out.
        timestamps: Option<T> = one_of(&[DType::F64, DType::I64], 1, 1),
    }
}

/// The points that span the largest triangles.
pub struct Downsample;

impl Operation for Downsample {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "timeseries",
            name: "downsample",
            version: 1,
            summary: "Fewer points that look the same when they are drawn",
            doc: include_str!("doc.md"),
            default_priority: Priority::High,
            work_unit: "floating-point operations",
            outputs: vec![
                output(
                    "indices",
                    "Where the points that are kept stand in `data`, ascending, `[m]` or `[series, m]`.",
                    places(1, 2),
                ),
                output("values", "The points that are kept, as `indices` is shaped.", numbers(1, 2)),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of("data", &inputs.data, LONGEST)?;
        if let Some(t) = &inputs.timestamps
            && t.elements() != e.n as u64
        {
            return Err(Rejection::new(
                "timestamps",
                format!(
                    "timestamps has {} numbers, it must have as many as a series has values: {}",
                    t.elements(),
                    e.n
                ),
            ));
        }
        let m = e.n.min(inputs.points as usize);
        let times = inputs.timestamps.as_ref();
        Ok(e.plan(Need {
            work: 8.0 * e.values() as f64,
            more_bytes_in: times.map_or(0, TensorSpec::bytes),
            more_bytes_out: 0,
            workspace: values_bytes(&inputs.data).saturating_add(times.map_or(0, |t| 8 * t.elements())),
            device: gpu::need(inputs, e, m),
            outputs: vec![
                planned("indices", DType::I64, e.shape(m)),
                planned("values", DType::F64, e.shape(m)),
            ],
        }))
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
