//! A graph as a typed input: its columns as one field.

use crate::{FromValue, Rejection, Slot};
use offload_api::graph::{DIRECTED, DST, NODES, SRC, WEIGHT};
use offload_api::{Kind, Record, Tensor, Value};

/// A graph's edges as columns, and the nodes that are listed; see [`offload_api::graph`]. What the columns hold is for
/// the operation to check: a format other than JSON may send anything.
#[derive(Clone, Debug)]
pub struct Graph<T = Tensor> {
    /// Where the edges start, `u64`, `[edges]`.
    pub src: T,
    /// Where they end, `u64`, `[edges]`.
    pub dst: T,
    /// Their weights, `f64`, `[edges]`; 1 when absent.
    pub weight: Option<T>,
    /// Nodes that exist whether or not an edge names them, `u64`, `[listed]`.
    pub nodes: Option<T>,
    /// Whether an edge leads only from its start to its end.
    pub directed: bool,
}

impl<T: Slot> Graph<T> {
    /// Puts the parts into a record.
    pub fn put(self, record: &mut Record<T>) {
        record.set(SRC, Value::Tensor(self.src));
        record.set(DST, Value::Tensor(self.dst));
        if let Some(weight) = self.weight {
            record.set(WEIGHT, Value::Tensor(weight));
        }
        if let Some(nodes) = self.nodes {
            record.set(NODES, Value::Tensor(nodes));
        }
        record.set(DIRECTED, Value::Bool(self.directed));
    }
}

impl Graph<Tensor> {
    /// The graph of these edges, weights and listed nodes.
    pub fn new(
        edges: &[(u64, u64)],
        weight: Option<Vec<f64>>,
        nodes: Option<Vec<u64>>,
        directed: bool,
    ) -> Self {
        Graph {
            src: Tensor::vector(edges.iter().map(|e| e.0).collect()),
            dst: Tensor::vector(edges.iter().map(|e| e.1).collect()),
            weight: weight.map(Tensor::vector),
            nodes: nodes.map(Tensor::vector),
            directed,
        }
    }
}

impl<T: Slot> FromValue<T> for Graph<T> {
    fn kind() -> Option<Kind> {
        Some(Kind::Graph)
    }

    fn from_value(_: Value<T>) -> Option<Self> {
        // A graph is several values; `take` collects them.
        None
    }

    fn take(record: &mut Record<T>, name: &'static str) -> Result<Self, Rejection> {
        let mut part = |entry| match record.take(entry) {
            None => Ok(None),
            Some(Value::Tensor(t)) => Ok(Some(t)),
            Some(_) => Err(Rejection::new(name, format!("{entry} is no tensor"))),
        };
        let missing = |entry| Rejection::new(name, format!("the {entry} of the edges is missing"));
        let src = part(SRC)?.ok_or_else(|| missing(SRC))?;
        let dst = part(DST)?.ok_or_else(|| missing(DST))?;
        let weight = part(WEIGHT)?;
        let nodes = part(NODES)?;
        let directed = match record.take(DIRECTED) {
            None => true,
            Some(Value::Bool(b)) => b,
            Some(_) => return Err(Rejection::new(name, format!("{DIRECTED} must be true or false"))),
        };
        Ok(Graph { src, dst, weight, nodes, directed })
    }
}
