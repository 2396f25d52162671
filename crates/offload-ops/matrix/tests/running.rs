//! Properties beyond the examples: stopping, stacks, what undoes what, hostile shapes and hostile numbers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use offload_api::{DType, Record, Tensor, TensorSpec, Value};
use offload_core::{AnyOperation, Cancel, Context, Failure, Progress};
use offload_ops_matrix::*;
use serde_json::json;

fn uniform(seed: u64, shape: &[usize]) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let values = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / 4_503_599_627_370_496.0 - 1.0
        })
        .collect();
    Tensor::new(shape, values).unwrap()
}

fn one(a: &Tensor) -> Record<Tensor> {
    Record::new().with("a", Value::Tensor(a.clone()))
}

fn run(op: &dyn AnyOperation, inputs: Record<Tensor>) -> Record<Tensor> {
    op.cpu(inputs, &Context::default()).unwrap()
}

fn tensor(mut r: Record<Tensor>, name: &str) -> Tensor {
    match r.take(name) {
        Some(Value::Tensor(t)) => t,
        other => panic!("{name} is {other:?}"),
    }
}

fn assert_near(a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!(a.shape(), b.shape());
    for (x, y) in a.as_slice::<f64>().unwrap().iter().zip(b.as_slice::<f64>().unwrap()) {
        assert!((x - y).abs() <= tolerance, "{x} and {y}");
    }
}

#[test]
fn a_job_that_nobody_waits_for_stops_after_its_first_block() {
    let a = uniform(1, &[1500, 1500]);
    let definite: Vec<f64> = a
        .as_slice::<f64>()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(i, x)| if i % 1501 == 0 { 1500.0 } else { *x })
        .collect();
    let definite = Tensor::new([1500, 1500], definite).unwrap();
    let tall = uniform(2, &[20_000, 100]);
    let few = |k| one(&a).with("k", Value::Int(k)).with("method", Value::Text("randomised".into()));
    let jobs: Vec<(&dyn AnyOperation, Record<Tensor>, f64)> = vec![
        (&Multiply, one(&a).with("b", Value::Tensor(a.clone())), 0.2),
        (&Matvec, one(&uniform(3, &[8000, 2000])).with("x", Value::Tensor(uniform(4, &[2000]))), 0.3),
        (&Inverse, one(&a), 0.15),
        (&Solve, one(&a).with("b", Value::Tensor(uniform(4, &[1500]))), 0.3),
        (&Determinant, one(&a), 0.3),
        (&Cholesky, one(&definite), 0.2),
        (&Qr, one(&a), 0.2),
        (&Qr, one(&tall), 0.5),
        (&Svd, one(&a), 0.01),
        (&Svd, few(100), 0.5),
        (&Transpose, one(&uniform(3, &[6000, 2000])), 0.4),
        (&Norm, one(&uniform(3, &[6000, 2000])), 0.4),
        (&Eigenvalues, one(&uniform(5, &[200, 40, 40])), 0.05),
        (&Eigenvalues, one(&a), 0.01),
        (&Eigenvalues, one(&a).with("symmetric", Value::Text("true".into())), 0.01),
    ];
    for (op, inputs, most) in jobs {
        let (cancel, progress) = (Cancel::new(), Progress::new());
        cancel.cancel();
        let got = op.cpu(inputs, &Context::new(cancel, progress.clone()));
        let name = op.about().name;
        assert_eq!(got.unwrap_err(), Failure::Cancelled, "{name}");
        assert!(progress.get() <= most, "{name} went on to {}", progress.get());
    }
}

#[test]
fn a_job_can_be_stopped_in_its_middle() {
    let a = uniform(1, &[1500, 1500]);
    let eigen = |s: &str| one(&a).with("symmetric", Value::Text(s.into())).with("vectors", Value::Bool(true));
    let jobs: Vec<(&dyn AnyOperation, Record<Tensor>)> = vec![
        (&Inverse, one(&a)),
        (&Qr, one(&a)),
        (&Svd, one(&a)),
        (&Eigenvalues, eigen("true")),
        (&Eigenvalues, eigen("false")),
    ];
    for (op, inputs) in jobs {
        let (cancel, progress) = (Cancel::new(), Progress::new());
        let context = Context::new(cancel.clone(), progress.clone());
        let got = std::thread::scope(|s| {
            s.spawn(|| {
                while progress.get() < 0.05 {
                    std::thread::yield_now();
                }
                cancel.cancel();
            });
            op.cpu(inputs, &context)
        });
        assert_eq!(got.unwrap_err(), Failure::Cancelled);
        assert!(progress.get() < 1.0);
    }
}

#[test]
fn progress_ends_at_the_whole() {
    for op in operations()
        .iter()
        .filter(|op| !["multiply", "matvec", "solve", "cholesky"].contains(&op.about().name))
    {
        let progress = Progress::new();
        op.cpu(one(&uniform(9, &[600, 600])), &Context::new(Cancel::new(), progress.clone())).unwrap();
        assert_eq!(progress.get(), 1.0, "{}", op.about().name);
    }
}

#[test]
fn a_stack_is_its_matrices_one_by_one() {
    for op in operations()
        .iter()
        .filter(|op| !["multiply", "matvec", "solve", "cholesky"].contains(&op.about().name))
    {
        let stack = uniform(7, &[70, 9, 9]);
        let all = run(*op, one(&stack));
        for i in [0, 1, 35, 69] {
            let part = stack.as_slice::<f64>().unwrap()[i * 81..(i + 1) * 81].to_vec();
            let alone = run(*op, one(&Tensor::new([9, 9], part).unwrap()));
            for (name, value) in alone.iter() {
                let Value::Tensor(t) = value else { continue };
                let Some(Value::Tensor(whole)) = all.get(name) else { panic!("{name} is missing") };
                let len = t.data().len();
                let got = whole.as_slice::<f64>().unwrap()[i * len..(i + 1) * len].to_vec();
                assert_near(&Tensor::new(t.shape(), got).unwrap(), t, 0.0);
            }
        }
    }
}

#[test]
fn what_undoes_what() {
    for (seed, n) in [(1, 1), (2, 10), (3, 77), (4, 300)] {
        let a = uniform(seed, &[n, n]);
        let inverse = tensor(run(&Inverse, one(&a)), "result");
        let back = tensor(run(&Inverse, one(&inverse)), "result");
        assert_near(&back, &a, 1e-7);
        let twice = tensor(run(&Transpose, one(&tensor(run(&Transpose, one(&a)), "result"))), "result");
        assert_near(&twice, &a, 0.0);
        let b = uniform(seed + 9, &[n, 3]);
        let product = tensor(run(&Multiply, one(&a).with("b", Value::Tensor(b.clone()))), "result");
        let solved = tensor(run(&Solve, one(&a).with("b", Value::Tensor(product))), "x");
        assert_near(&solved, &b, 1e-9);
    }
}

#[test]
fn the_pivot_and_the_matrix_are_named() {
    let mut values = uniform(1, &[3, 4, 4]).into_vec::<f64>().unwrap();
    for i in 0..4 {
        values[32 + i * 4 + 2] = 0.0;
    }
    let stack = Tensor::new([3, 4, 4], values).unwrap();
    let Err(Failure::Unprocessable { reason, details, message }) =
        Inverse.cpu(one(&stack), &Context::default())
    else {
        panic!("a singular matrix was inverted");
    };
    assert_eq!((reason, details), ("singular", json!({"pivot": 2, "batch": 2})));
    assert_eq!(message, "matrix 2 of the stack: the matrix is singular: pivot 2 (counted from 0) is zero");
    let indefinite = Tensor::new([3, 3], vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0]).unwrap();
    let Err(Failure::Unprocessable { details, .. }) = Cholesky.cpu(one(&indefinite), &Context::default())
    else {
        panic!("an indefinite matrix was factored");
    };
    assert_eq!(details, json!({"pivot": 2}));
}

#[test]
fn numbers_that_are_not_finite_end_without_a_panic() {
    for n in [1, 3, 40, 150] {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in [0, n * n / 2, n * n - 1] {
                let mut values = uniform(1, &[n, n]).into_vec::<f64>().unwrap();
                values[at] = bad;
                let a = Tensor::new([n, n], values).unwrap();
                for op in operations() {
                    let inputs = match op.about().name {
                        "multiply" | "solve" => one(&a).with("b", Value::Tensor(a.clone())),
                        "matvec" => one(&a).with("x", Value::Tensor(uniform(2, &[n]))),
                        _ => one(&a),
                    };
                    let got = op.cpu(inputs, &Context::default());
                    let refuses =
                        !["multiply", "matvec", "transpose", "norm", "cholesky"].contains(&op.about().name);
                    if refuses {
                        let Err(Failure::Unprocessable { reason, .. }) = got else {
                            panic!("{}: {got:?}", op.about().name)
                        };
                        assert_eq!(reason, "not_finite");
                    }
                }
            }
        }
    }
}

#[test]
fn ends_of_the_range_do_not_overflow() {
    for scale in [1e-300, 1e-160, 1e160, 1e300] {
        let values: Vec<f64> =
            uniform(3, &[20, 20]).as_slice::<f64>().unwrap().iter().map(|x| x * scale).collect();
        let a = Tensor::new([20, 20], values).unwrap();
        for op in operations()
            .iter()
            .filter(|op| ["svd", "qr", "norm", "eigenvalues", "solve"].contains(&op.about().name))
        {
            let mut inputs = one(&a);
            if op.about().name == "solve" {
                inputs.set("b", Value::Tensor(uniform(4, &[20])));
            }
            for (name, value) in run(*op, inputs).iter() {
                let Value::Tensor(t) = value else { continue };
                assert!(
                    t.as_slice::<f64>().unwrap().iter().all(|x| x.is_finite()),
                    "{} {name}",
                    op.about().name
                );
            }
        }
    }
}

#[test]
fn hostile_shapes_are_refused_or_planned_and_never_overflow() {
    let extents = [0, 1, 2, 65_536, 65_537, usize::MAX / 2, usize::MAX];
    for op in operations() {
        for &m in &extents {
            for &n in &extents {
                for shape in [vec![m, n], vec![m, n, n], vec![n, m, n], vec![m]] {
                    let spec = || Value::Tensor(TensorSpec::new(DType::F64, shape.clone()));
                    let mut inputs = Record::new().with("a", spec());
                    match op.about().name {
                        "multiply" | "solve" => inputs.set("b", spec()),
                        "matvec" => inputs.set("x", spec()),
                        _ => {}
                    }
                    if let Ok(plan) = op.plan(inputs) {
                        assert!(plan.host_bytes >= plan.bytes_out && plan.work.is_finite());
                    }
                }
            }
        }
    }
}

#[test]
fn empty_matrices_have_empty_answers() {
    for op in operations() {
        let a = Tensor::new([0, 0], Vec::<f64>::new()).unwrap();
        let inputs = match op.about().name {
            "multiply" | "solve" => one(&a).with("b", Value::Tensor(a.clone())),
            "matvec" => one(&a).with("x", Value::Tensor(Tensor::vector(Vec::<f64>::new()))),
            _ => one(&a),
        };
        op.plan(inputs.specs()).unwrap();
        run(*op, inputs);
        let stack = Tensor::new([0, 3, 3], Vec::<f64>::new()).unwrap();
        if !["multiply", "solve", "matvec"].contains(&op.about().name) {
            run(*op, one(&stack));
        }
    }
    for (op, shape) in [(&Qr as &dyn AnyOperation, [3, 0]), (&Svd, [0, 3]), (&Svd, [3, 0])] {
        let a = Tensor::new(shape, Vec::<f64>::new()).unwrap();
        run(op, one(&a).with("full", Value::Bool(true)));
    }
}

fn product(a: &Tensor, b: &Tensor) -> Tensor {
    tensor(run(&Multiply, one(a).with("b", Value::Tensor(b.clone()))), "result")
}

#[test]
fn infinities_and_nans_go_through_a_product() {
    let a = Tensor::new([1, 2], vec![f64::INFINITY, 1.0]).unwrap();
    let b = Tensor::new([2, 2], vec![1.0, 0.0, 1.0, 1.0]).unwrap();
    let got = product(&a, &b);
    let got = got.as_slice::<f64>().unwrap();
    assert_eq!(got[0], f64::INFINITY);
    assert!(got[1].is_nan());
}

#[test]
fn a_matrix_is_shared_by_a_stack_on_either_side_of_a_product() {
    for shared in [vec![5, 5], vec![1, 5, 5]] {
        let (shared, stack) = (uniform(3, &shared), uniform(4, &[7, 5, 5]));
        let part = |t: &Tensor, i: usize| {
            Tensor::new([5, 5], t.as_slice::<f64>().unwrap()[i * 25..(i + 1) * 25].to_vec()).unwrap()
        };
        for left in [true, false] {
            let of = |shared: &Tensor, other: &Tensor| {
                if left { product(shared, other) } else { product(other, shared) }
            };
            let got = of(&shared, &stack);
            assert_eq!(got.shape(), [7, 5, 5]);
            for i in 0..7 {
                assert_near(&part(&got, i), &of(&part(&shared, 0), &part(&stack, i)), 1e-14);
            }
        }
    }
}

/// `LOOKS_EXTENT=2000` measures larger ones.
#[cfg(debug_assertions)]
#[test]
fn a_spectrum_is_computed_in_many_small_pieces() {
    let n = std::env::var("LOOKS_EXTENT").ok().and_then(|n| n.parse().ok()).unwrap_or(640);
    let (square, tall) = (uniform(1, &[n, n]), uniform(2, &[2 * n + 100, n]));
    let nearly = uniform(3, &[n + n / 2, n]);
    let word = |s: &str| Value::Text(s.into());
    let eigen = |s: &str, v: bool| one(&square).with("symmetric", word(s)).with("vectors", Value::Bool(v));
    let jobs: [(&str, &dyn AnyOperation, Record<Tensor>); 8] = [
        ("svd", &Svd, one(&square)),
        ("svd, full", &Svd, one(&nearly).with("full", Value::Bool(true))),
        ("svd, tall", &Svd, one(&tall)),
        ("singular values", &Norm, one(&square).with("kind", word("nuclear"))),
        ("symmetric, values", &Eigenvalues, eigen("true", false)),
        ("symmetric", &Eigenvalues, eigen("true", true)),
        ("general, values", &Eigenvalues, eigen("false", false)),
        ("general", &Eigenvalues, eigen("false", true)),
    ];
    // All of a job in one thread, so that every look is counted.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut coarse = Vec::new();
    for (name, op, inputs) in jobs {
        let (looks, longest, all) = pool.install(|| {
            looks::count(|| {
                run(op, inputs);
            })
        });
        let share = longest as f64 / all as f64;
        let line =
            format!("{name}: {looks} looks, longest {:.1} ms, {share:.3} of the whole", longest as f64 / 1e6);
        println!("{line}");
        // One for each column of the reduction at least, whose panels would be short enough at this extent.
        if looks < n as u64 || share > 0.15 {
            coarse.push(line);
        }
    }
    assert!(coarse.is_empty(), "too much lies between two looks: {coarse:#?}");
}
