//! `graph.shortest_path`: the shortest path between two nodes, or the distances of all nodes from one.

mod cases;
mod cpu;
mod gpu;

use crate::need::{Extents, Need, WORK_UNIT, id, ids, sometimes};
use offload_api::{DType, Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, Failure, Graph, Operation, Plan, Rejection, Slot, integers, text};

offload_core::choice! {
    /// How the path is found.
    pub enum Algorithm {
        /// What suits the graph: a breadth-first search when no edge has a weight, Bellman and Ford's when one is
        /// negative, delta-stepping when the graph is large and Dijkstra's otherwise.
        Auto = "auto",
        /// Dijkstra's; weights must not be negative.
        Dijkstra = "dijkstra",
        /// Bellman and Ford's; weights may be negative.
        BellmanFord = "bellman_ford",
        /// Delta-stepping, in parallel; weights must not be negative.
        DeltaStepping = "delta_stepping",
        /// A* with the bounds in `heuristic`; weights must not be negative.
        AStar = "a_star",
    }
}

offload_core::inputs! {
    /// Inputs of `graph.shortest_path`.
    pub struct Inputs<T> {
        /// The graph.
        graph: Graph<T>,
        /// The id of the node to start from.
        start: T = id(),
        /// The id of the node to reach; without it, the distances of all nodes that can be reached are given.
        end: Option<T> = id(),
        /// How the path is found.
        algorithm: Algorithm,
        /// For `a_star`: for each node in `graph.nodes`, a number that its distance to `end` is not below, `[nodes]`.
        /// Without it, the bound is 0.
        heuristic: Option<T> = integers(DType::F64, 1, 1),
    }
}

/// The shortest path between two nodes, or all distances from one.
pub struct ShortestPath;

impl Operation for ShortestPath {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        let number = || Kind::Nullable(Box::new(integers(DType::F64, 0, 0)));
        About {
            family: "graph",
            name: "shortest_path",
            version: 1,
            summary: "The shortest path between two nodes, or the distances of all nodes from one",
            doc: include_str!("doc.md"),
            default_priority: Priority::High,
            work_unit: WORK_UNIT,
            outputs: vec![
                sometimes(
                    "path",
                    "With `end`: the ids of the nodes from `start` to `end`, or null when there is no path.",
                    Kind::Nullable(Box::new(ids())),
                ),
                sometimes(
                    "distance",
                    "With `end`: the length of the path, or null when there is none.",
                    number(),
                ),
                sometimes(
                    "nodes",
                    "Without `end`: the ids of the nodes that can be reached, ascending, `[reached]`.",
                    ids(),
                ),
                sometimes(
                    "distances",
                    "Without `end`: the distances of `nodes` from `start`, `[reached]`.",
                    integers(DType::F64, 1, 1),
                ),
                sometimes(
                    "parents",
                    "Without `end`: for each of `nodes`, the id of the node before it on its path, `[reached]`; `start` has itself.",
                    ids(),
                ),
                sometimes(
                    "algorithm",
                    "The algorithm that found it: one of `algorithm`'s words, or `bfs`.",
                    text(16),
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        let guided = inputs.algorithm == Algorithm::AStar;
        if guided && inputs.end.is_none() {
            return Err(Rejection::new("end", "a_star looks for one node, so it takes an end"));
        }
        let mut more_bytes_in = 8 + inputs.end.as_ref().map_or(0, TensorSpec::bytes);
        if let Some(h) = &inputs.heuristic {
            let listed = inputs.graph.nodes.as_ref().map_or(0, TensorSpec::elements);
            if !guided {
                return Err(Rejection::new("heuristic", "heuristic is for the algorithm a_star"));
            }
            if h.elements() != listed {
                return Err(Rejection::new(
                    "heuristic",
                    format!("heuristic has {} numbers, graph.nodes lists {listed}", h.elements()),
                ));
            }
            more_bytes_in += h.bytes();
        }
        let (nodes, arcs) = (e.nodes, e.arcs);
        // A heap holds an arc at most once, and a vector that grows twice its content.
        let queue = if e.weighted { 2 * 16 * (arcs + 1) } else { 16 * nodes };
        let steps = if inputs.algorithm == Algorithm::BellmanFord {
            // The worst case is nodes times arcs; sparse graphs take a few walks.
            8.0
        } else if e.weighted {
            1.0 + (nodes.max(2) as f64).log2() / 8.0
        } else {
            1.0
        };
        let outputs: &[&str] = if inputs.end.is_some() {
            &["path", "distance", "algorithm"]
        } else {
            &["nodes", "distances", "parents", "algorithm"]
        };
        Ok(e.plan(Need {
            work: e.walk() * steps,
            more_bytes_in,
            bytes_out: if inputs.end.is_some() { 8 * nodes + 8 } else { 24 * nodes },
            workspace: e.rows(arcs, e.weighted) + nodes * 40 + queue,
            device: gpu::need(&e, inputs.algorithm, inputs.end.is_some()),
            outputs,
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
