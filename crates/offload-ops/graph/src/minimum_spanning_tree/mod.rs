//! `graph.minimum_spanning_tree`: the lightest edges that hold a graph together.

mod cases;
mod cpu;
mod gpu;

use crate::need::{Extents, Need, WORK_UNIT, output};
use offload_api::{DType, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Graph, Operation, Plan, Rejection, Slot, float, int, integers,
};

offload_core::inputs! {
    /// Inputs of `graph.minimum_spanning_tree`.
    pub struct Inputs<T> {
        /// The graph; directions are ignored.
        graph: Graph<T>,
    }
}

/// The lightest set of edges that keeps together what hangs together.
pub struct MinimumSpanningTree;

impl Operation for MinimumSpanningTree {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "minimum_spanning_tree",
            version: 1,
            summary: "The lightest set of edges that keeps together what hangs together",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: WORK_UNIT,
            outputs: vec![
                output(
                    "edges",
                    "The edges, each with its smaller id first, by weight and then by ids, `[edges, 2]`.",
                    integers(DType::U64, 2, 2),
                ),
                output("weights", "Their weights, `[edges]`.", integers(DType::F64, 1, 1)),
                output("weight", "The sum of the weights.", float(f64::NEG_INFINITY, f64::INFINITY)),
                output(
                    "trees",
                    "How many trees there are: one for each component, single nodes included.",
                    int(0, i64::MAX),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        let device = if e.edges == 0 {
            DeviceNeed::CpuOnly("of a graph without edges there is nothing to compute")
        } else {
            DeviceNeed::Bytes(gpu::bytes(&e))
        };
        Ok(e.plan(Need {
            work: e.walk() * 4.0,
            more_bytes_in: 0,
            bytes_out: 24 * e.nodes.min(e.edges),
            // The edges, their halves as they grow and as they are joined, and a union-find.
            workspace: 72 * e.edges + 8 * e.nodes + 32 * e.nodes.min(e.edges),
            device,
            outputs: &["edges", "weights", "weight", "trees"],
        }))
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(inputs, ctx)
    }

    fn gpu(inputs: Inputs<Tensor>, gpu: &mut Gpu<'_>) -> Result<Record<Tensor>, Failure> {
        gpu::run(inputs, gpu)
    }

    fn kernels() -> &'static [&'static KernelText] {
        gpu::TEXTS
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
