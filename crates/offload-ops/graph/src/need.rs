//! From the shapes of a graph to a plan.

use offload_api::{DType, Field, Kind, TensorSpec};
use offload_core::{DeviceNeed, Failure, Graph, Plan, PlannedOutput, Rejection, integers};

/// The most edges, and the most listed nodes: arcs in both directions are counted in 32 bits.
pub(crate) const MAX_EDGES: u64 = 1 << 30;

/// Small allocations of every job: names, tasks, closures, the thread pool's own.
const SMALL_BYTES: u64 = 256 * 1024;

/// What shapes tell of a graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// Edges.
    pub(crate) edges: u64,
    /// The most nodes there can be: both ends of every edge, and those that are listed.
    pub(crate) nodes: u64,
    /// Arcs: an edge without direction has two.
    pub(crate) arcs: u64,
    /// Whether edges have weights.
    pub(crate) weighted: bool,
    bytes_in: u64,
}

impl Extents {
    /// The extents of a graph.
    ///
    /// # Errors
    /// When the columns do not fit together, or there are too many edges.
    pub(crate) fn of(graph: &Graph<TensorSpec>) -> Result<Extents, Rejection> {
        let column = |t: &TensorSpec, name: &str, dtype: DType| match t.shape[..] {
            [n] if t.dtype == dtype => Ok(n as u64),
            _ => Err(Rejection::new("graph", format!("{name} must be a vector of {dtype}"))),
        };
        let edges = column(&graph.src, "src", DType::U64)?;
        let ends = column(&graph.dst, "dst", DType::U64)?;
        let weights = graph.weight.as_ref().map(|t| column(t, "weight", DType::F64)).transpose()?;
        let listed = graph.nodes.as_ref().map_or(Ok(0), |t| column(t, "nodes", DType::U64))?;
        if ends != edges || weights.is_some_and(|w| w != edges) {
            return Err(Rejection::new(
                "graph",
                format!(
                    "src has {edges} edges, dst {ends}, weight {}: they must have as many",
                    weights.unwrap_or(edges)
                ),
            ));
        }
        if edges > MAX_EDGES || listed > MAX_EDGES {
            return Err(Rejection::new(
                "graph",
                format!(
                    "the graph has {edges} edges and lists {listed} nodes, the limit of each is {MAX_EDGES}"
                ),
            ));
        }
        let parts = [Some(&graph.src), Some(&graph.dst), graph.weight.as_ref(), graph.nodes.as_ref()];
        Ok(Extents {
            edges,
            nodes: 2 * edges + listed,
            arcs: if graph.directed { edges } else { 2 * edges },
            weighted: weights.is_some(),
            bytes_in: parts.into_iter().flatten().map(TensorSpec::bytes).sum(),
        })
    }

    /// Bytes of the columns by index and of the ids: sorted where they lie far apart, with a table of four slots each
    /// at most; and of the weights, of which a graph that is kept has its own.
    fn network(&self) -> u64 {
        let columns = if self.weighted { 16 } else { 8 };
        columns * self.edges + self.nodes * (8 + 16) + 64
    }

    /// Bytes of rows of so many arcs, and of the arcs on their way there.
    pub(crate) fn rows(&self, arcs: u64, weighted: bool) -> u64 {
        let (row, way) = if weighted { (12, 16) } else { (4, 8) };
        // Counts of each part and range, of which there are at most 256.
        let parts = 2 * rayon::current_num_threads() as u64;
        4 * (self.nodes + 1) + arcs * (row + way) + parts * 257 * 32 + 256 * 128
    }

    /// A plan.
    pub(crate) fn plan(&self, need: Need) -> Plan {
        let bytes_out = need.bytes_out;
        Plan {
            work: need.work,
            bytes_in: self.bytes_in.saturating_add(need.more_bytes_in),
            bytes_out,
            host_bytes: bytes_out
                .saturating_add(self.network())
                .saturating_add(need.workspace)
                .saturating_add(SMALL_BYTES),
            device: need.device,
            outputs: need.outputs.iter().map(|&name| PlannedOutput { name, spec: None }).collect(),
        }
    }

    /// Vertices and edges that one walk over the graph sees.
    pub(crate) fn walk(&self) -> f64 {
        (self.nodes.min(self.edges.max(1) * 2) + self.arcs) as f64
    }
}

/// What a job needs beyond its graph.
pub(crate) struct Need {
    /// Vertices and edges visited.
    pub(crate) work: f64,
    /// Bytes of inputs beside the graph.
    pub(crate) more_bytes_in: u64,
    /// Bytes of the outputs, at most.
    pub(crate) bytes_out: u64,
    /// Bytes of rows and workspace.
    pub(crate) workspace: u64,
    /// What it asks of a device: rows, workspace and what is downloaded, for as many nodes as there can be.
    pub(crate) device: DeviceNeed,
    /// The outputs.
    pub(crate) outputs: &'static [&'static str],
}

/// Of operations without a device path.
pub(crate) const NO_DEVICE: DeviceNeed = DeviceNeed::CpuOnly("this operation has no device path yet");

/// What `work` counts.
pub(crate) const WORK_UNIT: &str = "vertices and edges visited";

/// The id of a node as an input.
pub(crate) fn id() -> Kind {
    integers(DType::U64, 0, 0)
}

/// Ids of nodes as an output or an input.
pub(crate) fn ids() -> Kind {
    integers(DType::U64, 1, 1)
}

/// An output that is always there.
pub(crate) fn output(name: &'static str, doc: &'static str, kind: Kind) -> Field {
    Field { name, doc, kind, required: true, default: None }
}

/// An output that is there for some inputs.
pub(crate) fn sometimes(name: &'static str, doc: &'static str, kind: Kind) -> Field {
    Field { name, doc, kind, required: false, default: None }
}

/// The most ids in the lists of one answer.
pub(crate) const MAX_LISTED: u64 = 1 << 20;

/// The JSON Schema of lists of ids.
pub(crate) fn lists() -> serde_json::Value {
    serde_json::json!({"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0}}})
}

/// Bytes of so many lists of at most so many ids, as the values they are written from.
pub(crate) fn lists_bytes(lists: u64, ids: u64) -> u64 {
    let value = size_of::<serde_json::Value>() as u64;
    lists.saturating_mul(ids.saturating_add(2)).min(MAX_LISTED + 2 * lists).saturating_mul(2 * value)
}

/// Lists of ids as a value.
///
/// # Errors
/// When they hold more ids than [`MAX_LISTED`].
pub(crate) fn listed(name: &'static str, lists: &[Vec<u64>]) -> Result<offload_api::Value, Failure> {
    let total: u64 = lists.iter().map(|l| l.len() as u64).sum();
    if total > MAX_LISTED {
        return Err(Failure::unprocessable(
            "too_long",
            format!("the {name} hold {total} ids, the limit is {MAX_LISTED}; ask for fewer"),
            serde_json::json!({"ids": total, "limit": MAX_LISTED}),
        ));
    }
    Ok(offload_api::Value::Json(std::sync::Arc::new(serde_json::Value::from(lists.to_vec()))))
}
