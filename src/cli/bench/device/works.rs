//! What is measured on a device, at which sizes, and how fast it is meant to be there.

use crate::cli::device::inputs::{Input, Inputs, Kind, of, record, tensor, uniform};
use offload_api::DType::{self, F32, F64, U64};
use offload_api::{Tensor, Value, graph};
use offload_core::Context;

/// What a product is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    F32,
    Tf32,
    F64,
}

impl Arithmetic {
    /// The word in results.
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::F32 => "f32",
            Arithmetic::Tf32 => "tf32",
            Arithmetic::F64 => "f64",
        }
    }
}

/// How fast something is meant to be, on the class of card that the goals are stated for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most these milliseconds of computing.
    Milliseconds(f64),
    /// At least this share of a peer's speed in the same run.
    OfPeer(&'static str, f64),
}

/// One thing to measure.
#[derive(Clone, Debug)]
pub struct Work {
    pub operation: &'static str,
    pub name: String,
    pub inputs: Inputs,
    pub arithmetic: Arithmetic,
    /// Floating-point operations, by the textbook's count of the leading term.
    pub flops: f64,
    /// Bytes that must pass through the device's memory, each once; those of inputs and outputs when not given.
    pub bytes: Option<u64>,
    /// The output whose norm tells whether two sides computed the same.
    pub answer: &'static str,
    pub goal: Option<Goal>,
}

/// How large everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scale {
    /// The sizes that the goals are stated for.
    Full,
    /// The same things, small enough for a device that is a CPU; no goals.
    Small,
}

/// A size, and the one that stands in for it in a small run.
struct Sizes(Scale);

impl Sizes {
    fn of(&self, full: usize, small: usize) -> usize {
        if self.0 == Scale::Full { full } else { small }
    }
}

/// All of them; what a run that is cut off is to have first comes first.
pub fn works(scale: Scale) -> Vec<Work> {
    let sizes = Sizes(scale);
    let mut all = searches(&sizes);
    all.extend(products(&sizes));
    all.extend(moves(&sizes));
    all.extend(factorisations(&sizes));
    all.extend(graphs(&sizes));
    all.extend(series(&sizes));
    if scale == Scale::Small {
        all.iter_mut().for_each(|w| w.goal = None);
    }
    all
}

fn of_type(dtype: DType) -> Arithmetic {
    if dtype == F64 { Arithmetic::F64 } else { Arithmetic::F32 }
}

fn searches(sizes: &Sizes) -> Vec<Work> {
    let (rows, queries) = (sizes.of(1_000_000, 20_000), sizes.of(1000, 64));
    let mut all = Vec::new();
    for (d, many, single) in [(128, 6.0, 0.25), (768, 32.0, 1.0)] {
        let d = sizes.of(d, d / 4);
        let corpus = || uniform(F32, &[rows, d], 100 + d as u64);
        for metric in ["cosine", "l2"] {
            let goal = Goal::Milliseconds(many);
            let mut search = |operation, q: usize, queries, top, answer, goal| {
                let inputs = vec![
                    (queries, uniform(F32, &[q, d], 200 + d as u64)),
                    ("corpus", corpus()),
                    ("metric", Input::Word(metric)),
                    (top, Input::Int(10)),
                ];
                let name = format!("{operation} {q} × {rows} × {d} f32 {metric} top 10");
                let flops = 2.0 * q as f64 * rows as f64 * d as f64;
                let arithmetic = Arithmetic::F32;
                all.push(Work { operation, name, inputs, arithmetic, flops, bytes: None, answer, goal });
            };
            search("vector.similarity", queries, "queries", "top_k", "results", Some(goal));
            search("vector.knn", 1, "query", "k", "matches", Some(Goal::Milliseconds(single)));
            if metric == "cosine" && d == sizes.of(128, 32) {
                search("vector.batch_similarity", queries, "queries", "top_k", "results", Some(goal));
            }
        }
    }
    all
}

fn products(sizes: &Sizes) -> Vec<Work> {
    let peer = Some(Goal::OfPeer("torch", 0.95));
    let (small, large, double) = (sizes.of(1024, 64), sizes.of(8192, 256), sizes.of(4096, 128));
    [
        (small, Arithmetic::F32, Some(Goal::Milliseconds(0.06))),
        (large, Arithmetic::F32, peer),
        (large, Arithmetic::Tf32, peer),
        (double, Arithmetic::F64, peer),
    ]
    .into_iter()
    .map(|(n, arithmetic, goal)| {
        let dtype = if arithmetic == Arithmetic::F64 { F64 } else { F32 };
        let precision = if arithmetic == Arithmetic::Tf32 { "tf32" } else { "ieee" };
        Work {
            operation: "matrix.multiply",
            name: format!("matrix.multiply {n} × {n} × {n} {}", arithmetic.name()),
            inputs: vec![
                ("a", uniform(dtype, &[n, n], 1)),
                ("b", uniform(dtype, &[n, n], 2)),
                ("precision", Input::Word(precision)),
            ],
            arithmetic,
            flops: 2.0 * (n as f64).powi(3),
            bytes: None,
            answer: "result",
            goal,
        }
    })
    .collect()
}

fn moves(sizes: &Sizes) -> Vec<Work> {
    let n = sizes.of(8192, 256);
    let work = |operation, name, inputs, flops| Work {
        operation,
        name,
        inputs,
        arithmetic: Arithmetic::F32,
        flops,
        bytes: None,
        answer: "result",
        goal: None,
    };
    let matrix = || ("a", uniform(F32, &[n, n], 3));
    let vector = ("x", uniform(F32, &[n], 4));
    vec![
        work("matrix.transpose", format!("matrix.transpose {n} × {n} f32"), vec![matrix()], 0.0),
        work(
            "matrix.matvec",
            format!("matrix.matvec {n} × {n} f32"),
            vec![matrix(), vector],
            2.0 * (n * n) as f64,
        ),
    ]
}

fn factorisations(sizes: &Sizes) -> Vec<Work> {
    let (middle, large) = (sizes.of(512, 64), sizes.of(2048, 96));
    let (count, each) = (sizes.of(1000, 20), sizes.of(64, 16));
    let mut all = Vec::new();
    let cube = |shape: &[usize]| {
        let n = shape.last().copied().unwrap_or(0) as f64;
        shape.iter().rev().skip(2).map(|&b| b as f64).product::<f64>() * n.powi(3)
    };
    // Leading terms as Golub and Van Loan count them; the iterations of the last three have no closed count, so those
    // are of one bidiagonal (or tridiagonal) reduction with both sets of vectors.
    let mut add =
        |operation, kind, dtype: DType, shape: &[usize], per_cube: f64, answer, more: Inputs, goal| {
            let mut inputs = vec![("a", of(kind, dtype, shape, 5))];
            let extents: Vec<String> = shape.iter().map(usize::to_string).collect();
            inputs.extend(more);
            all.push(Work {
                operation,
                name: format!("{operation} {} {}", extents.join(" × "), dtype.name()),
                arithmetic: of_type(dtype),
                flops: per_cube * cube(shape),
                bytes: None,
                inputs,
                answer,
                goal,
            });
        };
    let sides = |dtype, n| vec![("b", uniform(dtype, &[n, 16], 6))];
    let vectors = || vec![("vectors", Input::Flag(true)), ("symmetric", Input::Word("true"))];
    let goal = |ms| Some(Goal::Milliseconds(ms));
    for dtype in [F32, F64] {
        add("matrix.inverse", Kind::Dominant, dtype, &[middle, middle], 2.0, "result", vec![], goal(0.8));
        add("matrix.inverse", Kind::Dominant, dtype, &[count, each, each], 2.0, "result", vec![], goal(2.0));
    }
    for n in [middle, large] {
        for dtype in [F32, F64] {
            let shape = [n, n];
            add("matrix.solve", Kind::Dominant, dtype, &shape, 2.0 / 3.0, "x", sides(dtype, n), None);
            add("matrix.cholesky", Kind::Definite, dtype, &shape, 1.0 / 3.0, "result", vec![], None);
            add("matrix.qr", Kind::Uniform, dtype, &shape, 8.0 / 3.0, "r", vec![], None);
        }
    }
    for (n, dtype) in [(middle, F32), (middle, F64), (large, F64)] {
        let shape = [n, n];
        add("matrix.eigenvalues", Kind::Symmetric, dtype, &shape, 9.0, "values", vectors(), None);
        add("matrix.svd", Kind::Uniform, dtype, &shape, 20.0, "s", vec![], None);
    }
    all
}

/// A graph by its columns, all nodes listed, so that both a plan and a peer know how many there are.
#[derive(Clone, Copy)]
struct Network {
    nodes: usize,
    edges: usize,
    /// The kinds of its columns.
    ends: [Kind; 2],
    directed: bool,
    weighted: bool,
}

impl Network {
    /// Edges between any two nodes.
    fn random(nodes: usize, edges: usize, directed: bool) -> Network {
        let any = Kind::Below(nodes as u32);
        Network { nodes, edges, ends: [any, any], directed, weighted: false }
    }

    /// Each node joined to its neighbours in a square: the longest way is twice its side.
    fn grid(side: usize) -> Network {
        let (edges, side32) = (2 * side * (side - 1), side as u32);
        let ends = [Kind::GridFrom(side32), Kind::GridTo(side32)];
        Network { nodes: side * side, edges, ends, directed: false, weighted: false }
    }

    fn weighted(self) -> Network {
        Network { weighted: true, ..self }
    }

    fn inputs(&self) -> Inputs {
        let column = |kind, dtype, n: usize, seed| of(kind, dtype, &[n], seed);
        let mut inputs = vec![
            (graph::SRC, column(self.ends[0], U64, self.edges, 21)),
            (graph::DST, column(self.ends[1], U64, self.edges, 22)),
            (graph::NODES, column(Kind::Place, U64, self.nodes, 0)),
            (graph::DIRECTED, Input::Flag(self.directed)),
        ];
        if self.weighted {
            inputs.push((graph::WEIGHT, column(Kind::Positive, F64, self.edges, 23)));
        }
        inputs
    }

    /// Bytes of a walk that sees each arc once, and writes so many for each node.
    fn walk(&self, per_node: usize) -> u64 {
        let arcs = if self.directed { self.edges } else { 2 * self.edges };
        (arcs * if self.weighted { 12 } else { 4 } + self.nodes * (4 + per_node)) as u64
    }

    fn name(&self, operation: &str) -> String {
        let about = match (self.ends[0], self.directed) {
            (Kind::GridFrom(side), _) => format!("grid of {side} × {side}"),
            (_, true) => format!("{} nodes, {} edges", self.nodes, self.edges),
            (_, false) => format!("{} nodes, {} edges, undirected", self.nodes, self.edges),
        };
        format!("{operation} {about}{}", if self.weighted { ", weighted" } else { "" })
    }
}

/// Steps of a walk over all nodes.
const STEPS: i64 = 20;

fn graphs(sizes: &Sizes) -> Vec<Work> {
    let (nodes, edges) = (sizes.of(1_000_000, 2000), sizes.of(10_000_000, 20_000));
    let (directed, both) = (Network::random(nodes, edges, true), Network::random(nodes, edges, false));
    let fewer = Network::random(nodes / 10, edges / 10, true);
    let (grid, pairs) = (Network::grid(sizes.of(1000, 30)), sizes.of(1000, 60));
    let mut all = Vec::new();
    let mut add = |operation, g: Network, more: Inputs, bytes, answer, goal: Option<f64>| {
        let (mut inputs, goal) = (g.inputs(), goal.map(Goal::Milliseconds));
        inputs.extend(more);
        let (name, arithmetic, bytes) = (g.name(operation), Arithmetic::F64, Some(bytes));
        all.push(Work { operation, name, inputs, arithmetic, flops: 0.0, bytes, answer, goal });
    };
    let start = || vec![("start", of(Kind::Place, U64, &[], 0))];
    // Its frontiers are too wide for one group and too small to occupy a card: launches cost as much as they do.
    let wide = Network::grid(sizes.of(1500, 40));
    for (g, goal) in [(directed, Some(0.5)), (both, None), (grid, None), (wide, None)] {
        add("graph.bfs", g, start(), g.walk(28), "levels", goal);
    }
    for (g, goal) in [(fewer, Some(2.0)), (directed, None), (grid, None)] {
        let g = g.weighted();
        add("graph.shortest_path", g, start(), g.walk(24), "distances", goal);
    }
    // Three times Gunrock's 16.8 ms for 113 million edges.
    let components = 16.8 / 3.0 * (edges as f64 / 113e6);
    add("graph.connected_components", both, vec![], both.walk(16), "labels", Some(components));
    add("graph.connected_components", grid, vec![], grid.walk(16), "labels", None);
    add("graph.strongly_connected", directed, vec![], 2 * directed.walk(16), "labels", None);
    let steps = || vec![("iterations", Input::Int(STEPS)), ("tolerance", Input::Float(0.0))];
    // A millisecond for each hundred million edges and step.
    let walk = edges as f64 / 1e8 * STEPS as f64;
    add("graph.pagerank", directed, steps(), STEPS as u64 * directed.walk(16), "scores", Some(walk));
    for g in [both, grid] {
        let g = g.weighted();
        add("graph.minimum_spanning_tree", g, vec![], g.walk(8), "weight", None);
    }
    let pairs = Network::random(pairs, pairs * 10, true).weighted();
    let squares = (8 * pairs.nodes * pairs.nodes) as u64;
    add("graph.all_pairs", pairs, vec![], squares, "distances", None);
    all
}

fn series(sizes: &Sizes) -> Vec<Work> {
    let (one, many, long) = (sizes.of(1_000_000, 20_000), sizes.of(256, 8), sizes.of(100_000, 2000));
    let window = sizes.of(1000, 50);
    let mut all = Vec::new();
    let mut add = |operation, about: &str, data: (&'static str, Input), more: Inputs, answer, goal| {
        let mut inputs = vec![data];
        inputs.extend(more);
        let name = format!("{operation} {about}");
        let (arithmetic, goal) = (Arithmetic::F64, Option::<f64>::map(goal, Goal::Milliseconds));
        all.push(Work { operation, name, inputs, arithmetic, flops: 0.0, bytes: None, answer, goal });
    };
    let read = |n: usize| of(Kind::Reading, F64, &[n], 31);
    for (n, goal) in [(one, Some(0.3)), (16 * one, None)] {
        let method = || vec![("method", Input::Word("gorilla"))];
        let about = format!("gorilla, {n} points");
        add("timeseries.compress", &about, ("data", read(n)), method(), "compressed", goal);
        if let Some(compressed) = compressed(read(n), "gorilla") {
            let values = vec![("max_values", Input::Int(n as i64))];
            add("timeseries.decompress", &about, ("compressed", compressed), values, "data", goal);
        }
    }
    let alp = || vec![("method", Input::Word("alp"))];
    add("timeseries.compress", &format!("alp, {one} points"), ("data", read(one)), alp(), "compressed", None);
    let table = || ("data", uniform(F64, &[many, long], 32));
    for statistic in [&["mean"][..], &["std"], &["min"], &["median"]] {
        let more = vec![("window", Input::Int(window as i64)), ("statistics", Input::Words(statistic))];
        let about = format!("{}, {many} × {long}, window {window}", statistic[0]);
        add("timeseries.rolling", &about, table(), more, statistic[0], None);
    }
    let (of_each, points) = (sizes.of(long, 400), sizes.of(window, 40));
    let some = sizes.of(many, 64);
    let data = ("data", uniform(F64, &[some, of_each], 36));
    let more = vec![("points", Input::Int(points as i64))];
    add("timeseries.downsample", &format!("{some} × {of_each} to {points}"), data, more, "values", None);
    let before = ("window", Input::Int(window as i64));
    for (method, parameter) in [
        ("mad", None),
        ("zscore", None),
        ("mad", Some(before.clone())),
        ("zscore", Some(before)),
        ("stl", Some(("period", Input::Int(24)))),
    ] {
        let mut about = format!("{method}, {many} × {long}");
        if let Some((name, Input::Int(value))) = &parameter {
            about += &format!(", {name} {value}");
        }
        let mut more = vec![("method", Input::Word(method)), ("all_scores", Input::Flag(true))];
        more.extend(parameter);
        add("timeseries.anomaly_detection", &about, table(), more, "all_scores", None);
    }
    let data = || uniform(F64, &[one], 33);
    let more = vec![("max_lag", Input::Int(window as i64))];
    add("timeseries.correlate", &format!("{one}, {window} lags"), ("a", data()), more, "values", None);
    let more = vec![("query", uniform(F64, &[window], 34)), ("k", Input::Int(10))];
    add("timeseries.match", &format!("{window} in {one}"), ("data", data()), more, "distances", None);
    let half = sizes.of(65_536, 2000);
    let more = vec![("window", Input::Int(sizes.of(256, 32) as i64))];
    let about = format!("motifs of {} in {half}", sizes.of(256, 32));
    let data = ("data", uniform(F64, &[half], 35));
    add("timeseries.match", &about, data, more, "motif_distances", None);
    all
}

/// What the CPU compresses this to; `None` when it does not, which the test of all works notices.
fn compressed(data: Input, method: &'static str) -> Option<Input> {
    let inputs: Inputs = vec![("data", data), ("method", Input::Word(method))];
    let compress = offload_ops::registry().find("timeseries", "compress")?;
    let mut got = compress.operation.cpu(record(&inputs, tensor).ok()?, &Context::default()).ok()?;
    match got.take("compressed")? {
        Value::Bytes(bytes) => Some(Input::Ready(Tensor::vector(bytes.to_vec()))),
        Value::Tensor(tensor) => Some(Input::Ready(tensor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::device::inputs::specs;

    #[test]
    fn every_work_names_an_operation_takes_its_inputs_and_has_a_name_of_its_own() {
        let registry = offload_ops::registry();
        for scale in [Scale::Full, Scale::Small] {
            let all = works(scale);
            for (i, work) in all.iter().enumerate() {
                let (family, name) = work.operation.split_once('.').unwrap();
                let operation = registry.find(family, name).unwrap().operation;
                operation.plan(specs(&work.inputs)).unwrap_or_else(|e| panic!("{}: {e}", work.name));
                assert!(operation.about().outputs.iter().any(|o| o.name == work.answer), "{}", work.name);
                assert!(all[..i].iter().all(|w| w.name != work.name), "{} twice", work.name);
                assert!(scale == Scale::Full || work.goal.is_none());
            }
            assert_eq!(all.iter().filter(|w| w.operation == "timeseries.decompress").count(), 2);
        }
    }
}
