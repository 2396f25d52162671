//! Graph operations on every OpenCL device of this machine (PoCL where there is no card), beside the CPU, on graphs of
//! thousands of nodes; and graphs that stay on the device.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod counting;
mod graphs;
mod recording;

use counting::Counting;
use graphs::{Made, all, fits, layers};
use offload_api::{Record, ResidentKey, Tensor, Value};
use offload_core::device::{Device, DeviceHost, DeviceJob, InProcess, Isolation, JobLane, LanePriority};
use offload_core::{Cancel, Context, DeviceNeed, Failure, Graph, Progress, Registered, TenantId};
use offload_devices::discover::Options;
use offload_devices::opencl;
use recording::Recorder;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Every OpenCL device; none, and said why, where there is none.
fn devices() -> Vec<(String, Arc<dyn Device>)> {
    let options = Options { allow_cpu_opencl: true, ..Options::default() };
    match opencl::list(&options) {
        Ok(list) => list.into_iter().map(|d| (d.name, opencl::open(d.id, &options).unwrap())).collect(),
        Err(why) => {
            println!("OpenCL skipped: {why}");
            Vec::new()
        }
    }
}

fn operation(name: &str) -> &'static Registered {
    offload_ops::registry().iter().find(|r| r.full_name == format!("graph.{name}")).unwrap()
}

fn on(
    lane: &mut dyn JobLane,
    op: &'static Registered,
    inputs: &Record<Tensor>,
    tenant: &str,
    context: Context,
) -> Result<Record<Tensor>, Failure> {
    let DeviceNeed::Bytes(reserved_bytes) = op.operation.plan(inputs.specs()).unwrap().device else {
        panic!("{} has no device path for this", op.full_name)
    };
    let tenant = TenantId::new(tenant);
    lane.run(DeviceJob {
        operation: op,
        inputs: inputs.clone(),
        tenant,
        reserved_bytes,
        context,
        isolation: Isolation::Shared,
    })
    .result
}

/// The jobs of a graph, and how far scores may be off.
fn jobs(graph: &Made) -> Vec<(&'static Registered, Record<Tensor>)> {
    let g = || graph.inputs(None);
    let from = |id: u64| g().with("start", Value::Tensor(Tensor::scalar(id)));
    let jump = Value::Tensor(Tensor::vector(vec![graph.ids()[0], graph.ids()[1]]));
    let shares = Value::Tensor(Tensor::vector(vec![1.0, 3.0]));
    vec![
        (operation("bfs"), from(graph.ids()[0])),
        (operation("bfs"), from(graph.ids()[graph.ids().len() / 2])),
        (operation("connected_components"), g()),
        (operation("pagerank"), g().with("tolerance", Value::Float(1e-9))),
        (
            operation("pagerank"),
            g().with("iterations", Value::Int(3))
                .with("damping", Value::Float(0.6))
                .with("ignore_weights", Value::Bool(true)),
        ),
        (
            operation("pagerank"),
            g().with("tolerance", Value::Float(1e-9))
                .with("personalization", jump)
                .with("personalization_weights", shares),
        ),
    ]
}

/// What differs from the CPU's answer: nothing at all, but for scores and their residual, which are sums.
fn difference(got: &Record<Tensor>, want: &Record<Tensor>) -> Option<String> {
    for (name, want) in want.iter() {
        let got = got.get(name)?;
        let same = match (name, got, want) {
            ("scores", Value::Tensor(got), Value::Tensor(want)) => {
                let (got, want) = (got.as_slice::<f64>()?, want.as_slice::<f64>()?);
                let near = |(g, w): (&f64, &f64)| (g - w).abs() <= 1e-12 * w.abs() + 1e-16;
                got.len() == want.len() && got.iter().zip(want).all(near)
            }
            ("residual", Value::Float(got), Value::Float(want)) => (got - want).abs() <= 1e-12,
            (_, got, want) => got == want,
        };
        if !same {
            let (got, want) = (format!("{got:?}"), format!("{want:?}"));
            return Some(format!("{name} is {:.200}, on the cpu {:.200}", got, want));
        }
    }
    None
}

#[test]
fn a_device_answers_as_the_cpu() {
    let graphs = all();
    for (device, opened) in devices() {
        let host = InProcess::new(opened);
        let mut lane = host.open(LanePriority::Normal).unwrap();
        let (mut off, mut ran) = (Vec::new(), 0);
        for graph in graphs.iter().filter(|g| fits(g.ids().len())) {
            for (op, inputs) in jobs(graph) {
                let want = op.operation.cpu(inputs.clone(), &Context::default()).unwrap();
                match on(lane.as_mut(), op, &inputs, "t", Context::default()) {
                    Ok(got) => {
                        let off_by = difference(&got, &want);
                        off.extend(off_by.map(|d| format!("{}: {}: {d}", graph.name, op.full_name)));
                    }
                    Err(e) => off.push(format!("{}: {}: {e}", graph.name, op.full_name)),
                }
                assert_eq!(host.health().unwrap().memory_used_bytes, 0, "{}: memory is left", graph.name);
                ran += 1;
            }
        }
        println!("{device}: {ran} jobs");
        assert!(off.is_empty(), "{device}:\n{}", off.join("\n"));
        assert!(ran >= 100 || !fits(usize::MAX), "{device} ran {ran} jobs only");
    }
}

#[test]
fn wide_frontiers_are_searched_by_steps_that_are_recorded() {
    // Wider than a group's own, for four times as many levels as there are steps between two looks.
    for graph in [layers(1100, 16, true), layers(1100, 16, false)].iter().filter(|g| fits(g.ids().len())) {
        let inputs = graph.inputs(None).with("start", Value::Tensor(Tensor::scalar(0u64)));
        let op = operation("bfs");
        let want = op.operation.cpu(inputs.clone(), &Context::default()).unwrap();
        for (device, opened) in devices() {
            let (recorder, started) = Recorder::new(opened);
            let host = InProcess::new(Arc::new(recorder));
            let mut lane = host.open(LanePriority::Normal).unwrap();
            let got = on(lane.as_mut(), op, &inputs, "t", Context::default()).unwrap();
            assert_eq!(difference(&got, &want), None, "{device}: {}", graph.name);
            let started = started.load(Ordering::Relaxed);
            assert!(started >= 2, "{device}: {}: {started} recordings were started", graph.name);
        }
    }
}

#[test]
fn answers_repeat_to_the_bit() {
    let graphs = all();
    for (device, opened) in devices() {
        let mut lane = InProcess::new(opened).open(LanePriority::Normal).unwrap();
        for graph in graphs.iter().filter(|g| g.name.contains("power") && fits(g.ids().len())) {
            for (op, inputs) in jobs(graph) {
                let mut run = || on(lane.as_mut(), op, &inputs, "t", Context::default()).unwrap();
                let (first, second) = (run(), run());
                assert_eq!(format!("{first:?}"), format!("{second:?}"), "{device}: {}", op.full_name);
            }
        }
    }
}

#[test]
fn a_graph_that_stayed_on_the_device_is_not_sent_again() {
    let graphs = all();
    for (device, opened) in devices() {
        let (counting, uploaded) = Counting::new(opened);
        let host = InProcess::with_residents(Arc::new(counting), 1 << 28).with_derived(1 << 28);
        let mut lane = host.open(LanePriority::Normal).unwrap();
        for (number, graph) in graphs.iter().filter(|g| fits(g.ids().len())).enumerate() {
            let key = 100 * number as u128 + 1;
            let start = || Value::Tensor(Tensor::scalar(graph.ids()[0]));
            let of = |key| {
                [
                    (operation("bfs"), graph.inputs(Some(key)).with("start", start())),
                    (operation("connected_components"), graph.inputs(Some(key))),
                    (operation("pagerank"), graph.inputs(Some(key))),
                ]
            };
            for (op, inputs) in of(key) {
                let about = format!("{device}: {}: {}", graph.name, op.full_name);
                let mut run = |inputs: &Record<Tensor>, tenant: &str| {
                    let before = uploaded.get();
                    let got = on(lane.as_mut(), op, inputs, tenant, Context::default()).unwrap();
                    (got, uploaded.get() - before)
                };
                let (first, sent) = run(&inputs, "a");
                assert!(sent > 0, "{about}: it has to come there once");
                let (second, sent) = run(&inputs, "a");
                assert_eq!(sent, 0, "{about}: it was there");
                assert_eq!(format!("{first:?}"), format!("{second:?}"), "{about}");
                let want = op.operation.cpu(inputs.clone(), &Context::default()).unwrap();
                assert_eq!(difference(&second, &want), None, "{about}");
                assert!(run(&inputs, "b").1 > 0, "{about}: it is another tenant's");
            }
            // The next version of the data has other identities.
            for (op, inputs) in of(key + 50) {
                let before = uploaded.get();
                on(lane.as_mut(), op, &inputs, "a", Context::default()).unwrap();
                assert!(uploaded.get() > before, "{device}: {}: old rows", op.full_name);
            }
            let column = |key| ResidentKey(key);
            assert!(host.holds(&TenantId::new("a"), column(key)), "{device}: what stays is counted on");
            assert!(!host.holds(&TenantId::new("c"), column(key)));
        }
        let used = host.residents().used_bytes();
        assert!(used > 0 && used <= 1 << 28, "{used} bytes stay");
        assert_eq!(host.health().unwrap().memory_used_bytes, used, "{device}: all else was given back");
    }
}

#[test]
fn rows_that_find_no_room_are_given_back_with_the_job() {
    let graph = &all()[0];
    for (device, opened) in devices() {
        // Less than the rows of the graph need.
        let host = InProcess::with_residents(opened, 1000).with_derived(1 << 28);
        let mut lane = host.open(LanePriority::Normal).unwrap();
        let inputs = graph.inputs(Some(1));
        for _ in 0..2 {
            let op = operation("connected_components");
            let want = op.operation.cpu(inputs.clone(), &Context::default()).unwrap();
            let got = on(lane.as_mut(), op, &inputs, "a", Context::default()).unwrap();
            assert_eq!(difference(&got, &want), None, "{device}");
            assert_eq!(host.health().unwrap().memory_used_bytes, 0, "{device}");
        }
    }
}

#[test]
fn a_plan_reserves_enough_where_no_two_edges_share_a_node() {
    for (device, opened) in devices() {
        let mut lane = InProcess::new(opened).open(LanePriority::Normal).unwrap();
        for edges in [1u64, 100, 5000].into_iter().filter(|e| fits(2 * *e as usize)) {
            for (directed, weighted) in [(true, true), (false, true), (true, false), (false, false)] {
                let pairs: Vec<_> = (0..edges).map(|i| (2 * i, 2 * i + 1)).collect();
                let weights = weighted.then(|| vec![2.0; pairs.len()]);
                let mut g = Record::new();
                Graph::new(&pairs, weights, None, directed).put(&mut g);
                let jump = Value::Tensor(Tensor::vector(vec![1u64]));
                for (op, inputs) in [
                    ("bfs", g.clone().with("start", Value::Tensor(Tensor::scalar(0u64)))),
                    ("connected_components", g.clone()),
                    ("pagerank", g.clone().with("personalization", jump)),
                ] {
                    let op = operation(op);
                    let want = op.operation.cpu(inputs.clone(), &Context::default()).unwrap();
                    let got = on(lane.as_mut(), op, &inputs, "t", Context::default());
                    let got =
                        got.unwrap_or_else(|e| panic!("{device}: {}: {edges} edges: {e}", op.full_name));
                    assert_eq!(difference(&got, &want), None, "{device}: {}: {edges} edges", op.full_name);
                }
            }
        }
    }
}

#[test]
fn a_cancelled_job_stops() {
    let cancel = Cancel::new();
    cancel.cancel();
    let graphs = all();
    for (device, opened) in devices() {
        let mut lane = InProcess::new(opened).open(LanePriority::Normal).unwrap();
        for (op, inputs) in jobs(&graphs[0]) {
            let context = Context::new(cancel.clone(), Progress::new());
            let got = on(lane.as_mut(), op, &inputs, "t", context);
            assert!(matches!(got, Err(Failure::Cancelled)), "{device}: {} goes on", op.full_name);
        }
    }
}
