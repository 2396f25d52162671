//! What is measured on a device, at which sizes, and how fast it is meant to be there.

use crate::cli::device::inputs::{Input, Inputs, Kind, of, uniform};
use offload_api::DType::{self, F32, F64};

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
                all.push(Work { operation, name, inputs, arithmetic, flops, answer, goal });
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
        }
    }
}
