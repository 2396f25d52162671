//! `graph.pagerank`: how important nodes are by who points to them.

mod cases;
mod cpu;
mod gpu;
mod walk;

use crate::need::{Extents, Need, WORK_UNIT, ids, output};
use offload_api::{DType, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{
    About, Case, Context, DeviceNeed, Failure, Graph, Operation, Plan, Rejection, Slot, float, int, integers,
};

/// The most steps of a request that names none; most graphs take fewer.
const ITERATIONS: i64 = 100;

offload_core::inputs! {
    /// Inputs of `graph.pagerank`.
    pub struct Inputs<T> {
        /// The graph. A walk leaves a node along its edges in proportion to their weights.
        graph: Graph<T>,
        /// The probability of following an edge and not jumping; 0.85 when left out.
        damping: Option<f64> = float(0.0, 1.0),
        /// It ends when the absolute changes of a step sum to less than this times the number of nodes; 1e-6 when left
        /// out.
        tolerance: Option<f64> = float(0.0, 1.0),
        /// The most steps; 100 when left out.
        iterations: Option<i64> = int(1, 100_000),
        /// The ids of the nodes that a jump leads to, `[k]`; all nodes when left out.
        personalization: Option<T> = ids(),
        /// How likely a jump leads to each of `personalization`, in proportion, `[k]`; alike when left out.
        personalization_weights: Option<T> = integers(DType::F64, 1, 1),
        /// Whether every edge counts as if it had weight 1.
        ignore_weights: bool,
    }
}

/// The stationary distribution of a walk that follows edges and now and then jumps.
pub struct Pagerank;

impl Operation for Pagerank {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "pagerank",
            version: 1,
            summary: "The stationary distribution of a walk that follows edges and now and then jumps",
            doc: include_str!("doc.md"),
            default_priority: Priority::Medium,
            work_unit: WORK_UNIT,
            outputs: vec![
                output("nodes", "The ids of all nodes, ascending, `[nodes]`.", ids()),
                output(
                    "scores",
                    "For each of `nodes`, its share; they sum to 1, `[nodes]`.",
                    integers(DType::F64, 1, 1),
                ),
                output("iterations", "How many steps were taken.", int(0, i64::MAX)),
                output(
                    "residual",
                    "The sum of the absolute changes of the last step.",
                    float(0.0, f64::INFINITY),
                ),
                output(
                    "converged",
                    "Whether the residual fell below `tolerance` times the number of nodes.",
                    Kind::Bool,
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        let weighted = e.weighted && !inputs.ignore_weights;
        let steps = inputs.iterations.unwrap_or(ITERATIONS).min(ITERATIONS) as f64;
        let mut more_bytes_in = 0;
        match (&inputs.personalization, &inputs.personalization_weights) {
            (None, Some(_)) => {
                return Err(Rejection::new(
                    "personalization_weights",
                    "personalization_weights takes personalization beside it",
                ));
            }
            (Some(p), Some(w)) if p.elements() != w.elements() => {
                return Err(Rejection::new(
                    "personalization_weights",
                    format!(
                        "personalization_weights has {} numbers, personalization {} ids",
                        w.elements(),
                        p.elements()
                    ),
                ));
            }
            (p, w) => p.iter().chain(w).for_each(|s| more_bytes_in += s.bytes()),
        }
        Ok(e.plan(Need {
            work: e.walk() * (1.0 + steps / 4.0),
            more_bytes_in,
            bytes_out: 16 * e.nodes,
            workspace: e.rows(e.arcs, weighted) + 40 * e.nodes,
            device: DeviceNeed::Bytes(gpu::bytes(&e, weighted)),
            outputs: &["nodes", "scores", "iterations", "residual", "converged"],
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
