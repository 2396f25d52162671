//! Graphs as callers send them, right and wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::graph::{DIRECTED, DST, NODES, SRC, WEIGHT, columns};
use offload_api::json::{decode_inputs, decode_request, write_record};
use offload_api::{DatasetRef, Field, Kind, Record, Schema, Source, Tensor, Value};

fn schema() -> Schema {
    let field =
        |name, kind| Field { name, doc: "for a test", kind, required: name == "graph", default: None };
    Schema { fields: vec![field("graph", Kind::Graph), field("loud", Kind::Bool)], default_dtype: None }
}

fn decoded(graph: &str) -> Record<Source> {
    let body = format!("{{\"graph\":{graph}}}");
    decode_request(body.as_bytes(), &schema()).unwrap_or_else(|e| panic!("{body}: {e:?}")).inputs
}

fn inline<T: offload_api::Element>(record: &Record<Source>, name: &str) -> Option<Vec<T>> {
    match record.get(name)? {
        Value::Tensor(Source::Inline(t)) => Some(t.as_slice::<T>().unwrap().to_vec()),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn edges_become_columns() {
    let g = decoded(
        r#" { "nodes" : [0, 9] , "edges":[[0,1,1.5], [ 18446744073709551615 , 2e0 ], [3.0,1,-2]] ,"directed":false}"#,
    );
    assert_eq!(inline::<u64>(&g, SRC), Some(vec![0, u64::MAX, 3]));
    assert_eq!(inline::<u64>(&g, DST), Some(vec![1, 2, 1]));
    assert_eq!(inline::<f64>(&g, WEIGHT), Some(vec![1.5, 1.0, -2.0]));
    assert_eq!(inline::<u64>(&g, NODES), Some(vec![0, 9]));
    assert_eq!(g.get(DIRECTED), Some(&Value::Bool(false)));
    let names: Vec<&str> = g.iter().map(|(n, _)| n).collect();
    assert_eq!(names, [SRC, DST, WEIGHT, NODES, DIRECTED]);
}

#[test]
fn a_weight_that_comes_late_leaves_one_to_the_edges_before() {
    let g = decoded(r#"{"edges":[[0,1],[1,2],[2,3,7]]}"#);
    assert_eq!(inline::<f64>(&g, WEIGHT), Some(vec![1.0, 1.0, 7.0]));
    let none = decoded(r#"{"edges":[[9223372036854775808,1],[18446744073709551614,2]]}"#);
    assert_eq!(inline::<u64>(&none, SRC), Some(vec![1 << 63, u64::MAX - 1]));
    assert_eq!((none.get(WEIGHT), none.get(NODES)), (None, None));
    assert_eq!(none.get(DIRECTED), Some(&Value::Bool(true)));
}

#[test]
fn graphs_without_edges_are_graphs() {
    for text in [r#"{"edges":[]}"#, r#"{"nodes":[]}"#, r#"{"nodes":[4],"edges":[]}"#] {
        assert_eq!(inline::<u64>(&decoded(text), SRC), Some(vec![]), "{text}");
    }
}

#[test]
fn a_dataset_stands_for_its_columns() {
    let g = decoded(r#"{"dataset":"deps","version":3,"directed":false,"nodes":[1]}"#);
    for (entry, column) in [(SRC, "src"), (DST, "dst"), (WEIGHT, "weight")] {
        let of =
            DatasetRef { dataset: "deps".into(), column: Some(column.into()), version: Some(3), test: None };
        assert_eq!(g.get(entry), Some(&Value::Tensor(Source::Dataset(of))));
        assert_eq!(columns(entry).unwrap().names[0], column);
    }
    assert!(columns(WEIGHT).unwrap().optional && !columns(SRC).unwrap().optional);
    assert_eq!(columns(NODES), None);
    assert_eq!(inline::<u64>(&g, NODES), Some(vec![1]));
}

#[test]
fn every_fault_is_named_where_it_is() {
    let edge = |e: &str| format!(r#"{{"edges":[[0,1],[0,1,2],{e}]}}"#);
    for (graph, pointer, part) in [
        (edge("[0,1,NaN]"), "/graph/edges/2/2", "NaN"),
        (edge("[0,1,null]"), "/graph/edges/2/2", "null"),
        (edge("[0,1,1e999]"), "/graph/edges/2/2", "out of range"),
        (edge("[0,1,01]"), "/graph/edges/2/2", "not a json number"),
        (edge("[0,1,\"1\"]"), "/graph/edges/2/2", "a weight"),
        (edge("[-1,1]"), "/graph/edges/2/0", "from 0 to 18446744073709551615"),
        (edge("[0,18446744073709551616]"), "/graph/edges/2/1", "from 0 to 18446744073709551615"),
        (edge("[0,1.5]"), "/graph/edges/2/1", "integer"),
        (edge("[00,1]"), "/graph/edges/2/0", "not a json number"),
        (edge("[\"a\",1]"), "/graph/edges/2/0", "the id of a node"),
        (edge("[]"), "/graph/edges/2", "0 numbers"),
        (edge("[5]"), "/graph/edges/2", "1 numbers"),
        (edge("[5,6,7,8]"), "/graph/edges/2", "more than 3"),
        (edge("[5 6]"), "/graph/edges/2", "expected ','"),
        (edge("[5,6 7]"), "/graph/edges/2", "expected ',' or ']'"),
        (edge("5"), "/graph/edges/2", "an edge"),
        (edge("[5,]"), "/graph/edges/2/1", "the id of a node"),
        (r#"{"edges":5}"#.into(), "/graph/edges", "expected '['"),
        (r#"{"nodes":[0,-1]}"#.into(), "/graph/nodes/1", "out of range"),
        (r#"{"nodes":[[0]]}"#.into(), "/graph/nodes", "list"),
        (r#"{"nodes":3}"#.into(), "/graph/nodes", "list"),
        (r#"{"edges":[],"directed":1}"#.into(), "/graph/directed", "true or false"),
        (r#"{"edges":[],"edgse":1}"#.into(), "/graph/edgse", "did you mean edges?"),
        (r#"{"edges":[],"edges":[]}"#.into(), "/graph/edges", "twice"),
        (r#"{"edges":[],"dataset":"d"}"#.into(), "/graph/dataset", "not both"),
        (r#"{"edges":[],"version":1}"#.into(), "/graph/version", "belongs to a dataset"),
        (r#"{"dataset":"d","version":-1}"#.into(), "/graph/version", "from 0"),
        ("{}".into(), "/graph", "neither"),
        ("[]".into(), "/graph", "expected '{'"),
    ] {
        let body = format!("{{\"graph\":{graph}}}");
        let e = decode_request(body.as_bytes(), &schema()).expect_err(&body);
        assert!(
            e.pointer == pointer && e.message.contains(part),
            "{body}\n  gave {:?}: {}",
            e.pointer,
            e.message
        );
    }
    let e = decode_inputs(br#"{"graph":{"edges":[[0]]}}"#, &schema(), "/workloads/3/inputs").unwrap_err();
    assert_eq!(e.pointer, "/workloads/3/inputs/graph/edges/0");
    let missing = decode_request(b"{}", &schema()).unwrap_err();
    assert!(missing.message.contains("graph is missing"), "{missing:?}");
}

#[test]
fn no_nesting_exhausts_the_stack() {
    for graph in
        ["[".repeat(100_000), format!("{{\"edges\":{}", "[".repeat(100_000)), "{\"a\":".repeat(100_000)]
    {
        assert!(decode_request(format!("{{\"graph\":{graph}").as_bytes(), &schema()).is_err());
    }
}

#[test]
fn what_is_written_reads_back() {
    let mut record = Record::new()
        .with("loud", Value::Bool(true))
        .with(SRC, Value::Tensor(Tensor::vector(vec![0u64, u64::MAX])))
        .with(DST, Value::Tensor(Tensor::vector(vec![7u64, 1 << 63])))
        .with(WEIGHT, Value::Tensor(Tensor::vector(vec![0.1f64, -5e-324])))
        .with(NODES, Value::Tensor(Tensor::vector(vec![3u64])))
        .with(DIRECTED, Value::Bool(false));
    let mut body = b"{".to_vec();
    write_record(&record, &mut body).unwrap();
    body.push(b'}');
    let text = String::from_utf8(body).unwrap();
    assert!(text.starts_with(r#"{"loud":true,"graph":{"nodes":[3],"edges":[[0,7,0.1],"#), "{text}");
    let back = decode_request(text.as_bytes(), &schema()).unwrap().inputs;
    let back = back
        .try_map(|_, s| match s {
            Source::Inline(t) => Ok(t),
            other => Err(other),
        })
        .unwrap();
    assert_eq!(back.len(), record.len());
    record.iter().for_each(|(name, value)| assert_eq!(back.get(name), Some(value), "{name}"));
    record.set(WEIGHT, Value::Tensor(Tensor::vector(vec![0.1, f64::NAN])));
    assert_eq!(write_record(&record, &mut Vec::new()).unwrap_err().output, WEIGHT);
}

#[test]
fn what_is_missing_is_null() {
    let gaps = Tensor::new([2, 2], vec![0.0, f64::INFINITY, f64::NAN, 1.5]).unwrap();
    let record = Record::new().with("distances", Value::Gapped(gaps)).with("path", Value::nothing());
    let mut out = Vec::new();
    write_record(&record, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#""distances":[[0,null],[null,1.5]],"path":null"#);
    assert!(Value::<Tensor>::nothing().is_nothing());
    let field = |kind| Field { name: "x", doc: "", kind, required: true, default: None }.to_json_schema();
    assert_eq!(field(Kind::Nullable(Box::new(Kind::Bool)))["nullable"], true);
    assert_eq!(field(Kind::Gapped { min_rank: 1, max_rank: 1 })["items"]["nullable"], true);
    assert_eq!(field(Kind::Graph)["properties"]["edges"]["items"]["maxItems"], 3);
}
