//! `graph.detect_cycles`: whether a graph has cycles, which, and an order when it has none.

mod cases;
mod cpu;

use crate::need::{Extents, Need, WORK_UNIT, ids, lists, lists_bytes, output};
use offload_api::{Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Graph, Operation, Plan, Rejection, Slot, int, json_value,
};

/// Cycles that are listed when a request does not say.
const CYCLES: i64 = 10;

offload_core::inputs! {
    /// Inputs of `graph.detect_cycles`.
    pub struct Inputs<T> {
        /// The graph; weights are ignored.
        graph: Graph<T>,
        /// The most cycles to list; 10 when left out.
        max_cycles: Option<i64> = int(0, 10_000),
    }
}

/// Whether there are cycles, one of each knot, and a topological order where there are none.
pub struct DetectCycles;

impl Operation for DetectCycles {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "detect_cycles",
            version: 1,
            summary: "Whether there are cycles, one of each knot, and a topological order where there are none",
            doc: include_str!("doc.md"),
            default_priority: Priority::High,
            work_unit: WORK_UNIT,
            outputs: vec![
                output("acyclic", "Whether there is no cycle.", Kind::Bool),
                output(
                    "cycles",
                    "One cycle of each strongly connected component (without directions, of each component) that has one, by smallest id, at most `max_cycles`: the ids in the order of the edges, from the smallest of the component.",
                    json_value(lists),
                ),
                output(
                    "topological_order",
                    "The ids of all nodes such that every edge leads onwards, the smallest possible id first, `[nodes]`; null when there is a cycle, or edges have no direction.",
                    Kind::Nullable(Box::new(ids())),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        let max_cycles = inputs.max_cycles.unwrap_or(CYCLES) as u64;
        Ok(e.plan(Need {
            work: e.walk() * 2.0,
            more_bytes_in: 0,
            bytes_out: 8 * e.nodes,
            workspace: e.rows(e.arcs, false) + 56 * e.nodes + lists_bytes(max_cycles, e.nodes),
            device: DeviceNeed::CpuOnly(
                "cycles are followed, and the smallest free id is next in the order: one step after the other",
            ),
            outputs: &["acyclic", "cycles", "topological_order"],
        }))
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(inputs, ctx)
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
