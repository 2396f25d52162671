//! `graph.dfs`: depth-first search.

mod cases;
mod cpu;

use crate::need::{Extents, NO_DEVICE, Need, WORK_UNIT, id, ids, output};
use offload_api::{DType, Priority, Record, Tensor, TensorSpec};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Graph, Operation, Plan, Rejection, Slot, integers,
};

offload_core::inputs! {
    /// Inputs of `graph.dfs`.
    pub struct Inputs<T> {
        /// The graph; weights are ignored.
        graph: Graph<T>,
        /// The id of the node to start from; without it, the search starts anew from the smallest id it has not met
        /// until it has met all.
        start: Option<T> = id(),
    }
}

/// The order in which a depth-first search meets and leaves nodes.
pub struct Dfs;

impl Operation for Dfs {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "dfs",
            version: 1,
            summary: "The order in which a depth-first search meets and leaves nodes",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: WORK_UNIT,
            outputs: vec![
                output("nodes", "The ids of all nodes, ascending, `[nodes]`.", ids()),
                output("order", "The ids of the nodes in the order they are met, `[met]`.", ids()),
                output(
                    "parents",
                    "For each of `nodes`, the id of the node it was met from; starts and nodes that were not met have themselves, `[nodes]`.",
                    ids(),
                ),
                output(
                    "discovery",
                    "For each of `nodes`, when it is met: meetings and leavings are counted together from 0; -1 when it is not, `[nodes]`.",
                    integers(DType::I64, 1, 1),
                ),
                output(
                    "finish",
                    "For each of `nodes`, when it is left; -1 when it is not met, `[nodes]`.",
                    integers(DType::I64, 1, 1),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        let plan = e.plan(Need {
            work: e.walk() * 2.0,
            more_bytes_in: inputs.start.as_ref().map_or(0, TensorSpec::bytes),
            bytes_out: 40 * e.nodes,
            workspace: e.rows(e.arcs, false) + 40 * e.nodes,
            device: NO_DEVICE,
            outputs: &["nodes", "order", "parents", "discovery", "finish"],
        });
        Ok(Plan {
            device: DeviceNeed::CpuOnly("a search in depth is one step after the other by nature"),
            ..plan
        })
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(inputs, ctx)
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
