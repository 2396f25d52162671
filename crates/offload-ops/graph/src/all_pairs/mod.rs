//! `graph.all_pairs`: the distances between all nodes.

mod cases;
mod cpu;
mod gpu;

use crate::need::{Extents, Need, WORK_UNIT, ids, output};
use offload_api::{Kind, Priority, Record, Tensor, TensorSpec};
use offload_core::device::{Gpu, KernelText};
use offload_core::{About, Case, Context, DeviceNeed, Failure, Graph, Operation, Plan, Rejection, Slot};

/// The most nodes: the matrix of distances has as many entries squared.
pub(crate) const MAX_NODES: u64 = 8192;

offload_core::inputs! {
    /// Inputs of `graph.all_pairs`.
    pub struct Inputs<T> {
        /// The graph; weights may be negative. Where it lists nodes, edges may name no others, so that a plan knows the
        /// size of the result.
        graph: Graph<T>,
    }
}

/// The shortest distance from every node to every other.
pub struct AllPairs;

impl Operation for AllPairs {
    type Inputs<T: Slot> = Inputs<T>;
    type Output = Record<Tensor>;

    fn about() -> About {
        About {
            family: "graph",
            name: "all_pairs",
            version: 1,
            summary: "The shortest distance from every node to every other",
            doc: include_str!("doc.md"),
            default_priority: Priority::Low,
            work_unit: WORK_UNIT,
            outputs: vec![
                output("nodes", "The ids of all nodes, ascending, `[nodes]`.", ids()),
                output(
                    "distances",
                    "The distances, rows from, columns to, in the order of `nodes`; null where there is no path, `[nodes, nodes]`.",
                    Kind::Gapped { min_rank: 2, max_rank: 2 },
                ),
            ],
        }
    }

    fn plan(inputs: &Inputs<TensorSpec>) -> Result<Plan, Rejection> {
        let e = Extents::of(&inputs.graph)?;
        let listed = inputs.graph.nodes.as_ref().map(TensorSpec::elements);
        if let Some(listed) = listed.filter(|n| *n > MAX_NODES) {
            return Err(Rejection::new(
                "graph",
                format!("the graph has {listed} nodes, the limit is {MAX_NODES}"),
            ));
        }
        let n = listed.unwrap_or(e.nodes).min(MAX_NODES);
        let threads = rayon::current_num_threads() as u64;
        let searches = threads * (8 * n + 32 * (e.arcs + 1));
        let blocks = 8 * cpu::BLOCK as u64 * (2 * n + threads * cpu::BLOCK as u64);
        let device = if n == 0 {
            DeviceNeed::CpuOnly("of a graph without nodes there is nothing to compute")
        } else {
            DeviceNeed::Bytes(gpu::bytes(n, &e))
        };
        Ok(e.plan(Need {
            work: ((n * n) as f64 * n as f64 / 8.0).min(n as f64 * e.walk() * 2.0) + e.walk(),
            more_bytes_in: 0,
            bytes_out: 8 * n * n + 8 * n,
            workspace: e.rows(e.arcs, e.weighted) + 24 * n + searches.max(blocks),
            device,
            outputs: &["nodes", "distances"],
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
