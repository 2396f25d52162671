//! `graph.strongly_connected`: nodes that reach each other.

mod cases;
mod cpu;
mod gpu;

pub(crate) use cpu::roots;

use crate::need::{Extents, Need, WORK_UNIT, ids, output};
use offload_api::{Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Graph, Operation, Plan, Rejection, Slot, int};

offload_core::inputs! {
    /// Inputs of `graph.strongly_connected`.
    pub struct Inputs<T> {
        /// The graph; weights are ignored. Without directions, the components are those of `connected_components`.
        graph: Graph<T>,
    }
}

/// Which nodes reach each other along directed edges.
pub struct StronglyConnected;

impl Operation for StronglyConnected {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "strongly_connected",
            version: 1,
            summary: "Which nodes reach each other along directed edges",
            doc: include_str!("doc.md"),
            default_priority: Priority::High,
            work_unit: WORK_UNIT,
            outputs: vec![
                output("nodes", "The ids of all nodes, ascending, `[nodes]`.", ids()),
                output("labels", "For each of `nodes`, the smallest id of its component, `[nodes]`.", ids()),
                output("count", "How many components there are.", int(0, i64::MAX)),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        Ok(e.plan(Need {
            work: e.walk(),
            more_bytes_in: 0,
            bytes_out: 16 * e.nodes,
            workspace: e.rows(e.arcs, false) + 40 * e.nodes,
            device: gpu::need(&e, inputs.graph.directed),
            outputs: &["nodes", "labels", "count"],
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
