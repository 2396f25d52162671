//! The published example, from the body of a request to the body of its answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::json::{decode_inputs, decode_request, write_record};
use offload_api::{Record, Source, Tensor};
use offload_core::{AnyOperation, Context};
use offload_ops_graph::{Bfs, ShortestPath};

fn answered(op: &dyn AnyOperation, inputs: Record<Source>) -> String {
    let inputs: Record<Tensor> = inputs
        .try_map(|_, source| match source {
            Source::Inline(t) => Ok(t),
            other => Err(other),
        })
        .unwrap();
    op.plan(inputs.specs()).unwrap();
    let outputs = op.cpu(inputs, &Context::default()).unwrap();
    let mut out = Vec::new();
    write_record(&outputs, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const GRAPH: &str = r#"{"nodes":[0,1,2,3], "edges":[[0,1,1.0],[0,2,4.0],[1,3,2.0],[2,3,1.0]]}"#;

#[test]
fn the_shortest_path_of_the_design() {
    let body = format!(r#"{{"graph": {GRAPH}, "start":0, "end":3, "algorithm":"dijkstra"}}"#);
    let decoded = decode_request(body.as_bytes(), &ShortestPath.schema()).unwrap();
    let out = answered(&ShortestPath, decoded.inputs);
    assert_eq!(out, r#""path":[0,1,3],"distance":3,"algorithm":"dijkstra""#);
    let item = format!(r#"{{"graph":{GRAPH},"start":0,"end":3}}"#);
    let inputs = decode_inputs(item.as_bytes(), &ShortestPath.schema(), "/workloads/0/inputs").unwrap();
    assert!(answered(&ShortestPath, inputs).starts_with(r#""path":[0,1,3],"distance":3,"#));
}

#[test]
fn what_cannot_be_reached_is_null() {
    let body = format!(r#"{{"graph": {GRAPH}, "start":3, "end":0}}"#);
    let decoded = decode_request(body.as_bytes(), &ShortestPath.schema()).unwrap();
    let out = answered(&ShortestPath, decoded.inputs);
    assert_eq!(out, r#""path":null,"distance":null,"algorithm":"dijkstra""#);
}

#[test]
fn ids_keep_all_their_bits() {
    let body =
        r#"{"graph":{"edges":[[18446744073709551615,9223372036854775808]]},"start":18446744073709551615}"#;
    let decoded = decode_request(body.as_bytes(), &Bfs.schema()).unwrap();
    let out = answered(&Bfs, decoded.inputs);
    assert!(out.contains(r#""order":[18446744073709551615,9223372036854775808]"#), "{out}");
}
