//! `graph.bfs`: breadth-first search.

mod answer;
mod cases;
mod cpu;
mod gpu;
mod order;

pub(crate) use answer::Found;
pub(crate) use gpu::{BFS, bytes as device_bytes, found as on_device};

use crate::need::{Extents, Need, WORK_UNIT, id, ids, output};
use offload_api::{DType, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Graph, Operation, Plan, Rejection, Slot, integers,
};

offload_core::inputs! {
    /// Inputs of `graph.bfs`.
    pub struct Inputs<T> {
        /// The graph; weights are ignored.
        graph: Graph<T>,
        /// The id of the node to start from.
        start: T = id(),
    }
}

/// Breadth-first search.
pub struct Bfs;

impl Operation for Bfs {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "bfs",
            version: 1,
            summary: "How many edges each node is from a start, breadth first",
            doc: include_str!("doc.md"),
            default_priority: Priority::High,
            work_unit: WORK_UNIT,
            outputs: vec![
                output("nodes", "The ids of all nodes, ascending, `[nodes]`.", ids()),
                output(
                    "levels",
                    "For each of `nodes`, the least number of edges from `start`; -1 where there is no path, `[nodes]`.",
                    integers(DType::I64, 1, 1),
                ),
                output(
                    "parents",
                    "For each of `nodes`, the smallest id one level nearer that leads to it; `start` and nodes without a path have themselves, `[nodes]`.",
                    ids(),
                ),
                output(
                    "order",
                    "The ids of the nodes that were reached, by level and then by id, `[reached]`.",
                    ids(),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        Ok(e.plan(Need {
            work: e.walk(),
            more_bytes_in: inputs.start.bytes(),
            bytes_out: 32 * e.nodes,
            workspace: e.rows(e.arcs, false) + 32 * e.nodes,
            device: DeviceNeed::Bytes(gpu::bytes(&e)),
            outputs: &["nodes", "levels", "parents", "order"],
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
