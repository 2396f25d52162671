//! Worked examples from figures of other libraries, which `scripts/graph_reference.py` writes to `data/figures.json`.

use offload_api::{Element, Record, Tensor, Value};
use offload_core::{Case, Expect, Graph, Tolerance};
use serde_json::Value as Json;
use std::sync::{Arc, OnceLock};

/// Where the figures come from.
pub(crate) const SOURCE: &str = "networkx 3.6.1 and SciPy 1.17.1, by scripts/graph_reference.py";

/// Where expectations of a few nodes come from.
pub(crate) const BY_HAND: &str = "by hand";

/// A graph with its figures.
#[derive(Clone)]
pub(crate) struct Row(&'static Json);

/// All graphs with figures; the first is the example of the documentation.
///
/// # Panics
/// When the file is not what the script writes.
pub(crate) fn rows() -> Vec<Row> {
    static FIGURES: OnceLock<Json> = OnceLock::new();
    let figures = FIGURES.get_or_init(|| match serde_json::from_str(include_str!("../data/figures.json")) {
        Ok(json) => json,
        Err(e) => panic!("the figures are no json: {e}"),
    });
    figures["rows"].as_array().map(|rows| rows.iter().map(Row).collect()).unwrap_or_default()
}

impl Row {
    /// The name of the graph.
    pub(crate) fn name(&self) -> &'static str {
        self.0["name"].as_str().unwrap_or_default()
    }

    /// A figure of an operation; null when there is none.
    pub(crate) fn figure(&self, operation: &str, name: &str) -> &'static Json {
        &self.0[operation][name]
    }

    /// Whether there are figures of an operation.
    pub(crate) fn has(&self, operation: &str) -> bool {
        !self.0[operation].is_null()
    }

    /// The ids of all nodes in order.
    pub(crate) fn ids(&self) -> Value {
        ids(&self.0["ids"])
    }

    /// An id that the figures are for: `start` or `end`.
    pub(crate) fn node(&self, name: &str) -> Value {
        id(self.0[name].as_u64().unwrap_or_default())
    }

    /// The graph as inputs.
    pub(crate) fn inputs(&self) -> Record {
        let edges = self.0["edges"].as_array().map(Vec::as_slice).unwrap_or_default();
        let end = |e: &Json, i: usize| e[i].as_u64().unwrap_or_default();
        let pairs: Vec<(u64, u64)> = edges.iter().map(|e| (end(e, 0), end(e, 1))).collect();
        let weighted = edges.iter().any(|e| e[2].is_number());
        let weights = weighted.then(|| edges.iter().map(|e| e[2].as_f64().unwrap_or(1.0)).collect());
        let nodes = self.0["nodes"].as_array().map(|_| list(&self.0["nodes"], Json::as_u64));
        inputs(Graph::new(&pairs, weights, nodes, self.0["directed"] == true))
    }

    /// A worked example.
    pub(crate) fn case(&self, inputs: Record, outputs: Record, tolerance: Tolerance) -> Case {
        let expect = Expect::Outputs(outputs, tolerance);
        Case { name: self.name().into(), source: SOURCE, inputs, expect }
    }
}

/// A graph as inputs.
pub(crate) fn inputs(graph: Graph) -> Record {
    let mut record = Record::new();
    graph.put(&mut record);
    record
}

/// A graph with weights as inputs.
pub(crate) fn weighted(edges: &[(u64, u64, f64)], directed: bool) -> Record {
    let pairs: Vec<(u64, u64)> = edges.iter().map(|e| (e.0, e.1)).collect();
    inputs(Graph::new(&pairs, Some(edges.iter().map(|e| e.2).collect()), None, directed))
}

/// An expectation by hand.
pub(crate) fn by_hand(name: &str, inputs: Record, expect: Expect) -> Case {
    Case { name: name.into(), source: BY_HAND, inputs, expect }
}

/// Outputs to the bit.
pub(crate) fn exactly(outputs: Record) -> Expect {
    Expect::Outputs(outputs, Tolerance::EXACT)
}

/// A property of outputs.
pub(crate) fn property(
    check: impl Fn(&Record, &Record) -> Result<(), String> + Send + Sync + 'static,
) -> Expect {
    Expect::Property(Arc::new(check))
}

fn list<T>(json: &Json, of: impl Fn(&Json) -> Option<T>) -> Vec<T> {
    json.as_array().map(|a| a.iter().filter_map(of).collect()).unwrap_or_default()
}

fn vector<T: Element>(elements: Vec<T>) -> Value {
    Value::Tensor(Tensor::vector(elements))
}

/// An id.
pub(crate) fn id(id: u64) -> Value {
    Value::Tensor(Tensor::scalar(id))
}

/// A list of ids.
pub(crate) fn ids(json: &Json) -> Value {
    vector(list(json, Json::as_u64))
}

/// A list of integers.
pub(crate) fn integers(json: &Json) -> Value {
    vector(list(json, Json::as_i64))
}

/// A list of numbers.
pub(crate) fn numbers(json: &Json) -> Value {
    vector(list(json, Json::as_f64))
}

/// Rows of numbers, infinite where there is none.
pub(crate) fn gapped(json: &Json) -> Value {
    let rows = json.as_array().map(Vec::as_slice).unwrap_or_default();
    let all: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.as_array().into_iter().flatten())
        .map(|x| x.as_f64().unwrap_or(f64::INFINITY))
        .collect();
    let n = rows.len();
    match Tensor::new([n, n], all) {
        Some(t) => Value::Gapped(t),
        None => Value::nothing(),
    }
}

/// A number, or nothing.
pub(crate) fn number(json: &Json) -> Value {
    json.as_f64().map_or_else(Value::nothing, |x| Value::Tensor(Tensor::scalar(x)))
}
