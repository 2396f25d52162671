//! A graph as an input: a composite of tensors, so that a plan sees shapes and every format can carry the parts.
//!
//! The input `graph` never exists as one value. Its parts are entries of the record:
//!
//! | entry | value |
//! |---|---|
//! | [`SRC`], [`DST`] | tensors `u64`, `[edges]`: where each edge starts and ends, by the ids of the nodes |
//! | [`WEIGHT`] | tensor `f64`, `[edges]`; absent when no edge has a weight, and then each weighs 1 |
//! | [`NODES`] | tensor `u64`, `[listed]`: nodes that exist whether or not an edge names them; absent when none are listed |
//! | [`DIRECTED`] | a boolean, always there: whether an edge leads only from its start to its end |
//!
//! A graph that is a resident dataset has [`Source::Dataset`](crate::Source::Dataset) for `SRC`, `DST` and `WEIGHT`,
//! each with the first name of its column in [`columns`]. What resolves them takes the first of those names that the
//! dataset has; when it has none of an optional part's, the entry leaves the record.

use serde_json::{Value as Json, json};

/// The name of the input.
pub const NAME: &str = "graph";
/// Where the edges start.
pub const SRC: &str = "graph.src";
/// Where the edges end.
pub const DST: &str = "graph.dst";
/// The weights of the edges.
pub const WEIGHT: &str = "graph.weight";
/// The nodes that are listed.
pub const NODES: &str = "graph.nodes";
/// Whether edges have a direction.
pub const DIRECTED: &str = "graph.directed";

/// The columns that a part of a graph may have in a resident dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Their names, the preferred first.
    pub names: &'static [&'static str],
    /// Whether the dataset may have none of them.
    pub optional: bool,
}

/// The columns of a part by the name of its entry; `None` when the entry is no part that a dataset can hold.
pub fn columns(entry: &str) -> Option<Columns> {
    match entry {
        SRC => Some(Columns { names: &["src", "u"], optional: false }),
        DST => Some(Columns { names: &["dst", "v"], optional: false }),
        WEIGHT => Some(Columns { names: &["weight", "w"], optional: true }),
        _ => None,
    }
}

/// JSON Schema (the OpenAPI 3.0 dialect) of a graph.
pub(crate) fn json_schema() -> Json {
    let id = json!({"type": "integer", "minimum": 0});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "edges": {
                "type": "array",
                "items": {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "number"}},
                "description": "`[u, v]` or `[u, v, weight]`, by the ids of the nodes (0 to 18446744073709551615); a weight is 1 when it is left out.",
            },
            "nodes": {
                "type": "array",
                "items": id,
                "description": "Ids of nodes that exist whether or not an edge names them.",
            },
            "directed": {
                "type": "boolean",
                "default": true,
                "description": "Whether an edge leads only from u to v.",
            },
            "dataset": {
                "type": "string",
                "description": "Instead of edges: a resident dataset with the columns src and dst (or u and v) and perhaps weight (or w).",
            },
            "version": {
                "type": "integer",
                "minimum": 0,
                "description": "The dataset's version; the newest when it is left out.",
            },
        },
    })
}
