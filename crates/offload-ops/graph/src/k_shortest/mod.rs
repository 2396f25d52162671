//! `graph.k_shortest`: the shortest paths without loops between two nodes.

mod cases;
mod cpu;

use crate::need::{Extents, Need, WORK_UNIT, id, lists, lists_bytes, output};
use offload_api::{DType, Priority, Record, Tensor, TensorSpec};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Graph, Operation, Plan, Rejection, Slot, int, integers,
    json_value,
};

offload_core::inputs! {
    /// Inputs of `graph.k_shortest`.
    pub struct Inputs<T> {
        /// The graph; weights must not be negative.
        graph: Graph<T>,
        /// The id of the node to start from.
        start: T = id(),
        /// The id of the node to reach.
        end: T = id(),
        /// How many paths.
        k: i64 = int(1, 1000),
    }
}

/// The k shortest paths without loops between two nodes.
pub struct KShortest;

impl Operation for KShortest {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "k_shortest",
            version: 1,
            summary: "The k shortest paths without loops between two nodes",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: WORK_UNIT,
            outputs: vec![
                output(
                    "paths",
                    "The ids of each path's nodes, the shortest path first, then by ids.",
                    json_value(lists),
                ),
                output(
                    "distances",
                    "The lengths of the paths, `[paths]`; fewer than `k` when there are no more.",
                    integers(DType::F64, 1, 1),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        let k = inputs.k as u64;
        // Candidates: each path has at most as many as it has nodes, of which all are listed together.
        let kept = crate::need::MAX_LISTED.min(k.saturating_mul(e.nodes).saturating_mul(e.nodes));
        Ok(e.plan(Need {
            work: e.walk() * (2.0 + k as f64),
            more_bytes_in: inputs.start.bytes() + inputs.end.bytes(),
            bytes_out: 8 * k,
            workspace: e.rows(e.arcs, e.weighted).saturating_mul(2)
                + 80 * e.nodes
                + 32 * (e.arcs + 1)
                + 32 * kept
                + lists_bytes(k, e.nodes),
            device: DeviceNeed::CpuOnly(
                "each path is found from those before it, by searches that end early",
            ),
            outputs: &["paths", "distances"],
        }))
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(inputs, ctx)
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
