//! `graph.triangle_count`: triangles in a graph.

mod cases;
mod cpu;

use crate::need::{Extents, NO_DEVICE, Need, WORK_UNIT, ids, output};
use offload_api::{DType, Priority, Record, Tensor, TensorSpec};
use offload_core::{About, Case, Context, Failure, Graph, Operation, Plan, Rejection, Slot, int, integers};

offload_core::inputs! {
    /// Inputs of `graph.triangle_count`.
    pub struct Inputs<T> {
        /// The graph; directions, weights, loops and repeated edges are ignored.
        graph: Graph<T>,
    }
}

/// How many triangles there are, and how many each node is part of.
pub struct TriangleCount;

impl Operation for TriangleCount {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "triangle_count",
            version: 1,
            summary: "How many triangles there are, and how many each node is part of",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: WORK_UNIT,
            outputs: vec![
                output("count", "How many triangles there are.", int(0, i64::MAX)),
                output("nodes", "The ids of all nodes, ascending, `[nodes]`.", ids()),
                output(
                    "triangles",
                    "For each of `nodes`, how many triangles it is part of, `[nodes]`.",
                    integers(DType::U64, 1, 1),
                ),
                output(
                    "clustering",
                    "For each of `nodes`, the share of the pairs of its neighbours that are neighbours, 0 where there is no pair, `[nodes]`.",
                    integers(DType::F64, 1, 1),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        let arcs = 2 * e.edges;
        Ok(e.plan(Need {
            // Each edge is met with the neighbours of one end, of which there are at most the root of twice the edges.
            work: e.walk() + e.edges as f64 * (2.0 * e.edges as f64).sqrt().min(64.0),
            more_bytes_in: 0,
            bytes_out: 24 * e.nodes,
            workspace: e.rows(arcs, false) + 4 * arcs + 24 * e.nodes,
            device: NO_DEVICE,
            outputs: &["count", "nodes", "triangles", "clustering"],
        }))
    }

    fn cpu(inputs: Inputs<Tensor>, ctx: &Context) -> Result<Record<Tensor>, Failure> {
        cpu::run(inputs, ctx)
    }

    fn cases() -> Vec<Case> {
        cases::cases()
    }
}
