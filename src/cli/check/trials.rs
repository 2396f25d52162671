//! Random inputs of sizes that the worked examples do not reach: odd, larger than a tile, and in stacks.

use super::agree::Rule;
use crate::cli::device::inputs::{Input, Inputs, Kind, of, uniform};
use offload_api::DType::{self, F64, I64, U64};
use offload_api::graph;

/// An operation on random inputs, and how its answers are compared.
pub(super) struct Trial {
    pub(super) operation: String,
    pub(super) name: String,
    pub(super) inputs: Inputs,
    pub(super) rule: Rule,
}

const REALS: [DType; 2] = [DType::F32, DType::F64];

struct List(Vec<Trial>);

impl List {
    fn add(&mut self, operation: &str, about: impl std::fmt::Display, inputs: Inputs, rule: Rule) {
        let dtype = inputs.iter().find_map(|(_, input)| match input {
            Input::Tensor(_, spec, _) => Some(spec.dtype.name()),
            _ => None,
        });
        let name = format!("{about} {}", dtype.unwrap_or_default());
        self.0.push(Trial { operation: operation.into(), name, inputs, rule });
    }

    /// An operation on one matrix, in both types.
    fn matrix(&mut self, operation: &str, kind: Kind, shapes: &[&[usize]], more: &Inputs, rule: Rule) {
        for (seed, shape) in (1..).zip(shapes) {
            for dtype in REALS {
                let mut inputs = vec![("a", of(kind, dtype, shape, seed))];
                inputs.extend(more.iter().cloned());
                self.add(operation, format_args!("{kind:?} {shape:?}"), inputs, rule);
            }
        }
    }
}

/// All of them.
pub(super) fn trials() -> Vec<Trial> {
    let mut list = List(Vec::new());
    products(&mut list);
    factorisations(&mut list);
    searches(&mut list);
    graphs(&mut list);
    series(&mut list);
    list.0
}

fn products(list: &mut List) {
    type Shapes = (&'static [usize], &'static [usize], bool, bool);
    let multiply: &[Shapes] = &[
        (&[257, 129], &[129, 513], false, false),
        (&[129, 257], &[129, 65], true, false),
        (&[65, 300], &[77, 300], false, true),
        (&[300, 65], &[77, 300], true, true),
        (&[37, 33, 17], &[37, 17, 65], false, false),
        (&[37, 33, 17], &[17, 65], false, false),
        (&[33, 17], &[37, 17, 65], false, false),
        (&[1, 1000], &[1000, 1], false, false),
    ];
    for (a, b, transpose_a, transpose_b) in multiply {
        for dtype in REALS {
            let inputs = vec![
                ("a", uniform(dtype, a, 1)),
                ("b", uniform(dtype, b, 2)),
                ("transpose_a", Input::Flag(*transpose_a)),
                ("transpose_b", Input::Flag(*transpose_b)),
            ];
            let about = format!("{a:?} by {b:?}, transposed {transpose_a} {transpose_b}");
            list.add("matrix.multiply", about, inputs, Rule::Near(&["result"], 1e2));
        }
    }
    let shapes: &[(&[usize], &[usize])] =
        &[(&[1025, 513], &[513]), (&[3, 4097], &[4097]), (&[37, 65, 33], &[37, 33]), (&[65, 33], &[37, 33])];
    for (a, x) in shapes {
        for dtype in REALS {
            let inputs = vec![("a", uniform(dtype, a, 3)), ("x", uniform(dtype, x, 4))];
            list.add("matrix.matvec", format_args!("{a:?} by {x:?}"), inputs, Rule::Near(&["result"], 1e2));
        }
    }
    let shapes: &[&[usize]] = &[&[1025, 777], &[1, 4099], &[31, 65, 33]];
    list.matrix("matrix.transpose", Kind::Uniform, shapes, &vec![], Rule::Near(&["result"], 0.0));
    for (kind, factor) in
        [("one", 1e2), ("inf", 1e2), ("max", 1.0), ("frobenius", 1e2), ("two", 1e3), ("nuclear", 1e3)]
    {
        let more = vec![("kind", Input::Word(kind))];
        let shapes: &[&[usize]] = &[&[257, 129], &[9, 65, 33]];
        list.matrix("matrix.norm", Kind::Uniform, shapes, &more, Rule::Near(&["result"], factor));
    }
}

fn factorisations(list: &mut List) {
    let square: &[&[usize]] = &[&[255, 255], &[65, 65], &[33, 17, 17], &[100, 64, 64], &[3, 129, 129]];
    list.matrix("matrix.inverse", Kind::Dominant, square, &vec![], Rule::Near(&["result"], 1e3));
    list.matrix("matrix.cholesky", Kind::Definite, square, &vec![], Rule::Near(&["result"], 1e3));
    let small: &[&[usize]] = &[&[33, 33], &[33, 17, 17]];
    list.matrix("matrix.determinant", Kind::Uniform, small, &vec![], Rule::Near(&["result"], 1e5));
    let systems: &[(&[usize], &[usize])] = &[
        (&[255, 255], &[255]),
        (&[129, 129], &[129, 33]),
        (&[33, 17, 17], &[33, 17, 5]),
        (&[64, 64], &[9, 64, 3]),
    ];
    for (a, b) in systems {
        for dtype in REALS {
            let inputs = vec![("a", of(Kind::Dominant, dtype, a, 5)), ("b", uniform(dtype, b, 6))];
            list.add("matrix.solve", format_args!("{a:?} and {b:?}"), inputs, Rule::Near(&["x"], 1e3));
        }
    }
    let any: &[&[usize]] = &[&[257, 129], &[129, 257], &[128, 128], &[17, 33, 17]];
    list.matrix("matrix.qr", Kind::Uniform, any, &vec![], Rule::Qr);
    list.matrix("matrix.svd", Kind::Uniform, any, &vec![], Rule::Svd);
    let vectors = vec![("vectors", Input::Flag(true)), ("symmetric", Input::Word("true"))];
    let shapes: &[&[usize]] = &[&[255, 255], &[64, 64], &[17, 33, 33]];
    list.matrix("matrix.eigenvalues", Kind::Symmetric, shapes, &vectors, Rule::Eigen);
    let values = vec![("symmetric", Input::Word("true"))];
    list.matrix("matrix.eigenvalues", Kind::Symmetric, shapes, &values, Rule::Near(&["values"], 1e3));
}

fn searches(list: &mut List) {
    // Queries, rows, components, answers.
    let shapes: &[[usize; 4]] =
        &[[33, 5003, 65, 10], [129, 20_011, 128, 100], [7, 3, 17, 10], [1, 40_009, 33, 1]];
    for dtype in REALS {
        for &[q, n, d, k] in shapes {
            for metric in ["cosine", "l2", "dot"] {
                let about = format!("{q} × {n} × {d}, top {k}, {metric}");
                let common = [("corpus", uniform(dtype, &[n, d], 8)), ("metric", Input::Word(metric))];
                let of = |queries, top| {
                    let own = vec![(queries, uniform(dtype, &[q, d], 7)), (top, Input::Int(k as i64))];
                    own.into_iter().chain(common.clone()).collect::<Inputs>()
                };
                for operation in ["vector.similarity", "vector.batch_similarity"] {
                    list.add(operation, &about, of("queries", "top_k"), Rule::Ranked("results"));
                }
                list.add("vector.knn", &about, of("query", "k"), Rule::Ranked("matches"));
            }
        }
        let some = vec![
            ("queries", uniform(dtype, &[17, 33], 9)),
            ("corpus", uniform(dtype, &[5003, 33], 10)),
            ("filter", uniform(DType::U8, &[5003], 11)),
            ("top_k", Input::Int(25)),
        ];
        list.add("vector.similarity", "17 × 5003 × 33, filtered", some, Rule::Ranked("results"));
    }
}

/// A graph of so many nodes, all listed, and of edges whose ends are of these kinds.
fn network(nodes: usize, edges: usize, ends: [Kind; 2], directed: bool, weighted: bool) -> Inputs {
    let mut inputs = vec![
        (graph::SRC, of(ends[0], U64, &[edges], 12)),
        (graph::DST, of(ends[1], U64, &[edges], 13)),
        (graph::NODES, of(Kind::Place, U64, &[nodes], 0)),
        (graph::DIRECTED, Input::Flag(directed)),
    ];
    if weighted {
        inputs.push((graph::WEIGHT, of(Kind::Positive, F64, &[edges], 14)));
    }
    inputs
}

fn graphs(list: &mut List) {
    let random = |n: usize| [Kind::Below(n as u32); 2];
    // With many components, with one large one, with long ways, and with a row that many groups share.
    let shapes: &[(usize, usize, [Kind; 2])] = &[
        (5003, 4001, random(5003)),
        (20_011, 90_001, random(20_011)),
        (57 * 57, 2 * 57 * 56, [Kind::GridFrom(57), Kind::GridTo(57)]),
        (9001, 9001, [Kind::Below(3), Kind::Place]),
    ];
    for &(nodes, edges, ends) in shapes {
        for directed in [true, false] {
            let arrows = if directed { "directed" } else { "undirected" };
            let about = format!("{nodes} nodes, {edges} edges, {:?}, {arrows}", ends[0]);
            let of = |weighted, more: Inputs| {
                let mut inputs = network(nodes, edges, ends, directed, weighted);
                inputs.extend(more);
                inputs
            };
            let start = || vec![("start", zero())];
            let mut add = |operation, inputs, rule| list.add(operation, &about, inputs, rule);
            let walk = Rule::Near(&["nodes", "levels", "parents", "order"], 0.0);
            add("graph.bfs", of(false, start()), walk);
            let labels = Rule::Near(&["nodes", "labels", "count"], 0.0);
            add("graph.connected_components", of(false, vec![]), labels);
            add("graph.strongly_connected", of(false, vec![]), labels);
            add("graph.shortest_path", of(true, start()), Rule::Near(&["nodes", "distances"], 1e2));
            add(
                "graph.minimum_spanning_tree",
                of(true, vec![]),
                Rule::Near(&["edges", "weight", "trees"], 1e2),
            );
            let tight = || vec![("tolerance", Input::Float(1e-12))];
            add("graph.pagerank", of(true, tight()), Rule::Near(&["nodes", "scores"], 1e5));
        }
    }
    for weighted in [false, true] {
        let inputs = network(157, 1001, random(157), true, weighted);
        list.add(
            "graph.all_pairs",
            format_args!("157 nodes, weighted {weighted}"),
            inputs,
            Rule::Near(&["distances"], 1e2),
        );
    }
}

/// The id of a graph's first node, 0.
fn zero() -> Input {
    of(Kind::Place, U64, &[], 0)
}

fn series(list: &mut List) {
    let data: &[(Kind, DType, &[usize])] = &[
        (Kind::Reading, F64, &[50_021]),
        (Kind::Uniform, F64, &[3, 7001]),
        (Kind::Positive, F64, &[2049]),
        (Kind::Below(1000), I64, &[5, 4097]),
    ];
    for (kind, dtype, shape) in data {
        for method in ["gorilla", "delta", "alp", "auto"] {
            if (method, *dtype) == ("alp", I64) {
                continue;
            }
            let inputs = vec![("data", of(*kind, *dtype, shape, 15)), ("method", Input::Word(method))];
            let about = format!("{kind:?} {shape:?}, {method}");
            list.add("timeseries.compress", about, inputs, Rule::Near(&["compressed"], 0.0));
        }
    }
    const STATISTICS: &[&str] = &["mean", "std", "var", "min", "max", "sum", "median"];
    for (shape, window) in [(&[3usize, 5003][..], 100), (&[70_001], 1001), (&[9, 300], 7)] {
        let table = || uniform(F64, shape, 16);
        let inputs =
            vec![("data", table()), ("window", Input::Int(window)), ("statistics", Input::Words(STATISTICS))];
        let about = format!("{shape:?}, window {window}");
        list.add("timeseries.rolling", about, inputs, Rule::Near(STATISTICS, 1e4));
        let (before, period) = (("window", Input::Int(window)), ("period", Input::Int(window.min(100))));
        for (method, more, factor) in [
            ("mad", None, 0.0),
            ("zscore", None, 0.0),
            ("mad", Some(before.clone()), 0.0),
            ("zscore", Some(before), 1e4),
            ("stl", Some(period), 0.0),
        ] {
            let about = match &more {
                Some((parameter, _)) => format!("{shape:?}, {method} with {parameter}"),
                None => format!("{shape:?}, {method}"),
            };
            let mut inputs =
                vec![("data", table()), ("method", Input::Word(method)), ("all_scores", Input::Flag(true))];
            inputs.extend(more);
            let rule = Rule::Near(&["series", "indices", "scores", "all_scores"], factor);
            list.add("timeseries.anomaly_detection", about, inputs, rule);
        }
        let inputs = vec![("a", table()), ("max_lag", Input::Int(window))];
        list.add(
            "timeseries.correlate",
            format_args!("{shape:?}, {window} lags"),
            inputs,
            Rule::Near(&["lags", "values"], 1e4),
        );
    }
    let table = uniform(F64, &[70, 2003], 17);
    let inputs = vec![("data", table), ("points", Input::Int(100))];
    list.add("timeseries.downsample", "70 × 2003 to 100", inputs, Rule::Near(&["indices", "values"], 0.0));
    for (n, m) in [(5003, 100), (30_001, 513)] {
        let data = || ("data", uniform(F64, &[n], 18));
        let more = vec![data(), ("query", uniform(F64, &[m], 19)), ("k", Input::Int(5))];
        list.add(
            "timeseries.match",
            format_args!("{m} in {n}"),
            more,
            Rule::Near(&["indices", "distances"], 1e6),
        );
    }
    let more = vec![("data", uniform(F64, &[3001], 20)), ("window", Input::Int(50))];
    list.add(
        "timeseries.match",
        "motifs of 50 in 3001",
        more,
        Rule::Near(&["motifs", "motif_distances", "discords"], 1e6),
    );
}
