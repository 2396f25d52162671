//! Random inputs of sizes that the worked examples do not reach: odd, larger than a tile, and in stacks.

use super::agree::Rule;
use crate::cli::device::inputs::{Input, Inputs, Kind, of, uniform};
use offload_api::DType;

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
