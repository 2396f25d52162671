//! Graphs whose columns have an identity: their rows are made once, and every answer is that of a graph without one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{Record, ResidentKey, Tensor, Value};
use offload_core::{AnyOperation, Cancel, Context, Derived, Graph, Progress, TenantId};
use offload_ops_graph::*;
use std::sync::Arc;

/// A graph of some thousand edges; its columns have identities from `key` on where there is one.
fn graph(weighted: bool, directed: bool, key: Option<u128>) -> Record {
    let edges: Vec<(u64, u64)> = (0..4000u64).map(|i| (i * i % 701, i * 7 % 650 + 3)).collect();
    let weights = weighted.then(|| (0..4000).map(|i| f64::from(i % 13) + 0.5).collect());
    let mut graph = Graph::new(&edges, weights, Some(vec![9_000]), directed);
    if let Some(key) = key {
        let known = |t: Tensor, at: u128| t.with_resident(ResidentKey(key + at));
        graph = Graph {
            src: known(graph.src, 0),
            dst: known(graph.dst, 1),
            weight: graph.weight.map(|t| known(t, 2)),
            nodes: graph.nodes.map(|t| known(t, 3)),
            directed,
        };
    }
    let mut record = Record::new();
    graph.put(&mut record);
    record
}

fn context(derived: &Arc<Derived>, tenant: &str) -> Context {
    Context::new(Cancel::new(), Progress::new()).with_derived(Arc::clone(derived), TenantId::new(tenant))
}

fn jobs(weighted: bool, directed: bool, key: Option<u128>) -> Vec<(&'static dyn AnyOperation, Record)> {
    let g = || graph(weighted, directed, key);
    let from = || g().with("start", Value::Tensor(Tensor::scalar(4u64)));
    let to = || from().with("end", Value::Tensor(Tensor::scalar(49u64)));
    vec![
        (&Bfs, from()),
        (&Dfs, from()),
        (&ShortestPath, from()),
        (&ShortestPath, to()),
        (&KShortest, to().with("k", Value::Int(3))),
        (&ConnectedComponents, g()),
        (&StronglyConnected, g()),
        (&Pagerank, g()),
        (&MinimumSpanningTree, g()),
        (&DetectCycles, g()),
        (&TriangleCount, g()),
    ]
}

#[test]
fn a_kept_graph_answers_as_one_that_is_built() {
    let derived = Arc::new(Derived::new(1 << 30));
    let ctx = context(&derived, "a");
    for (weighted, directed) in [(true, true), (true, false), (false, true), (false, false)] {
        // The same columns, whatever is made of them.
        let key = if weighted { 100 } else { 200 };
        let plain = jobs(weighted, directed, None).into_iter().map(|(op, r)| op.cpu(r, &Context::default()));
        let plain: Vec<_> = plain.map(Result::unwrap).collect();
        let mut bytes = 0;
        for round in 0..2 {
            for ((op, record), want) in jobs(weighted, directed, Some(key)).into_iter().zip(&plain) {
                let got = op.cpu(record, &ctx).unwrap();
                assert_eq!(
                    format!("{got:?}"),
                    format!("{want:?}"),
                    "{} {weighted} {directed}",
                    op.about().name
                );
            }
            match round {
                0 => bytes = derived.bytes(),
                _ => assert_eq!(derived.bytes(), bytes, "nothing is made twice"),
            }
        }
        assert!(bytes > 0);
    }
}

#[test]
fn graphs_without_an_identity_and_in_no_room_are_not_kept() {
    let (none, some) = (Arc::new(Derived::new(0)), Arc::new(Derived::new(1 << 30)));
    for (derived, key) in [(&none, Some(1)), (&some, None)] {
        for (op, record) in jobs(true, true, key) {
            op.cpu(record, &context(derived, "a")).unwrap();
        }
        assert_eq!(derived.bytes(), 0);
    }
}
